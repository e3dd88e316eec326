"""A model behind its guard: errors become ModelBroken, and are reported for a while."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.serving import WordRouter

from slmfleet.models.errors import ModelBroken
from slmfleet.services.pipeline.guarded_model import GuardedRouter, HealthLatch, ModelHealth

FAILED = ModelHealth(failed_call="the router could not read a question that it was asked")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def failed_latch(tmp_path: Path, clock: Clock) -> HealthLatch:
    router = WordRouter(tmp_path)
    latch = HealthLatch("the router", router, clock)
    with pytest.raises(ModelBroken):
        latch.call(router.route, "derail")
    return latch


def test_two_probers_see_the_same(tmp_path: Path) -> None:
    latch = failed_latch(tmp_path, Clock())
    assert [latch.check() for _ in range(3)] == [FAILED] * 3


def test_a_failed_call_is_forgotten_after_a_minute_unless_it_fails_again(tmp_path: Path) -> None:
    clock = Clock()
    latch = failed_latch(tmp_path, clock)
    clock.now += 59
    assert latch.check() == FAILED
    with pytest.raises(ModelBroken):
        latch.call(WordRouter(tmp_path).route, "derail")
    clock.now += 59
    assert latch.check() == FAILED
    clock.now += 1
    assert latch.check() == ModelHealth()


def test_a_failing_probe_is_a_fault_and_a_failed_call_is_not(tmp_path: Path) -> None:
    latch = failed_latch(tmp_path, Clock())
    assert latch.probe() is None
    (tmp_path / "router.broken").touch()
    assert latch.check().fault == latch.probe() == "the router model answers its probe wrongly"
    assert str(latch.check()) == "the router model answers its probe wrongly"


def test_whatever_a_router_raises_is_model_broken_without_its_insides(tmp_path: Path) -> None:
    router = GuardedRouter(WordRouter(tmp_path))
    with pytest.raises(ModelBroken) as broken:
        router.route("derail")
    assert str(broken.value) == "the router could not read this question"
    assert router.route_whole("where is my parcel").routes[0].domain == "shipping"
    assert router.explain("where is my parcel").label == "shipping"
