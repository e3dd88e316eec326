"""Admission control: how many requests are worked on at once, and how many more may wait."""

from __future__ import annotations

import asyncio

from slmfleet.models.errors import Overloaded


class Admission:
    """`with admission:` admits a request; `async with admission.place:` lets `ongoing` of them work at once.

    In two steps, so that a client that sends its body slowly occupies no place. In the gateway rather than in
    Ray Serve's own queue, so that a refusal is a problem document, waiting counts against the request's
    deadline, and health checks never wait behind questions.
    """

    def __init__(self, ongoing: int, queued: int) -> None:
        self.place = asyncio.Semaphore(ongoing)
        self._limit = ongoing + queued
        self._admitted = 0

    def __enter__(self) -> None:
        """Raises Overloaded when `ongoing + queued` requests are admitted."""
        if self._admitted >= self._limit:
            raise Overloaded("too many questions are being answered; try again shortly")
        self._admitted += 1

    def __exit__(self, *_: object) -> None:
        """The request is answered, or its client is gone."""
        self._admitted -= 1
