"""The trainer behind `slmfleet evaluate --suite`: the router's recipe on others' rows (extra `train`)."""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from slmfleet.models.benchmarks.calibration import calibrate_labels, calibrate_scope
from slmfleet.models.benchmarks.ood_scores import OodScores
from slmfleet.models.benchmarks.readers import MultiLabelReader, SingleLabelReader, label_odds
from slmfleet.models.benchmarks.rows import SUITES_DIR, read_rows
from slmfleet.models.benchmarks.task import Reader, SuiteRow, Task
from slmfleet.models.benchmarks.tasks import NLUPP_TRAIN_FOLDS, without_twins
from slmfleet.models.inference.bundle import size_bytes
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.mixture import Mixture
from slmfleet.models.progress import Progress
from slmfleet.models.text.normalise import fingerprint
from slmfleet.models.training.calibration import CalibrationSignals, signals_of
from slmfleet.models.training.classifier_training import Base, TrainedClassifier, train_classifier
from slmfleet.models.training.data import Row
from slmfleet.models.training.distill import distilled_base
from slmfleet.models.training.recipe import ROUTER, ROUTER_BASE, Recipe, epochs_for
from slmfleet.models.training.task import TrainingTask

#: Fewer rows than these are calibrated on a second model, which is then trained again on all of them.
_FEW_ROWS = 1_500
#: Number of such models where scope is tested, each without another quarter of the labels: the threshold
#: depends most on which labels are left out.
_FOLDS = 4
#: With more rows, one in so many is held out of the one model.
_EVERY_TENTH = 10
_HELD_OUT_MULTI = 0.25
#: Factor on the epochs of tasks with many labels a row: each label is learned by itself from few rows,
#: without a contrastive loss.
_MULTI_EPOCHS = 4
#: Generic utterances to refuse, for a task that tests scope and has no training rows out of it.
_GENERIC_ROWS = 600
#: Labels of CLINC150 that a retailer might be asked.
_RETAIL = frozenset({"order", "order_status"})
#: Texts of each source that the base is distilled on.
_BASE_TEXTS = 4_000
_TRAINED_SPLITS = ("train", *NLUPP_TRAIN_FOLDS)
_CLINC_OUT_OF_SCOPE = "out_of_scope"
#: Stands in the rows of labels that are left out of training: no task has a label of that name.
_LEFT_OUT = ""


@dataclass(frozen=True)
class _Training:
    """One call of the trainer: everything but the rows that decides what it yields."""

    recipe: Recipe
    base: Base
    folder: Path
    progress: Progress

    def classifier(self, task: TrainingTask) -> TrainedClassifier:
        """The classifier trained on `task`; its files replace those of any before it in `folder`."""
        return train_classifier(task, self.recipe, self.base, self.folder, self.progress)


class SuiteTrainer:
    """Trains by the router's recipe, from one encoder distilled on the training texts of all suites."""

    def __init__(self, cache: Path, recipe: Recipe = ROUTER, base: Base | None = None) -> None:
        """The distilled encoder is cached in the folder `cache`, unless `base` is given."""
        self._cache = cache
        self._recipe = recipe
        self._base = base

    def __call__(self, task: Task, seed: int, progress: Progress) -> Reader:
        """A reader of `task`."""
        if self._base is None:
            self._base = distilled_base(suite_texts(), self._cache, progress, ROUTER_BASE)
        train = _train_multi_label if task.kind == "multi" else _train_single_label
        with tempfile.TemporaryDirectory() as folder:
            recipe = replace(self._recipe, seed=seed)
            return train(task, _Training(recipe, self._base, Path(folder), progress))


def _train_single_label(task: Task, training: _Training) -> Reader:
    to_learn = _single_label_task(task, training.recipe.seed)
    trained, signals = _trained_and_signals(task, to_learn, training)
    mixture, threshold = calibrate_scope(signals, len(task.labels))
    reader = SingleLabelReader(
        to_learn.labels, threshold, size_bytes(training.folder), trained.parameters,
        Classifier.load(training.folder, mixture), len(task.labels), trained.slot_labels,
        _ood_baselines(trained.classifier, to_learn, task) if task.tests_scope else None,
    )  # fmt: skip
    exact = trained.exact(training.folder, mixture)
    return replace(reader, exact=replace(reader, classifier=exact, ood_baselines=None))


def _single_label_task(task: Task, seed: int) -> TrainingTask:
    """The rows of `task`, with generic rows out of scope where it tests scope and has none of its own."""
    outside = task.out_of_scope or _CLINC_OUT_OF_SCOPE
    rows = [_row(row) for row in task.train]
    if task.tests_scope:
        rows += [replace(row, domain=outside) for row in _generic(task, seed)]
    has_outside = any(row.domain == outside for row in rows)
    return TrainingTask(rows, [*task.labels, *([outside] if has_outside else [])], lambda row: row.domain)


