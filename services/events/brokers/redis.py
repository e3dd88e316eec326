"""Redis Streams (Redis or Valkey) as the broker of events.

Each stream has one consumer group, made at its beginning, so that events published before the first consumer
started are delivered too. What a consumer has taken stays its own while it lives: it says so by claiming it
again from itself, which resets the idle time without counting a delivery. Once that stops for `reclaim_s`
(the process was killed, or paused), another consumer takes the event over.
"""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from cloudevents.core.v1.event import CloudEvent
from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.message import FAKE_CONSUMER, RedisBatchStreamMessage
from faststream.redis.parser import BinaryMessageFormatV1
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError, ResponseError

from slmfleet.models.errors import Unreachable
from slmfleet.services.events.cloudevents import ANSWERS, CHANGES, HANDOFFS, QUERIES, serialized
from slmfleet.services.events.periodic import periodically
from slmfleet.services.events.transport import Backlog, Delivery, HandleAll

GROUP: Final = "slmfleet"
FIELD: Final = "event"
#: The field in which other programs that use FastStream put theirs.
_FASTSTREAM_FIELD: Final = b"__data__"
_READ_WAIT_MS: Final = 200
_CONNECTIONS: Final = 16
#: Consumers without anything in hand that were not heard of for so long are gone.
_GONE_AFTER_S: Final = 3_600

log = logging.getLogger(__name__)

# Claims again from itself, and leaves alone what another consumer has taken over meanwhile.
_HOLD: Final = """
for index = 3, #ARGV do
  local entry = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[index], ARGV[index], 1)[1]
  if entry and entry[2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[index], 'JUSTID')
  end
end
return 0
"""
_Entry = tuple[bytes, Delivery]


def patient_client(url: str, patience_s: float = 30.0) -> Redis:
    """A client that outlasts a restart of its server of up to about `patience_s` seconds."""
    pool = BlockingConnectionPool.from_url(
        url, max_connections=_CONNECTIONS, timeout=None, **_patience(patience_s)
    )
    return Redis.from_pool(pool)


def _patience(patience_s: float) -> dict[str, Any]:
    return {
        "socket_connect_timeout": 2.0,
        "socket_timeout": 10.0,
        "retry": Retry(ExponentialWithJitterBackoff(cap=0.5, base=0.02), max(int(patience_s / 0.4), 1)),
    }


