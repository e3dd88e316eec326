"""What `slmfleet check` can say before anything is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from slmfleet.models.errors import BundleFault, Fault
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.training.checks import bundle_notes, row_faults, row_notes
from slmfleet.models.training.data import Corpus, load_corpus
from slmfleet.services.settings import SHOP_DIR


def load(folder: Path) -> tuple[Fleet, Corpus]:
    fleet = load_fleet(folder)
    return fleet, load_corpus(fleet)


def lines(folder: Path, found: list[Fault]) -> list[str]:
    return [str(fault).removeprefix(f"{folder}/") for fault in found]


def test_the_shop_lacks_nothing() -> None:
    fleet, corpus = load(SHOP_DIR)
    assert row_faults(fleet, corpus) == []
    assert row_notes(fleet, corpus) == bundle_notes(fleet) == []


def test_a_new_fleet_lacks_test_rows_and_bundles_and_has_no_fault(make_fleet: Callable[..., Path]) -> None:
    folder = make_fleet()
    fleet, corpus = load(folder)
    assert row_faults(fleet, corpus) == []
    test_rows = "the domain has no test rows: without them nothing measures how right it is"
    assert lines(folder, [*row_notes(fleet, corpus), *bundle_notes(fleet)]) == [
        f"returns/test.jsonl:1: {test_rows}",
        f"parcels/test.jsonl:1: {test_rows}",
        "returns/bundle/bundle.json:1: is not trained yet: run `slmfleet train returns`",
        "parcels/bundle/bundle.json:1: is not trained yet: run `slmfleet train parcels`",
        "router/bundle/bundle.json:1: is not trained yet: run `slmfleet train router`",
    ]


def test_an_intent_with_fewer_rows_than_training_needs_is_a_fault(make_fleet: Callable[..., Path]) -> None:
    rows = [{"text": f"how long {n}", "intent": "how_long"} for n in "abcde"]
    rows += [{"text": f"how {n}", "intent": "how_to"} for n in "abcd"]
    folder = make_fleet(**{"returns/utterances.jsonl": "\n".join(map(json.dumps, rows))})
    assert lines(folder, row_faults(*load(folder))) == [
        "returns/utterances.jsonl:1: intent 'how_to' has 4 rows; at least 5 are needed"
    ]


def test_a_domain_without_rows_is_a_fault_until_it_has_a_bundle(make_fleet: Callable[..., Path]) -> None:
    folder = make_fleet()
    (folder / "returns" / "utterances.jsonl").unlink()
    (line,) = lines(folder, row_faults(*load(folder)))
    assert line.startswith(
        "returns/utterances.jsonl:1: the domain has no training rows, so neither its model"
    )
    (folder / "returns" / "bundle").mkdir()
    (folder / "returns" / "bundle" / "bundle.json").write_text("{}", encoding="utf-8")
    assert row_faults(*load(folder)) == []


def test_a_router_without_rows_of_its_own_labels_is_noted(make_fleet: Callable[..., Path]) -> None:
    folder = make_fleet(**{"router/utterances.jsonl": '{"text": "a person please", "intent": "hand_off"}'})
    assert "router/utterances.jsonl:1: no row is out_of_scope: the router cannot learn what that is" in lines(
        folder, row_notes(*load(folder))
    )


def test_a_bundle_of_other_intents_or_domains_is_to_be_trained_again(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(SHOP_DIR, folder, ignore=shutil.ignore_patterns("sources", "*.jsonl"))
    fleet = load_fleet(folder)
    assert bundle_notes(fleet) == []
    del fleet.domains["product"]
    intents = fleet.domains["returns"].config.intents
    del intents[next(iter(intents))]
    assert lines(folder, bundle_notes(fleet)) == [
        "returns/bundle/bundle.json:1: was trained for other intents than domain.yaml has: "
        "run `slmfleet train returns`",
        "router/bundle/bundle.json:1: was trained for other domains than fleet.yaml has: "
        "run `slmfleet train router`",
    ]


def test_a_damaged_bundle_is_no_note_but_a_fault(make_fleet: Callable[..., Path]) -> None:
    folder = make_fleet(**{"returns/bundle/bundle.json": "{}"})
    with pytest.raises(BundleFault, match=r"returns/bundle/bundle\.json"):
        bundle_notes(load_fleet(folder))
