"""Asking again, elsewhere, while who was asked says nothing: a lost node sends no word that it is lost.

After Dean and Barroso, "The Tail at Scale" (2013). Only for questions that may be answered twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")

#: How long who is gone is not asked again at once, in which others learn of it.
_PAUSE_S = 0.1


async def hedged(
    ask: Callable[[], Awaitable[Result]], after_s: float, gone: tuple[type[Exception], ...]
) -> Result:
    """The first answer to `ask`, which is asked again after `after_s`, then after twice as long, and so on.

    An answerer that turns out to be `gone` is nobody's answer; whatever else `ask` raises is. Goes on until
    it is cancelled: the caller has the deadline.
    """
    asked: set[asyncio.Future[Result]] = set()
    try:
        while True:
            asked.add(asyncio.ensure_future(ask()))
            done, asked = await asyncio.wait(asked, timeout=after_s, return_when=asyncio.FIRST_COMPLETED)
            answers = [one for one in done if not isinstance(one.exception(), gone)]
            if answers:
                return answers[0].result()
            if done:
                await asyncio.sleep(_PAUSE_S)
            else:
                after_s *= 2
    finally:
        for one in asked:
            one.cancel()
