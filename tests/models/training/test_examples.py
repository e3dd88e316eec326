from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tokenizers import Tokenizer  # noqa: E402

from slmfleet.models.text.slots import BOUNDARY  # noqa: E402
from slmfleet.models.training.data import Row, Span  # noqa: E402
from slmfleet.models.training.examples import UNKNOWN, Example, example_maker, slot_labels_of  # noqa: E402
from slmfleet.models.training.network import base_folder  # noqa: E402
from slmfleet.models.training.recipe import Recipe  # noqa: E402
from slmfleet.models.training.task import TrainingTask  # noqa: E402

PLAIN = Recipe(layers=(0,), typo_share=0, terse_share=0, colloquial_share=0)
ROWS = [
    Row("could you please fly me to paris", "d", "fly", None, (Span("city", 27, 32),), "own"),
    Row("please fly to new york", "d", "fly", None, (Span("city", 14, 22),), "own"),
    Row("Please cancel the order because you are late", "d", "cancel", None, (), "own"),
    Row("Please cancel my delivery and thanks", "d", "cancel", None, None, "own"),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(base_folder() / "tokenizer.json"))
    found.no_padding()
    return found


def texts_of(tokenizer: Tokenizer, recipe: Recipe) -> list[list[str]]:
    epochs = make(tokenizer, recipe)
    return [[tokenizer.decode(list(one.ids)) for one in epochs(epoch)] for epoch in range(12)]


def make(tokenizer: Tokenizer, recipe: Recipe) -> Callable[[int], list[Example]]:
    labels = slot_labels_of(ROWS, splits=recipe.join_share > 0)
    return example_maker(
        TrainingTask(ROWS, ["fly", "cancel"], lambda row: row.intent), tokenizer, labels, recipe
    )


def test_without_augmentation_every_epoch_is_the_rows(tokenizer: Tokenizer) -> None:
    for texts in texts_of(tokenizer, PLAIN):
        assert texts == [row.text.lower() for row in ROWS]


@pytest.mark.parametrize("share", ["typo_share", "terse_share", "colloquial_share"])
def test_each_share_changes_rows_without_slots_after_the_first_epoch(
    tokenizer: Tokenizer, share: str
) -> None:
    first, *others = texts_of(tokenizer, replace(PLAIN, **{share: 1.0}))
    assert first == [row.text.lower() for row in ROWS]
    changed = {row for texts in others for row, text in enumerate(texts) if text != first[row]}
    assert changed == {2, 3}


def test_joined_rows_have_no_intent_and_one_boundary(tokenizer: Tokenizer) -> None:
    recipe = replace(PLAIN, join_share=1.0)
    labels = slot_labels_of(ROWS, splits=True)
    pairs = [one for epoch in range(8) for one in make(tokenizer, recipe)(epoch)[len(ROWS) :]]
    assert pairs
    for pair in pairs:
        assert pair.intent == UNKNOWN
    marked = [pair for pair in pairs if any(tag != UNKNOWN for tag in pair.tags)]
    assert marked
    for pair in marked:
        assert list(pair.tags).count(labels.index(BOUNDARY)) == 1
