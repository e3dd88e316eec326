from __future__ import annotations

import random

import pytest

pytest.importorskip("torch")

from slmfleet.models.training.examples import UNKNOWN, Example
from slmfleet.models.training.loop import batches

pytestmark = pytest.mark.train


def examples() -> list[Example]:
    dice = random.Random(2)
    return [
        Example([7] * dice.randint(3, 30), UNKNOWN, [], passage)
        for passage in [*range(60)] * 6 + [UNKNOWN] * 99
    ]


@pytest.mark.parametrize("paired", [False, True])
def test_every_row_is_in_one_batch_among_rows_of_like_length(paired: bool) -> None:
    rows = examples()
    made = batches(rows, 32, random.Random(1), paired)
    assert sorted(id(row) for batch in made for row in batch) == sorted(map(id, rows))
    assert max(map(len, made)) == 32
    padding = sum(max(len(row.ids) for row in batch) * len(batch) for batch in made)
    assert padding < 1.5 * sum(len(row.ids) for row in rows)


def test_rows_that_one_passage_answers_meet_in_pairs_only_where_asked_to() -> None:
    def alone(paired: bool) -> int:
        return sum(
            row.passage != UNKNOWN and sum(other.passage == row.passage for other in batch) == 1
            for batch in batches(examples(), 32, random.Random(1), paired)
            for row in batch
        )

    assert alone(True) < 0.05 * 360 < 0.3 * 360 < alone(False)
