from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from slmfleet.services.cli.ask import converse_locally
from slmfleet.services.settings import load_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_read_in_one_sitting() -> None:
    assert len(README.splitlines()) <= 150


def test_its_three_questions_are_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMFLEET_STATE_DIR", str(tmp_path))
    found = re.search(r"<!-- run: slmfleet ask (.+) -->", README)
    assert found is not None
    questions = shlex.split(found[1])
    assert len(questions) == 3
    answers = converse_locally(load_settings(), questions, None)
    assert [answer.status for answer in answers] == ["answered"] * 3
    for answer in answers:
        assert " ".join(answer.text.split()) in " ".join(README.split()), "run `make docs`"
