"""Benchmark suites: what a task is, and the interface of the model under test.

A suite is a published data set cut into tasks. A `Trainer` makes a `Reader` from a task's training rows, and
the reader is measured on its test rows (models/benchmarks/metrics.py). Nothing here knows how a reader is
trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.contracts import Slot
from slmfleet.models.progress import Progress
from slmfleet.models.training.data import Span

#: `single`: one label a row. `multi`: any number of labels a row. `joined`: two requests in one text, each
#: with its label, read by `Reader.read_joined`.
Kind = Literal["single", "multi", "joined"]


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One utterance and its labels; `spans` is None where slots were not annotated."""

    text: str
    labels: tuple[str, ...]
    spans: tuple[Span, ...] | None = None


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """What another system reached, in percent, with its source and conditions.

    `kind` is `floor` for a simple baseline that was measured for this project, and not published.
    """

    system: str
    metric: str
    value: float
    source: str
    note: str = ""
    kind: Literal["published", "floor"] = "published"


@dataclass(frozen=True)
class Task:
    """Rows to learn from and rows to be measured on; no training row is a near-duplicate of a test row.

    `test` is the official test split, whole. `dropped` training rows were left out because a test row has the
    same fingerprint; `twins` is how many test rows that concerns. Tasks of one suite with the same `reader`
    have the same training rows and are measured on one trained reader.
    """

    suite: str
    name: str
    kind: Kind
    train: tuple[SuiteRow, ...]
    validation: tuple[SuiteRow, ...]
    test: tuple[SuiteRow, ...]
    out_of_scope: str | None
    reader: str
    dropped: int
    twins: int
    published: tuple[PublishedFigure, ...] = ()
    #: Metric -> the percentage to reach.
    goals: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels in scope that there are training rows of, in order of name."""
        found = {label for row in self.train for label in row.labels}
        return tuple(sorted(found - {self.out_of_scope or ""}))

    @cached_property
    def tests_scope(self) -> bool:
        """Whether some test rows are out of scope."""
        return any(row.labels == (self.out_of_scope,) for row in self.test)


@dataclass(frozen=True)
class Suite:
    """Tasks, and the licences of their sources (source -> licence)."""

    name: str
    title: str
    tasks: tuple[Task, ...]
    licences: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A reader's result for one text.

    `probabilities` (labels,) are calibrated and belong to `Reader.labels`, out of scope included where the
    reader has a label for it; in a `multi` task each label stands for itself and is reported from
    `label_threshold` on. `inlier` is the confidence that the text is in scope, in the unit of
    `Reader.threshold`; `ood_baselines` computes the baseline scores of ood_scores.OOD_SCORES, where the
    reader has them, and is not part of reading.
    """

    probabilities: NDArray[np.float64]
    inlier: float
    slots: tuple[Slot, ...]
    ood_baselines: Callable[[], Sequence[float]] = tuple
    label_threshold: float = 0.5


class Reader(Protocol):
    """A trained model under test. `bytes` is its size on disk, as served."""

    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def threshold(self) -> float: ...
    @property
    def bytes(self) -> int: ...
    @property
    def parameters(self) -> int: ...
    @property
    def exact(self) -> Reader | None:
        """The same model with weights that are not rounded, where that is to be compared."""
        ...

    def read(self, text: str) -> Verdict:
        """Read one text."""
        ...

    def read_joined(self, text: str) -> tuple[Verdict, ...]:
        """Read a text that may hold several requests: one verdict a request, in order, at least one."""
        ...


class Trainer(Protocol):
    """Trains a reader on `task.train`, with `task.validation` for thresholds; never looks at `task.test`."""

    def __call__(self, task: Task, seed: int, progress: Progress) -> Reader: ...
