"""The state of events, on a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.redis_connection import retrying_client


@pytest.fixture
async def ledger(broker: str) -> AsyncIterator[Ledger]:
    client = retrying_client(broker)
    yield Ledger(client, keep_s=60, lease_s=0.3, max_attempts=3)
    await client.aclose()


async def test_an_event_is_one_consumers_at_a_time(ledger: Ledger) -> None:
    kinds = [state.kind for state in await asyncio.gather(*(ledger.acquire("k", f"c{n}") for n in range(8)))]
    assert sorted(kinds) == ["acquired", *["held"] * 7]


async def test_a_lease_that_is_not_renewed_runs_out(ledger: Ledger) -> None:
    assert (await ledger.acquire("k", "a")).kind == "acquired"
    for _ in range(4):
        await asyncio.sleep(0.15)
        await ledger.renew(["k"], "a")
        assert (await ledger.acquire("k", "b")).kind == "held"
    await asyncio.sleep(0.35)
    taken = await ledger.acquire("k", "b")
    assert (taken.kind, taken.attempts) == ("acquired", 2)
    await ledger.renew(["k"], "a")  # too late: it is b's
    await asyncio.sleep(0.35)
    assert (await ledger.acquire("k", "c")).kind == "acquired"


async def test_the_first_answer_stands(ledger: Ledger) -> None:
    await ledger.acquire("k", "a")
    assert await ledger.complete("k", b"first") == b"first"
    assert await ledger.complete("k", b"second") == b"first"
    state = await ledger.acquire("k", "b")
    assert (state.kind, state.answer) == ("answered", b"first")


async def test_attempts_are_bounded_and_the_last_fault_is_stored(ledger: Ledger) -> None:
    for attempt in (1, 2, 3):
        assert (await ledger.acquire("k", "a")).attempts == attempt
        await ledger.failed("k", "a", f"fault {attempt}")
    exhausted = await ledger.acquire("k", "a")
    assert (exhausted.kind, exhausted.attempts, exhausted.fault) == ("exhausted", 3, "fault 3")
    await ledger.reset_attempts("k")
    assert (await ledger.acquire("k", "a")).attempts == 1


async def test_what_could_not_be_tried_costs_no_attempt(ledger: Ledger) -> None:
    for _ in range(10):
        assert (await ledger.acquire("k", "a")).attempts == 1
        await ledger.release("k", "a")
    await ledger.acquire("k", "a")
    await ledger.release("k", "somebody else")
    assert (await ledger.acquire("k", "b")).kind == "held"
