"""The trainer behind `slmfleet evaluate --suite`: the router's recipe on others' rows (extra `train`)."""

from __future__ import annotations

import itertools
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.benchmarks.dedup import without_twins
from slmfleet.models.benchmarks.multilabel import ManyReader, fit_label_threshold, log_odds
from slmfleet.models.benchmarks.ood_scores import OodScores
from slmfleet.models.benchmarks.rows import SUITES_DIR, read_rows
from slmfleet.models.benchmarks.task import Reader, SuiteRow, Task, Trainer, Verdict
from slmfleet.models.benchmarks.tasks import NLUPP_TRAIN_FOLDS
from slmfleet.models.benchmarks.threshold import fit_threshold
from slmfleet.models.inference.bundle import size_bytes
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.mixture import Mixture, Signals
from slmfleet.models.inference.numerics import softmax
from slmfleet.models.inference.tagging import Tagger
from slmfleet.models.progress import Progress
from slmfleet.models.text.normalise import fingerprint
from slmfleet.models.text.slots import BOUNDARY
from slmfleet.models.training.data import Row
from slmfleet.models.training.distill import distilled_base
from slmfleet.models.training.learn import Base, TrainingTask, signals_of, train_classifier
from slmfleet.models.training.loop import Recipe, passes
from slmfleet.models.training.mixture_fit import NOWHERE, fit_mixture
from slmfleet.models.training.recipes import ROUTER, ROUTER_BASE

#: Fewer rows than these are calibrated on a second model, which is then trained again on all of them.
_FEW_ROWS = 1_500
#: So many such models where scope is tested, each without a quarter of the labels, another one every time:
#: which labels are left out decides more than all else what a threshold comes to.
_FOLDS = 4
#: Of more rows one in so many is held out, of the same model.
_EVERY_TENTH = 10
_HELD_OUT_MULTI = 0.25
#: How much more often rows of many labels are read: each label is learned apart from the others, of few rows,
#: and nothing draws those together.
_MANY_TIMES = 4
#: Utterances of no retailer's domain that a task is taught to refuse which tests that and has none.
_GENERIC_ROWS = 600
#: Labels of CLINC150 that a retailer might be asked.
_RETAIL = frozenset({"order", "order_status"})
#: Texts of each source that the base is distilled on.
_BASE_TEXTS = 4_000
_LEARNED = ("train", *NLUPP_TRAIN_FOLDS)
OUT = "out_of_scope"
#: A label that no lesson has.
NOWHERE_LABEL = ""
#: What a model made of rows that it was not trained on, and which label each has (learn.signals_of).
Heard = tuple[Sequence[Signals], NDArray[np.int64]]


@dataclass(frozen=True)
class TrainedReader:
    """A classifier under test. The labels in scope come first."""

    labels: Sequence[str]
    threshold: float
    bytes: int
    parameters: int
    classifier: Classifier
    in_scope: int
    slot_labels: list[str]
    ood_baselines: OodScores | None = None
    exact: TrainedReader | None = None

    @cached_property
    def _tagger(self) -> Tagger:
        return Tagger(self.slot_labels, self.classifier.tagging)

    def read(self, text: str) -> Verdict:
        """Probabilities, the trust in the best label in scope, and slots."""
        scores = self.classifier.score(text)
        best = int(np.argmax(scores.probabilities[: self.in_scope]))
        inlier = self.classifier.mixture.confidence(scores.signals, scores.probabilities, best)
        slots = tuple(self._tagger.slots(text, scores.encoding, scores.best))
        ood_baselines = partial(self.ood_baselines.of, scores.encoding) if self.ood_baselines else tuple
        return Verdict(scores.probabilities, inlier, slots, ood_baselines)

    def read_joined(self, text: str) -> tuple[Verdict, ...]:
        """One verdict a request; requests begin where the slot head says."""
        encoding = self.classifier.signals(text)[1]
        starts = [0, *boundaries(encoding.slot, encoding.offsets, self.slot_labels), len(text)]
        clauses = [text[start:end] for start, end in itertools.pairwise(starts)]
        return tuple(self.read(_CONNECTOR.sub("", clause).strip() or clause) for clause in clauses)


