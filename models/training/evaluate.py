"""Accuracy of specialists on rows that they were never trained on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slmfleet.models.contracts import Slot
from slmfleet.models.inference.specialist import Specialist
from slmfleet.models.text.amounts import number_span
from slmfleet.models.training.confidence import expected_calibration_error
from slmfleet.models.training.data import Row, Span

#: Sources of test rows that real shoppers wrote; the rest were written for tests or from templates.
REAL_SOURCES = ("hint3/sofmattress", "hint3/curekart")


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `total`, with Wilson's 95 % interval (Wilson 1927)."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share itself; nan of nothing."""
        return self.hits / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        if not self.total:
            return math.nan, math.nan
        z, n, p = 1.959964, self.total, self.value
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:5.1f}  [{100 * low:.1f}, {100 * high:.1f}]  {self.total}"


def by_source(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by where they came from, sources in order of name."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.source].append(row)
    return dict(sorted(groups.items()))


@dataclass(frozen=True, slots=True)
class SpecialistResult:
    """What a specialist gets right of the rows of one source.

    Of the rows that a passage answers: `quoted` are those answered by a passage, `right_quoted` those of them
    answered by the right one, and `right_offered`, of all others, those whose right passage is offered.
    """

    intents: Share
    passages: Share
    quoted: Share
    right_quoted: Share
    right_offered: Share
    slot_f1: float
    calibration_error: float


def evaluate_specialist(specialist: Specialist, rows: Sequence[Row]) -> SpecialistResult:
    """Intent accuracy, right passage, slot F1 (same name and span) and calibration error on `rows`."""
    right, confidences = [], []
    quoted, not_quoted, first = [], [], 0
    true, found, both = 0, 0, 0
    for row in rows:
        reading = specialist.read(row.text)
        if row.intent is not None:
            right.append(reading.intent == row.intent)
            confidences.append(reading.confidence)
        if row.passage is not None:
            found_ids = [match.passage_id for match in reading.passages]
            is_first = found_ids[:1] == [row.passage]
            first += is_first
            if reading.passage_is_evidence:
                quoted.append(is_first)
            else:
                not_quoted.append(row.passage in found_ids)
        if row.spans:
            names = {span.name for span in row.spans}
            marked = {_slot_key(row.text, span) for span in row.spans}
            read = {_slot_key(row.text, slot) for slot in reading.slots if slot.name in names}
            true, found, both = true + len(marked), found + len(read), both + len(marked & read)
    return SpecialistResult(
        Share(sum(right), len(right)),
        Share(first, len(quoted) + len(not_quoted)),
        Share(len(quoted), len(quoted) + len(not_quoted)),
        Share(sum(quoted), len(quoted)),
        Share(sum(not_quoted), len(not_quoted)),
        2 * both / (true + found) if true else math.nan,
        expected_calibration_error(np.array(confidences), np.array(right)) if right else math.nan,
    )


def _slot_key(text: str, slot: Span | Slot) -> tuple[str, int, int]:
    """(name, start, end) that must be equal for a slot to be right; of an amount the span of its number.

    Bitext marks the 500 of "$500", a reading has the currency too. Whether the sign belongs to an amount is a
    convention of annotation and not what is measured, so both sides are reduced to the number.
    """
    span = number_span(text, slot.start, slot.end) if slot.name == "amount" else (slot.start, slot.end)
    return slot.name, *span


def specialist_metrics(specialist: Specialist, rows: Sequence[Row]) -> dict[str, float]:
    """Metrics for the card, over the test rows of each source."""
    metrics: dict[str, float] = {}
    for source, group in by_source(rows).items():
        result = evaluate_specialist(specialist, group)
        values = {
            "intent_accuracy": result.intents.value,
            "passage_accuracy": result.passages.value,
            "slot_f1": result.slot_f1,
        }
        metrics |= {f"{source}.{name}": round(value, 4) for name, value in values.items() if value == value}
    return metrics
