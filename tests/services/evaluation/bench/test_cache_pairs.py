from __future__ import annotations

from collections import Counter

import pytest

from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.training.data import load_corpus
from slmfleet.services.evaluation.bench.cache_pairs import KINDS, pairs
from slmfleet.services.settings import SHOP_DIR


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