_CONNECTOR = re.compile(r"[\s,.;?!]*\b(?:and|also|then|plus|but|oh|as well as|could you)?[\s,.;?!]*$", re.I)


def boundaries(
    slot: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    offsets: Sequence[tuple[int, int]],
    labels: Sequence[str],
) -> list[int]:
    """Offsets at which a further request begins: pieces whose likeliest tag is BOUNDARY, but the first."""
    if BOUNDARY not in labels:
        return []
    best = softmax(slot).argmax(1)
    return [
        start
        for (start, end), tag in zip(offsets, best, strict=True)
        if 0 < start < end and labels[int(tag)] == BOUNDARY
    ]


class SuiteTrainer:
    """Trains by the router's recipe, from one student distilled on the training texts of all suites."""

    def __init__(self, cache: Path, recipe: Recipe = ROUTER, base: Base | None = None) -> None:
        """The student is kept in `cache`, unless `base` is given."""
        self._cache = cache
        self._recipe = recipe
        self._base = base

    def __call__(self, task: Task, seed: int, progress: Progress) -> Reader:
        """A reader of `task`."""
        if self._base is None:
            self._base = distilled_base(suite_texts(), self._cache, progress, ROUTER_BASE)
        if task.kind == "multi":
            return self._train_many(task, seed, self._base, progress)
        outside = task.out_of_scope or OUT
        rows = [_row(row) for row in task.train]
        if task.tests_scope:
            rows += [replace(row, domain=outside) for row in _generic(task, seed)]
        scoped = [row for row in rows if row.domain == outside]
        lesson = TrainingTask(rows, [*task.labels, *([outside] if scoped else [])], lambda row: row.domain)
        recipe = replace(self._recipe, seed=seed)
        held = [_row(row) for row in task.validation]
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder)
            if held:
                learned = train_classifier(lesson, recipe, self._base, where, progress)
                heard = [signals_of(learned.classifier, lesson, held)]
            else:
                few = len(task.train) < _FEW_ROWS
                heard = []
                for fold in range(_FOLDS if few and task.tests_scope else 1):
                    tried, held = _leave_out(task, lesson, few, seed, fold)
                    learned = train_classifier(tried, recipe, self._base, where, progress)
                    heard.append(signals_of(learned.classifier, tried, held))
                if few:
                    learned = train_classifier(lesson, recipe, self._base, where, progress)
            mixture, threshold = _calibrate(heard, len(task.labels))
            ood_baselines = _rivals(learned.classifier, lesson, task) if task.tests_scope else None
            reader = TrainedReader(
                lesson.labels, threshold, size_bytes(where), learned.parameters,
                Classifier.load(where, mixture), len(task.labels), learned.slot_labels, ood_baselines,
            )  # fmt: skip
            exact = replace(reader, classifier=learned.exact(where, mixture), ood_baselines=None)
            return replace(reader, exact=exact)

    def _train_many(self, task: Task, seed: int, base: Base, progress: Progress) -> ManyReader:
        """Any number of labels a row: no contrast, and no joined rows, which would be rows of more labels."""
        epochs = _MANY_TIMES * (self._recipe.epochs or passes(len(task.train)))
        recipe = replace(self._recipe, seed=seed, epochs=epochs, contrast=0.0, join_share=0.0)
        rows = [Row(row.text, "", None, None, row.spans, "suite") for row in task.train]
        labels_of = {id(row): source.labels for row, source in zip(rows, task.train, strict=True)}
        lesson = TrainingTask(rows, task.labels, lambda row: None, labels_of=lambda row: labels_of[id(row)])
        held = random.Random(seed).sample(rows, round(_HELD_OUT_MULTI * len(rows)))  # noqa: S311 - no secret
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder)
            tried = train_classifier(lesson.without(held), recipe, base, where, progress)
            odds = np.stack([log_odds(tried.classifier, row.text) for row in held])
            truth = np.array([[label in labels_of[id(row)] for label in task.labels] for row in held])
            learned = train_classifier(lesson, recipe, base, where, progress)
            reader = ManyReader(
                task.labels, size_bytes(where), learned.parameters, learned.classifier,
                fit_label_threshold(odds, truth),
            )  # fmt: skip
            return replace(reader, exact=replace(reader, classifier=learned.exact(where, Mixture())))


