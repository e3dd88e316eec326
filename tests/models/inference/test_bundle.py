from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from slmfleet.models.errors import BundleFault, ModelBroken
from slmfleet.models.fleet.config import Domain
from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.bundle import read_card, size_bytes
from slmfleet.models.inference.encoder import MAX_TOKENS, Encoder
from slmfleet.models.inference.specialist import Specialist
from slmfleet.router.classifier import Router
from slmfleet.services.settings import SHOP_DIR

FLEET = load_fleet(SHOP_DIR)


@pytest.fixture
def copied(tmp_path: Path) -> Domain:
    """The returns domain with its bundle in a folder that may be damaged."""
    shutil.copytree(SHOP_DIR / "returns", tmp_path / "returns")
    return replace(FLEET.domains["returns"], folder=tmp_path / "returns")


def encoder(bundle: Path) -> Encoder:
    return Encoder(bundle / "model.int8.onnx", bundle / "tokenizer.json")


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


def test_a_model_that_fails_its_probe_is_broken(copied: Domain) -> None:
    specialist = Specialist.load(copied)
    probe = specialist.card.probe.model_copy(update={"label": "warranty"})
    specialist.card = specialist.card.model_copy(update={"probe": probe})
    with pytest.raises(ModelBroken, match="answers its probe with"):
        specialist.probe()


def test_changed_knowledge_is_found_without_training(copied: Domain) -> None:
    new = Passage("selling-old-vinyl-records", "Selling old vinyl records", "We buy old vinyl records.", 1)
    changed = replace(copied, passages=(*copied.passages[1:], new))
    intents = dict(changed.config.intents)
    gone = copied.passages[0].id
    for name, intent in intents.items():
        kept = tuple(passage for passage in intent.passages if passage != gone)
        intents[name] = intent.model_copy(update={"passages": kept})
    changed = replace(changed, config=changed.config.model_copy(update={"intents": intents}))
    reading = Specialist.load(changed).read("do you buy old vinyl records?")
    assert reading.passages[0].passage_id == new.id
    assert gone not in {match.passage_id for match in reading.passages}


@pytest.mark.parametrize("text", ["x", "return " * 285, "ab" * 1_000, "🙂" * 500, "\n\t ?", "İ" * 50])
def test_any_text_is_read_within_the_token_limit(text: str) -> None:
    specialist = Specialist.load(FLEET.domains["returns"])
    reading = specialist.read(text)
    assert 0 < reading.confidence <= 1
    assert all(0 <= slot.start < slot.end <= len(text) for slot in reading.slots)
    ids, offsets = encoder(SHOP_DIR / "returns" / "bundle")._reader.read(text)
    assert ids.shape == (1, len(offsets))
    assert len(offsets) <= MAX_TOKENS


def test_a_tokenizer_is_kept_once_and_told_from_another(tmp_path: Path) -> None:
    mine, same = (encoder(SHOP_DIR / name / "bundle") for name in ("returns", "router"))
    assert mine._reader is same._reader
    layout = json.loads((SHOP_DIR / "returns" / "bundle" / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = layout["model"]["vocab"]
    pieces["shoes"], pieces["shirt"] = pieces["shirt"], pieces["shoes"]
    shutil.copytree(SHOP_DIR / "returns" / "bundle", tmp_path / "bundle")
    (tmp_path / "bundle" / "tokenizer.json").write_text(json.dumps(layout), encoding="utf-8")
    other = encoder(tmp_path / "bundle")
    assert other._reader.read("shoes")[0].tolist() == mine._reader.read("shirt")[0].tolist()


def test_slots_are_resolved_on_the_shops_day() -> None:
    reading = Specialist.load(FLEET.domains["returns"]).read("bought it yesterday for $20, order W2611340")
    assert [(slot.name, slot.value) for slot in reading.slots] == [
        ("date", "2026-06-14"),
        ("amount", "20 USD"),
        ("order_id", "#W2611340"),
    ]
