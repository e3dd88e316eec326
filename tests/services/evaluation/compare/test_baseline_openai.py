"""A baseline by URL, against a real HTTP server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from fakes.chat_server import ChatServer, chat_server

from slmfleet.models.errors import BaselineFault
from slmfleet.services.evaluation.compare.baseline import Baseline, Message, Reply
from slmfleet.services.evaluation.compare.baseline_openai import UrlBaseline
from slmfleet.services.evaluation.compare.open_baseline import open_baseline
from slmfleet.services.settings import Settings

SAID: list[Message] = [{"role": "user", "content": "Policy:\n\nTitle: Thirty days.\n\nQuestion: how long?"}]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@contextmanager
def opened(url: str, model: str | None = None, **settings: object) -> Iterator[Baseline]:
    with closing(open_baseline(url, Settings(**settings), threads=1, model=model)) as baseline:
        yield baseline


def test_it_asks_for_the_likeliest_words_and_reads_the_usage(server: ChatServer) -> None:
    with opened(server.url) as baseline:
        assert baseline.name == "quoter-1"
        assert not baseline.in_process
        assert not baseline.leaves_machine
        assert baseline.answer(SAID, 20) == Reply("Thirty days.", 400, 50)
    assert server.asked == [{"model": "quoter-1", "messages": SAID, "temperature": 0, "max_tokens": 20}]


def test_another_machine_is_told_from_this_one() -> None:
    for url, leaves in (("https://api.example.com/v1", True), ("http://localhost:9/v1", False)):
        with closing(UrlBaseline(url, "m", None)) as baseline:
            assert baseline.leaves_machine is leaves


def test_the_key_comes_from_the_settings(server: ChatServer) -> None:
    server.key = "sesame"
    with opened(server.url) as baseline, pytest.raises(BaselineFault, match=r"HTTP 401.*who are you"):
        baseline.answer(SAID, 20)
    with opened(server.url, model="big", baseline_api_key="sesame") as baseline:
        assert baseline.answer(SAID, 20).text == "Thirty days."
    assert server.asked[0]["model"] == "big"


@pytest.mark.parametrize("body", [{"choices": []}, {"choices": None}, [], "text", {"usage": {}}])
def test_an_answer_of_another_shape_is_a_fault(server: ChatServer, body: object) -> None:
    server.body = body
    with opened(server.url) as baseline, pytest.raises(BaselineFault, match="OpenAI"):
        baseline.answer(SAID, 20)


def test_usage_may_be_missing(server: ChatServer) -> None:
    server.body = {"choices": [{"message": {"content": None}}]}
    with opened(server.url) as baseline:
        assert baseline.answer(SAID, 20) == Reply("", None, None)
