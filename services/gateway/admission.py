"""How many requests are worked on at once, how many more may be in hand, and that the next is refused."""

from __future__ import annotations

import asyncio

from slmfleet.models.errors import Overloaded


class Admission:
    """`with admission:` counts a request in hand; `async with admission.place:` lets `ongoing` work at once.

    In two steps so that a client that sends its body slowly holds no place. In the gateway rather than in
    Ray Serve's own queue so that a refusal is a problem document, that waiting counts against the request's
    deadline, and that health checks never wait behind questions.
    """

    def __init__(self, ongoing: int, queued: int) -> None:
        self.place = asyncio.Semaphore(ongoing)
        self._limit = ongoing + queued
        self._in_hand = 0

    def __enter__(self) -> None:
        """Raises Overloaded when `ongoing + queued` requests are in hand."""
        if self._in_hand >= self._limit:
            raise Overloaded("too many questions are being answered; try again shortly")
        self._in_hand += 1

    def __exit__(self, *_: object) -> None:
        """The request is answered, or given up."""
        self._in_hand -= 1
