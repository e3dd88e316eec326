"""Questions to the pipeline of this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmfleet.models.errors import InvalidQuery, Unauthenticated
from slmfleet.services.cli.ask import ask_locally, converse_locally
from slmfleet.services.settings import Settings


def test_several_texts_are_one_conversation(tmp_path: Path) -> None:
    texts = ["how long do I have to return shoes?", "and for boots?"]
    first, second = converse_locally(Settings(state_dir=tmp_path), texts, None)
    assert (first.route.domain, second.route.domain) == ("returns", "returns")
    assert first.session_id == second.session_id is not None


def test_one_text_belongs_to_no_session_and_is_explained_on_request(tmp_path: Path) -> None:
    answer = ask_locally(Settings(state_dir=tmp_path), "where is my parcel", None, explain=True)
    assert answer.session_id is None
    assert answer.explanation is not None
    assert answer.explanation.route.label == answer.route.domain


def test_a_text_or_token_that_is_wrong_is_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, fleet_dir=tmp_path / "nowhere")
    with pytest.raises(InvalidQuery, match="text: must contain something"):
        ask_locally(settings, " ", None)
    with pytest.raises(Unauthenticated):
        ask_locally(settings, "hello", "forged")
