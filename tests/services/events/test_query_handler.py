"""Query events from delivery to answer: nothing lost, no second answer. Real gateway, real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import pytest
from fakes.events import Desk, gateway, query
from fakes.serving import WordParts
from fakes.shop import Shop

from slmfleet.services.events.answerer import GatewayClient, Outcome, PipelineClient, QueryClient, Request
from slmfleet.services.events.cloudevents import (
    ANSWERS,
    HANDOFFS,
    key_of,
    read_event,
    traceparent_of,
)
from slmfleet.services.events.transport import Delivery

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def open_desk(broker: str) -> AsyncIterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def make(answerer: QueryClient, **options: float) -> Desk:
        desks.append(Desk(broker, answerer, **options))  # type: ignore[arg-type]
        return desks[-1]

    yield make
    for desk in desks:
        await desk.client.aclose()


@pytest.fixture
def desk(open_desk: Callable[..., Desk], shop: Shop) -> Desk:
    return open_desk(gateway(shop))


class Away(httpx.AsyncBaseTransport):
    """A gateway that cannot be reached, or is busy, for so many requests."""

    def __init__(self, shop: Shop, requests: int, status: int | None = None) -> None:
        self.left = requests
        self._status = status
        self._inner = httpx.ASGITransport(shop.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.left > 0:
            self.left -= 1
            if self._status is None:
                raise httpx.ConnectError("refused")
            return httpx.Response(self._status, json={"detail": "later"}, headers={"retry-after": "0"})
        return await self._inner.handle_async_request(request)


async def test_answers_and_hand_offs_go_to_their_streams(desk: Desk) -> None:
    done = await desk.handle(
        query("where is my parcel", "1"), query("blah blah", "2"), query("can i return shoes", "3")
    )
    assert done == [True] * 3
    assert await desk.texts() == {
        "1": "About track, stranger.", "2": "A person will answer.", "3": "About how, stranger.",
    }  # fmt: skip
    assert (len(await desk.published(ANSWERS)), len(await desk.published(HANDOFFS))) == (2, 1)


async def test_the_customer_comes_from_the_token_alone(desk: Desk) -> None:
    await desk.handle(
        query("where is my parcel", "1", token="token-of-alice"),
        query("where is my parcel", "2"),
        query("where is my parcel", "3", token="token-of-bob"),
        query("where is my parcel", "4", token="forged"),
        query("where is my parcel", "5", customer="alice"),
    )
    assert await desk.texts() == {
        "1": "About track, alice.", "2": "About track, stranger.", "3": "About track, bob.",
    }  # fmt: skip
    assert sorted(await desk.reasons()) == ["invalid", "unauthenticated"]


async def test_poison_is_dead_at_once_and_spoils_nothing(desk: Desk) -> None:
    done = await desk.handle(b"\xff", query("where is my parcel"), query(""))
    assert done == [True] * 3
    assert list(await desk.texts()) == ["1"]
    assert await desk.reasons() == ["unreadable", "invalid"]


async def test_a_redelivery_gets_the_stored_answer_word_for_word(desk: Desk) -> None:
    await desk.handle(query("where is my parcel"))
    await desk.handle(query("where is my parcel"), query("where is my parcel"))
    said = await desk.published()
    assert len(said) == 3
    assert len(set(said)) == 1
    assert desk.counts.handled_by["slmfleet.query.received.v1", "duplicate"] == 2


async def test_a_consumer_that_was_paused_publishes_the_answer_of_the_other(
    open_desk: Callable[..., Desk], shop: Shop
) -> None:
    class Paused(GatewayClient):
        async def answer_all(self, asked: Sequence[Request]) -> list[Outcome]:
            outcomes = await super().answer_all(asked)
            await woken.wait()
            return outcomes

    woken = asyncio.Event()
    sleeper = open_desk(Paused("http://shop", None, httpx.ASGITransport(shop.app)), lease_s=0.2)

    async def no_renewal(keys: list[str], owner: str) -> None:
        """A process that is stopped renews nothing."""

    sleeper.ledger.renew = no_renewal  # type: ignore[method-assign]
    other = open_desk(gateway(shop), lease_s=0.2)
    sleeping = asyncio.create_task(sleeper.handle(query("where is my parcel")))
    await asyncio.sleep(0.5)
    assert await other.handle(query("where is my parcel")) == [True]
    woken.set()
    assert await sleeping == [True]
    said = await other.published()
    assert len(said) == 2
    assert len(set(said)) == 1


async def test_what_another_consumer_answers_now_is_left_for_later(desk: Desk) -> None:
    await desk.ledger.acquire(key_of(read_event(query("where is my parcel"))), "another")
    assert await desk.handle(query("where is my parcel"), query("blah", "2")) == [False, True]


async def test_one_bad_question_is_tried_a_few_times_and_holds_up_nobody(desk: Desk) -> None:
    bodies = query("where is my parcel", "1"), query("please explode parcel", "2"), query("blah", "3")
    assert await desk.handle(*bodies) == [True, False, True]
    assert await desk.handle(bodies[1]) == [False]
    assert await desk.handle(bodies[1]) == [True]
    assert sorted(await desk.texts()) == ["1", "3"]
    (letter,) = await desk.dead.all()
    assert (letter.died.reason, letter.died.attempts) == ("failed", 3)
    assert "could not read this question" in letter.died.detail
    assert "secret" not in letter.died.detail


async def test_an_event_that_ends_its_consumers_dies(desk: Desk) -> None:
    body = query("where is my parcel")
    key = key_of(read_event(body))
    for number in range(3):  # begun by consumers that never came back
        await desk.ledger.acquire(key, f"gone {number}")
        await desk.client.hdel(f"slmfleet:event:{key}", "owner", "until")
    assert await desk.handle(body) == [True]
    assert await desk.reasons() == ["crashed"]


@pytest.mark.parametrize("status", [None, 429, 503])
async def test_a_gateway_that_is_away_costs_no_attempts(
    open_desk: Callable[..., Desk], shop: Shop, status: int | None
) -> None:
    away = Away(shop, 6, status)
    desk = open_desk(GatewayClient("http://shop", None, away), attempts=1)
    assert await desk.handle(query("where is my parcel", "1"), query("blah", "2")) == [True, True]
    assert away.left == 0
    assert sorted(await desk.texts()) == ["1", "2"]


async def test_a_wrong_api_key_kills_no_event(
    open_desk: Callable[..., Desk], shop: Shop, broker: str
) -> None:
    locked = Shop(shop.folder / "locked", WordParts(with_keys=True))
    desk = open_desk(gateway(locked, "wrong"), attempts=1)
    handling = asyncio.create_task(desk.handle(query("where is my parcel", token="token-of-alice")))
    await asyncio.sleep(0.7)
    desk.handler.stop()
    assert await handling == [False]
    assert await desk.reasons() == []
    locked.executor.shutdown()


async def test_a_consumer_that_stops_waits_for_nobody(open_desk: Callable[..., Desk], shop: Shop) -> None:
    desk = open_desk(GatewayClient("http://shop", None, Away(shop, 1_000_000)))
    handling = asyncio.create_task(desk.handle(query("where is my parcel")))
    await asyncio.sleep(0.3)
    assert not handling.done()
    desk.handler.stop()
    async with asyncio.timeout(2):
        assert await handling == [False]


async def test_the_trace_goes_from_the_question_to_the_answer(desk: Desk) -> None:
    await desk.handler.handle_all([Delivery(query("where is my parcel"), TRACE)])
    assert traceparent_of(read_event((await desk.published())[0])) == TRACE


async def test_the_pipeline_in_the_process_answers_like_the_gateway(
    open_desk: Callable[..., Desk], shop: Shop
) -> None:
    parts = WordParts()
    desk = open_desk(PipelineClient(lambda: shop.loaded, parts.customer_of(shop.settings)))
    bodies = [
        query("where is my parcel", "1", token="token-of-alice"),
        query("blah", "2"),
        query("please explode parcel", "3"),
        query("hi", "4", token="forged"),
    ]
    assert await desk.handle(*bodies) == [True, True, False, True]
    assert await desk.texts() == {"1": "About track, alice.", "2": "A person will answer."}
    assert await desk.reasons() == ["unauthenticated"]
