"""From rows to tokenised examples: intents, slot tags and passages as indices."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tokenizers import Tokenizer

from slmfleet.models.inference.encoder import read_tokens
from slmfleet.models.text.slots import BOUNDARY, GRAMMAR_NAMES
from slmfleet.models.training.augment import colloquial, terse, with_typo
from slmfleet.models.training.data import Row, Span
from slmfleet.models.training.loop import UNKNOWN, Example, Recipe

#: Between two requests that are joined for training.
_CONNECTORS = (
    " and ", ", and ", " and also ", ", also ", ". ", "? ", "; ", ", then ", " and then ", " plus ",
    ". Also, ", " and could you also ", " but also ", ". And ", " oh and ", " as well as ",
)  # fmt: skip


def slot_labels(rows: Sequence[Row], splits: bool = False) -> list[str]:
    """O, then B- and I- of every slot name in `rows` that no grammar finds; BOUNDARY where requests split."""
    names = sorted({span.name for row in rows for span in row.spans or ()} - GRAMMAR_NAMES)
    return ["O", *([BOUNDARY] if splits else []), *(f"{mark}-{name}" for name in names for mark in "BI")]


def joined(first: Row, second: Row, connector: str) -> tuple[Row, int]:
    """Both rows as one text that has no single intent, and where the second one begins in it."""
    start = len(first.text) + len(connector)
    moved = [replace(span, start=span.start + start, end=span.end + start) for span in second.spans or ()]
    marked = first.spans is not None and second.spans is not None
    text = f"{first.text}{connector}{second.text}"
    spans = (*(first.spans or ()), *moved) if marked else None
    return replace(first, text=text, spans=spans, intent=None, passage=None), start


def tags(
    spans: Sequence[Span], offsets: Sequence[tuple[int, int]], labels: Sequence[str], boundary: int = -1
) -> list[int]:
    """BIO tag indices for tokens at `offsets`; UNKNOWN for start and end marks. A further
    request begins at offset `boundary`."""
    found = []
    for start, end in offsets:
        if start == end:
            found.append(UNKNOWN)
            continue
        tag = 0
        for span in spans:
            if span.start <= start < span.end and f"B-{span.name}" in labels:
                tag = labels.index(f"{'B' if start == span.start else 'I'}-{span.name}")
        if start == boundary:
            tag = labels.index(BOUNDARY)
        found.append(tag)
    return found


def example_maker(
    rows: Sequence[Row],
    tokenizer: Tokenizer,
    intents: Mapping[str, int],
    labels: Sequence[str],
    passages: Mapping[str, int],
    intent_of: Callable[[Row], str | None],
    recipe: Recipe,
    intents_of: Callable[[Row], Sequence[str]] | None = None,
) -> Callable[[int], list[Example]]:
    """A function from epoch to examples: as they are in epoch 0, then a share of them augmented.

    With BOUNDARY among the slot labels, a share of pairs of rows is joined as well. With `intents_of`, a row
    has any number of intents.
    """
    splits = BOUNDARY in labels
    learns_slots = len(labels) > 1 + splits

    def make(row: Row, text: str, boundary: int = -1) -> Example:
        ids, offsets = read_tokens(tokenizer, text)
        # Where only boundaries are learned, every row is marked: it has none, or the one it was joined at.
        marked = row.spans is not None if learns_slots else splits
        return Example(
            ids,
            UNKNOWN if boundary >= 0 else intents.get(intent_of(row) or "", UNKNOWN),
            tags(row.spans or (), offsets, labels, boundary) if marked else [UNKNOWN] * len(ids),
            passages.get(row.passage or "", UNKNOWN),
            [intents[name] for name in intents_of(row) if name in intents] if intents_of else None,
        )

    def augmented(row: Row, dice: random.Random) -> str:
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

    def join(first: Row, dice: random.Random) -> Example | None:
        second = dice.choice(rows)
        if intent_of(first) == intent_of(second) or not intent_of(first) or not intent_of(second):
            return None
        both, start = joined(first, second, dice.choice(_CONNECTORS))
        return make(both, both.text, start)

    def of_epoch(epoch: int) -> list[Example]:
        dice = random.Random(recipe.seed * 1_000 + epoch)  # noqa: S311 - augmentation, not a secret
        made = [make(row, augmented(row, dice) if epoch > 0 else row.text) for row in rows]
        if splits:
            pairs = [join(row, dice) for row in rows if dice.random() < recipe.join_share]
            made += [pair for pair in pairs if pair is not None]
        return made

    return of_epoch
