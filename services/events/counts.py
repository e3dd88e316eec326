"""What a consumer has handled since it started, for its health page and its metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from slmfleet.services.telemetry import metrics


@dataclass(slots=True)
class EventCounts:
    """Counts of one process: (type, result) -> events handled, reason -> dead letters."""

    handled_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    dead_by: Counter[str] = field(default_factory=Counter)

    def handled(self, kind: str, result: str) -> None:
        """Count an event of type `kind` and what became of it."""
        self.handled_by[kind, result] += 1
        metrics.EVENTS.add(1, kind, result)

    def died(self, reason: str) -> None:
        """Count a dead letter."""
        self.dead_by[reason] += 1
        metrics.DEAD_LETTERS.add(1, reason)
