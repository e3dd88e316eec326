"""Writing a bundle's index of training utterances within a size budget. Training time only."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from slmfleet.models.inference.bundle import NEIGHBOURS_FILE
from slmfleet.models.inference.encoder import Encoding
from slmfleet.models.inference.neighbours import Neighbours
from slmfleet.models.training.data import Row

#: Maximum size of the index, in bytes.
SPECIALIST_BYTES: Final = 160_000
ROUTER_BYTES: Final = 100_000
#: Rows from templates resemble each other: of each label the router, which has every domain's, takes so many.
ROUTER_TEMPLATES_PER_LABEL: Final = 40
_SEED: Final = 7


class Embedder(Protocol):
    """The encoder as it was exported."""

    def encode(self, text: str) -> Encoding:
        """The embedding of `text`, among others."""
        ...


def write_neighbours(
    folder: Path,
    encoder: Embedder,
    rows: Sequence[Row],
    label_of: Callable[[Row], str | None],
    most_bytes: int,
    templates_per_label: int | None = None,
) -> int:
    """Write the index of those `rows` that have a label into `folder`, before its card is sealed.

    Of each label at most `templates_per_label` rows from templates are taken (None: all), and rows are left
    out until the file has at most `most_bytes`. Seeded: the same rows give the same file. Returns the number
    of rows in it.
    """
    labelled = _thinned([(row, label) for row in rows if (label := label_of(row))], templates_per_label)
    vectors = [encoder.encode(row.text).embedding for row, _ in labelled]
    order = list(range(len(labelled)))
    random.Random(_SEED).shuffle(order)  # noqa: S311 - a seeded sample, not a secret
    path, count = folder / NEIGHBOURS_FILE, len(labelled)
    while count:
        chosen = sorted(order[:count])
        Neighbours.build(
            [labelled[index][0].text for index in chosen],
            [labelled[index][1] for index in chosen],
            np.stack([vectors[index] for index in chosen]),
        ).save(path)
        size = path.stat().st_size
        if size <= most_bytes:
            return count
        # A part of the file is of one size for any number of rows: this may need another round.
        count = min(count - 1, count * most_bytes // size)
    path.unlink(missing_ok=True)  # an index of other rows must not outlive them
    return 0


def _thinned(labelled: Sequence[tuple[Row, str]], templates_per_label: int | None) -> list[tuple[Row, str]]:
    """`labelled`, in its order, with at most `templates_per_label` template rows of each label."""
    if templates_per_label is None:
        return list(labelled)
    templates = defaultdict(list)
    for index, (row, label) in enumerate(labelled):
        if row.template:
            templates[label].append(index)
    dice = random.Random(_SEED)  # noqa: S311 - a seeded sample, not a secret
    left_out: set[int] = set()
    for _, places in sorted(templates.items()):
        left_out |= set(places) - set(dice.sample(places, min(templates_per_label, len(places))))
    return [one for index, one in enumerate(labelled) if index not in left_out]
