"""The training loop of router and specialists: seeded, so that a training can be repeated to the byte."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch

from slmfleet.models.progress import Progress
from slmfleet.models.training.examples import UNKNOWN, Example
from slmfleet.models.training.losses import loss_of
from slmfleet.models.training.network import MultiHeadEncoder
from slmfleet.models.training.recipe import Recipe, epochs_for


def seed_everything(seed: int) -> None:
    """Make the next training repeatable: the same rows and recipe give the same weights."""
    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)


def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16 faster than in float32."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def batches(
    examples: Sequence[Example], size: int, dice: random.Random, paired: bool = False
) -> list[list[Example]]:
    """Shuffled batches of examples of similar length, so that little is computed on padding.

    `paired`: examples that one passage answers go in pairs, as few would meet in a batch by chance.
    """
    order = _pairs(examples, dice) if paired else [[example] for example in examples]
    dice.shuffle(order)
    window = size * 16
    found = []
    for start in range(0, len(order), window):
        chunk = sorted(order[start : start + window], key=lambda rows: max(len(row.ids) for row in rows))
        rows = list(itertools.chain.from_iterable(chunk))
        found += [rows[index : index + size] for index in range(0, len(rows), size)]
    dice.shuffle(found)
    return found


def _pairs(examples: Sequence[Example], dice: random.Random) -> list[list[Example]]:
    answered: dict[int, list[Example]] = defaultdict(list)
    for example in examples:
        answered[example.passage].append(example)
    pairs = [[example] for example in answered.pop(UNKNOWN, [])]
    for alike in answered.values():
        dice.shuffle(alike)
        pairs += [alike[index : index + 2] for index in range(0, len(alike), 2)]
    return pairs


def fit(
    network: MultiHeadEncoder,
    examples_of: Callable[[int], Sequence[Example]],
    passages: Sequence[Sequence[int]],
    recipe: Recipe,
    progress: Progress,
) -> None:
    """Train `network` in place. `examples_of(n)` are the examples of epoch n: each may be augmented anew."""
    dice = random.Random(recipe.seed)  # noqa: S311 - training order, not a secret
    heads = [*network.intent.parameters(), *network.slot.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": network.bert.parameters(), "lr": recipe.rate},
            {"params": heads, "lr": recipe.head_rate},
        ],
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    first = examples_of(0)
    epochs = recipe.epochs or epochs_for(len(first), network.slot.out_features)
    steps = epochs * -(-len(first) // recipe.batch)
    warm = max(1, int(steps * recipe.warm_up))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm, max(0.02, (steps - step) / max(1, steps - warm)))
    )
    network.train()
    done = 0
    for epoch in range(epochs):
        for batch in batches(examples_of(epoch), recipe.batch, dice, recipe.passage_contrast > 0):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_fast_bfloat16()):
                loss = loss_of(network, batch, passages, recipe, dice)
            if not loss.requires_grad:
                continue
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            progress(min(done, steps), steps)
    network.eval()
