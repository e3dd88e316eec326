from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.text.normalise import fingerprint
from slmfleet.models.training.data import hold_out, load_corpus
from slmfleet.services.settings import SHOP_DIR


def test_no_test_text_nor_a_near_duplicate_is_trained_on() -> None:
    corpus = load_corpus(load_fleet(SHOP_DIR))
    tested = {fingerprint(row.text) for row in corpus.test}
    assert len(corpus.test) > 5_000
    assert not [row.text for row in corpus.train if fingerprint(row.text) in tested]


def test_public_test_splits_are_in_the_test_rows_alone() -> None:
    train = {row.text for row in load_corpus(load_fleet(SHOP_DIR)).train}
    for path in SHOP_DIR.glob("sources/*/rows.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert not train & {row["text"] for row in rows if row["split"] == "test"}


def test_a_training_row_that_repeats_a_test_row_is_dropped(make_fleet: Callable[..., Path]) -> None:
    leaked = {"text": "Return   PERIOD!!", "intent": "how_long", "passage": None}
    fleet = load_fleet(make_fleet(**{"returns/test.jsonl": json.dumps(leaked)}))
    assert "return period?" not in {row.text for row in load_corpus(fleet).train}


def test_every_source_lies_beside_its_licence() -> None:
    for path in SHOP_DIR.glob("sources/*"):
        assert (path / "LICENSE").stat().st_size > 200, path
    corpus = load_corpus(load_fleet(SHOP_DIR))
    assert {row.source.split("/")[0] for row in corpus.train} <= corpus.licences.keys()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{broken", ":1: is not JSON"),
        ('{"text": " ", "intent": "how_long"}', ":1: needs a non-empty 'text'"),
        ('{"text": "x", "intent": "how_tall"}', ":1: returns has no intent 'how_tall'"),
        ('{"text": "x", "intent": "how_long", "passage": "nowhere"}', ":1: returns has no passage 'nowhere'"),
        (
            '{"text": "x", "intent": "how_long", "slots": [{"name": "product", "start": 0, "end": 5}]}',
            "lies outside the text",
        ),
        (
            '{"text": "x", "intent": "how_long", "slots": [["product", 0, 1]]}',
            ":1: slots should be a list of",
        ),
        ('{"text": "x", "intent": "how_long", "slots": {"product": "x"}}', ":1: slots should be a list of"),
        (
            '{"text": "x", "intent": "how_long", "slots": [{"name": "a", "start": "0", "end": 1}]}',
            "should be a",
        ),
    ],
)
def test_a_wrong_row_is_told_with_file_and_line(make_fleet: Callable[..., Path], row: str, says: str) -> None:
    fleet = load_fleet(make_fleet(**{"returns/utterances.jsonl": row}))
    with pytest.raises(DataFault, match=r"utterances\.jsonl") as caught:
        load_corpus(fleet)
    assert says in str(caught.value)


def test_holding_out_is_stable_and_keeps_near_duplicates_together() -> None:
    rows = load_corpus(load_fleet(SHOP_DIR)).train
    kept, held = hold_out(rows, 0.12)
    assert 0.09 < len(held) / len(rows) < 0.15
    assert not {fingerprint(row.text) for row in kept} & {fingerprint(row.text) for row in held}
    assert hold_out(list(reversed(rows)), 0.12)[1] == list(reversed(held))


def test_rows_that_are_not_utf_8_are_a_fault(make_fleet: Callable[..., Path]) -> None:
    folder = make_fleet()
    fleet = load_fleet(folder)
    (folder / "returns" / "test.jsonl").write_bytes(b'{"text": "\xff"}')
    with pytest.raises(DataFault, match=r"returns/test\.jsonl: is not UTF-8 at byte 10"):
        load_corpus(fleet)


def test_a_source_without_its_rows_is_a_fault(make_fleet: Callable[..., Path]) -> None:
    source = "title: t\nlicence: MIT\nrepository: r\ncommit: c\nlabels: {}\n"
    folder = make_fleet(**{"sources/elsewhere/source.yaml": source})
    with pytest.raises(DataFault, match=r"sources/elsewhere/rows\.jsonl: there is no such file"):
        load_corpus(load_fleet(folder))