def suite_trainer(cache: Path) -> Trainer:
    """The trainer whose readers the suites measure; the student it starts from is kept in `cache`."""
    return SuiteTrainer(cache)


def suite_texts() -> list[str]:
    """What the suites' base is distilled on: training texts of every source, without their labels."""
    dice = random.Random(ROUTER_BASE.seed)  # noqa: S311 - a seeded sample, not a secret
    texts: dict[str, None] = {}
    sources = [read_rows(path.parent) for path in sorted(SUITES_DIR.glob("*/rows.jsonl.gz"))]
    tested = {fingerprint(row.row.text) for rows in sources for row in rows if row.split not in _LEARNED}
    for rows in sources:
        learned = {row.row.text for row in rows if row.split in _LEARNED}
        mine = sorted(text for text in learned if fingerprint(text) not in tested)
        texts |= dict.fromkeys(dice.sample(mine, min(_BASE_TEXTS, len(mine))))
    return list(texts)


def _row(row: SuiteRow) -> Row:
    return Row(row.text, row.labels[0], row.labels[0], None, row.spans, "suite")


def _generic(task: Task, seed: int) -> list[Row]:
    """Utterances that no shop answers, from CLINC150's training split; none for a task that has its own."""
    if any(row.labels == (task.out_of_scope,) for row in task.train):
        return []
    dice = random.Random(seed)  # noqa: S311 - a seeded sample, not a secret
    rows = [row for row in read_rows(SUITES_DIR / "clinc150") if row.split == "train"]
    refused = [row.row for row in rows if row.row.labels == (OUT,)]
    others = [row.row for row in rows if row.row.labels != (OUT,) and row.row.labels[0] not in _RETAIL]
    chosen = [*refused, *dice.sample(others, _GENERIC_ROWS - len(refused))]
    return [_row(row) for row in without_twins(chosen, task.test)]


def _rivals(classifier: Classifier, lesson: TrainingTask, task: Task) -> OodScores:
    rows = [row for row in lesson.rows if row.domain in task.labels]
    vectors = np.stack([classifier.encoder.encode(row.text).embedding for row in rows])
    owners = np.array([task.labels.index(row.domain) for row in rows])
    return OodScores(vectors, owners, len(task.labels))


def _leave_out(
    task: Task, lesson: TrainingTask, few: bool, seed: int, fold: int = 0
) -> tuple[TrainingTask, list[Row]]:
    """The lesson without the rows to calibrate on, and those rows; other folds leave out others.

    Where scope is tested, every fourth label is left out whole: to the model their rows are out of scope and
    yet near to what it knows, like what a shop's customers ask that it has no label for.
    """
    dice = random.Random(seed)  # noqa: S311 - a seeded sample, not a secret
    labels = dice.sample(task.labels, len(task.labels))
    missing = set(labels[fold::_FOLDS]) if task.tests_scope else set()
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in lesson.rows:
        by_label[row.domain].append(row)
    left_out = []
    one_of = _FOLDS if few else _EVERY_TENTH
    for label, rows in by_label.items():
        shuffled = dice.sample(rows, len(rows))
        left_out += shuffled if label in missing else shuffled[one_of - 1 - fold :: one_of]
    held = [replace(row, domain=NOWHERE_LABEL) if row.domain in missing else row for row in left_out]
    return lesson.without(left_out), held


def _calibrate(heard: Sequence[Heard], in_scope: int) -> tuple[Mixture, float]:
    """The mixture fitted on what was made of held-out rows, and the trust from which on a label is right.

    Without rows out of scope everything is. Where labels were left out, their rows stand for what is out of
    scope: those that the lesson has a label for are too easy.
    """
    signals = [signal for part, _ in heard for signal in part]
    wanted = np.concatenate([part for _, part in heard])
    mixture = fit_mixture(signals, wanted, in_scope, len(heard))
    inside = (wanted >= 0) & (wanted < in_scope)
    if inside.all():
        return mixture, 0.0
    found = [mixture.best(signal, in_scope) for signal in signals]
    right = inside & (np.array([label for label, _ in found]) == wanted)
    near = wanted == NOWHERE
    outside = near if near.any() else ~inside
    return mixture, fit_threshold(np.array([trust for _, trust in found]), right, outside)
