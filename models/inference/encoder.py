"""The served encoder: a tokenizer and an int8 graph on ONNX Runtime. No torch, no transformers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from slmfleet.models.errors import BundleFault
from slmfleet.models.inference.onnx_runtime import ort

#: Word pieces read of one text, start and end marks included. Of a longer text the beginning and the end
#: are read (the middle of a long complaint says least), so that 2,000 characters cost no more than these.
MAX_TOKENS = 64
HEAD_TOKENS = 40
#: ONNX Runtime's fusion of a sum and its normalisation is four times slower than the two (export_fp32).
_SLOWER = ["SkipLayerNormFusion"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """The graph's outputs for one text. `offsets[i]` are the characters of token i, (0, 0) of a mark."""

    intent: NDArray[np.float32]
    slot: NDArray[np.float32]
    embedding: NDArray[np.float32]
    offsets: tuple[tuple[int, int], ...]


def read_tokens(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids and character offsets of at most MAX_TOKENS pieces: the first HEAD_TOKENS and the last ones."""
    encoding = tokenizer.encode(text)
    ids, offsets = encoding.ids, encoding.offsets
    if len(ids) > MAX_TOKENS:
        tail = MAX_TOKENS - HEAD_TOKENS
        ids, offsets = ids[:HEAD_TOKENS] + ids[-tail:], offsets[:HEAD_TOKENS] + offsets[-tail:]
    return ids, offsets


class _CachedTokenizer:
    """A tokenizer with a cache of the last texts."""

    def __init__(self, tokenizer: bytes) -> None:
        self.tokenizer = Tokenizer.from_buffer(tokenizer)
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.read = lru_cache(maxsize=64)(self._read)

    def _read(self, text: str) -> tuple[NDArray[np.int64], tuple[tuple[int, int], ...]]:
        """Ids (1, tokens), as the graph takes them, and offsets."""
        ids, offsets = read_tokens(self.tokenizer, text)
        return np.asarray([ids], dtype=np.int64), tuple(offsets)


# The bundles of a fleet share one tokenizer, so a process has it once, and a specialist finds in its cache
# the text that the router has just read.
_tokenizer_of = lru_cache(maxsize=8)(_CachedTokenizer)


class Encoder:
    """Runs one text at a time: the int8 graph scales activations over its whole input, so in a batch a text
    would get slightly different numbers than alone."""

    def __init__(self, model: Path, tokenizer: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._tokenizer = _tokenizer_of(tokenizer.read_bytes())
            self._session = ort.InferenceSession(
                str(model), options, ["CPUExecutionProvider"], disabled_optimizers=_SLOWER
            )
        except Exception as error:
            # For a damaged file both libraries raise types of their own, down to bare Exception.
            raise BundleFault(f"{model.parent}: the model cannot be loaded: {error}") from error

    def words(self) -> list[str]:
        """The whole words among the tokenizer's pieces, by their ids."""
        pieces: dict[str, int] = self._tokenizer.tokenizer.get_vocab()
        return [piece for piece in sorted(pieces, key=pieces.__getitem__) if piece.isalpha()]

    def encode(self, text: str) -> Encoding:
        """The heads' outputs for `text`: intent (n,), slot (tokens, labels), embedding (384,)."""
        ids, offsets = self._tokenizer.read(text)
        intent, slot, embedding = self._session.run(None, {"input_ids": ids})
        return Encoding(intent[0], slot[0], embedding[0], offsets)
