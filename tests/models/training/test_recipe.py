from __future__ import annotations

from dataclasses import fields, replace

import pytest

from slmfleet.models.training.recipe import ROUTER, SPECIALIST, Recipe, epochs_for


@pytest.mark.parametrize(
    ("rows", "slot_labels", "epochs"),
    [(10, 1, 20), (800, 1, 20), (1_600, 1, 10), (16_000, 1, 5), (16_000, 2, 5), (16_000, 3, 10), (0, 1, 20)],
)
def test_few_rows_are_read_often_and_slots_longer(rows: int, slot_labels: int, epochs: int) -> None:
    assert epochs_for(rows, slot_labels) == epochs


def test_a_card_has_every_field_and_the_epochs_that_were_trained() -> None:
    card = ROUTER.for_card(1_600, 1)
    assert list(card) == [field.name for field in fields(Recipe)]
    assert card["epochs"] == 10
    assert card["layers"] == [0, 1, 2, 3, 5]
    assert replace(SPECIALIST, epochs=3).for_card(1_600, 9)["epochs"] == 3
