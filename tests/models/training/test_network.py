from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from slmfleet.models.training.network import HIDDEN, attention, build, padded, parameters  # noqa: E402

pytestmark = pytest.mark.train


def test_it_is_cut_to_layers_vocabulary_and_positions() -> None:
    network = build(range(500), (0, 5), 3, 2, 64)
    assert len(network.bert.encoder.layer) == 2
    assert network.bert.embeddings.word_embeddings.weight.shape == (500, HIDDEN)
    assert network.bert.embeddings.position_embeddings.weight.shape == (64, HIDDEN)
    assert parameters(network) == sum(one.numel() for one in network.parameters())


def test_the_heads_have_their_shapes_and_padding_changes_nothing() -> None:
    network = build(range(2_000), (0,), 3, 2, 64).eval()
    ids = [[101, 1_000, 1_001, 102], [101, 102]]
    with torch.inference_mode():
        intent, slot, embedding = network(padded(ids, 0), attention(ids))
        alone = network(padded(ids[1:], 0), attention(ids[1:]))
    assert (intent.shape, slot.shape, embedding.shape) == ((2, 3), (2, 4, 2), (2, HIDDEN))
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2))
    assert torch.allclose(intent[1], alone[0][0], atol=1e-5)


def test_sequences_are_padded_to_the_longest() -> None:
    assert padded([[1, 2, 3], [4]], 9).tolist() == [[1, 2, 3], [4, 9, 9]]
    assert attention([[1, 2, 3], [4]]).tolist() == [[1, 1, 1], [1, 0, 0]]
