"""Replies found again by what was understood: equal intents, slots and evidence, however it was said.

For where wording a reply is dear. The shipped replier fills in a sentence in microseconds, so this is not in
its way; `slmfleet cache measure` tells what it would bring.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Final

from cachetools import LRUCache

from slmfleet.models.contracts import Decision, Reading, Reply
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.question import Query
from slmfleet.services.pipeline.pipeline import Replier

_LIMIT: Final = 4_096


class ReplyMemory:
    """A replier that remembers what another one said to the same. For one thread at a time."""

    def __init__(self, replier: Replier, fleet: Fleet) -> None:
        self._replier = replier
        self._fleet = fleet
        self._said: LRUCache[Hashable, Reply] = LRUCache(_LIMIT)

    def reply(self, query: Query, decision: Decision, readings: Sequence[Reading]) -> Reply:
        """The answer, with the confidences of this query."""
        known = self.recall(decision, readings)
        if known is not None:
            return known
        answer = self._replier.reply(query, decision, readings)
        key = self._key(decision, readings)
        if key is not None:
            self._said[key] = answer
        return answer

    def recall(self, decision: Decision, readings: Sequence[Reading]) -> Reply | None:
        """What was said to the same before, None when nothing was."""
        said = self._said.get(self._key(decision, readings))
        if said is None:
            return None
        parts = tuple(
            replace(part, confidence=reading.confidence, model=reading.model)
            for part, reading in zip(said.parts, readings, strict=True)
        )
        return replace(said, parts=parts)

    def forget(self) -> None:
        """Remember nothing."""
        self._said.clear()

    def _key(self, decision: Decision, readings: Sequence[Reading]) -> Hashable | None:
        """Equal only where the reply must be; None for what is somebody's own."""
        if decision.abstained or not readings:
            return None
        understood: list[Hashable] = []
        for reading in readings:
            domain = self._fleet.domains[reading.domain]
            shared = domain.config.intents[reading.intent].cacheable == "shared"
            if not shared or reading.slots or reading.inherited_slots:
                return None
            found = tuple(match.passage_id for match in reading.passages)
            # One that is evidence is said, else all are offered.
            passages = found[:1] if reading.passage_is_evidence else (*found, None)
            understood.append(
                (domain.name, reading.intent, reading.intent_is_sure, passages, domain.knowledge_digest)
            )
        return (tuple(route.domain for route in decision.routes), tuple(understood))
