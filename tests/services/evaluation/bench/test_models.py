from __future__ import annotations

import pytest

from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.services.evaluation.bench.models import model_times, render
from slmfleet.services.settings import SHOP_DIR

FLEET = load_fleet(SHOP_DIR)
TEXTS = [
    "how much is express shipping?",
    "how long do I have to return shoes?",
    "what is the capital of France",
]


def test_the_router_reads_every_text_and_a_specialist_those_that_are_for_it() -> None:
    steps: list[tuple[int, int]] = []
    result = model_times(FLEET, TEXTS, lambda done, total: steps.append((done, total)))
    assert (result.router.texts, result.specialist.texts, result.both.texts) == (3, 2, 2)
    assert steps == [(done, 6) for done in range(1, 7)]  # each once to warm up
    assert 0 < result.specialist.p50_ms < result.both.p50_ms <= result.both.p99_ms
    table = render(result).split("\n")
    assert [line.split()[:2] for line in table[1:]] == [["router", "3"], ["specialist", "2"], ["both", "2"]]
    assert max(map(len, table)) <= 80


def test_texts_for_no_domain_tell_nothing() -> None:
    with pytest.raises(DataFault, match="nothing to measure"):
        model_times(FLEET, TEXTS[2:], lambda done, total: None)
