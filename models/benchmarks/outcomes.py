"""A reader's outcomes on a task's test rows, row by row: as written, and with typing errors.

The metrics over these outcomes are in metrics.py.
"""

from __future__ import annotations

import math
import random
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.benchmarks.scores import Bools, Ints, span_counts
from slmfleet.models.benchmarks.task import Reader, SuiteRow, Task, Verdict
from slmfleet.models.inference.numerics import Floats
from slmfleet.models.progress import Progress, counted

#: Words of more than four letters; numbers are left alone, for another number is another question.
_WORD = re.compile(r"[^\W\d_]{5,}")


@dataclass(frozen=True)
class Outcomes:
    """Arrays by row. `right` and `confidence` are of the best label in scope, or of the whole set of labels.

    `accepted`: the reader takes the row to be in scope. `truth` and `predicted` are (n, labels), without
    columns in a task of one label a row. `spans` is (n, 3): slots marked, read, both. `ood_baselines` is
    (n, scores), without columns where there are none.
    """

    in_scope: Bools
    right: Bools
    accepted: Bools
    confidence: Floats
    inlier: Floats
    truth: Bools
    predicted: Bools
    spans: Ints
    ood_baselines: Floats

    def take(self, rows: NDArray[np.intp] | Bools) -> Outcomes:
        """Only some rows, or some of them several times."""
        return Outcomes(*(getattr(self, part.name)[rows] for part in fields(self)))


@dataclass(frozen=True)
class Measured:
    """The test rows as written, and the in-scope ones among them, in the same order, with typing errors.

    `exact` are the rows as written again, read by the model before its weights were rounded, if there is one.
    """

    clean: Outcomes
    typos: Outcomes
    exact: Outcomes | None = None

    def take(self, rows: NDArray[np.intp]) -> Measured:
        """A sample of the clean rows, with the typo rows that belong to it."""
        place = np.cumsum(self.clean.in_scope) - 1
        return Measured(
            self.clean.take(rows),
            self.typos.take(place[rows[self.clean.in_scope[rows]]]),
            self.exact.take(rows) if self.exact else None,
        )


def measure(reader: Reader, task: Task, steps: Progress) -> Measured:
    in_scope = [row for row in task.test if row.labels != (task.out_of_scope,)]
    exact = reader.exact
    tick = counted(steps, len(task.test) * (2 if exact else 1) + len(in_scope))
    return Measured(
        observe(reader, task, task.test, tick=tick),
        observe(reader, task, in_scope, typo_of, tick=tick),
        observe(exact, task, task.test, tick=tick) if exact else None,
    )


