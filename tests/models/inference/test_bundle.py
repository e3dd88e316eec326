from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from slmfleet.models.errors import BundleFault
from slmfleet.models.fleet.config import Domain
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.bundle import read_card, size_bytes
from slmfleet.models.inference.specialist import Specialist
from slmfleet.router.classifier import Router
from slmfleet.services.settings import SHOP_DIR

FLEET = load_fleet(SHOP_DIR)


@pytest.fixture
def copied(tmp_path: Path) -> Domain:
    """The returns domain with its bundle in a folder that may be damaged."""
    shutil.copytree(SHOP_DIR / "returns", tmp_path / "returns")
    return replace(FLEET.domains["returns"], folder=tmp_path / "returns")


def test_bundles_are_as_small_as_promised() -> None:
    sizes = {name: size_bytes(domain.folder / "bundle") for name, domain in FLEET.domains.items()}
    sizes["router"] = size_bytes(SHOP_DIR / "router" / "bundle")
    assert max(sizes.values()) <= 12e6, sizes
    assert sum(sizes.values()) <= 64e6, sizes


@pytest.mark.parametrize("name", [*FLEET.domains, "router"])
def test_a_card_says_what_the_model_was_made_from(name: str) -> None:
    card = read_card(SHOP_DIR / name / "bundle", "router" if name == "router" else "specialist")
    assert card.metrics
    assert card.trained_from.rows
    assert {source.split("/")[0] for source in card.trained_from.rows} == card.trained_from.licences.keys()
    assert len(card.trained_from.sha256) == 64
    assert 0 < card.threshold < 1
    assert card.version in (SHOP_DIR / name / "bundle" / "CARD.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["model.int8.onnx", "tokenizer.json", "index.npz"])
def test_a_damaged_or_missing_file_is_a_fault(copied: Domain, file: str) -> None:
    path = copied.folder / "bundle" / file
    path.write_bytes(path.read_bytes()[:-9] + b"damaged!!")
    with pytest.raises(BundleFault, match=file):
        Specialist.load(copied)
    path.unlink()
    with pytest.raises(BundleFault, match="is missing"):
        Specialist.load(copied)


def test_a_bundle_of_other_intents_is_a_fault(copied: Domain) -> None:
    intents = dict(copied.config.intents)
    intents.pop("warranty")
    with pytest.raises(BundleFault, match="slmfleet train returns"):
        Specialist.load(replace(copied, config=copied.config.model_copy(update={"intents": intents})))


def test_a_broken_card_or_the_wrong_kind_is_a_fault(copied: Domain) -> None:
    with pytest.raises(BundleFault, match="is a specialist, not a router"):
        Router.load(copied.folder / "bundle")
    (copied.folder / "bundle" / "bundle.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleFault, match=r"bundle\.json"):
        Specialist.load(copied)


def test_a_bundle_of_another_format_says_what_to_do(copied: Domain) -> None:
    path = copied.folder / "bundle" / "bundle.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 2', '"format": 1'), encoding="utf-8")
    with pytest.raises(BundleFault, match=r"is of format 1, .*`slmfleet train`"):
        Specialist.load(copied)
