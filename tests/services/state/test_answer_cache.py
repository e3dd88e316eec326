from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from fakes.serving import write_word_shop
from fakes.sharing import QuotingParts, end, replica_program, sharer, sharing_settings

from slmfleet.models.fleet.loading import load_fleet
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.pipeline.pipeline import Query
from slmfleet.services.state.in_memory_answers import InMemoryAnswers
from slmfleet.services.telemetry import metrics

ASKED = "where is a parcel"


def counted(result: str) -> float:
    """Queries of this process with that result of the cache, by its metric."""
    name = "slmfleet_cache_requests_total"
    return metrics.REGISTRY.get_sample_value(name, {"result": result}) or 0.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_word_shop(tmp_path / "fleet", cacheable="shared")
    return tmp_path


async def test_the_second_asker_gets_what_the_first_one_got(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    hits = counted("hit")
    async with sharer(settings) as one, sharer(settings) as two:
        first = await one.ask(ASKED, session_id="s1")
        again = await two.ask(f"  {ASKED.upper()} ", session_id="s2")
        assert (first.cache, again.cache) == ("miss", "hit")
        differ = {"id", "cache", "cost", "session_id"}
        assert again.model_dump(exclude=differ) == first.model_dump(exclude=differ)
        assert again.id != first.id
        assert (first.session_id, again.session_id) == ("s1", "s2")
        assert again.cost.latency_ms > 0
        assert again.cost.cpu_ms != first.cost.cpu_ms
        assert counted("hit") - hits == 1


async def test_a_hit_is_remembered_in_its_session(folder: Path, valkey: str) -> None:
    async with sharer(sharing_settings(folder, valkey)) as one:
        computed = await one.ask(ASKED, session_id="s1")
        hit = await one.ask(ASKED, session_id="s2")
        sessions = one.shared.sessions(load_fleet(folder / "fleet"))
        assert await sessions.turns(None, "s1") == await sessions.turns(None, "s2") != ()
        assert (computed.cache, hit.cache) == ("miss", "hit")
        assert (await one.ask(ASKED, session_id="s2")).cache == "bypass"  # a conversation is nobody else's


async def test_a_local_answer_needs_no_server_and_no_other_replica_has_it(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one, sharer(settings) as two:
        assert one.loaded.pipeline.get_local(Query(ASKED)) is None
        hits = counted("hit")
        computed = await one.ask(ASKED)
        hit = one.loaded.pipeline.get_local(Query(f" {ASKED.upper()}"))
        assert hit is not None
        assert (hit.text, hit.cache, counted("hit") - hits) == (computed.text, "hit", 1)
        assert two.loaded.pipeline.get_local(Query(ASKED)) is None
        for more in ({"customer": "ann"}, {"explain": True}, {"history": (ASKED,)}, {"session_id": "s1"}):
            assert one.loaded.pipeline.get_local(Query(ASKED, **more)) is None
        await one.shared.stop()  # nobody waits any more for this replica to know of a change
        assert one.loaded.pipeline.get_local(Query(ASKED)) is None


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (ASKED, {"customer": "ann"}),
        (ASKED, {"explain": True}),
        (ASKED, {"history": ("how fast is express",)}),
        ("where is parcel #W7678072", {}),
        ("where is a parcel for ann@example.com", {}),
        ("where is a parcel for $20", {}),
        ("where is the parcel of June 3", {}),
    ],
)
async def test_what_belongs_to_a_customer_is_neither_cached_nor_found(
    folder: Path, valkey: str, text: str, more: dict[str, object]
) -> None:
    async with sharer(sharing_settings(folder, valkey)) as one:
        await one.ask(ASKED)
        hits = counted("hit")
        for _ in range(2):
            assert (await one.ask(text, **more)).cache == "bypass"
        assert counted("hit") == hits
        assert len(one.shared.local_answers) == 1


@pytest.mark.parametrize("cacheable", ["never", "per_customer"])
async def test_an_intent_that_is_not_shared_is_not_cached(
    tmp_path: Path, valkey: str, cacheable: str
) -> None:
    write_word_shop(tmp_path / "fleet", cacheable)
    async with sharer(sharing_settings(tmp_path, valkey)) as one:
        assert [(await one.ask(ASKED)).cache for _ in range(2)] == ["bypass", "bypass"]


