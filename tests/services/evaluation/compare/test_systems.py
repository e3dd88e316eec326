from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slmfleet.models.errors import BaselineFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.services.evaluation.compare.baseline import Message, Reply
from slmfleet.services.evaluation.compare.systems import BaselineSystem, FleetSystem, Question
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.settings import SHOP_DIR, Settings


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetSystem]:
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"))
    with ThreadPoolExecutor(1) as executor, asyncio.Runner() as runner:
        yield FleetSystem(settings, DefaultFactory(), runner, executor)


def test_retrieval_gives_three_passages_of_the_questions_domain(fleet: FleetSystem) -> None:
    passages = fleet.fleet.domains["returns"].passages
    given = fleet.knowledge(Question("how long?", "returns", passages[-1]), right_passage=False)
    assert len(given) == 3
    assert set(given) <= set(passages)
    outside = fleet.knowledge(Question("who won the cup?"), right_passage=False)
    assert len(outside) == 3


def test_the_right_passage_takes_the_third_place_where_it_is_missing(fleet: FleetSystem) -> None:
    passages = fleet.fleet.domains["returns"].passages
    found = fleet.knowledge(Question("how long?", "returns", passages[0]), right_passage=False)
    missing = next(passage for passage in passages if passage not in found)
    given = fleet.knowledge(Question("how long?", "returns", missing), right_passage=True)
    assert given == [*found[:2], missing]
    assert fleet.knowledge(Question("how long?", "returns", found[1]), right_passage=True) == found


def test_an_answer_is_judged_and_timed(fleet: FleetSystem) -> None:
    right = fleet.fleet.domains["returns"].passage_by_id["returning-shoes-and-clothing"]
    outcome = fleet.ask(Question("how long do I have to return shoes?", "returns", right))
    assert (outcome.status, outcome.right, outcome.grounded) == ("answered", True, True)
    assert outcome.latency_ms > 0
    assert outcome.prompt_tokens is None


class Broken:
    name, parameters, in_process, leaves_machine = "broken", None, True, False
    closed = False

    def answer(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        raise BaselineFault("out of memory")

    def close(self) -> None:
        self.closed = True


def test_a_baseline_that_fails_its_first_question_is_closed(tmp_path: Path) -> None:
    broken = Broken()
    with pytest.raises(BaselineFault, match="out of memory"):
        BaselineSystem(lambda: broken, load_fleet(SHOP_DIR), 20)
    assert broken.closed
