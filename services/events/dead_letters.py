"""Dead letters: events that could not be handled, on the stream slmfleet.dead until an operator replays them.

Whatever the broker, the stream is in the Redis of the ledger, so that one command lists and replays it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from cloudevents.core.v1.event import CloudEvent
from pydantic import BaseModel
from redis.asyncio import Redis

from slmfleet.models.errors import EventFault, NotFound
from slmfleet.services.events.cloudevents import (
    DEAD,
    DiedData,
    EventReference,
    check_data,
    data_of,
    key_of,
    read_event,
    serialized,
)
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.transport import Publish

_PAGE: Final = 500
FIELD: Final = "event"


class DeadLetter(BaseModel):
    """A dead event. `id` names it to `slmfleet dead show` and `replay`."""

    id: str
    died_at: str
    died: DiedData


class DeadLetters:
    """The dead letters in the Redis of `client`. Raises Redis' own errors."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def add(self, letter: CloudEvent) -> None:
        """Store a letter. A consumer that ends before it acknowledges stores one twice; `all` has it once."""
        await self._client.xadd(DEAD, {FIELD: serialized(letter)})

    async def all(self) -> list[DeadLetter]:
        """Every letter, oldest first."""
        found: dict[str, DeadLetter] = {}
        async for _, letter in self._entries():
            found.setdefault(letter.id, letter)
        return [*found.values()]

    async def get(self, letter_id: str) -> DeadLetter:
        """The letter of that id, or of the only id that starts so. Raises NotFound."""
        letters = [letter for letter in await self.all() if letter.id.startswith(letter_id)]
        if not letter_id or len(letters) != 1:
            several = "several dead letters start" if letters and letter_id else "no dead letter starts"
            raise NotFound(f"{several} with '{letter_id}'; `slmfleet dead list` names them all")
        return letters[0]

    async def newest(self) -> bytes:
        """The stream position of the newest letter, for `find`; before the first when there is none."""
        last: Any = await self._client.xrevrange(DEAD, count=1)
        return bytes(last[0][0]) if last else b"0-0"

    async def find(self, source: str, event_id: str, after: bytes) -> DeadLetter | None:
        """The first letter after position `after` about the event of that source and id, or None."""
        about = EventReference(source=source, id=event_id)
        async for _, letter in self._entries(after):
            if letter.died.event == about:
                return letter
        return None

    async def replay(self, letter: DeadLetter, publish: Publish, ledger: Ledger) -> None:
        """Publish the event as it came, with its attempts counted from 0, and then remove the letter.

        Safe to repeat when interrupted: an event that was answered gets the same answer. Raises EventFault
        for an event that would only die again.
        """
        raw = letter.died.raw()
        try:
            event = read_event(raw, letter.died.stream)
            check_data(event)
        except EventFault as fault:
            raise EventFault(fault.reason, f"{letter.id} would only die again: {fault}") from None
        await ledger.reset_attempts(key_of(event))
        await publish(letter.died.stream, event)
        await self.remove(letter.id)

    async def remove(self, letter_id: str) -> None:
        """Remove the letter, and its duplicates."""
        positions = [position async for position, letter in self._entries() if letter.id == letter_id]
        if positions:
            await self._client.xdel(DEAD, *positions)

    async def _entries(self, after: bytes = b"0-0") -> AsyncIterator[tuple[bytes, DeadLetter]]:
        """Each entry after position `after` with its own position, oldest first, read in pages."""
        while True:
            start = b"(" + after
            page: Any = await self._client.xrange(DEAD, min=start, count=_PAGE)
            if not page:
                return
            for position, fields in page:
                event = read_event(fields.get(FIELD.encode(), b""), DEAD)
                yield position, _letter(event)
            after = page[-1][0]


def _letter(event: CloudEvent) -> DeadLetter:
    time = event.get_time()
    return DeadLetter(
        id=event.get_id(),
        died_at=time.isoformat(timespec="seconds") if time else "",
        died=data_of(event, DiedData),
    )
