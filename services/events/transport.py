"""What a consumer needs of a broker, whichever it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from cloudevents.core.v1.event import CloudEvent


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as a broker delivered it. `traceparent` is of the broker's headers, where it has any."""

    body: bytes
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events of a stream that nobody has begun, and those in some consumer's hands; -1 is not known."""

    waiting: int
    in_hand: int


#: For each delivery whether it is done with.
HandleAll = Callable[[Sequence[Delivery]], Awaitable[list[bool]]]


class Publish(Protocol):
    """Puts an event on a stream; returns when the broker has it for good."""

    async def __call__(self, stream: str, event: CloudEvent) -> None:
        """Raises Unreachable."""
        ...


class Transport(Protocol):
    """A broker: two streams that are consumed, others that are published to."""

    #: FastStream's broker, with its subscribers.
    broker: Any

    def consume(self, stream: str, kind: Any, handle_all: HandleAll) -> None:
        """Hand the events of `stream` (of type `kind`) to `handle_all`, once the broker is started.

        No more are taken than it has in hand. Those that are not done with are delivered again.
        """
        ...

    def when_given_up(self, bury: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Tell `bury` of each event that the broker itself gave up: the stream it was on, and its body."""
        ...

    def announce(self, stream: str, kind: type[object]) -> None:
        """Say in the AsyncAPI document that events of type `kind` are published to `stream`."""
        ...

    async def prepare(self) -> None:
        """Connect, and make what is to be there before the first event. Raises Unreachable."""
        ...

    async def publish(self, stream: str, event: CloudEvent) -> None:
        """Put `event` on `stream`; returns when the broker has it for good. Raises Unreachable."""
        ...

    def listening(self, streams: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Hear every event published to `streams` from now on, beside whoever else reads them."""
        ...

    async def backlog(self) -> dict[str, Backlog]:
        """The backlog of each stream that is consumed. Raises Unreachable."""
        ...

    async def upkeep(self) -> None:
        """Whatever has to be done now and then. Raises Unreachable."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
