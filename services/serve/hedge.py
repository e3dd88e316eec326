"""Hedged calls: a call without a result is repeated at another replica, since a lost node sends no error.

After Dean and Barroso, "The Tail at Scale" (2013). Only for calls that may be carried out twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")

#: Pause after a replica turned out to be gone, in which Ray learns of it.
_PAUSE_S = 0.1


async def hedged(
    call: Callable[[], Awaitable[Result]], after_s: float, gone: tuple[type[Exception], ...]
) -> Result:
    """The first result of `call`, which is repeated after `after_s`, then after twice as long, and so on.

    An error of the types `gone` is no result; any other error is raised. Goes on until it is cancelled: the
    caller has the deadline.
    """
    pending: set[asyncio.Future[Result]] = set()
    try:
        while True:
            pending.add(asyncio.ensure_future(call()))
            done, pending = await asyncio.wait(pending, timeout=after_s, return_when=asyncio.FIRST_COMPLETED)
            results = [one for one in done if not isinstance(one.exception(), gone)]
            if results:
                return results[0].result()
            if done:
                await asyncio.sleep(_PAUSE_S)
            else:
                after_s *= 2
    finally:
        for one in pending:
            one.cancel()
