"""What the consumer and the publisher need of a broker, whichever it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, Self

from cloudevents.core.v1.event import CloudEvent

from slmfleet.services.settings import Settings

#: The logger that every transport hands to FastStream.
BROKER_LOGGER: Final = "slmfleet.broker"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as a broker delivered it. `traceparent` is from the broker's headers, where it has any."""

    body: bytes
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events of a stream not delivered yet, and those delivered but not acknowledged; -1: not known."""

    waiting: int
    pending: int


#: For each delivery whether it can be acknowledged.
HandleAll = Callable[[Sequence[Delivery]], Awaitable[list[bool]]]


class Publish(Protocol):
    """Puts an event on a stream; returns once the broker has stored it."""

    async def __call__(self, stream: str, event: CloudEvent) -> None:
        """Raises Unreachable."""
        ...


class Transport(Protocol):
    """A broker: two streams that are consumed, others that are published to."""

    #: Loggers of its client library that print a traceback while the broker is away.
    noisy_loggers: ClassVar[tuple[str, ...]]
    #: FastStream's broker, with its subscribers.
    broker: Any

    @classmethod
    def from_settings(cls, url: str, settings: Settings) -> Self:
        """The transport to the broker at `url`, not yet connected."""
        ...

    def consume(self, stream: str, kind: Any, handle_all: HandleAll) -> None:
        """Hand the events of `stream` (of type `kind`) to `handle_all`, once the broker is started.

        At most `event_batch` are unacknowledged at a time. Those that were not handled are delivered again.
        """
        ...

    def on_undeliverable(self, handle: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Call `handle` for each event that the broker itself gave up: the stream it was on, and its body."""
        ...

    def announce(self, stream: str, kind: type[object]) -> None:
        """Declare in the AsyncAPI document that events of type `kind` are published to `stream`."""
        ...

    async def prepare(self) -> None:
        """Connect, and create what must exist before the first event. Raises Unreachable."""
        ...

    async def publish(self, stream: str, event: CloudEvent) -> None:
        """Put `event` on `stream`; returns once the broker has stored it. Raises Unreachable."""
        ...

    def listen(self, streams: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The body of every event published to `streams` from now on; other readers get them as well."""
        ...

    async def backlog(self) -> dict[str, Backlog]:
        """The backlog of each consumed stream. Raises Unreachable."""
        ...

    async def maintain(self) -> None:
        """Periodic housekeeping: trim streams, drop dead consumers. Raises Unreachable."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
