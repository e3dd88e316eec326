from __future__ import annotations

from pathlib import Path

import pytest

from slmfleet.models.errors import FleetFault
from slmfleet.models.fleet.knowledge import MAX_PASSAGE_CHARACTERS, Passage, read_passages, slug


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "knowledge.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_second_level_heading_starts_a_passage_and_nothing_else_does(tmp_path: Path) -> None:
    window = "## The window\nThirty\n  days.\n\nNot more.\n"
    text = f"# Title\nnot knowledge\n{window}### A note\nnot this\n## Fee\nNone.\n"
    passages = read_passages(write(tmp_path, text))
    assert passages == (
        Passage("the-window", "The window", "Thirty days. Not more.", 3),
        Passage("fee", "Fee", "None.", 10),
    )


def test_a_slug_is_lower_case_words_with_hyphens() -> None:
    assert slug("How long do refunds take?") == "how-long-do-refunds-take"


def test_another_title_or_text_is_another_digest() -> None:
    passage = Passage("a", "A", "text", 1)
    assert passage.digest == Passage("a", "A", "text", 9).digest
    assert passage.digest != Passage("a", "B", "text", 1).digest
    assert passage.digest != Passage("a", "A", "other", 1).digest


def test_every_fault_is_found_with_its_line(tmp_path: Path) -> None:
    long = "x" * (MAX_PASSAGE_CHARACTERS + 1)
    with pytest.raises(FleetFault) as caught:
        read_passages(write(tmp_path, f"## Empty\n## Long\n{long}\n## One\na\n## one!\nb\n"))
    assert [(fault.line, fault.message.split(":")[0]) for fault in caught.value.faults] == [
        (1, "passage 'Empty' is empty"),
        (2, f"passage 'Long' has {len(long)} characters; at most {MAX_PASSAGE_CHARACTERS} can be quoted"),
        (6, "passage id 'one' is used twice"),
    ]
