"""Publishing a question and waiting for what becomes of it, over Redis Streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from fakes.events import Desk, gateway, query
from fakes.shop import Shop

from slmfleet.services.events.cloudevents import QUERIES, AnswerData, dead_letter_event, read_event
from slmfleet.services.events.connection import Connection
from slmfleet.services.events.dead_letters import DeadLetter
from slmfleet.services.events.publisher import ask, publish, replay


@pytest.fixture
async def desk(broker: str, shop: Shop) -> AsyncIterator[Desk]:
    desk = Desk(broker, gateway(shop))
    yield desk
    await desk.client.aclose()


async def consume_one(desk: Desk) -> None:
    """Handle the first question that comes."""
    while not (bodies := await desk.published(QUERIES)):  # noqa: ASYNC110 - another client publishes it
        await asyncio.sleep(0.02)
    await desk.handle(bodies[-1])


async def test_the_answer_to_the_question_is_returned(desk: Desk) -> None:
    consuming = asyncio.create_task(consume_one(desk))
    outcome = await ask(desk.streams, desk.dead, read_event(query("where is my parcel", "q")), 20.0)
    await consuming
    assert isinstance(outcome, AnswerData)
    assert (outcome.in_reply_to.id, outcome.answer.text) == ("q", "About track, stranger.")


async def test_a_dead_letter_ends_the_waiting_and_an_older_one_does_not(desk: Desk) -> None:
    body = query("where is my parcel", "q", token="forged")
    await desk.dead.add(dead_letter_event(body, QUERIES, "failed", "long ago", 3, read_event(body)))
    consuming = asyncio.create_task(consume_one(desk))
    outcome = await ask(desk.streams, desk.dead, read_event(body), 20.0)
    await consuming
    assert isinstance(outcome, DeadLetter)
    assert outcome.died.reason == "unauthenticated"


async def test_without_a_consumer_the_waiting_is_bounded(desk: Desk) -> None:
    started = time.monotonic()
    assert await ask(desk.streams, desk.dead, read_event(query("hi")), 0.3) is None
    assert time.monotonic() - started < 2
    assert len(asyncio.all_tasks()) == 1


async def test_all_letters_are_replayed_but_those_that_would_only_die_again(broker: str, desk: Desk) -> None:
    good = query("where is my parcel", "1")
    for body, event in ((good, read_event(good)), (b"{", None)):
        await desk.dead.add(dead_letter_event(body, QUERIES, "failed", "by hand", 1, event))
    replayed, refused = await replay(Connection(broker, desk.streams, desk.ledger, desk.dead), None)
    assert (len(replayed), len(refused)) == (1, 1)
    assert "would only die again" in next(iter(refused.values()))
    assert await desk.published(QUERIES) == [good]


async def test_an_event_is_published_on_the_stream_of_its_type(desk: Desk) -> None:
    body = query("hi")
    await publish(desk.streams, read_event(body))
    assert await desk.published(QUERIES) == [body]
