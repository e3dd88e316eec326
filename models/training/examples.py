"""From rows to tokenised examples: intents, slot tags and passages as indices."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tokenizers import Tokenizer

from slmfleet.models.inference.encoder import read_tokens
from slmfleet.models.text.slots import BOUNDARY, GRAMMAR_NAMES
from slmfleet.models.training.augment import colloquial, terse, with_typo
from slmfleet.models.training.data import Row, Span
from slmfleet.models.training.recipe import Recipe
from slmfleet.models.training.task import TrainingTask

#: Index that losses ignore: an unknown intent or passage, an unmarked token.
UNKNOWN = -100
#: Between two requests that are joined for training.
_CONNECTORS = (
    " and ", ", and ", " and also ", ", also ", ". ", "? ", "; ", ", then ", " and then ", " plus ",
    ". Also, ", " and could you also ", " but also ", ". And ", " oh and ", " as well as ",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    """A tokenised row: token ids, and indices of intent, tags (one a token) and passage, or UNKNOWN.

    `intents` are all of a row's, where it may have any number; `intent` is UNKNOWN then.
    """

    ids: Sequence[int]
    intent: int
    tags: Sequence[int]
    passage: int
    intents: Sequence[int] | None = None


def slot_labels_of(rows: Sequence[Row], splits: bool = False) -> list[str]:
    """O, then B- and I- of every slot name in `rows` that no grammar finds; BOUNDARY where requests split."""
    names = sorted({span.name for row in rows for span in row.spans or ()} - GRAMMAR_NAMES)
    return ["O", *([BOUNDARY] if splits else []), *(f"{mark}-{name}" for name in names for mark in "BI")]


def joined(first: Row, second: Row, connector: str) -> tuple[Row, int]:
    """Both rows as one text that has no single intent, and the offset at which the second one begins."""
    start = len(first.text) + len(connector)
    moved = [replace(span, start=span.start + start, end=span.end + start) for span in second.spans or ()]
    marked = first.spans is not None and second.spans is not None
    text = f"{first.text}{connector}{second.text}"
    spans = (*(first.spans or ()), *moved) if marked else None
    return replace(first, text=text, spans=spans, intent=None, passage=None), start


def tags_of(
    spans: Sequence[Span], offsets: Sequence[tuple[int, int]], slot_labels: Sequence[str], boundary: int = -1
) -> list[int]:
    """BIO tag indices (tokens,) for tokens at `offsets`; UNKNOWN for start and end marks.

    A second request begins at offset `boundary`; -1: there is none.
    """
    tags = []
    for start, end in offsets:
        if start == end:
            tags.append(UNKNOWN)
            continue
        tag = 0
        for span in spans:
            if span.start <= start < span.end and f"B-{span.name}" in slot_labels:
                tag = slot_labels.index(f"{'B' if start == span.start else 'I'}-{span.name}")
        if start == boundary:
            tag = slot_labels.index(BOUNDARY)
        tags.append(tag)
    return tags


def example_maker(
    task: TrainingTask, tokenizer: Tokenizer, slot_labels: Sequence[str], recipe: Recipe
) -> Callable[[int], list[Example]]:
    """A function from epoch to examples: the rows as they are in epoch 0, then a share of them augmented.

    With BOUNDARY among the slot labels, a share of the rows is joined with another one as well.
    """
    places = task.label_places
    splits = BOUNDARY in slot_labels
    learns_slots = len(slot_labels) > 1 + splits

    def make(row: Row, text: str, boundary: int = -1) -> Example:
        ids, offsets = read_tokens(tokenizer, text)
        # Where only boundaries are learned, every row is marked: it has none, or the one it was joined at.
        marked = row.spans is not None if learns_slots else splits
        return Example(
            ids,
            UNKNOWN if boundary >= 0 else places.get(task.label_of(row) or "", UNKNOWN),
            tags_of(row.spans or (), offsets, slot_labels, boundary) if marked else [UNKNOWN] * len(ids),
            task.passage_places.get(row.passage or "", UNKNOWN),
            [places[name] for name in task.labels_of(row) if name in places] if task.labels_of else None,
        )

    def join(first: Row, dice: random.Random) -> Example | None:
        second = dice.choice(task.rows)
        labels = task.label_of(first), task.label_of(second)
        if labels[0] == labels[1] or not labels[0] or not labels[1]:
            return None
        both, start = joined(first, second, dice.choice(_CONNECTORS))
        return make(both, both.text, start)

    def examples_of(epoch: int) -> list[Example]:
        dice = random.Random(recipe.seed * 1_000 + epoch)  # noqa: S311 - augmentation, not a secret
        examples = [make(row, _augmented(row, recipe, dice) if epoch > 0 else row.text) for row in task.rows]
        if splits:
            pairs = [join(row, dice) for row in task.rows if dice.random() < recipe.join_share]
            examples += [pair for pair in pairs if pair is not None]
        return examples

    return examples_of


def _augmented(row: Row, recipe: Recipe, dice: random.Random) -> str:
    """The row's text, by chance with fewer words, chat style or a typo; unchanged where slots are marked."""
    text = row.text
    if row.spans:
        return text  # Other words would move the characters that a slot is marked by.
    if dice.random() < recipe.terse_share:
        text = terse(text, dice)
    if dice.random() < recipe.colloquial_share:
        text = colloquial(text, dice)
    if dice.random() < recipe.typo_share:
        text = with_typo(text, dice)
    return text
