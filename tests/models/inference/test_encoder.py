from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from slmfleet.models.errors import BundleFault
from slmfleet.models.inference.encoder import HEAD_TOKENS, MAX_TOKENS, Encoder
from slmfleet.services.settings import SHOP_DIR


def encoder(bundle: Path) -> Encoder:
    return Encoder(bundle / "model.int8.onnx", bundle / "tokenizer.json")


RETURNS = encoder(SHOP_DIR / "returns" / "bundle")


def test_a_text_has_logits_a_token_and_a_unit_embedding() -> None:
    encoding = RETURNS.encode("how long do I have")
    card = json.loads((SHOP_DIR / "returns" / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    assert encoding.intent.shape == (len(card["labels"]),)
    assert encoding.slot.shape == (len(encoding.offsets), len(card["slot_labels"]))
    assert encoding.embedding.shape == (384,)
    assert np.linalg.norm(encoding.embedding) == pytest.approx(1, abs=1e-3)
    assert encoding.offsets[0] == encoding.offsets[-1] == (0, 0)
    assert encoding.offsets[1] == (0, 3)


@pytest.mark.parametrize("text", ["x", "return " * 285, "ab" * 1_000, "🙂" * 500, "\n\t ?", "İ" * 50])
def test_any_text_is_within_the_token_limit(text: str) -> None:
    encoding = RETURNS.encode(text)
    assert len(encoding.offsets) <= MAX_TOKENS
    assert all(0 <= start <= end <= len(text) for start, end in encoding.offsets)


def test_of_a_long_text_the_beginning_and_the_end_are_read() -> None:
    text = " ".join(f"word{n}" for n in range(200))
    offsets = RETURNS.encode(text).offsets
    assert len(offsets) == MAX_TOKENS
    assert offsets[-2][1] == len(text)
    assert [start for start, _ in offsets[1:HEAD_TOKENS]] == sorted(
        start for start, _ in offsets[1:HEAD_TOKENS]
    )
    assert offsets[HEAD_TOKENS][0] - offsets[HEAD_TOKENS - 1][1] > 500


def test_words_are_whole_and_in_the_order_of_their_ids() -> None:
    words = RETURNS.words()
    assert "return" in words
    assert not any("#" in word or "[" in word for word in words)


def test_a_file_that_is_no_graph_is_a_fault(tmp_path: Path) -> None:
    shutil.copy(SHOP_DIR / "returns" / "bundle" / "tokenizer.json", tmp_path / "tokenizer.json")
    (tmp_path / "model.int8.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleFault, match="the model cannot be loaded"):
        encoder(tmp_path)


def test_a_tokenizer_is_shared_and_not_with_another(tmp_path: Path) -> None:
    mine, same = (encoder(SHOP_DIR / name / "bundle") for name in ("returns", "router"))
    assert mine._tokenizer is same._tokenizer
    layout = json.loads((SHOP_DIR / "returns" / "bundle" / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = layout["model"]["vocab"]
    pieces["shoes"], pieces["shirt"] = pieces["shirt"], pieces["shoes"]
    shutil.copytree(SHOP_DIR / "returns" / "bundle", tmp_path / "bundle")
    (tmp_path / "bundle" / "tokenizer.json").write_text(json.dumps(layout), encoding="utf-8")
    other = encoder(tmp_path / "bundle")
    assert other._tokenizer.read("shoes")[0].tolist() == mine._tokenizer.read("shirt")[0].tolist()
