"""TrainingTask: what a classifier is to learn. Knows no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from slmfleet.models.training.data import Row


@dataclass(frozen=True)
class TrainingTask:
    """Rows, the labels in the order of the model's outputs, which label a row has, and the passages.

    `passages` are the texts that may answer, `passage_places` their ids -> index. Where a row may have any
    number of labels, `labels_of` returns them and `label_of` None.
    """

    rows: Sequence[Row]
    labels: Sequence[str]
    label_of: Callable[[Row], str | None]
    passages: Sequence[str] = ()
    passage_places: Mapping[str, int] = field(default_factory=dict)
    labels_of: Callable[[Row], Sequence[str]] | None = None

    @property
    def label_places(self) -> dict[str, int]:
        """Label -> index among the model's outputs."""
        return {label: index for index, label in enumerate(self.labels)}

    def without(self, rows: Sequence[Row]) -> TrainingTask:
        """The same task without some of its rows (by identity: equal rows stay)."""
        left_out = {id(row) for row in rows}
        return replace(self, rows=[row for row in self.rows if id(row) not in left_out])
