"""What a batch of examples costs: the sum of the heads' losses."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from slmfleet.models.training.examples import UNKNOWN, Example
from slmfleet.models.training.network import MultiHeadEncoder, attention, padded
from slmfleet.models.training.recipe import Recipe

_PASSAGE_TEMPERATURE = 0.05
_CONTRAST_TEMPERATURE = 0.07
#: Passages that a batch is contrasted with beside those that answer it.
_EXTRA_PASSAGES = 8
_SLOT_WEIGHT = 0.5
_PASSAGE_WEIGHT = 0.5


def loss_of(
    network: MultiHeadEncoder,
    batch: Sequence[Example],
    passages: Sequence[Sequence[int]],
    recipe: Recipe,
    dice: random.Random,
) -> Tensor:
    """The loss of one batch; it requires no gradient where no example has anything to learn from.

    `passages` are the token ids of the passages that may answer.
    """
    ids = [example.ids for example in batch]
    intent, slot, embedding = network(padded(ids, 0), attention(ids))
    loss: Tensor = embedding.new_zeros((), dtype=torch.float32)
    wanted = torch.tensor([example.intent for example in batch])
    known = wanted != UNKNOWN
    if bool(known.any()):
        loss = loss + functional.cross_entropy(intent.float(), wanted, ignore_index=UNKNOWN)
        if recipe.contrast:
            loss = loss + recipe.contrast * contrast_loss(embedding[known].float(), wanted[known])
    if batch[0].intents is not None:
        loss = loss + _labels_loss(intent.float(), batch)
    tags = padded([example.tags for example in batch], UNKNOWN)
    if bool((tags != UNKNOWN).any()):
        loss = loss + _SLOT_WEIGHT * functional.cross_entropy(
            slot.float().flatten(0, 1), tags.flatten(), ignore_index=UNKNOWN
        )
    if passages:
        loss = loss + _PASSAGE_WEIGHT * passage_loss(network, batch, embedding.float(), passages, dice)
        if recipe.passage_contrast:
            answers = torch.tensor([example.passage for example in batch])
            known = answers != UNKNOWN
            alike = contrast_loss(embedding[known].float(), answers[known])
            loss = loss + recipe.passage_contrast * alike
    return loss


def _labels_loss(intent: Tensor, batch: Sequence[Example]) -> Tensor:
    """Of rows with any number of labels: each label's own cross-entropy from its logit (rows, labels)."""
    truth = torch.zeros(len(batch), intent.shape[1])
    for row, example in enumerate(batch):
        truth[row, list(example.intents or ())] = 1.0
    # Summed over labels: a mean would shrink with every label that a row does not have.
    each = functional.binary_cross_entropy_with_logits(intent, truth, reduction="none")
    return each.sum(1).mean()


def contrast_loss(embedding: Tensor, wanted: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla 2020): embeddings of one label (or passage) near, others apart.

    `embedding` (rows, 384), `wanted` (rows,) label indices.
    """
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


def passage_loss(
    network: MultiHeadEncoder,
    batch: Sequence[Example],
    embedding: Tensor,
    passages: Sequence[Sequence[int]],
    dice: random.Random,
) -> Tensor:
    """Contrastive: an utterance is nearer to the passage that answers it than to others of its domain."""
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
