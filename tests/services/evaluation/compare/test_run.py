"""The demonstration shop beside generators of which it is known what they answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes.serving import WordParts, write_word_shop

from slmfleet.models.contracts import OUT_OF_SCOPE
from slmfleet.models.errors import BaselineFault, DataFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.training.data import Corpus, load_corpus
from slmfleet.services.evaluation.compare.baseline import REFUSAL, Message, Reply
from slmfleet.services.evaluation.compare.options import CompareOptions, Prices
from slmfleet.services.evaluation.compare.run import compare, sample_questions
from slmfleet.services.settings import SHOP_DIR, Settings


class Scripted:
    """Quotes the passage of that place in its prompt; burns CPU in a thread of its own, as llama.cpp does."""

    name = "scripted"
    parameters: int | None = 7_000_000_000
    leaves_machine = False

    def __init__(self, place: int | None = 0, cpu_s: float = 0.0, in_process: bool = True) -> None:
        self.in_process = in_process
        self.asked: list[Sequence[Message]] = []
        self.closed = False
        self._place = place
        self._cpu_s = cpu_s

    def answer(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        assert max_tokens == 50
        self.asked.append(messages)
        thread = threading.Thread(target=self._burn)
        thread.start()
        thread.join()
        if self._place is None:
            return Reply(REFUSAL, 300, 10)
        policy = messages[-1]["content"].split("\n\n")[1:-1]
        return Reply(policy[self._place].partition(": ")[2], 300, 10)

    def close(self) -> None:
        self.closed = True

    def _burn(self) -> None:
        until = time.thread_time() + self._cpu_s
        while time.thread_time() < until:
            pass


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(load_fleet(SHOP_DIR))


def test_questions_are_the_shops_own_test_rows_and_the_seed_draws_them(corpus: Corpus) -> None:
    fleet = load_fleet(SHOP_DIR)
    questions = sample_questions(fleet, corpus, 40, seed=3)
    assert questions == sample_questions(fleet, corpus, 40, seed=3)
    assert questions != sample_questions(fleet, corpus, 40, seed=4)
    rows = {row.text: row for row in corpus.test if row.source == "own"}
    assert sum(question.right is None for question in questions) == 10
    for question in questions:
        row = rows[question.text]
        assert (row.passage, row.domain) == (
            (question.right.id, question.domain) if question.right else (None, OUT_OF_SCOPE)
        )


def test_a_shop_without_such_rows_is_told_what_is_missing(tmp_path: Path) -> None:
    settings = Settings(fleet_dir=write_word_shop(tmp_path / "fleet"), state_dir=tmp_path)
    (tmp_path / "fleet" / "returns" / "test.jsonl").write_text('{"text": "how long?", "intent": "window"}')
    with pytest.raises(DataFault, match=r"rows with a passage in DOMAIN/test\.jsonl"):
        compare(settings, Scripted, CompareOptions(questions=8, max_tokens=50), factory=WordParts())


def test_both_are_measured_on_the_same_questions(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, core_watts=10)
    steps: list[tuple[int, int]] = []
    baseline = Scripted(cpu_s=0.05)
    options = CompareOptions(
        questions=48, max_tokens=50, right_passage=True, prices=Prices(core_hour=0.36)
    )  # fmt: skip
    result = compare(
        settings, lambda: baseline, options, progress=lambda done, total: steps.append((done, total))
    )
    assert steps == [(number, 48) for number in range(1, 49)]
    assert baseline.closed
    assert len(baseline.asked) == 49  # one to warm up
    for one, asked in zip(result.asked, baseline.asked[1:], strict=True):
        assert asked[-1]["content"].endswith(f"Question: {one.question}")
    fleet, scripted = result.fleet, result.baseline
    assert result.questions == 48
    assert result.right_passage_given.percent == 100
    # The baseline's thread is paid for by the baseline, and not by the fleet.
    assert scripted.cpu_ms_per_query is not None
    assert scripted.cpu_ms_per_query > 49
    assert fleet.cpu_ms_per_query is not None
    assert 0.2 < fleet.cpu_ms_per_query < 40
    assert result.cpu_ratio == pytest.approx(scripted.cpu_ms_per_query / fleet.cpu_ms_per_query, abs=0.1)
    assert scripted.joules_per_query == pytest.approx(scripted.cpu_ms_per_query / 100)
    assert scripted.cost_per_1000 == pytest.approx(scripted.cpu_ms_per_query * 1e-4)
    assert fleet.parameters is not None
    assert 10e6 < fleet.parameters < 100e6
    # In a process that has loaded models before, the memory that they left is used again.
    assert fleet.resident_bytes is None or fleet.resident_bytes >= 0
    # It quotes whatever it finds first: never refuses, and always from its evidence.
    assert (scripted.answered.percent, scripted.grounded.percent) == (100, 100)
    assert scripted.refused_out_of_scope.percent == 0
    assert fleet.refused_out_of_scope.percent is not None
    assert fleet.refused_out_of_scope.percent > 60
    assert fleet.right.hits > 0
    for one in result.asked:
        if one.passage is not None and one.given[0] == one.passage:
            assert one.baseline.right, one
    assert 0 < result.lenience_percent < 10


def test_one_that_always_refuses_is_right_of_nothing_and_a_url_has_no_cpu_of_ours(tmp_path: Path) -> None:
    options = CompareOptions(
        questions=8, seed=1, max_tokens=50, prices=Prices(million_read=2, million_written=10)
    )
    result = compare(Settings(state_dir=tmp_path), lambda: Scripted(None, in_process=False), options)
    side = result.baseline
    assert (side.answered.hits, side.right.hits, side.grounded.total) == (0, 0, 0)
    assert side.refused_out_of_scope.percent == 100
    assert (side.cpu_ms_per_query, side.joules_per_query, side.resident_bytes) == (None, None, None)
    assert side.cost_per_1000 == pytest.approx((300 * 2 + 10 * 10) / 1_000)
    assert result.fleet.cost_per_1000 is None
    assert result.cpu_ratio is None


def test_a_baseline_that_cannot_be_loaded_is_reported(tmp_path: Path) -> None:
    def broken() -> Scripted:
        raise BaselineFault("no such model")

    with pytest.raises(BaselineFault, match="no such model"):
        compare(Settings(state_dir=tmp_path), broken, CompareOptions(questions=8))
