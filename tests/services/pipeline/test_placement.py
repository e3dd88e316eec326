"""Texts reach their specialist, in this process or another; a broken model is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.serving import WordSpecialist

from slmfleet.models.contracts import Reading
from slmfleet.models.errors import DeadlineExceeded, ModelBroken
from slmfleet.services.pipeline.guarded_model import ModelHealth
from slmfleet.services.pipeline.guarded_specialist import GuardedSpecialist, SpecialistRequest
from slmfleet.services.pipeline.placement import Colocated, ModelFacts, RemoteVersions, Split


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def colocated(tmp_path: Path, executor: ThreadPoolExecutor) -> Colocated:
    models = {domain: WordSpecialist(domain, tmp_path, slow_s=0.2) for domain in ("shipping", "returns")}
    return Colocated(models, executor)


class Elsewhere:
    """A specialist across an awaited hop, as another process would be."""

    def __init__(self, model: WordSpecialist) -> None:
        self._model = GuardedSpecialist(model.domain, model)
        self.calls: list[int] = []
        self.hangs = False
        self.version = "1"

    async def read_all(self, questions: list[SpecialistRequest]) -> list[Reading | ModelBroken]:
        self.calls.append(len(questions))
        await asyncio.sleep(0.01)
        return self._model.read_all(questions)

    async def check(self) -> ModelHealth:
        if self.hangs:
            await asyncio.sleep(60)
        return self._model.guard.check()

    async def facts(self) -> ModelFacts:
        return ModelFacts(self.version, 6, 60)


async def test_a_text_is_read_by_its_domain(colocated: Colocated) -> None:
    reading = await colocated.read("shipping", "where is my parcel")
    assert (reading.domain, reading.intent) == ("shipping", "track")
    assert colocated.domains == {"shipping", "returns"}


async def test_reading_leaves_the_event_loop_free(colocated: Colocated) -> None:
    slow = asyncio.create_task(colocated.read("shipping", "slowly where"))
    turns = 0
    while not slow.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns > 10


async def test_whatever_a_model_raises_becomes_model_broken_without_its_insides(
    colocated: Colocated, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ModelBroken) as broken:
        await colocated.read("returns", "explode")
    assert "/secret/path" not in str(broken.value)
    assert "returns" in str(broken.value)
    assert "/secret/path" in caplog.text  # where an operator finds it


async def test_an_unknown_domain_is_broken_not_a_key_error(colocated: Colocated) -> None:
    with pytest.raises(ModelBroken):
        await colocated.read("gardening", "x")


async def test_a_failed_read_is_reported_to_everyone_who_asks(colocated: Colocated) -> None:
    healthy = ModelHealth()
    assert await colocated.health() == {"shipping": healthy, "returns": healthy}
    with pytest.raises(ModelBroken):
        await colocated.read("returns", "explode")
    assert await colocated.probe() == {"shipping": None, "returns": None}  # one text is no reason to restart
    first, second = await colocated.health(), await colocated.health()
    assert first == second
    assert first["shipping"] == healthy
    assert (
        first["returns"].failed_call == "the returns specialist could not read a question that it was asked"
    )


async def test_a_failing_probe_is_reported_for_as_long_as_it_fails(
    colocated: Colocated, tmp_path: Path
) -> None:
    (tmp_path / "returns.broken").touch()
    for _ in range(3):
        assert (await colocated.health())["returns"].fault == "the returns model answers its probe wrongly"
        assert (await colocated.probe())["returns"] is not None
    (tmp_path / "returns.broken").unlink()
    assert (await colocated.health())["returns"] == ModelHealth()


async def test_texts_for_a_far_specialist_travel_together(tmp_path: Path) -> None:
    far = Elsewhere(WordSpecialist("shipping", tmp_path))
    split = Split({"shipping": far})
    texts = ["where is it", "how many days", "express days", "track my parcel"] * 5
    readings = await asyncio.gather(*(split.read("shipping", text) for text in texts))
    assert [reading.intent for reading in readings] == ["track", "speed", "speed", "track"] * 5
    assert far.calls == [1, 19]


async def test_a_text_that_breaks_the_model_does_not_fail_its_neighbours(tmp_path: Path) -> None:
    split = Split({"shipping": Elsewhere(WordSpecialist("shipping", tmp_path))})
    outcomes = await asyncio.gather(
        *(split.read("shipping", text) for text in ("where", "explode", "where")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [Reading, ModelBroken, Reading]


async def test_near_and_far_read_the_same(tmp_path: Path, colocated: Colocated) -> None:
    far = Split({"shipping": Elsewhere(WordSpecialist("shipping", tmp_path))})
    for text in ("where is my parcel", "", "two days express", "nothing known"):
        here, there = await colocated.read("shipping", text), await far.read("shipping", text)
        assert (here.intent, here.confidence, here.passages) == (
            there.intent,
            there.confidence,
            there.passages,
        )


async def test_near_and_far_explain_the_same_and_only_what_is_asked(
    tmp_path: Path, colocated: Colocated
) -> None:
    elsewhere = Elsewhere(WordSpecialist("shipping", tmp_path))
    far = Split({"shipping": elsewhere})
    texts = ["where is my parcel", "two days express", "how fast", "track where"]
    here = await asyncio.gather(
        *(colocated.read("shipping", text, n % 2 == 1) for n, text in enumerate(texts))
    )
    there = await asyncio.gather(*(far.read("shipping", text, n % 2 == 1) for n, text in enumerate(texts)))
    assert elsewhere.calls == [1, 3]  # explained or not, they travel together
    assert [reading.explanation is None for reading in there] == [True, False, True, False]
    for near, distant in zip(here, there, strict=True):
        if near.explanation is not None and distant.explanation is not None:
            assert near.explanation.with_cost(0) == distant.explanation.with_cost(0)
            assert distant.cpu_ms > distant.explanation.cpu_ms > 0


async def test_a_fault_while_explaining_is_broken_for_that_text_alone(tmp_path: Path) -> None:
    split = Split({"shipping": Elsewhere(WordSpecialist("shipping", tmp_path))})
    outcomes = await asyncio.gather(
        *(split.read("shipping", text, True) for text in ("where", "opaque where", "where")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Reading, ModelBroken, Reading]


async def test_far_faults_are_reported_and_a_silent_one_holds_nobody_up(tmp_path: Path) -> None:
    near, silent = (Elsewhere(WordSpecialist(domain, tmp_path)) for domain in ("shipping", "returns"))
    silent.hangs = True
    split = Split({"shipping": near, "returns": silent}, probe_timeout_s=0.05)
    health = await asyncio.wait_for(split.health(), 1)
    assert health["shipping"] == ModelHealth()
    assert "did not answer" in str(health["returns"].fault)


async def test_far_errors_become_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Unreachable(Elsewhere):
        error: Exception = DeadlineExceeded("the shipping specialist did not answer in time")

        async def check(self) -> ModelHealth:
            raise self.error

    far = Unreachable(WordSpecialist("shipping", tmp_path))
    split = Split({"shipping": far})
    late = ModelHealth("the shipping specialist did not answer in time")
    assert await split.health() == {"shipping": late}
    far.error = RuntimeError("actor 123 died at 10.0.0.1")
    assert await split.health() == {"shipping": ModelHealth("the shipping specialist cannot be reached")}
    assert "10.0.0.1" in caplog.text


async def test_versions_of_far_models_are_one_object_until_one_changes(tmp_path: Path) -> None:
    far = Elsewhere(WordSpecialist("shipping", tmp_path))
    versions = RemoteVersions("r", Split({"shipping": far}).facts, every_s=0)

    async def refreshed() -> Mapping[str, str] | None:
        versions.latest()
        await asyncio.sleep(0.01)
        return versions.latest()

    assert versions.latest() is None
    known = await refreshed()
    assert known == {"router": "r", "shipping": "1"}
    assert await refreshed() is known
    far.version = "2"
    assert await refreshed() == {"router": "r", "shipping": "2"}


async def test_facts_and_versions_of_near_models_are_those_that_were_loaded(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    facts = {"shipping": ModelFacts("7", 6, 60)}
    near = Colocated({"shipping": WordSpecialist("shipping", tmp_path)}, executor, facts, "r")
    assert await near.facts() == facts
    assert near.versions() == {"router": "r", "shipping": "7"}
    assert near.versions() is near.versions()
