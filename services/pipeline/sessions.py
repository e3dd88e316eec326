"""The last turns of a conversation, so that "can I cancel it?" is understood.

A session is identified by its customer and its id together: the same id of another customer, or without one,
is another session. Of each turn only the request that was read and the references in it are stored.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from slmfleet.models.contracts import ModelVersion

#: Turns stored of a session, the newest.
MAX_TURNS: Final = 5


@dataclass(frozen=True, slots=True)
class Turn:
    """One question as it was understood. `text` is the request that a follow-up leans on.

    `routed` and `confidence` are the router's and the specialist's. `waits`: the answer requested an order or
    a product. `choices`: the passages that it offered, (domain/id, title). `references` are (slot name,
    value). A turn that no specialist read has only references, one from a client's `history` only
    text and references.
    """

    text: str
    references: tuple[tuple[str, str], ...] = ()
    domain: str = ""
    intent: str = ""
    routed: float = 0.0
    confidence: float = 0.0
    model: ModelVersion | None = None
    waits: bool = False
    choices: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Turn:
        """The turn that `dataclasses.asdict` and JSON made `fields` of, by this version or another one.

        While a fleet is updated, replicas of two versions share sessions. What the other adds is left out.
        Raises KeyError, TypeError, ValueError where a field is not what it should be.
        """
        model = fields["model"]
        return cls(
            **{
                **{name: value for name, value in fields.items() if name in cls.__dataclass_fields__},
                "references": tuple((name, value) for name, value in fields["references"]),
                "choices": tuple((passage, title) for passage, title in fields.get("choices", ())),
                "model": None if model is None else ModelVersion(model["name"], model["version"]),
            }
        )


class Sessions(Protocol):
    """Stores turns for a limited time. `customer` is the verified one, or None."""

    async def turns(self, customer: str | None, session_id: str) -> tuple[Turn, ...]:
        """The last turns of the session, oldest first; none when it is new, or too old."""
        ...

    async def remember(self, customer: str | None, session_id: str, turn: Turn) -> None:
        """Add a turn to the session."""
        ...


class InMemorySessions:
    """Sessions in this process: at most `limit`, least recently used evicted first, each for `ttl_s` seconds
    after its last turn.

    Every gateway replica has its own; services/state/redis_sessions.py has those that replicas share.
    """

    def __init__(self, ttl_s: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._limit = limit
        self._clock = clock
        self._sessions: OrderedDict[tuple[str, str], tuple[float, tuple[Turn, ...]]] = OrderedDict()

    async def turns(self, customer: str | None, session_id: str) -> tuple[Turn, ...]:
        """The last turns of the session, oldest first; none when it is new, or too old."""
        stored_at, turns = self._sessions.get(_key(customer, session_id), (0.0, ()))
        return turns if turns and self._clock() - stored_at <= self._ttl_s else ()

    async def remember(self, customer: str | None, session_id: str, turn: Turn) -> None:
        """Add a turn to the session, and evict the sessions that are too old or too many."""
        turns = (*await self.turns(customer, session_id), turn)[-MAX_TURNS:]
        now = self._clock()
        key = _key(customer, session_id)
        self._sessions[key] = (now, turns)
        self._sessions.move_to_end(key)
        # Ordered by last turn, so the first session that is young enough ends the loop.
        while len(self._sessions) > self._limit or now - next(iter(self._sessions.values()))[0] > self._ttl_s:
            self._sessions.popitem(last=False)

    def __len__(self) -> int:
        return len(self._sessions)


def _key(customer: str | None, session_id: str) -> tuple[str, str]:
    return customer or "", session_id
