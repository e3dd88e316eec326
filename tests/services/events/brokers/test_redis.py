"""What Redis Streams promise beyond the contract of tests/connected/test_brokers.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from fakes.events import query
from fakes.waiting import until_async

from slmfleet.services.events.asyncapi import QueryReceived
from slmfleet.services.events.brokers.redis import FIELD, GROUP, RedisStreams
from slmfleet.services.events.cloudevents import (
    ANSWERS,
    CHANGES,
    QUERIES,
    make_event,
    read_event,
)
from slmfleet.services.events.transport import Delivery


class Taken:
    """A handler that remembers what it was given, and is done with what `verdict` says."""

    def __init__(self, verdict: bool = True) -> None:
        self.batches: list[list[bytes]] = []
        self.verdict = verdict

    async def handle_all(self, deliveries: Sequence[Delivery]) -> list[bool]:
        self.batches.append([delivery.body for delivery in deliveries])
        return [self.verdict] * len(deliveries)

    @property
    def bodies(self) -> list[bytes]:
        return [body for batch in self.batches for body in batch]


Start = Callable[..., Awaitable[RedisStreams]]


@pytest.fixture
async def start(broker: str) -> AsyncIterator[Start]:
    started: list[RedisStreams] = []

    async def begin(handle_all: Any, prefetch: int = 4, reclaim_s: float = 0.4) -> RedisStreams:
        streams = RedisStreams(broker, prefetch, reclaim_s, keep_s=3_600)
        streams.consume(QUERIES, QueryReceived, handle_all)
        await streams.prepare()
        await streams.broker.start()
        started.append(streams)
        return streams

    yield begin
    for streams in started:
        await streams.broker.stop()
        await streams.close()


@pytest.fixture
async def outside(broker: str) -> AsyncIterator[RedisStreams]:
    """Somebody who publishes."""
    streams = RedisStreams(broker, 1, 1.0, 3_600)
    yield streams
    await streams.close()


async def pending(streams: RedisStreams) -> int:
    return int((await streams.client.xpending(QUERIES, GROUP))["pending"])


async def test_what_was_published_before_the_first_consumer_is_delivered(
    start: Start, outside: RedisStreams
) -> None:
    bodies = [query("hi", str(number)) for number in range(3)]
    for body in bodies:
        await outside.publish(QUERIES, read_event(body))
    taken = Taken()
    streams = await start(taken.handle_all)
    await until_async(lambda: len(taken.bodies) == 3)
    await asyncio.sleep(0.2)
    assert await pending(streams) == 0


async def test_what_a_dead_consumer_had_is_taken_over(start: Start, outside: RedisStreams) -> None:
    await outside.prepare()
    for number in range(3):
        await outside.publish(QUERIES, read_event(query("hi", str(number))))
    await outside.client.xreadgroup(GROUP, "dead", {QUERIES: ">"}, count=3)
    taken = Taken()
    streams = await start(taken.handle_all)
    await until_async(lambda: len(taken.bodies) == 3)
    assert len(taken.batches) == 1
    await asyncio.sleep(0.2)
    assert await pending(streams) == 0


async def test_any_bytes_are_delivered(start: Start, outside: RedisStreams) -> None:
    for fields in ({FIELD: b"\xff\xfe"}, {"x": b"\x00\xff"}, {"__data__": query("hi")}):
        await outside.client.xadd(QUERIES, fields)  # type: ignore[arg-type]
    taken = Taken()
    await start(taken.handle_all)
    await until_async(lambda: len(taken.bodies) == 3)
    assert taken.bodies == [b"\xff\xfe", b"\x00\xff", query("hi")] or read_event(taken.bodies[2])


async def test_acknowledged_entries_are_trimmed_and_others_never(start: Start, outside: RedisStreams) -> None:
    taken = Taken()
    streams = await start(taken.handle_all, reclaim_s=60.0)
    for number in range(5):
        await outside.publish(QUERIES, read_event(query("hi", str(number))))
    await until_async(lambda: len(taken.bodies) == 5)
    taken.verdict = False
    await outside.publish(QUERIES, read_event(query("hi", "kept")))
    await outside.publish(ANSWERS, make_event("x", {}))
    await until_async(lambda: len(taken.bodies) == 6)
    await streams.broker.stop()
    await outside.publish(QUERIES, read_event(query("hi", "unread")))
    await streams.maintain()
    entries: Any = await outside.client.xrange(QUERIES)
    assert [read_event(fields[FIELD.encode()]).get_id() for _, fields in entries] == ["kept", "unread"]
    assert await outside.client.xlen(ANSWERS) == 1
    assert await outside.client.xlen(CHANGES) == 0