async def test_a_hand_off_is_cached_for_less_time_and_no_two_entries_expire_at_once(
    folder: Path, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ttls: dict[str, list[float]] = {"yes": [], "no": []}
    monkeypatch.setattr(
        InMemoryAnswers,
        "put",
        lambda self, key, entry: ttls["yes" if entry.versions else "no"].append(entry.ttl_s),
    )
    async with sharer(sharing_settings(folder, valkey, cache_ttl_s=1_000)) as one:
        for number in "abcdefgh":
            await one.ask(f"where is a parcel {number}")
            assert (await one.ask(f"lorem ipsum {number}")).status == "handed_off"
        assert (await one.ask("lorem ipsum a")).cache == "hit"
    assert len(set(ttls["yes"])) == 8
    assert all(900 <= ttl <= 1_100 for ttl in ttls["yes"])
    assert all(30 <= ttl <= 60 for ttl in ttls["no"])


async def test_an_error_is_never_cached(folder: Path, valkey: str) -> None:
    async with sharer(sharing_settings(folder, valkey)) as one:
        for _ in range(2):
            with pytest.raises(Exception, match="could not read"):
                await one.ask("explode the parcel")
        assert len(one.shared.local_answers) == 0
        assert not one.loaded.pipeline._cache._computing  # type: ignore[union-attr]


async def test_of_many_who_ask_at_once_one_is_computed(folder: Path, valkey: str) -> None:
    async with sharer(sharing_settings(folder, valkey)) as one:
        answers = await asyncio.gather(*(one.ask("slowly where") for _ in range(20)))
        assert sorted(answer.cache for answer in answers) == ["hit"] * 19 + ["miss"]
        assert len({answer.id for answer in answers}) == 20


async def test_what_cannot_be_cached_delays_nobody(folder: Path, valkey: str) -> None:
    write_word_shop(folder / "fleet", "never")
    async with sharer(sharing_settings(folder, valkey), QuotingParts(slow_s=0.5)) as one:
        one.loaded.executor._max_workers = 20
        started = time.monotonic()
        answers = await asyncio.gather(*(one.ask("slowly where") for _ in range(10)))
        assert {answer.cache for answer in answers} == {"bypass"}
        assert time.monotonic() - started < 10 * 0.5


async def test_a_caller_that_is_cancelled_leaves_the_others_their_answer(folder: Path, valkey: str) -> None:
    async with sharer(sharing_settings(folder, valkey)) as one:
        leader, *others = [asyncio.ensure_future(one.ask("slowly where")) for _ in range(4)]
        await asyncio.sleep(0.1)
        leader.cancel()
        answers = await asyncio.gather(*others)
        assert {answer.status for answer in answers} == {"answered"}
        assert (await one.ask("slowly where")).cache in ("hit", "miss")
        assert (await one.ask("slowly where")).cache == "hit"


def test_of_several_processes_one_computes(folder: Path, valkey: str) -> None:
    programs = [replica_program(folder, valkey, "slowly where is it") for _ in range(3)]
    try:
        assert [program.stdout.readline() for program in programs] == ["up\n"] * 3  # type: ignore[union-attr]
        (folder / "go").touch()
        verdicts = [program.stdout.readline().strip() for program in programs]  # type: ignore[union-attr]
        assert sorted(verdicts) == ["hit", "hit", "miss"]
    finally:
        end(programs)


async def test_another_bundle_is_another_key(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one:
        await one.ask(ASKED)
        (folder / "version").write_text("000000000003")
        async with sharer(settings) as newer:
            assert (await newer.ask(ASKED)).cache == "miss"
        assert (await one.ask(ASKED)).cache == "hit"


async def test_without_a_server_it_answers_and_caches_for_itself(folder: Path) -> None:
    async with sharer(sharing_settings(folder, None)) as one:
        assert [(await one.ask(ASKED)).cache for _ in range(2)] == ["miss", "hit"]
        assert one.shared.told() == {}


async def test_the_server_may_die_and_come_back(folder: Path, tmp_path: Path) -> None:
    server = EmbeddedValkey("cache", tmp_path / "valkey")
    settings = sharing_settings(folder, server.start())
    try:
        async with sharer(settings) as one:
            await one.ask(ASKED, session_id="s")
            errors = counted("error")
            server.kill()
            assert (await one.ask(ASKED)).cache == "hit"  # its own
            assert (await one.ask("how fast is express")).cache == "miss"
            assert (await one.ask("where", session_id="s")).cache == "bypass"  # it remembers the session
            health = await one.loaded.health()
            assert health.status == "ok"
            assert "cannot be reached" in health.checks["redis"]
            assert counted("error") > errors
            server.start()
            await one.shared.heartbeat()
            assert (await one.loaded.health()).checks["redis"] == "ok"
            assert [(await one.ask(ASKED)).cache for _ in range(2)] == ["miss", "hit"]
    finally:
        server.stop()


async def test_an_order_is_never_answered_from_a_cache(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one:
        for _ in range(2):
            assert (await one.ask("where is parcel #W7678072")).cache == "bypass"
