from __future__ import annotations

from slmfleet.services.pipeline.sessions import MAX_TURNS, InMemorySessions, Turn


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_turns_come_back_in_order_the_newest_few() -> None:
    sessions = InMemorySessions(ttl_s=60, limit=10)
    assert await sessions.turns("ann", "s") == ()
    said = [Turn(f"question {number}") for number in range(MAX_TURNS + 2)]
    for turn in said:
        await sessions.remember("ann", "s", turn)
    assert await sessions.turns("ann", "s") == tuple(said[-MAX_TURNS:])


async def test_a_session_is_its_customers_alone() -> None:
    sessions = InMemorySessions(ttl_s=60, limit=10)
    await sessions.remember("ann", "s", Turn("where is it?", (("order_id", "#W1"),)))
    for other in ("bob", None, ""):
        assert await sessions.turns(other, "s") == ()
    await sessions.remember(None, "s", Turn("hello?"))
    assert [turn.text for turn in await sessions.turns("ann", "s")] == ["where is it?"]
    assert await sessions.turns("ann", "t") == ()


async def test_a_session_ends_with_its_time_which_each_turn_renews() -> None:
    clock = Clock()
    sessions = InMemorySessions(60, 10, clock)
    await sessions.remember("ann", "s", Turn("one"))
    clock.now += 50
    await sessions.remember("ann", "s", Turn("two"))
    clock.now += 60
    assert len(await sessions.turns("ann", "s")) == 2
    clock.now += 1
    assert await sessions.turns("ann", "s") == ()
    await sessions.remember("ann", "s", Turn("three"))
    assert [turn.text for turn in await sessions.turns("ann", "s")] == ["three"]


async def test_no_more_sessions_are_held_than_may_be_nor_longer() -> None:
    clock = Clock()
    sessions = InMemorySessions(60, 3, clock)
    for name in ("a", "b", "c"):
        await sessions.remember(None, name, Turn(name))
    await sessions.remember(None, "a", Turn("again"))
    await sessions.remember(None, "d", Turn("d"))
    assert await sessions.turns(None, "b") == ()
    assert len(await sessions.turns(None, "a")) == 2
    assert len(sessions) == 3
    clock.now += 61
    await sessions.remember(None, "e", Turn("e"))
    assert len(sessions) == 1
