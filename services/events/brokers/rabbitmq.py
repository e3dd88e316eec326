"""RabbitMQ quorum queues as the broker of events.

One topic exchange, and a queue for each stream, bound by its name. The unacknowledged events of a consumer
that ends are requeued at once. RabbitMQ itself gives up an event after many deliveries (4.x drops it then by
default); a dead-letter queue brings such events back, and they become dead letters like all others.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, Self

import aio_pika
from aio_pika.abc import AbstractRobustConnection
from aio_pika.exceptions import AMQPError, ChannelClosed
from cloudevents.core.v1.event import CloudEvent
from faststream import AckPolicy
from faststream.rabbit import Channel, ExchangeType, RabbitBroker, RabbitExchange, RabbitQueue

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
from slmfleet.services.events.rebatch import Rebatcher
from slmfleet.services.events.transport import BROKER_LOGGER, Backlog, Delivery, HandleAll
from slmfleet.services.settings import Settings

EXCHANGE: Final = "slmfleet"
UNDELIVERABLE: Final = "slmfleet.undeliverable"
#: Far above `event_attempts`: an event that another consumer answers now is requeued, too.
_DELIVERY_LIMIT: Final = 100
_RETRY_S: Final = 2.0
_CONNECT_TIMEOUT_S: Final = 10.0


class RabbitQueues:
    """A transport over RabbitMQ. At most `prefetch` events are unacknowledged at a time.

    `keep_s`: how long answers stay on their queues for those who have not read them.
    """

    noisy_loggers: ClassVar[tuple[str, ...]] = ("aiormq.connection", "aio_pika.robust_connection")

    def __init__(self, url: str, prefetch: int, keep_s: float) -> None:
        self.broker = RabbitBroker(
            url,
            apply_types=False,
            graceful_timeout=30.0,
            logger=logging.getLogger(BROKER_LOGGER),
            default_channel=Channel(prefetch_count=prefetch),
        )
        self._url = url
        self._prefetch = prefetch
        self._keep_ms = int(keep_s * 1e3)
        self._consumed: list[str] = []
        self._connection: AbstractRobustConnection | None = None
        self._exchange: Any = None

    @classmethod
    def from_settings(cls, url: str, settings: Settings) -> Self:
        """The transport to the server at `url`, not yet connected."""
        return cls(url, settings.event_batch, settings.event_keep_s)

    def consume(self, stream: str, kind: Any, handle_all: HandleAll) -> None:
        """Hand the events of `stream` to `handle_all`."""
        self._consumed.append(stream)
        rebatcher = Rebatcher(handle_all, self._prefetch, _RETRY_S)

        async def receive(event: Any) -> None:
            await rebatcher.handle(_delivery(event), event.ack, lambda: event.nack(requeue=True))

        receive.__annotations__["event"] = kind  # for the AsyncAPI document; what comes is a message
        self.broker.subscriber(
            RabbitQueue(stream, declare=False),
            decoder=_decode,
            ack_policy=AckPolicy.MANUAL,
            title=stream,
            description=(kind.__doc__ or "").partition("\n")[0],
        )(receive)

    def on_undeliverable(self, handle: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Call `handle` for each event that the broker gave up: the stream it was on, and its body."""

        async def receive(event: Any) -> None:
            await handle(str(event.headers.get("x-first-death-queue", QUERIES)), event.body)
            await event.ack()

        self.broker.subscriber(
            RabbitQueue(UNDELIVERABLE, declare=False),
            decoder=_decode,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            include_in_schema=False,
        )(receive)

    def announce(self, stream: str, kind: type[object]) -> None:
        """Declare in the AsyncAPI document that events of type `kind` are published to `stream`."""
        exchange = RabbitExchange(EXCHANGE, ExchangeType.TOPIC, durable=True, declare=False)
        self.broker.publisher(
            routing_key=stream, exchange=exchange, title=stream, description=kind.__doc__, schema=kind
        )

    async def prepare(self) -> None:
        """Connect, and declare exchange and queues. Raises Unreachable."""
        try:
            self._connection = await aio_pika.connect_robust(self._url, timeout=_CONNECT_TIMEOUT_S)
            channel = await self._connection.channel(publisher_confirms=True)
            self._exchange = await channel.declare_exchange(
                EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True
            )
            limited = {
                "x-delivery-limit": _DELIVERY_LIMIT,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": UNDELIVERABLE,
            }
            arguments: dict[str, dict[str, Any]] = {
                **dict.fromkeys((QUERIES, CHANGES), limited),
                **{key: {"x-message-ttl": self._keep_ms} for key in (ANSWERS, HANDOFFS)},
                UNDELIVERABLE: {},
            }
            for name, more in arguments.items():
                quorum: Any = {"x-queue-type": "quorum", **more}
                queue = await channel.declare_queue(name, durable=True, arguments=quorum)
                if name != UNDELIVERABLE:
                    await queue.bind(self._exchange, name)
        except (AMQPError, OSError, TimeoutError) as error:
            raise Unreachable(f"the broker cannot be used: {error or type(error).__name__}") from error

    async def publish(self, stream: str, event: CloudEvent) -> None:
        """Put `event` on `stream`; RabbitMQ confirms when it is on the disk. Raises Unreachable."""
        trace = traceparent_of(event)
        message = aio_pika.Message(
            serialized(event),
            headers={"traceparent": trace} if trace else {},
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=event.get_id(),
        )
        try:
            await self._exchange.publish(message, stream, mandatory=True, timeout=30)
        except (AMQPError, OSError, TimeoutError) as error:
            raise Unreachable(
                f"the broker does not take an event: {error or type(error).__name__}"
            ) from error

    @asynccontextmanager
    async def listen(self, streams: Sequence[str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of every event published to `streams` from now on."""
        assert self._connection is not None
        channel = await self._connection.channel()
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        for stream in streams:
            await queue.bind(self._exchange, stream)

        async def bodies() -> AsyncIterator[bytes]:
            async with queue.iterator(no_ack=True) as messages:
                async for message in messages:
                    yield message.body

        yield bodies()
        await channel.close()

    async def backlog(self) -> dict[str, Backlog]:
        """The events waiting on each consumed queue; those pending are not known. Raises Unreachable."""
        if self._connection is None or not self._connection.connected.is_set():
            raise Unreachable("the broker cannot be reached")
        found: dict[str, Backlog] = {}
        try:
            async with self._connection.channel() as channel:
                for stream in self._consumed:
                    queue = await channel.declare_queue(stream, passive=True)
                    found[stream] = Backlog(queue.declaration_result.message_count or 0, -1)
        except (AMQPError, OSError, ChannelClosed) as error:
            raise Unreachable(f"the broker cannot be reached: {error}") from error
        return found

    async def maintain(self) -> None:
        """Nothing: the queues drop acknowledged and expired events themselves."""

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


def _delivery(message: Any) -> Delivery:
    trace = message.headers.get("traceparent")
    return Delivery(message.body, trace if isinstance(trace, str) else None)


async def _decode(message: Any) -> Any:
    """The message as it is: FastStream's own decoding raises on bytes that are not text."""
    return message
