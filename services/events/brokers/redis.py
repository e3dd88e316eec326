"""Redis Streams (Redis or Valkey) as the broker of events.

Each stream has one consumer group, made at its beginning, so that events published before the first consumer
started are delivered too. A consumer keeps its pending entries by claiming them again from itself, which
resets their idle time without counting a delivery. Once an entry has been idle for `reclaim_s` (the process
was killed, or paused), another consumer claims it.
"""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Final, Self

from cloudevents.core.v1.event import CloudEvent
from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.message import FAKE_CONSUMER, RedisBatchStreamMessage
from faststream.redis.parser import BinaryMessageFormatV1
from redis.exceptions import RedisError, ResponseError

from slmfleet.models.errors import Unreachable
from slmfleet.services.events.cloudevents import ANSWERS, CHANGES, HANDOFFS, QUERIES, serialized
from slmfleet.services.events.periodic import periodically
from slmfleet.services.events.redis_connection import retry_options, retrying_client
from slmfleet.services.events.transport import BROKER_LOGGER, Backlog, Delivery, HandleAll
from slmfleet.services.settings import Settings

GROUP: Final = "slmfleet"
FIELD: Final = "event"
#: The field in which other programs that use FastStream put the event.
_FASTSTREAM_FIELD: Final = b"__data__"
_READ_WAIT_MS: Final = 200
#: Consumers with nothing pending that have been idle for so long are removed from their group.
_REMOVE_IDLE_AFTER_S: Final = 3_600

log = logging.getLogger(__name__)

# Claims entries again from itself, except those that another consumer has claimed meanwhile.
_RENEW: Final = """
for index = 3, #ARGV do
  local entry = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[index], ARGV[index], 1)[1]
  if entry and entry[2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[index], 'JUSTID')
  end
end
return 0
"""
_Entry = tuple[bytes, Delivery]


