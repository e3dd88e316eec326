"""Vocabulary trimming: the word pieces that a fleet's customers use, without the other three quarters.

Half of a small encoder's bytes are its embedding table. Training time only (the result is a tokenizer.json).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def trim(tokenizer_file: Path, texts: Iterable[str], size: int) -> tuple[Tokenizer, list[int]]:
    """A WordPiece tokenizer of at most `size` pieces, and the old id of each new one.

    In this order: special pieces, single characters (so that any word can still be spelled), the
    pieces of `texts` by frequency, and then the lowest ids, which are the most frequent words of English.
    """
    full = Tokenizer.from_file(str(tokenizer_file))
    full.no_padding()
    full.no_truncation()
    vocabulary: dict[str, int] = full.get_vocab()
    by_id = sorted(vocabulary, key=vocabulary.__getitem__)
    counts = Counter(piece for encoding in full.encode_batch(list(texts)) for piece in encoding.tokens)
    letters = [
        piece for piece in by_id if len(piece.removeprefix("##")) == 1 and piece.removeprefix("##").isascii()
    ]
    used = [piece for piece, _ in sorted(counts.items(), key=lambda item: (-item[1], vocabulary[item[0]]))]
    words = [
        piece for piece in by_id if piece.removeprefix("##").isascii() and not piece.startswith("[unused")
    ]
    pieces = list(dict.fromkeys([*SPECIAL, *letters, *used, *words]))[:size]
    layout = json.loads(full.to_str())
    layout["model"]["vocab"] = {piece: index for index, piece in enumerate(pieces)}
    for added in layout.get("added_tokens", ()):
        added["id"] = pieces.index(added["content"])
    for special in (layout.get("post_processor") or {}).get("special_tokens", {}).values():
        special["ids"] = [pieces.index(token) for token in special["tokens"]]
    post = layout.get("post_processor") or {}
    for end in ("sep", "cls"):
        if end in post:
            post[end][1] = pieces.index(post[end][0])
    return Tokenizer.from_str(json.dumps(layout)), [vocabulary[piece] for piece in pieces]