def _trained_and_signals(
    task: Task, to_learn: TrainingTask, training: _Training
) -> tuple[TrainedClassifier, list[CalibrationSignals]]:
    """The classifier of `to_learn`, and the signals of rows that it, or one like it, was not trained on.

    Those rows are the validation rows, where there are any. Else some of many rows are held out; with few
    rows, calibration uses models of its own, and the classifier is trained on all rows.
    """
    if task.validation:
        trained = training.classifier(to_learn)
        return trained, [signals_of(trained.classifier, to_learn, [_row(row) for row in task.validation])]
    few = len(task.train) < _FEW_ROWS
    signals = []
    for fold in range(_FOLDS if few and task.tests_scope else 1):
        part, held_out = _leave_out(task, to_learn, few, training.recipe.seed, fold)
        trained = training.classifier(part)
        signals.append(signals_of(trained.classifier, part, held_out))
    return (training.classifier(to_learn) if few else trained), signals


def _leave_out(
    task: Task, to_learn: TrainingTask, few: bool, seed: int, fold: int = 0
) -> tuple[TrainingTask, list[Row]]:
    """`to_learn` without the rows to calibrate on, and those rows; other folds leave out others.

    Where scope is tested, every fourth label is left out whole: to the model its rows are out of scope and
    yet close to what it knows, like customers' questions that a shop has no label for.
    """
    dice = random.Random(seed)  # noqa: S311 - a seeded sample, not a secret
    labels = dice.sample(task.labels, len(task.labels))
    missing = set(labels[fold::_FOLDS]) if task.tests_scope else set()
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in to_learn.rows:
        by_label[row.domain].append(row)
    left_out = []
    one_of = _FOLDS if few else _EVERY_TENTH
    for label, rows in by_label.items():
        shuffled = dice.sample(rows, len(rows))
        left_out += shuffled if label in missing else shuffled[one_of - 1 - fold :: one_of]
    held_out = [replace(row, domain=_LEFT_OUT) if row.domain in missing else row for row in left_out]
    return to_learn.without(left_out), held_out


def _ood_baselines(classifier: Classifier, to_learn: TrainingTask, task: Task) -> OodScores:
    rows = [row for row in to_learn.rows if row.domain in task.labels]
    vectors = np.stack([classifier.encoder.encode(row.text).embedding for row in rows])
    owners = np.array([task.labels.index(row.domain) for row in rows])
    return OodScores(vectors, owners, len(task.labels))


def _train_multi_label(task: Task, training: _Training) -> Reader:
    """Any number of labels a row: no contrast, and no joined rows, which would be rows of more labels."""
    recipe = training.recipe
    epochs = _MULTI_EPOCHS * (recipe.epochs or epochs_for(len(task.train)))
    training = replace(training, recipe=replace(recipe, epochs=epochs, contrast=0.0, join_share=0.0))
    rows = [Row(row.text, "", None, None, row.spans, "suite") for row in task.train]
    labels_of = {id(row): source.labels for row, source in zip(rows, task.train, strict=True)}
    to_learn = TrainingTask(rows, task.labels, lambda row: None, labels_of=lambda row: labels_of[id(row)])
    held_out = random.Random(recipe.seed).sample(rows, round(_HELD_OUT_MULTI * len(rows)))  # noqa: S311
    on_part = training.classifier(to_learn.without(held_out))
    odds = np.stack([label_odds(on_part.classifier, row.text) for row in held_out])
    truth = np.array([[label in labels_of[id(row)] for label in task.labels] for row in held_out])
    trained = training.classifier(to_learn)
    reader = MultiLabelReader(
        task.labels, size_bytes(training.folder), trained.parameters, trained.classifier,
        calibrate_labels(odds, truth),
    )  # fmt: skip
    return replace(reader, exact=replace(reader, classifier=trained.exact(training.folder, Mixture())))


def suite_texts() -> list[str]:
    """What the suites' base is distilled on: training texts of every source, without their labels."""
    dice = random.Random(ROUTER_BASE.seed)  # noqa: S311 - a seeded sample, not a secret
    texts: dict[str, None] = {}
    sources = [read_rows(path.parent) for path in sorted(SUITES_DIR.glob("*/rows.jsonl.gz"))]
    tested = {
        fingerprint(row.row.text) for rows in sources for row in rows if row.split not in _TRAINED_SPLITS
    }
    for rows in sources:
        trained_on = {row.row.text for row in rows if row.split in _TRAINED_SPLITS}
        mine = sorted(text for text in trained_on if fingerprint(text) not in tested)
        texts |= dict.fromkeys(dice.sample(mine, min(_BASE_TEXTS, len(mine))))
    return list(texts)


def _row(row: SuiteRow) -> Row:
    return Row(row.text, row.labels[0], row.labels[0], None, row.spans, "suite")


def _generic(task: Task, seed: int) -> list[Row]:
    """Utterances that no shop answers, from CLINC150's training split; none for a task that has its own."""
    if any(row.labels == (task.out_of_scope,) for row in task.train):
        return []
    dice = random.Random(seed)  # noqa: S311 - a seeded sample, not a secret
    rows = [row.row for row in read_rows(SUITES_DIR / "clinc150") if row.split == "train"]
    outside = (_CLINC_OUT_OF_SCOPE,)
    refused = [row for row in rows if row.labels == outside]
    others = [row for row in rows if row.labels != outside and row.labels[0] not in _RETAIL]
    chosen = [*refused, *dice.sample(others, _GENERIC_ROWS - len(refused))]
    return [_row(row) for row in without_twins(chosen, task.test)]
