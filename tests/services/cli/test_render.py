"""Explanations in a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from slmfleet.models.contracts import (
    Explanation,
    Explanations,
    Flip,
    LabelScore,
    Neighbour,
    WordWeight,
)
from slmfleet.services.cli.render import highlight, render_explanations

TEXT = "how long do I have to return shoes"


BODY = Explanation(
    text=TEXT,
    label="returns",
    confidence=0.98,
    threshold=0.9,
    runner_up=LabelScore(label="shipping", confidence=0.01),
    words=(
        WordWeight(word="how", start=0, end=3, weight=-0.9),
        WordWeight(word="long", start=4, end=8, weight=0.05),
        WordWeight(word="return", start=22, end=28, weight=4.0),
    ),
    flip=Flip(removed=("return",), becomes="abstain", confidence=0.6),
    nearest=(Neighbour(text="how long can I return them " * 4, label="returns", similarity=0.93),),
)


def _lines(body: Explanations) -> list[str]:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(render_explanations(body))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_view_says_everything_in_80_columns() -> None:
    part = replace(BODY, flip=None, confidence=0.5).for_part("returns")
    lines = _lines(Explanations(route=BODY, parts=(part,)))
    assert max(map(len, lines)) <= 80
    told = "\n".join(lines)
    for said in (
        "router", TEXT, "decision  returns 0.98 (threshold 0.90)", "runner-up shipping 0.01", "return +4.00",
        "how -0.90", 'without "return": abstain 0.60', "nearest   0.93 returns", "nothing short flips it",
        "returns 0.50 (threshold 0.90, below it",
    ):  # fmt: skip
        assert said in told


def test_words_are_highlighted_by_their_weight() -> None:
    told = highlight(TEXT, BODY.words)
    assert told.plain == TEXT
    assert [(span.start, span.end, span.style) for span in told.spans] == [
        (0, 3, "on dark_red"),
        (22, 28, "on green3"),
    ]
    assert highlight("", []).spans == []