class RedisStreams:
    """A transport over Redis Streams: `max_in_hand` new events are taken, and no more before those are done
    with; as many may be taken over from consumers that are gone.

    `keep_s`: how long answers stay on their streams for those who have not read them.
    """

    def __init__(self, url: str, max_in_hand: int, reclaim_s: float, keep_s: float) -> None:
        self.name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self.client = patient_client(url)
        self.broker = RedisBroker(
            url,
            apply_types=False,
            graceful_timeout=30.0,
            logger=logging.getLogger("slmfleet.broker"),
            **_patience(30.0),
        )
        self._max_in_hand = max_in_hand
        self._reclaim_s = reclaim_s
        self._keep_s = keep_s
        self._hold = self.client.register_script(_HOLD)
        self._consumed: list[str] = []

    def consume(self, stream: str, kind: Any, handle_all: HandleAll) -> None:
        """Hand the events of `stream` to `handle_all`: new ones, and beside them those taken over."""
        self._consumed.append(stream)

        async def receive(event: Any) -> None:
            await self._receive(stream, event, handle_all)

        async def receive_taken_over(event: Any) -> None:
            # FastStream takes over one at a time; of a consumer that died there are more.
            await self._receive(stream, [*event, *await self._take_over(stream)], handle_all)

        receive.__annotations__["event"] = kind  # for the AsyncAPI document; what comes is a list of entries
        new = StreamSub(
            stream,
            group=GROUP,
            consumer=self.name,
            batch=True,
            max_records=self._max_in_hand,
            polling_interval=_READ_WAIT_MS,
        )
        taken_over = StreamSub(
            stream,
            group=GROUP,
            consumer=self.name,
            batch=True,
            min_idle_time=int(self._reclaim_s * 1e3),
            polling_interval=_READ_WAIT_MS,
        )
        for subscription, receiver in ((new, receive), (taken_over, receive_taken_over)):
            self.broker.subscriber(
                stream=subscription,
                parser=_parse,
                decoder=_decode,
                ack_policy=AckPolicy.MANUAL,
                title=stream if subscription is new else f"{stream} (taken over)",
                description=(kind.__doc__ or "").partition("\n")[0],
                include_in_schema=subscription is new,
            )(receiver)

    def when_given_up(self, bury: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Nothing: this broker delivers for as long as it takes."""

    def announce(self, stream: str, kind: type[object]) -> None:
        """Say in the AsyncAPI document that events of type `kind` are published to `stream`."""
        self.broker.publisher(stream=stream, title=stream, description=kind.__doc__, schema=kind)

    async def _take_over(self, stream: str) -> list[_Entry]:
        try:
            claimed: Any = await self.client.xautoclaim(
                stream, GROUP, self.name, int(self._reclaim_s * 1e3), "0-0", count=self._max_in_hand - 1
            )
        except RedisError:
            return []
        return [(place, Delivery(_body(fields))) for place, fields in claimed[1]]

    async def _receive(self, stream: str, entries: Sequence[_Entry], handle_all: HandleAll) -> None:
        if not entries:
            return
        places = [place for place, _ in entries]
        try:
            async with self._held(stream, places):
                done = await handle_all([delivery for _, delivery in entries])
            finished = [place for place, is_done in zip(places, done, strict=True) if is_done]
            if finished:
                await self.client.xack(stream, GROUP, *finished)
        except RedisError as error:
            log.warning("the broker went away with %d events in hand: %s", len(places), error)

    def _held(self, stream: str, places: Sequence[bytes]) -> AbstractAsyncContextManager[None]:
        arguments: list[Any] = [GROUP, self.name, *places]
        return periodically(self._reclaim_s / 4, lambda: self._hold(keys=[stream], args=arguments))

    async def prepare(self) -> None:
        """Make the groups, each at the beginning of its stream. Raises Unreachable."""
        try:
            for stream in self._consumed or (QUERIES, CHANGES):
                try:
                    await self.client.xgroup_create(stream, GROUP, id="0", mkstream=True)
                except ResponseError as error:
                    if "BUSYGROUP" not in str(error):
                        raise
        except RedisError as error:
            raise Unreachable(f"the broker cannot be reached: {error}") from error

    async def publish(self, stream: str, event: CloudEvent) -> None:
        """Put `event` on `stream`. Raises Redis' own errors."""
        await self.client.xadd(stream, {FIELD: serialized(event)})

    @asynccontextmanager
    async def listening(self, streams: Sequence[str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Hear every event published to `streams` from now on."""
        places: Any = {}
        for stream in streams:
            last: Any = await self.client.xrevrange(stream, count=1)
            places[stream] = last[0][0] if last else b"0"

        async def heard() -> AsyncIterator[bytes]:
            while True:
                found: Any = await self.client.xread(dict(places), block=_READ_WAIT_MS)
                for stream, entries in found or ():
                    for place, fields in entries:
                        places[stream.decode()] = place
                        yield _body(fields)

        yield heard()

    async def backlog(self) -> dict[str, Backlog]:
        """The backlog of each stream that is consumed. Raises Unreachable; NOGROUP is an empty one."""
        found: dict[str, Backlog] = {}
        for stream in self._consumed:
            try:
                groups = await self.client.xinfo_groups(stream)
            except ResponseError:
                groups = []
            except RedisError as error:
                raise Unreachable(f"the broker cannot be reached: {error}") from error
            group = next((one for one in groups if one["name"] == GROUP.encode()), None)
            # Redis does not know the lag after entries were deleted in between.
            lag = 0 if group is None else group.get("lag")
            found[stream] = Backlog(-1 if lag is None else lag, group["pending"] if group else 0)
        return found

    async def upkeep(self) -> None:
        """Trim what was acknowledged, and answers older than `keep_s`; forget consumers long gone."""
        for stream in (QUERIES, CHANGES):
            await self._trim(stream, None)
        for stream in (ANSWERS, HANDOFFS):
            await self._trim(stream, time.time() - self._keep_s)
        for stream in self._consumed:
            for consumer in await self.client.xinfo_consumers(stream, GROUP):
                if consumer["pending"] == 0 and consumer["idle"] > _GONE_AFTER_S * 1e3:
                    await self.client.xgroup_delconsumer(stream, GROUP, consumer["name"])

    async def _trim(self, stream: str, before_s: float | None) -> None:
        """Drop entries that every group has acknowledged, and that are older than `before_s` where given."""
        if not await self.client.exists(stream):
            return
        bounds = [] if before_s is None else [(int(before_s * 1e3), 0)]
        for group in await self.client.xinfo_groups(stream):
            oldest = group["last-delivered-id"]
            if group["pending"]:
                oldest = (await self.client.xpending(stream, group["name"]))["min"]
            bounds.append(_number(oldest))
        if bounds:
            milliseconds, sequence = min(bounds)
            await self.client.xtrim(stream, minid=f"{milliseconds}-{sequence}", approximate=False)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


def _number(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.decode().partition("-")
    return int(milliseconds), int(sequence or 0)


async def _parse(message: Any) -> RedisBatchStreamMessage:
    """Without FastStream's own reading of the content, which raises on what is no text."""
    return RedisBatchStreamMessage(raw_message=message, body=b"", consumer=FAKE_CONSUMER, group=None)


async def _decode(message: Any) -> list[_Entry]:
    raw = message.raw_message
    return [
        (place, Delivery(_body(fields)))
        for place, fields in zip(raw["message_ids"], raw["data"], strict=True)
    ]


def _body(fields: dict[bytes, bytes]) -> bytes:
    if FIELD.encode() in fields:
        return fields[FIELD.encode()]
    if _FASTSTREAM_FIELD in fields:
        return BinaryMessageFormatV1.parse(fields[_FASTSTREAM_FIELD])[0]
    return b" ".join(fields.values())  # no event; what it was is shown in its dead letter