def observe(
    reader: Reader, task: Task, rows: Sequence[SuiteRow], change: Callable[[str], str] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Outcomes:  # fmt: skip
    """Read `rows` and compare the verdicts with their labels.

    With `change` their texts are changed first; `spans` is then meaningless, as slots lie elsewhere.
    """
    found: list[_Outcome] = []
    ood_baselines: list[Sequence[float]] = []
    columns = columns_of(task)
    for row in rows:
        text = row.text if change is None else change(row.text)
        if task.kind == "single":
            verdict = reader.read(text)
            found.append(_single(reader, task, row, verdict))
            ood_baselines.append(verdict.ood_baselines())
        elif task.kind == "multi":
            found.append(_multi(reader, row, columns, reader.read(text)))
        else:
            found.append(_joined(reader, task, row, columns, reader.read_joined(text)))
        tick()

    def column(index: int, kind: type[np.generic], *shape: int) -> NDArray[Any]:
        return np.array([one[index] for one in found], dtype=kind).reshape(len(found), *shape)

    width = 0 if task.kind == "single" else len(columns)
    return Outcomes(
        in_scope=column(0, np.bool_),
        right=column(1, np.bool_),
        accepted=column(2, np.bool_),
        confidence=column(3, np.float64),
        inlier=column(4, np.float64),
        truth=column(5, np.bool_, width),
        predicted=column(6, np.bool_, width),
        spans=column(7, np.int64, 3),
        ood_baselines=np.array(ood_baselines or [()] * len(found), dtype=np.float64).reshape(
            len(found), len(ood_baselines[0]) if ood_baselines else 0
        ),
    )


def columns_of(task: Task) -> tuple[str, ...]:
    """The labels of the columns of `truth` and `predicted`: those of training and those of the test rows."""
    return tuple(sorted({label for row in task.test for label in row.labels} | set(task.labels)))


_Outcome = tuple[bool, bool, bool, float, float, Sequence[bool], Sequence[bool], tuple[int, int, int]]
_NO_SPANS = (0, 0, 0)


def best_label(reader: Reader, verdict: Verdict, but: str | None = None) -> tuple[str, float]:
    """The most probable label other than `but`, and its probability among those others."""
    open_ = np.array([label != but for label in reader.labels])
    held = np.where(open_, verdict.probabilities, -1.0)
    index = int(held.argmax())
    total = float(verdict.probabilities[open_].sum())
    return reader.labels[index], float(held[index]) / total if total > 0 else 0.0


def _accepts(reader: Reader, task: Task, verdict: Verdict) -> bool:
    return verdict.inlier >= reader.threshold and best_label(reader, verdict)[0] != task.out_of_scope


def _single(reader: Reader, task: Task, row: SuiteRow, verdict: Verdict) -> _Outcome:
    label, confidence = best_label(reader, verdict, task.out_of_scope)
    spans = _NO_SPANS
    if row.spans is not None:
        spans = span_counts(
            {(span.name, span.start, span.end) for span in row.spans},
            {(slot.name, slot.start, slot.end) for slot in verdict.slots},
        )
    in_scope = row.labels != (task.out_of_scope,)
    accepted = _accepts(reader, task, verdict)
    return in_scope, row.labels == (label,), accepted, confidence, verdict.inlier, (), (), spans


def _multi(reader: Reader, row: SuiteRow, columns: Sequence[str], verdict: Verdict) -> _Outcome:
    predicted = {
        label
        for label, probability in zip(reader.labels, verdict.probabilities, strict=True)
        if probability >= verdict.label_threshold
    }
    # The probability of this set, as far as labels stand for themselves.
    likely = verdict.probabilities
    confidence = float(np.where(likely >= verdict.label_threshold, likely, 1 - likely).prod())
    accepted = verdict.inlier >= reader.threshold
    return (
        True,
        predicted == set(row.labels),
        accepted,
        confidence,
        verdict.inlier,
        *_sets(row, predicted, columns),
        _NO_SPANS,
    )


def _joined(
    reader: Reader, task: Task, row: SuiteRow, columns: Sequence[str], verdicts: Sequence[Verdict]
) -> _Outcome:
    best = [best_label(reader, verdict, task.out_of_scope) for verdict in verdicts]
    predicted = {label for label, _ in best}
    confidence = math.prod(probability for _, probability in best)
    inlier = min(verdict.inlier for verdict in verdicts)
    accepted = all(_accepts(reader, task, verdict) for verdict in verdicts)
    return (
        True,
        predicted == set(row.labels),
        accepted,
        confidence,
        inlier,
        *_sets(row, predicted, columns),
        _NO_SPANS,
    )


def _sets(row: SuiteRow, predicted: set[str], columns: Sequence[str]) -> tuple[list[bool], list[bool]]:
    return [label in row.labels for label in columns], [label in predicted for label in columns]


def typo_text(text: str, dice: random.Random) -> str:
    """`text` with one edit (insert, delete, substitute or swap) in every word of over four letters."""
    return _WORD.sub(lambda match: _typo(match.group(), dice), text)


def typo_of(text: str) -> str:
    """`typo_text` with dice of the text's own: the same errors in every run, whatever else is read."""
    return typo_text(text, random.Random(f"typo:{text}"))  # noqa: S311 - a seeded sample, not a secret


def _typo(word: str, dice: random.Random) -> str:
    # Only neighbours that differ: every edit is to change the word.
    swaps = [at for at in range(len(word) - 1) if word[at] != word[at + 1]]
    edit = dice.choice(["insert", "delete", "substitute", *(["swap"] if swaps else [])])
    if edit == "swap":
        at = dice.choice(swaps)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    at = dice.randrange(len(word))
    if edit == "delete":
        return word[:at] + word[at + 1 :]
    letter = dice.choice([letter for letter in string.ascii_lowercase if letter != word[at].lower()])
    return word[:at] + letter + word[at + (edit == "substitute") :]
