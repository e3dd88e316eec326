"""Explanations as they are told: the models' own, as JSON and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slmfleet.models.contracts import Explanation, Reading
from slmfleet.services.schemas import (
    ExplanationBody,
    ExplanationsBody,
    FlipBody,
    LabelBody,
    NeighbourBody,
    PartExplanationBody,
    WordBody,
)


def explanations_body(route: Explanation, readings: Sequence[Reading]) -> ExplanationsBody:
    """The router's explanation and those of the readings that were explained."""
    return ExplanationsBody(
        route=ExplanationBody(**_fields(route)),
        parts=[
            PartExplanationBody(domain=reading.domain, **_fields(reading.explanation))
            for reading in readings
            if reading.explanation is not None
        ],
    )


def _fields(one: Explanation) -> dict[str, Any]:
    return {
        "text": one.text,
        "label": one.label,
        "confidence": round(one.confidence, 4),
        "threshold": round(one.threshold, 4),
        "runner_up": LabelBody(label=one.runner_up[0], confidence=round(one.runner_up[1], 4)),
        "words": [
            WordBody(word=it.word, start=it.start, end=it.end, weight=round(it.weight, 4)) for it in one.words
        ],
        "flip": one.flip
        and FlipBody(
            removed=list(one.flip.removed),
            becomes=one.flip.becomes,
            confidence=round(one.flip.confidence, 4),
        ),
        "nearest": [
            NeighbourBody(text=it.text, label=it.label, similarity=round(it.similarity, 4))
            for it in one.nearest
        ],
    }
