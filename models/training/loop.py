"""Fitting a network to examples: one loop for routers and specialists, seeded and deterministic."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from slmfleet.models.progress import Progress
from slmfleet.models.training.network import MultiHeadEncoder

#: Label of what a loss should not look at: an unknown intent, an unmarked token.
UNKNOWN = -100
_PASSAGE_TEMPERATURE = 0.05
_EXTRA_PASSAGES = 8
_CONTRAST_TEMPERATURE = 0.07


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what training yields, besides the rows."""

    layers: tuple[int, ...]
    vocabulary: int = 6_000
    epochs: int | None = None  # as many as passes() says
    batch: int = 32
    rate: float = 2e-4
    head_rate: float = 2e-3
    weight_decay: float = 0.01
    warm_up: float = 0.1
    # Of the rows without slots: written with a slip, in few words, as in a chat.
    typo_share: float = 0.15
    terse_share: float = 0.15
    colloquial_share: float = 0.15
    contrast: float = 1.0
    passage_contrast: float = 0.0
    join_share: float = 0.0
    held_out: float = 0.12
    seed: int = 7


#: Rows an encoder reads in all: few rows are read often, many seldom.
_READINGS = 16_000


def passes(rows: int, slot_labels: int = 1) -> int:
    """Epochs over `rows` rows: between 5 and 20, at least 10 where more than O and BOUNDARY is learned."""
    least = 10 if slot_labels > 2 else 5
    return min(20, max(least, round(_READINGS / max(1, rows))))


@dataclass(frozen=True, slots=True)
class Example:
    """A tokenised row; UNKNOWN where the row does not say. `tags` has one label a token.

    `intents` are all of a row's, where it may have any number; then `intent` says nothing.
    """

    ids: Sequence[int]
    intent: int
    tags: Sequence[int]
    passage: int
    intents: Sequence[int] | None = None


def seed_everything(seed: int) -> None:
    """Make the next fit repeatable: same rows and recipe, same weights."""
    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)


def padded(sequences: Sequence[Sequence[int]], fill: int) -> Tensor:
    """Sequences as one (rows, longest) tensor."""
    width = max(len(sequence) for sequence in sequences)
    return torch.tensor([[*sequence, *[fill] * (width - len(sequence))] for sequence in sequences])


def attention(ids: Sequence[Sequence[int]]) -> Tensor:
    """Ones where `padded(ids, 0)` has tokens."""
    return padded([[1] * len(sequence) for sequence in ids], 0)


def batches(
    examples: Sequence[Example], size: int, dice: random.Random, paired: bool = False
) -> list[list[Example]]:
    """Shuffled batches of rows of like length, so that little is computed on padding.

    `paired`: rows that one passage answers go in twos, as few would meet in a batch by chance.
    """
    order = _pairs(examples, dice) if paired else [[example] for example in examples]
    dice.shuffle(order)
    window = size * 16
    made = []
    for start in range(0, len(order), window):
        chunk = sorted(order[start : start + window], key=lambda rows: max(len(row.ids) for row in rows))
        rows = list(itertools.chain.from_iterable(chunk))
        made += [rows[index : index + size] for index in range(0, len(rows), size)]
    dice.shuffle(made)
    return made


def _pairs(examples: Sequence[Example], dice: random.Random) -> list[list[Example]]:
    answered: dict[int, list[Example]] = defaultdict(list)
    for example in examples:
        answered[example.passage].append(example)
    made = [[example] for example in answered.pop(UNKNOWN, [])]
    for alike in answered.values():
        dice.shuffle(alike)
        made += [alike[index : index + 2] for index in range(0, len(alike), 2)]
    return made


def _contrast_loss(embedding: Tensor, wanted: Tensor) -> Tensor:
    """Supervised contrastive (Khosla 2020): utterances of a label (or passage) draw near, others apart."""
    alike = wanted[:, None] == wanted[None, :]
    itself = torch.eye(len(wanted), dtype=torch.bool)
    near = (embedding @ embedding.T / _CONTRAST_TEMPERATURE).masked_fill(itself, -1e4)
    alike &= ~itself
    share = near - torch.logsumexp(near, 1, keepdim=True)
    partners = alike.sum(1)
    rows = partners > 0
    if not bool(rows.any()):
        return embedding.new_zeros(())
    loss: Tensor = -((share * alike).sum(1)[rows] / partners[rows]).mean()
    return loss


