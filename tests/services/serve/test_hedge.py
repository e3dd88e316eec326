"""A lost answerer costs its asker a moment, not the answer; a slow one is not asked without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from slmfleet.services.serve.hedge import hedged


class Gone(Exception):
    """The answerer does not live any more."""


class Answerers:
    """Each call is answered by the next one: after how many seconds it says what, or raises it."""

    def __init__(self, *said: tuple[float, str | Exception]) -> None:
        self._said = list(said)
        self.asked = 0
        self.given_up = 0

    async def ask(self) -> str:
        after_s, said = self._said[min(self.asked, len(self._said) - 1)]
        self.asked += 1
        try:
            await asyncio.sleep(after_s)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if isinstance(said, Exception):
            raise said
        return said


def _hedged(ask: Callable[[], Awaitable[str]], after_s: float = 0.02) -> Awaitable[str]:
    return asyncio.wait_for(hedged(ask, after_s, (Gone,)), 2)


async def test_who_answers_in_time_is_asked_once() -> None:
    there = Answerers((0.001, "yes"))
    assert await _hedged(there.ask) == "yes"
    assert there.asked == 1


async def test_another_answers_for_one_that_says_nothing_and_that_one_is_let_go() -> None:
    there = Answerers((60, "never"), (0.001, "yes"))
    assert await _hedged(there.ask) == "yes"
    await asyncio.sleep(0)
    assert (there.asked, there.given_up) == (2, 1)


async def test_the_first_one_may_still_answer_while_others_are_asked() -> None:
    there = Answerers((0.05, "late"), (60, "never"))
    assert await _hedged(there.ask) == "late"


async def test_another_is_asked_for_one_that_is_gone() -> None:
    there = Answerers((0, Gone()), (0, Gone()), (0, "yes"))
    assert await _hedged(there.ask, 60) == "yes"
    assert there.asked == 3


async def test_one_that_is_gone_does_not_end_the_wait_for_one_that_is_not() -> None:
    there = Answerers((0.1, "late"), (0, Gone()))
    assert await _hedged(there.ask) == "late"


async def test_any_other_error_is_an_answer() -> None:
    there = Answerers((0, ValueError("no such domain")))
    with pytest.raises(ValueError, match="no such domain"):
        await _hedged(there.ask)
    assert there.asked == 1


async def test_a_silent_fleet_is_asked_ever_more_seldom_and_left_alone_once_the_caller_gives_up() -> None:
    there = Answerers((60, "never"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hedged(there.ask, 0.02, (Gone,)), 0.5)
    await asyncio.sleep(0)
    assert 2 <= there.given_up == there.asked <= 5  # at 0, 0.02, 0.06, 0.14, 0.3 s, on an idle machine
