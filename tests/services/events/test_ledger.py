"""The standing of events, on a real Valkey."""

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
    kinds = [one.kind for one in await asyncio.gather(*(ledger.begin("k", f"c{n}") for n in range(8)))]
    assert sorted(kinds) == ["begun", *["held"] * 7]


async def test_a_lease_that_is_not_renewed_runs_out(ledger: Ledger) -> None:
    assert (await ledger.begin("k", "a")).kind == "begun"
    for _ in range(4):
        await asyncio.sleep(0.15)
        await ledger.renew(["k"], "a")
        assert (await ledger.begin("k", "b")).kind == "held"
    await asyncio.sleep(0.35)
    taken = await ledger.begin("k", "b")
    assert (taken.kind, taken.attempts) == ("begun", 2)
    await ledger.renew(["k"], "a")  # too late: it is b's
    await asyncio.sleep(0.35)
    assert (await ledger.begin("k", "c")).kind == "begun"


async def test_the_first_answer_stands(ledger: Ledger) -> None:
    await ledger.begin("k", "a")
    assert await ledger.complete("k", b"first") == b"first"
    assert await ledger.complete("k", b"second") == b"first"
    standing = await ledger.begin("k", "b")
    assert (standing.kind, standing.answer) == ("answered", b"first")


async def test_attempts_are_bounded_and_the_last_fault_is_kept(ledger: Ledger) -> None:
    for attempt in (1, 2, 3):
        assert (await ledger.begin("k", "a")).attempts == attempt
        await ledger.failed("k", "a", f"fault {attempt}")
    spent = await ledger.begin("k", "a")
    assert (spent.kind, spent.attempts, spent.fault) == ("spent", 3, "fault 3")
    await ledger.forget("k")
    assert (await ledger.begin("k", "a")).attempts == 1


async def test_what_could_not_be_tried_costs_no_attempt(ledger: Ledger) -> None:
    for _ in range(10):
        assert (await ledger.begin("k", "a")).attempts == 1
        await ledger.give_back("k", "a")
    await ledger.begin("k", "a")
    await ledger.give_back("k", "somebody else")
    assert (await ledger.begin("k", "b")).kind == "held"
