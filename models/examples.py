"""From rows to tokenised examples: intents, slot tags and passages as indices."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from tokenizers import Tokenizer

from slmfleet.models.augment import with_typo
from slmfleet.models.data import Row, Span
from slmfleet.models.encoder import read_tokens
from slmfleet.models.fitting import UNKNOWN, Example
from slmfleet.models.slots import GRAMMAR_NAMES


def slot_labels(rows: Sequence[Row]) -> list[str]:
    """O, then B- and I- of every slot name in `rows` that no grammar finds."""
    names = sorted({span.name for row in rows for span in row.spans or ()} - GRAMMAR_NAMES)
    return ["O", *(f"{mark}-{name}" for name in names for mark in "BI")]


def tags(spans: Sequence[Span], offsets: Sequence[tuple[int, int]], labels: Sequence[str]) -> list[int]:
    """BIO tag indices for tokens at `offsets`; UNKNOWN for start and end marks."""
    found = []
    for start, end in offsets:
        if start == end:
            found.append(UNKNOWN)
            continue
        tag = 0
        for span in spans:
            if span.start <= start < span.end and f"B-{span.name}" in labels:
                tag = labels.index(f"{'B' if start == span.start else 'I'}-{span.name}")
        found.append(tag)
    return found


def example_maker(
    rows: Sequence[Row],
    tokenizer: Tokenizer,
    intents: Mapping[str, int],
    labels: Sequence[str],
    passages: Mapping[str, int],
    intent_of: Callable[[Row], str | None],
    typo_share: float,
    seed: int,
) -> Callable[[int], list[Example]]:
    """A function from epoch to examples: as they are in epoch 0, then a share of unmarked rows mistyped."""

    def make(row: Row, text: str) -> Example:
        ids, offsets = read_tokens(tokenizer, text)
        marked = row.spans is not None and len(labels) > 1
        return Example(
            ids,
            intents.get(intent_of(row) or "", UNKNOWN),
            tags(row.spans or (), offsets, labels) if marked else [UNKNOWN] * len(ids),
            passages.get(row.passage or "", UNKNOWN),
        )

    def of_epoch(epoch: int) -> list[Example]:
        dice = random.Random(seed * 1_000 + epoch)  # noqa: S311 - augmentation, not a secret
        made = []
        for row in rows:
            # A slip would move the characters that a slot is marked by.
            slip = epoch > 0 and not row.spans and dice.random() < typo_share
            made.append(make(row, with_typo(row.text, dice) if slip else row.text))
        return made

    return of_epoch
