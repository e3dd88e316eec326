"""The contract of every broker, on real servers: Redis Streams, RabbitMQ, NATS JetStream.

A new broker is a function in fakes/brokers.py and a parameter of `url`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes.brokers import nats_server, rabbitmq, valkey
from fakes.events import Desk, gateway, query
from fakes.shop import Shop
from fakes.waiting import until_async

from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.events.asyncapi import QueryReceived
from slmfleet.services.events.brokers.registry import transport_for
from slmfleet.services.events.cloudevents import (
    ANSWERS,
    QUERIES,
    make_event,
    read_event,
    traceparent_of,
)
from slmfleet.services.events.handler import dead_letter_writer
from slmfleet.services.events.publisher import ask
from slmfleet.services.events.query_handler import QueryHandler
from slmfleet.services.events.transport import Delivery, HandleAll, Transport
from slmfleet.services.settings import Settings

pytestmark = [pytest.mark.connected, pytest.mark.timeout(180)]
#: RabbitMQ does not say how many events are pending.
UNKNOWN = -1
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module", params=[valkey, rabbitmq, nats_server], ids=["redis", "rabbitmq", "nats"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with request.param(tmp_path_factory.mktemp("server")) as url:
        yield url


@dataclass
class Taken:
    """A handler that remembers what it was given."""

    verdict: bool = True
    bodies: list[bytes] = field(default_factory=list)
    most: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_all(self, deliveries: Sequence[Delivery]) -> list[bool]:
        self.most = max(self.most, len(deliveries))
        self.bodies += [delivery.body for delivery in deliveries]
        await self.go_on.wait()
        return [self.verdict] * len(deliveries)


Start = Callable[[HandleAll], Awaitable[Transport]]


@pytest.fixture
async def start(url: str) -> AsyncIterator[Start]:
    started: list[Transport] = []
    settings = Settings(event_batch=4, event_reclaim_s=1.0)

    async def begin(handle_all: HandleAll) -> Transport:
        transport = transport_for(url, settings)
        transport.consume(QUERIES, QueryReceived, handle_all)
        await transport.prepare()
        started.append(transport)
        await transport.broker.start()
        return transport

    yield begin
    for transport in started:
        await transport.broker.stop()
        await transport.close()
    await asyncio.sleep(0.1)  # nats-py lets the event loop close its sockets, and does not wait for it


@pytest.fixture
async def outside(url: str) -> AsyncIterator[Transport]:
    """Somebody who publishes."""
    transport = transport_for(url, Settings())
    await transport.prepare()
    yield transport
    await transport.close()


async def test_everything_published_is_delivered_and_no_more_than_event_batch_at_once(
    start: Start, outside: Transport
) -> None:
    for number in range(10):
        await outside.publish(QUERIES, read_event(query("hi", str(number))))
    taken = Taken()
    transport = await start(taken.handle_all)
    await until_async(lambda: len(taken.bodies) >= 1)
    await asyncio.sleep(0.5)
    backlog = (await transport.backlog())[QUERIES]
    assert backlog.waiting == 6
    assert backlog.pending in (4, UNKNOWN)
    assert len(taken.bodies) <= 4
    taken.go_on.set()
    await until_async(lambda: len(taken.bodies) == 10)
    assert taken.most <= 4
    await asyncio.sleep(0.5)
    backlog = (await transport.backlog())[QUERIES]
    assert backlog.waiting == 0
    assert backlog.pending in (0, UNKNOWN)


async def test_what_is_not_handled_is_delivered_again(start: Start, outside: Transport) -> None:
    taken = Taken(verdict=False)
    taken.go_on.set()
    transport = await start(taken.handle_all)
    await outside.publish(QUERIES, read_event(query("hi")))
    await until_async(lambda: len(taken.bodies) == 2)
    taken.verdict = True
    await until_async(lambda: len(taken.bodies) >= 3)
    await asyncio.sleep(3.0)
    assert len(taken.bodies) == 3
    assert len(set(taken.bodies)) == 1
    assert (await transport.backlog())[QUERIES].pending in (0, UNKNOWN)


async def test_a_long_piece_of_work_is_delivered_to_nobody_else(start: Start, outside: Transport) -> None:
    taken, others = Taken(), Taken()
    others.go_on.set()
    transport = await start(taken.handle_all)
    await outside.publish(QUERIES, read_event(query("hi")))
    await until_async(lambda: len(taken.bodies) == 1)
    await start(others.handle_all)
    await asyncio.sleep(3.0)  # three times as long as a silent consumer is given
    assert (len(taken.bodies), others.bodies) == (1, [])
    taken.go_on.set()
    await asyncio.sleep(0.5)
    assert (await transport.backlog())[QUERIES].pending in (0, UNKNOWN)


async def test_a_listener_gets_what_is_published_from_now_on(outside: Transport) -> None:
    await outside.publish(ANSWERS, make_event("x", {}, id="before"))
    async with outside.listen((ANSWERS,)) as bodies:
        await outside.publish(ANSWERS, make_event("x", {}, id="after"))
        async with asyncio.timeout(5):
            assert read_event(await anext(bodies)).get_id() == "after"


async def test_a_question_is_answered_with_its_trace(
    start: Start, outside: Transport, tmp_path: Path
) -> None:
    valkey = EmbeddedValkey("broker", tmp_path / "valkey")
    shop = Shop(tmp_path)
    desk = Desk(valkey.start(), gateway(shop))
    handler = QueryHandler(desk.handler._answerer, desk.ledger, desk.dead, outside.publish, desk.counts)
    await start(handler.handle_all)
    event = read_event(query("where is my parcel", "q"))
    event.get_attributes()["traceparent"] = TRACE
    async with outside.listen((ANSWERS,)) as bodies:
        outcome = await ask(outside, desk.dead, event, 20.0)
        assert outcome is not None
        assert outcome.answer.text == "About track, stranger."  # type: ignore[union-attr]
        assert traceparent_of(read_event(await anext(bodies))) == TRACE
    forged = read_event(query("hi", "f", token="forged"))
    letter = await ask(outside, desk.dead, forged, 20.0)
    assert letter is not None
    assert letter.died.reason == "unauthenticated"  # type: ignore[union-attr]
    await desk.client.aclose()
    shop.executor.shutdown()
    valkey.stop()


async def test_what_rabbitmq_gives_up_becomes_a_dead_letter(url: str, tmp_path: Path) -> None:
    if not url.startswith("amqp"):
        pytest.skip("Redis and NATS never give up an event")
    import aio_pika

    valkey = EmbeddedValkey("broker", tmp_path / "valkey")
    shop = Shop(tmp_path)
    desk = Desk(valkey.start(), gateway(shop))
    transport = transport_for(url, Settings())
    transport.on_undeliverable(dead_letter_writer(desk.dead, desk.counts))
    await transport.prepare()
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await transport.publish(QUERIES, make_event("slmfleet.query.received.v1", {"text": "hi"}))
    queue = await channel.get_queue(QUERIES)
    for _ in range(101):
        message = await queue.get(timeout=5)
        await message.nack(requeue=True)
    await transport.broker.start()
    async with asyncio.timeout(20):
        while await desk.reasons() != ["undeliverable"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    assert (await desk.dead.all())[0].died.stream == QUERIES
    await connection.close()
    await transport.broker.stop()
    await transport.close()
    await desk.client.aclose()
    shop.executor.shutdown()
    valkey.stop()
