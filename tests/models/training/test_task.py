from __future__ import annotations

from slmfleet.models.training.data import Row
from slmfleet.models.training.task import TrainingTask

ROWS = [Row(text, "d", "a", None, None, "own") for text in ("one", "one", "two")]


def test_labels_have_the_places_of_the_models_outputs() -> None:
    assert TrainingTask(ROWS, ["b", "a"], lambda row: row.intent).label_places == {"b": 0, "a": 1}


def test_rows_are_left_out_themselves_and_not_their_equals() -> None:
    task = TrainingTask(ROWS, ["a"], lambda row: row.intent, ["passage"])
    fewer = task.without([ROWS[0]])
    assert [id(row) for row in fewer.rows] == [id(row) for row in ROWS[1:]]
    assert fewer.passages == ["passage"]
    assert len(task.rows) == 3
