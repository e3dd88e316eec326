"""NATS JetStream as the broker of events.

Questions and changes are in work-queue streams until they are acknowledged, answers in streams with a maximum
age. A consumer reports progress while it works; once it is silent for `reclaim_s`, NATS delivers again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, Self

import nats
from cloudevents.core.v1.event import CloudEvent
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy as Acknowledge
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig
from nats.js.errors import BadRequestError

from slmfleet.models.errors import Unreachable
from slmfleet.services.events.cloudevents import (
    ANSWERS,
    CHANGES,
    CONTENT_TYPE,
    HANDOFFS,
    QUERIES,
    serialized,
    traceparent_of,
)
from slmfleet.services.events.periodic import periodically
from slmfleet.services.events.rebatch import Rebatcher
from slmfleet.services.events.transport import BROKER_LOGGER, Backlog, Delivery, HandleAll
from slmfleet.services.settings import Settings

DURABLE: Final = "slmfleet"
_RETRY_S: Final = 2.0
_CONNECT_TIMEOUT_S: Final = 5.0
_FETCH_WAIT_S: Final = 0.5
#: Stream's subject -> name of the JetStream stream (which may have no dots).
_NAMES: Final = {
    QUERIES: "slmfleet-queries",
    CHANGES: "slmfleet-changes",
    ANSWERS: "slmfleet-answers",
    HANDOFFS: "slmfleet-handoffs",
}


class NatsStreams:
    """A transport over JetStream. At most `prefetch` events are unacknowledged at a time.

    `reclaim_s`: silence of a consumer after which NATS delivers again. `keep_s`: how long answers stay.
    """

    noisy_loggers: ClassVar[tuple[str, ...]] = ("nats.aio.client",)

    def __init__(self, url: str, prefetch: int, reclaim_s: float, keep_s: float) -> None:
        self.broker = NatsBroker(
            url, apply_types=False, graceful_timeout=30.0, logger=logging.getLogger(BROKER_LOGGER)
        )
        self._url = url
        self._prefetch = prefetch
        self._reclaim_s = reclaim_s
        self._keep_s = keep_s
        self._consumed: list[str] = []
        self._connection: Any = None
        self._jetstream: Any = None

    @classmethod
    def from_settings(cls, url: str, settings: Settings) -> Self:
        """The transport to the server at `url`, not yet connected."""
        return cls(url, settings.event_batch, settings.event_reclaim_s, settings.event_keep_s)

    def consume(self, stream: str, kind: Any, handle_all: HandleAll) -> None:
        """Hand the events of `stream` to `handle_all`."""
        self._consumed.append(stream)
        rebatcher = Rebatcher(handle_all, self._prefetch, _RETRY_S)

        async def receive(event: Any) -> None:
            async with periodically(self._reclaim_s / 4, event.in_progress):
                await rebatcher.handle(_delivery(event), event.ack_sync, event.nack)

        receive.__annotations__["event"] = kind  # for the AsyncAPI document; what comes is a message
        self.broker.subscriber(
            stream,
            durable=DURABLE,
            stream=JStream(_NAMES[stream], declare=False),
            config=self._config(stream),
            pull_sub=PullSub(self._prefetch, _FETCH_WAIT_S),
            decoder=_decode,
            ack_policy=AckPolicy.MANUAL,
            title=stream,
            description=(kind.__doc__ or "").partition("\n")[0],
        )(receive)

    def _config(self, stream: str) -> ConsumerConfig:
        return ConsumerConfig(
            durable_name=DURABLE,
            filter_subject=stream,
            ack_policy=Acknowledge.EXPLICIT,
            ack_wait=self._reclaim_s,
            max_deliver=-1,
        )

    def on_undeliverable(self, handle: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Nothing: this broker never gives up an event."""

    def announce(self, stream: str, kind: type[object]) -> None:
        """Declare in the AsyncAPI document that events of type `kind` are published to `stream`."""
        self.broker.publisher(stream, title=stream, description=kind.__doc__, schema=kind)

    async def prepare(self) -> None:
        """Connect once, and create streams and consumers. Raises Unreachable."""
        try:
            if self._connection is None:
                self._connection = await nats.connect(
                    self._url, connect_timeout=_CONNECT_TIMEOUT_S, max_reconnect_attempts=-1
                )
            self._jetstream = self._connection.jetstream()
            for subject, name in _NAMES.items():
                queue = subject in (QUERIES, CHANGES)
                config = StreamConfig(
                    name=name,
                    subjects=[subject],
                    retention=RetentionPolicy.WORK_QUEUE if queue else RetentionPolicy.LIMITS,
                    max_age=None if queue else self._keep_s,
                )
                try:
                    await self._jetstream.add_stream(config)
                except BadRequestError:  # it exists, with limits set by the operator
                    await self._jetstream.stream_info(name)
                if queue:
                    await self._jetstream.add_consumer(name, self._config(subject))
        except (NatsError, OSError, TimeoutError) as error:
            raise Unreachable(f"the broker cannot be used: {error or type(error).__name__}") from error

    async def publish(self, stream: str, event: CloudEvent) -> None:
        """Put `event` on `stream`. Raises Unreachable."""
        trace = traceparent_of(event)
        headers = {"content-type": CONTENT_TYPE, **({"traceparent": trace} if trace else {})}
        try:
            await self._jetstream.publish(stream, serialized(event), timeout=30, headers=headers)
        except (NatsError, OSError, TimeoutError) as error:
            raise Unreachable(
                f"the broker does not take an event: {error or type(error).__name__}"
            ) from error

    @asynccontextmanager
    async def listen(self, streams: Sequence[str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of every event published to `streams` from now on."""
        received: asyncio.Queue[bytes] = asyncio.Queue()

        async def receive(message: Any) -> None:
            received.put_nowait(message.data)

        subscriptions = [await self._connection.subscribe(stream, cb=receive) for stream in streams]
        await self._connection.flush()

        async def bodies() -> AsyncIterator[bytes]:
            while True:
                yield await received.get()

        yield bodies()
        for subscription in subscriptions:
            await subscription.unsubscribe()

    async def backlog(self) -> dict[str, Backlog]:
        """The backlog of each consumed stream. Raises Unreachable."""
        try:
            found = {}
            for stream in self._consumed:
                info = await self._jetstream.consumer_info(_NAMES[stream], DURABLE)
                found[stream] = Backlog(info.num_pending or 0, info.num_ack_pending or 0)
            return found
        except (NatsError, OSError, TimeoutError) as error:
            raise Unreachable(f"the broker cannot be reached: {error or type(error).__name__}") from error

    async def maintain(self) -> None:
        """Nothing: the streams drop acknowledged and expired events themselves."""

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


def _delivery(message: Any) -> Delivery:
    return Delivery(message.body, message.headers.get("traceparent"))


async def _decode(message: Any) -> Any:
    """The message as it is: FastStream's own decoding raises on bytes that are not text."""
    return message
