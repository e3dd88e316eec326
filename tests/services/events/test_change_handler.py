"""Change events: invalidated before they are acknowledged, retried, or dead. Real Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from fakes.events import Desk, delivered, gateway
from fakes.shop import Shop

from slmfleet.models.errors import NotFound, Unreachable
from slmfleet.services.events.change_handler import ChangeHandler
from slmfleet.services.events.cloudevents import (
    KNOWLEDGE_CHANGED,
    ORDER_CHANGED,
    key_of,
    make_event,
    read_event,
    serialized,
)


@pytest.fixture
async def desk(broker: str, shop: Shop) -> AsyncIterator[Desk]:
    desk = Desk(broker, gateway(shop))
    yield desk
    await desk.client.aclose()


class Target:
    """Records the domains that were invalidated; fails at first with `failures`."""

    def __init__(self, failures: Sequence[Exception] = ()) -> None:
        self.done: list[str] = []
        self._failures = [*failures]

    async def knowledge_changed(self, domain: str) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.done.append(domain)


KNOWLEDGE = serialized(make_event(KNOWLEDGE_CHANGED, {"domain": "returns"}, id="c1", source="test"))
ORDER = serialized(make_event(ORDER_CHANGED, {"order_id": "#W1"}, id="c2", source="test"))


async def test_target_are_applied_before_they_are_acknowledged(desk: Desk) -> None:
    target = Target()
    handler = ChangeHandler(target, desk.ledger, desk.dead, desk.counts)
    assert await handler.handle_all(delivered(KNOWLEDGE, ORDER, b"{")) == [True] * 3
    assert await handler.handle_all(delivered(KNOWLEDGE)) == [True]  # once more does no harm
    assert target.done == ["returns", "returns"]
    assert desk.counts.handled_by == {
        (KNOWLEDGE_CHANGED, "invalidated"): 2,
        (ORDER_CHANGED, "invalidated"): 1,
    }
    assert await desk.reasons() == ["unreadable"]


async def test_a_change_waits_for_a_cache_that_is_away(desk: Desk) -> None:
    target = Target([Unreachable("the cache is away")] * 4)
    handler = ChangeHandler(target, desk.ledger, desk.dead, desk.counts)
    assert await handler.handle_all(delivered(KNOWLEDGE)) == [True]
    assert target.done == ["returns"]


@pytest.mark.parametrize(
    ("failures", "reason"),
    [([NotFound("there is no domain 'returns'")], "refused"), ([RuntimeError("secret")] * 3, "failed")],
)
async def test_a_change_that_cannot_be_applied_becomes_a_dead_letter(
    desk: Desk, failures: list[Exception], reason: str
) -> None:
    target = Target(failures)
    handler = ChangeHandler(target, desk.ledger, desk.dead, desk.counts)
    assert await handler.handle_all(delivered(KNOWLEDGE)) == [True]
    (letter,) = await desk.dead.all()
    assert letter.died.reason == reason
    assert "secret" not in letter.died.detail


async def test_a_change_that_another_consumer_applies_now_is_left(desk: Desk) -> None:
    await desk.ledger.acquire(key_of(read_event(KNOWLEDGE)), "another")
    target = Target()
    handler = ChangeHandler(target, desk.ledger, desk.dead, desk.counts)
    assert await handler.handle_all(delivered(KNOWLEDGE)) == [False]
    assert target.done == []


async def test_data_that_do_not_fit_the_type_are_dead_at_once(desk: Desk) -> None:
    body = serialized(make_event(ORDER_CHANGED, {"order": "#W1"}, id="c3", source="test"))
    handler = ChangeHandler(Target(), desk.ledger, desk.dead, desk.counts)
    assert await handler.handle_all(delivered(body)) == [True]
    assert await desk.reasons() == ["invalid"]
