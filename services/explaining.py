"""Explanations as they are told: the models' own, as JSON and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

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

#: The words that are told beside the shaded sentence, weightiest first.
_TOLD_WORDS = 5
#: Shades for a share of the heaviest word's weight: for the decision, and against it.
_FOR = ("on dark_green", "on green4", "on green3")
_AGAINST = ("on dark_red", "on red3", "on red1")


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


def printed(body: ExplanationsBody) -> Group:
    """The explanation for a terminal: one block for the router, one for each specialist."""
    blocks = _block("router", body.route)
    for part in body.parts:
        blocks += [Text(""), *_block(part.domain, part)]
    return Group(*blocks)


def _block(model: str, one: ExplanationBody) -> list[Text | Padding]:
    stands = "" if one.confidence >= one.threshold else ", below it: not sure enough alone"
    lines = [
        f"decision  {one.label} {one.confidence:.2f}"
        + (f" (threshold {one.threshold:.2f}{stands})" if one.threshold else ""),
        f"runner-up {one.runner_up.label} {one.runner_up.confidence:.2f}",
    ]
    heaviest = sorted(one.words, key=lambda word: -abs(word.weight))[:_TOLD_WORDS]
    if heaviest:
        lines.append("words     " + ", ".join(f"{it.word} {it.weight:+.2f}" for it in heaviest))
    if one.flip is None:
        lines.append("flip      nothing short flips it")
    else:
        words = ", ".join(f'"{word}"' for word in one.flip.removed)
        lines.append(f"flip      without {words}: {one.flip.becomes} {one.flip.confidence:.2f}")
    lines += [f'{"nearest" if not place else "":9} {it.similarity:.2f} {it.label}: "{it.text}"'
              for place, it in enumerate(one.nearest)]  # fmt: skip
    return [
        Text(model, style="bold"),
        Padding(shaded(one.text, one.words), (0, 0, 0, 2)),
        *(Padding(Text(line), (0, 0, 0, 2)) for line in lines),
    ]


def shaded(text: str, words: Sequence[WordBody]) -> Text:
    """`text` with each word on a ground that is the stronger, the more it weighs: green for, red against."""
    told = Text(text)
    most = max((abs(word.weight) for word in words), default=0.0)
    for word in words:
        share = abs(word.weight) / most if most else 0.0
        if share >= 0.1:  # lighter than that is noise, and a sentence all in colour tells nothing
            shades = _FOR if word.weight > 0 else _AGAINST
            told.stylize(shades[min(2, int(share * 3))], word.start, word.end)
    return told
