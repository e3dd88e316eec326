from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tokenizers import Tokenizer

from slmfleet.models.training.network import base_folder
from slmfleet.models.training.vocabulary import SPECIAL, trim

TEXTS = ["where is my parcel", "parcel parcel money"]


def test_the_words_of_the_texts_stay_whole_and_others_are_spelled() -> None:
    path = base_folder() / "tokenizer.json"
    tokenizer, ids = trim(path, TEXTS, 200)
    assert tokenizer.get_vocab_size() == len(ids) == 200
    assert tokenizer.encode("my money parcel").tokens == ["[CLS]", "my", "money", "parcel", "[SEP]"]
    rare = tokenizer.encode("zebra").tokens[1:-1]
    assert "[UNK]" not in rare
    assert "".join(piece.removeprefix("##") for piece in rare) == "zebra"


def test_each_piece_keeps_the_row_of_the_full_embedding_table() -> None:
    path = base_folder() / "tokenizer.json"
    tokenizer, ids = trim(path, TEXTS, 200)
    full: dict[str, int] = Tokenizer.from_file(str(path)).get_vocab()
    for piece, place in tokenizer.get_vocab().items():
        assert ids[place] == full[piece], piece
    assert [tokenizer.id_to_token(place) for place in range(len(SPECIAL))] == list(SPECIAL)