class RedisStreams:
    """A transport over Redis Streams. At most `prefetch` new events are pending at a time, and as many more
    claimed from dead consumers.

    `reclaim_s`: idle time after which another consumer claims an event. `keep_s`: how long answers stay on
    their streams for those who have not read them.
    """

    noisy_loggers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, url: str, prefetch: int, reclaim_s: float, keep_s: float) -> None:
        self.name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self.client = retrying_client(url)
        self.broker = RedisBroker(
            url,
            apply_types=False,
            graceful_timeout=30.0,
            logger=logging.getLogger(BROKER_LOGGER),
            **retry_options(),
        )
        self._prefetch = prefetch
        self._reclaim_s = reclaim_s
        self._keep_s = keep_s
        self._renew = self.client.register_script(_RENEW)
        self._consumed: list[str] = []

    @classmethod
    def from_settings(cls, url: str, settings: Settings) -> Self:
        """The transport to the server at `url`, not yet connected."""
        return cls(url, settings.event_batch, settings.event_reclaim_s, settings.event_keep_s)

    def consume(self, stream: str, kind: Any, handle_all: HandleAll) -> None:
        """Hand the events of `stream` to `handle_all`: new ones, and those claimed from dead consumers."""
        self._consumed.append(stream)

        async def receive(event: Any) -> None:
            await self._receive(stream, event, handle_all)

        async def receive_claimed(event: Any) -> None:
            # FastStream claims one at a time; a consumer that died leaves more.
            await self._receive(stream, [*event, *await self._claim(stream)], handle_all)

        receive.__annotations__["event"] = kind  # for the AsyncAPI document; what comes is a list of entries
        new = StreamSub(
            stream,
            group=GROUP,
            consumer=self.name,
            batch=True,
            max_records=self._prefetch,
            polling_interval=_READ_WAIT_MS,
        )
        claimed = StreamSub(
            stream,
            group=GROUP,
            consumer=self.name,
            batch=True,
            min_idle_time=int(self._reclaim_s * 1e3),
            polling_interval=_READ_WAIT_MS,
        )
        for subscription, receiver in ((new, receive), (claimed, receive_claimed)):
            self.broker.subscriber(
                stream=subscription,
                parser=_parse,
                decoder=_decode,
                ack_policy=AckPolicy.MANUAL,
                title=stream if subscription is new else f"{stream} (taken over)",
                description=(kind.__doc__ or "").partition("\n")[0],
                include_in_schema=subscription is new,
            )(receiver)

    def on_undeliverable(self, handle: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Nothing: this broker never gives up an event."""

    def announce(self, stream: str, kind: type[object]) -> None:
        """Declare in the AsyncAPI document that events of type `kind` are published to `stream`."""
        self.broker.publisher(stream=stream, title=stream, description=kind.__doc__, schema=kind)

    async def _claim(self, stream: str) -> list[_Entry]:
        try:
            claimed: Any = await self.client.xautoclaim(
                stream, GROUP, self.name, int(self._reclaim_s * 1e3), "0-0", count=self._prefetch - 1
            )
        except RedisError:
            return []
        return [(entry_id, Delivery(_body(fields))) for entry_id, fields in claimed[1]]

    async def _receive(self, stream: str, entries: Sequence[_Entry], handle_all: HandleAll) -> None:
        if not entries:
            return
        ids = [entry_id for entry_id, _ in entries]
        try:
            async with self._renewed(stream, ids):
                handled = await handle_all([delivery for _, delivery in entries])
            finished = [entry_id for entry_id, is_handled in zip(ids, handled, strict=True) if is_handled]
            if finished:
                await self.client.xack(stream, GROUP, *finished)
        except RedisError as error:
            log.warning("the broker went away with %d events pending: %s", len(ids), error)

    def _renewed(self, stream: str, ids: Sequence[bytes]) -> AbstractAsyncContextManager[None]:
        """Reset the idle time of these entries for as long as this is open."""
        arguments: list[Any] = [GROUP, self.name, *ids]
        return periodically(self._reclaim_s / 4, lambda: self._renew(keys=[stream], args=arguments))

    async def prepare(self) -> None:
        """Create the groups, each at the beginning of its stream. Raises Unreachable."""
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
    async def listen(self, streams: Sequence[str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of every event published to `streams` from now on."""
        positions: Any = {}
        for stream in streams:
            last: Any = await self.client.xrevrange(stream, count=1)
            positions[stream] = last[0][0] if last else b"0"

        async def bodies() -> AsyncIterator[bytes]:
            while True:
                found: Any = await self.client.xread(dict(positions), block=_READ_WAIT_MS)
                for stream, entries in found or ():
                    for entry_id, fields in entries:
                        positions[stream.decode()] = entry_id
                        yield _body(fields)

        yield bodies()

    async def backlog(self) -> dict[str, Backlog]:
        """The backlog of each consumed stream, empty where there is no group yet. Raises Unreachable."""
        found: dict[str, Backlog] = {}
        for stream in self._consumed:
            try:
                groups = await self.client.xinfo_groups(stream)
            except ResponseError:
                groups = []
            except RedisError as error:
                raise Unreachable(f"the broker cannot be reached: {error}") from error
            group = next((found for found in groups if found["name"] == GROUP.encode()), None)
            # Redis does not know the lag after entries were deleted in between.
            lag = 0 if group is None else group.get("lag")
            found[stream] = Backlog(-1 if lag is None else lag, group["pending"] if group else 0)
        return found

    async def maintain(self) -> None:
        """Trim acknowledged events and answers older than `keep_s`; remove consumers idle for an hour."""
        for stream in (QUERIES, CHANGES):
            await self._trim(stream, None)
        for stream in (ANSWERS, HANDOFFS):
            await self._trim(stream, time.time() - self._keep_s)
        for stream in self._consumed:
            for consumer in await self.client.xinfo_consumers(stream, GROUP):
                if consumer["pending"] == 0 and consumer["idle"] > _REMOVE_IDLE_AFTER_S * 1e3:
                    await self.client.xgroup_delconsumer(stream, GROUP, consumer["name"])

    async def _trim(self, stream: str, before_s: float | None) -> None:
        """Drop entries that every group has acknowledged, and that are older than `before_s` (seconds since
        1970) where given.
        """
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
    """Without FastStream's own parsing of the content, which raises on bytes that are not text."""
    return RedisBatchStreamMessage(raw_message=message, body=b"", consumer=FAKE_CONSUMER, group=None)


async def _decode(message: Any) -> list[_Entry]:
    raw = message.raw_message
    return [
        (entry_id, Delivery(_body(fields)))
        for entry_id, fields in zip(raw["message_ids"], raw["data"], strict=True)
    ]


def _body(fields: dict[bytes, bytes]) -> bytes:
    if FIELD.encode() in fields:
        return fields[FIELD.encode()]
    if _FASTSTREAM_FIELD in fields:
        return BinaryMessageFormatV1.parse(fields[_FASTSTREAM_FIELD])[0]
    return b" ".join(fields.values())  # not an event; its dead letter shows what it was
