from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from fakes.serving import write_word_shop
from fakes.sharing import end, replica_program, sharer, sharing_settings
from redis.asyncio import Redis

from slmfleet.models.errors import FleetFault, NotFound, Unreachable
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.state.change_publisher import ChangePublisher
from slmfleet.services.state.redis_keys import RedisKeys

ASKED = "where is a parcel"
OTHER = "how do I return it"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_word_shop(tmp_path / "fleet", cacheable="shared")
    return tmp_path


def write(folder: Path, domain: str, intent: str, text: str) -> None:
    path = folder / "fleet" / domain / "knowledge.md"
    before = path.read_text()
    head, _, rest = before.partition(f"## {intent}\n\n")
    path.write_text(f"{head}## {intent}\n\n{text}\n\n{rest.partition(chr(10) * 2)[2]}")


async def test_no_replica_answers_from_before_the_change(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(sharer(settings)) for _ in range(3)]
        changes = ChangePublisher(settings)
        for replica in replicas:
            assert (await replica.ask(ASKED)).text == "All about track."
            await replica.ask(OTHER)
        for number in range(3):
            said = f"Tracking, take {number}."
            write(folder, "shipping", "track", said)
            started = time.monotonic()
            await changes.knowledge_changed("shipping")
            assert time.monotonic() - started < 3
            for replica in replicas:
                for more in ({}, {"customer": "ann"}):
                    answer = await replica.ask(ASKED, **more)
                    assert answer.text == said
                    assert answer.parts[0].evidence[0].quote == said
            assert [(await replica.ask(ASKED)).cache for replica in replicas] == ["hit"] * 3
            assert (await replicas[0].ask(OTHER)).cache == "hit"  # another domain's answers stay
        await changes.close()


async def test_an_answer_under_way_is_not_cached_for_after_the_change(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one, sharer(settings) as two:
        changes = ChangePublisher(settings)
        under_way = asyncio.ensure_future(one.ask("slowly where is a parcel"))
        await asyncio.sleep(0.1)
        write(folder, "shipping", "track", "Tracking anew.")
        await changes.knowledge_changed("shipping")
        await under_way
        for replica in (one, two):
            assert (await replica.ask("slowly where is a parcel")).text == "Tracking anew."
        await changes.close()


async def test_answers_from_unchanged_text_are_dropped_too(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one:
        changes = ChangePublisher(settings)
        await one.ask(ASKED)
        assert (await one.ask(ASKED)).cache == "hit"
        await changes.knowledge_changed("shipping")
        assert (await one.ask(ASKED)).cache == "miss"
        await changes.close()


async def test_a_dead_replica_is_not_waited_for(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    program = replica_program(folder, valkey)
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
    finally:
        end([program])
    changes = ChangePublisher(settings)
    write(folder, "shipping", "track", "Tracking anew.")
    started = time.monotonic()
    await changes.knowledge_changed("shipping")
    assert time.monotonic() - started < 3
    await changes.close()


async def test_a_replica_that_hangs_is_waited_for_only_while_it_counts_as_alive(
    folder: Path, valkey: str
) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one:
        assert (await one.ask(ASKED)).text == "All about track."
        one.shared._heartbeat._task.cancel()  # type: ignore[union-attr]
        changes = ChangePublisher(settings)
        write(folder, "shipping", "track", "Tracking anew.")
        await changes.knowledge_changed("shipping")
        # It has heard of nothing; yet what it says next, kept or not, is what was published.
        assert (await one.ask(ASKED)).text == "Tracking anew."
        write(folder, "shipping", "track", "Tracking once more.")
        await changes.knowledge_changed("shipping")
        assert (await one.ask(ASKED, customer="ann")).text == "Tracking once more."
        await changes.close()


async def test_a_replica_without_a_server_checks_the_files(folder: Path) -> None:
    async with sharer(sharing_settings(folder, None)) as one:
        assert (await one.ask(ASKED)).text == "All about track."
        write(folder, "shipping", "track", "Tracking anew.")
        assert (await one.ask(ASKED)).text == "Tracking anew."
        assert (await one.ask(ASKED)).cache == "hit"
        write(folder, "shipping", "track", "Tracking once more.")
        assert (await one.ask(ASKED, customer="ann")).text == "Tracking once more."


async def test_knowledge_that_cannot_be_served_changes_nothing(folder: Path, valkey: str) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one:
        changes = ChangePublisher(settings)
        path = folder / "fleet" / "shipping" / "knowledge.md"
        good = path.read_text()
        path.write_text("## track\n\n## speed\n\nFast.\n")
        with pytest.raises(FleetFault, match="passage 'track' is empty"):
            await changes.knowledge_changed("shipping")
        assert (await one.ask(ASKED)).text == "All about track."
        path.write_text(good.replace("All about", "Much about"))
        await changes.knowledge_changed("shipping")
        assert (await one.ask(ASKED)).text == "Much about track."
        with pytest.raises(NotFound, match="no domain 'weather'"):
            await changes.knowledge_changed("weather")
        await changes.close()


async def test_a_server_that_lost_everything_brings_nothing_stale_back(folder: Path, tmp_path: Path) -> None:
    server = EmbeddedValkey("cache", tmp_path / "valkey")
    settings = sharing_settings(folder, server.start())
    try:
        async with sharer(settings) as one:
            changes = ChangePublisher(settings)
            await one.ask(ASKED)
            server.kill()
            server.start()
            write(folder, "shipping", "track", "Tracking anew.")
            await changes.knowledge_changed("shipping")
            assert (await one.ask(ASKED)).text == "Tracking anew."
            server.kill()
            with pytest.raises(Unreachable):
                await changes.knowledge_changed("shipping")
            await changes.close()
    finally:
        server.stop()


async def test_a_change_that_the_server_loses_must_be_repeated(
    folder: Path, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = sharing_settings(folder, valkey)
    async with sharer(settings) as one:
        changes = ChangePublisher(settings)
        await one.ask(ASKED)
        renew = RedisKeys.renew_tokens

        async def renew_and_lose(self: RedisKeys, client: Redis, *domains: str) -> dict[str, str]:
            fresh = await renew(self, client, *domains)
            await client.flushall()
            return fresh

        write(folder, "shipping", "track", "Tracking anew.")
        with monkeypatch.context() as lossy:
            lossy.setattr(RedisKeys, "renew_tokens", renew_and_lose)
            with pytest.raises(Unreachable, match="lost the change"):
                await changes.knowledge_changed("shipping")
        await changes.knowledge_changed("shipping")
        assert (await one.ask(ASKED)).text == "Tracking anew."
        await changes.close()


async def test_without_a_server_no_change_can_be_published(folder: Path) -> None:
    with pytest.raises(Unreachable, match="SLMFLEET_REDIS_URL"):
        ChangePublisher(sharing_settings(folder, None))
