"""Dead letters on a real Valkey: found by event and by id, stored twice and shown once, replayed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from cloudevents.core.v1.event import CloudEvent
from fakes.events import query

from slmfleet.models.errors import EventFault, NotFound
from slmfleet.services.events.cloudevents import QUERIES, dead_letter_event, key_of, read_event, serialized
from slmfleet.services.events.dead_letters import DeadLetters
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.redis_connection import retrying_client


@pytest.fixture
async def dead(broker: str) -> AsyncIterator[DeadLetters]:
    client = retrying_client(broker)
    yield DeadLetters(client)
    await client.aclose()


async def bury(dead: DeadLetters, body: bytes, reason: str = "failed") -> str:
    """Store a letter about `body`; returns its id."""
    letter = dead_letter_event(body, QUERIES, reason, "by hand", 1, read_event(body))  # type: ignore[arg-type]
    await dead.add(letter)
    return letter.get_id()


async def test_a_letter_is_found_by_its_event_among_those_that_came_since(dead: DeadLetters) -> None:
    old = await bury(dead, query("hi", "1"))
    assert (await dead.find("test", "1", b"0-0")).id == old  # type: ignore[union-attr]
    newest = await dead.newest()
    assert await dead.find("test", "1", newest) is None
    await bury(dead, query("hi", "2"))
    again = await bury(dead, query("hi once more", "1"), "crashed")
    found = await dead.find("test", "1", newest)
    assert found is not None
    assert (found.id, found.died.reason) == (again, "crashed")
    assert await dead.find("elsewhere", "1", newest) is None


async def test_the_newest_of_none_is_before_the_first(dead: DeadLetters) -> None:
    newest = await dead.newest()
    letter = await bury(dead, query("hi", "1"))
    assert (await dead.find("test", "1", newest)).id == letter  # type: ignore[union-attr]


async def test_more_than_a_page_is_read(dead: DeadLetters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slmfleet.services.events.dead_letters._PAGE", 2)
    ids = [await bury(dead, query("hi", str(number))) for number in range(5)]
    assert [letter.id for letter in await dead.all()] == ids


async def test_one_stored_twice_is_listed_once_and_removed_whole(dead: DeadLetters) -> None:
    body = query("hi")
    letter = await bury(dead, body)
    assert await bury(dead, body) == letter
    assert [found.id for found in await dead.all()] == [letter]
    await dead.remove(letter)
    assert await dead.all() == []


async def test_an_id_may_be_shortened_while_it_means_one(dead: DeadLetters) -> None:
    letter = await bury(dead, query("hi", "1"))
    assert (await dead.get(letter[:6])).id == letter
    for wrong in ("", "nothing"):
        with pytest.raises(NotFound, match="no dead letter starts"):
            await dead.get(wrong)


async def test_a_replay_publishes_the_event_as_it_came_with_fresh_attempts(dead: DeadLetters) -> None:
    body = query("hi", "1")
    ledger = Ledger(dead._client, 60, 5.0, 1)
    key = key_of(read_event(body))
    await ledger.acquire(key, "a")
    await ledger.failed(key, "a", "broken")
    published: list[tuple[str, bytes]] = []

    async def publish(stream: str, event: CloudEvent) -> None:
        published.append((stream, serialized(event)))

    await dead.replay(await dead.get(await bury(dead, body)), publish, ledger)
    assert published == [(QUERIES, body)]
    assert await dead.all() == []
    assert (await ledger.acquire(key, "b")).attempts == 1


async def test_an_event_that_would_only_die_again_is_not_replayed(dead: DeadLetters) -> None:
    letter = dead_letter_event(b"{", QUERIES, "unreadable", "by hand", 0, None)
    await dead.add(letter)

    async def publish(stream: str, event: CloudEvent) -> None:
        raise AssertionError("published")

    with pytest.raises(EventFault, match="would only die again"):
        await dead.replay(await dead.get(letter.get_id()), publish, Ledger(dead._client, 60, 5.0, 1))
    assert len(await dead.all()) == 1
