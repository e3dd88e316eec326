from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from slmfleet.models.contracts import Decision, ModelVersion, PassageMatch, Reading, Route, Slot
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.training.data import load_corpus
from slmfleet.services.cli.main import app
from slmfleet.services.evaluation.bench import cache_correctness as cache_measure
from slmfleet.services.evaluation.bench.cache_correctness import CacheMeasure, measure
from slmfleet.services.evaluation.bench.cache_pairs import KINDS, pairs
from slmfleet.services.evaluation.bench.reply_memory import ReplyMemory
from slmfleet.services.settings import SHOP_DIR, load_settings
from slmfleet.services.state import answer_cache as cache


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return load_fleet(SHOP_DIR)


def test_each_trap_differs_and_there_are_as_many_of_each_kind(fleet: Fleet) -> None:
    made = pairs(fleet, load_corpus(fleet), ["ann", "bob"], 600)
    assert Counter(pair.kind for pair in made) == dict.fromkeys(KINDS, 100)
    for pair in made:
        assert (pair.first, pair.customers[0]) != (pair.second, pair.customers[1])
        assert (pair.first == pair.second) == (pair.kind == "customer")
    texts = [text for pair in made if pair.kind == "paraphrase" for text in (pair.first, pair.second)]
    assert len(set(texts)) == 200
    assert made == pairs(fleet, load_corpus(fleet), ["ann", "bob"], 600)
    assert "customer" not in {pair.kind for pair in pairs(fleet, load_corpus(fleet), [], 50)}


def test_no_trap_is_fallen_into(tmp_path: object) -> None:
    advanced: list[int] = []
    result = measure(load_settings(state_dir=tmp_path), 60, lambda: advanced.append(1))
    assert result.pairs == len(advanced) == 60
    assert result.wrong == 0
    assert 0 < result.same_text <= 1
    assert all(len(line) <= 80 for line in cache_measure.printed(result).splitlines())


def test_a_cache_that_takes_the_near_for_the_same_is_caught(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a semantic cache would: any two texts of the same first words.
    monkeypatch.setattr(cache, "text_key", lambda text: "-".join(text.lower().split()[:1]))
    assert measure(load_settings(state_dir=tmp_path), 60, lambda: None).wrong > 0


def test_a_wrong_hit_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    found = CacheMeasure(kinds={}, pairs=6, wrong=1, same_text=1, reply_us=1, remembered_us=1)
    monkeypatch.setattr(cache_measure, "measure", lambda *_: found)
    told = CliRunner().invoke(app, ["cache", "measure", "--pairs", "6"])
    assert told.exit_code == 1
    assert "1 wrong hits in 6 pairs" in told.stdout


def test_a_reply_is_remembered_only_for_what_was_understood_alike(fleet: Fleet) -> None:
    memory = ReplyMemory(None, fleet)  # type: ignore[arg-type]
    domain = fleet.domains["shipping"]
    shared = next(name for name, intent in domain.config.intents.items() if intent.cacheable == "shared")
    never = next(
        (domain.name, name)
        for domain in fleet.domains.values()
        for name, intent in domain.config.intents.items()
        if intent.cacheable == "never"
    )
    model = ModelVersion("shipping", "1")

    def read(
        passage: str, slots: tuple[Slot, ...] = (), of: tuple[str, str] = ("shipping", shared)
    ) -> Reading:
        return Reading(*of, 0.9, slots, (PassageMatch(passage, 1),), model, True, True)

    decision = Decision((Route("shipping", 0.9, "x"),), 0.5, ("returns", 0.1), False, model)
    one, two = domain.passages[0].id, domain.passages[1].id
    keys = [memory._key(decision, [read(passage)]) for passage in (one, one, two)]
    assert keys[0] == keys[1] != keys[2]
    third = domain.passages[2].id
    offers = [
        replace(
            read(one),
            passages=tuple(PassageMatch(passage, 1) for passage in offered),
            passage_is_evidence=sure,
        )
        for offered, sure in (((one, two), False), ((one, third), False), ((one,), False), ((one, two), True))
    ]
    keys = [memory._key(decision, [offer]) for offer in offers]
    assert len(set(keys)) == 4
    assert keys[3] == memory._key(decision, [read(one)])
    assert memory._key(decision, [read(one, (Slot("product", "shoes", 0, 5),))]) is None
    assert memory._key(decision, [read(one, of=never)]) is None
    assert memory._key(decision, []) is None
