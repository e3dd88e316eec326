"""What both handlers share: back-off that ends with `stop`, and letters about what a broker gave up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from fakes.events import Desk, gateway, query
from fakes.shop import Shop

from slmfleet.services.events.cloudevents import QUERIES
from slmfleet.services.events.handler import dead_letter_writer


@pytest.fixture
async def desk(broker: str, shop: Shop) -> AsyncIterator[Desk]:
    desk = Desk(broker, gateway(shop))
    yield desk
    await desk.client.aclose()


async def test_the_back_off_grows_up_to_a_bound_and_ends_with_stop(desk: Desk) -> None:
    started = time.monotonic()
    await desk.handler._back_off(0, 0)
    assert 0.05 < time.monotonic() - started < 0.5
    started = time.monotonic()
    long = asyncio.create_task(desk.handler._back_off(30, 60.0))
    await asyncio.sleep(0.2)
    assert not long.done()
    desk.handler.stop()
    await long
    assert time.monotonic() - started < 2


async def test_what_the_broker_gave_up_becomes_a_dead_letter(desk: Desk) -> None:
    body = query("hi")
    await dead_letter_writer(desk.dead, desk.counts)(QUERIES, body)
    (letter,) = await desk.dead.all()
    assert (letter.died.reason, letter.died.stream, letter.died.raw()) == ("undeliverable", QUERIES, body)
    assert desk.counts.dead_by == {"undeliverable": 1}
