"""What a consumer has done since it started, for its health page and for its metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from slmfleet.services.telemetry import metrics


@dataclass(slots=True)
class EventCounts:
    """Counts of one process."""

    handled_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    dead_by: Counter[str] = field(default_factory=Counter)
    waits: int = 0

    def handled(self, kind: str, result: str) -> None:
        """An event of type `kind` was dealt with."""
        self.handled_by[kind, result] += 1
        metrics.EVENTS.add(1, kind, result)

    def died(self, reason: str) -> None:
        """An event became a dead letter."""
        self.dead_by[reason] += 1
        metrics.DEAD_LETTERS.add(1, reason)

    def unavailable(self) -> None:
        """Nobody was there to answer."""
        self.waits += 1