def has_fast_halves() -> bool:
    """Whether this processor multiplies in bfloat16 faster than in float32."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def _passage_loss(
    network: MultiHeadEncoder,
    batch: Sequence[Example],
    embedding: Tensor,
    passages: Sequence[Sequence[int]],
    dice: random.Random,
) -> Tensor:
    """Contrastive: a query is nearer to the passage that answers it than to the others of its domain."""
    rows = [index for index, example in enumerate(batch) if example.passage != UNKNOWN]
    if not rows:
        return embedding.new_zeros(())
    wanted = {batch[index].passage for index in rows}
    others = [index for index in range(len(passages)) if index not in wanted]
    shown = sorted(wanted) + dice.sample(others, min(_EXTRA_PASSAGES, len(others)))
    ids = [passages[index] for index in shown]
    vectors = network(padded(ids, 0), attention(ids))[2]
    target = torch.tensor([shown.index(batch[index].passage) for index in rows])
    scores: Tensor = functional.cross_entropy(
        embedding[rows] @ vectors.float().T / _PASSAGE_TEMPERATURE, target
    )
    return scores


def fit(
    network: MultiHeadEncoder,
    epochs: Callable[[int], Sequence[Example]],
    passages: Sequence[Sequence[int]],
    recipe: Recipe,
    progress: Progress,
) -> None:
    """Train in place. `epochs(n)` gives the examples of epoch n, so that each may be augmented anew."""
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
    first = epochs(0)
    passes_ = recipe.epochs or passes(len(first), network.slot.out_features)
    steps = passes_ * -(-len(first) // recipe.batch)
    warm = max(1, int(steps * recipe.warm_up))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm, max(0.02, (steps - step) / max(1, steps - warm)))
    )
    network.train()
    done = 0
    for epoch in range(passes_):
        for batch in batches(epochs(epoch), recipe.batch, dice, recipe.passage_contrast > 0):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_fast_halves()):
                loss = _loss(network, batch, passages, recipe, dice)
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


def _loss(
    network: MultiHeadEncoder,
    batch: Sequence[Example],
    passages: Sequence[Sequence[int]],
    recipe: Recipe,
    dice: random.Random,
) -> Tensor:
    """What the heads are wrong about, on one batch."""
    ids = [example.ids for example in batch]
    intent, slot, embedding = network(padded(ids, 0), attention(ids))
    loss: Tensor = embedding.new_zeros((), dtype=torch.float32)
    wanted = torch.tensor([example.intent for example in batch])
    known = wanted != UNKNOWN
    if bool(known.any()):
        loss = loss + functional.cross_entropy(intent.float(), wanted, ignore_index=UNKNOWN)
        if recipe.contrast:
            loss = loss + recipe.contrast * _contrast_loss(embedding[known].float(), wanted[known])
    if batch[0].intents is not None:
        truth = torch.zeros(len(batch), intent.shape[1])
        for row, example in enumerate(batch):
            truth[row, list(example.intents or ())] = 1.0
        # Summed over labels: a mean would shrink with every label that is not meant.
        each = functional.binary_cross_entropy_with_logits(intent.float(), truth, reduction="none")
        loss = loss + each.sum(1).mean()
    tags = padded([example.tags for example in batch], UNKNOWN)
    if bool((tags != UNKNOWN).any()):
        loss = loss + 0.5 * functional.cross_entropy(
            slot.float().flatten(0, 1), tags.flatten(), ignore_index=UNKNOWN
        )
    if passages:
        loss = loss + 0.5 * _passage_loss(network, batch, embedding.float(), passages, dice)
        if recipe.passage_contrast:
            answers = torch.tensor([example.passage for example in batch])
            known = answers != UNKNOWN
            alike = _contrast_loss(embedding[known].float(), answers[known])
            loss = loss + recipe.passage_contrast * alike
    return loss
