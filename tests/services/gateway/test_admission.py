"""How many requests are worked on at once, and what happens to the next."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes.serving import WordParts
from fakes.shop import Shop, problem_of

from slmfleet.models.contracts import (
    Answer,
)
from slmfleet.models.question import Query


async def test_one_more_than_may_be_in_hand_is_429_and_all_others_are_answered(tmp_path: Path) -> None:
    shop = Shop(tmp_path, WordParts(slow_s=0.1), max_ongoing_requests=2, max_queued_requests=3)
    responses = await asyncio.gather(*(shop.ask(f"slowly where {number}") for number in range(9)))
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [200] * 5 + [429] * 4
    refused = next(response for response in responses if response.status_code == 429)
    problem_of(refused, 429, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await shop.ask("where")).status_code == 200


async def test_no_more_work_at_once_than_there_are_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path, max_ongoing_requests=3)
    now = most = 0
    answer = shop.loaded.pipeline.get_or_compute

    async def counted(query: Query) -> Answer:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            await asyncio.sleep(0.01)
            return await answer(query)
        finally:
            now -= 1

    monkeypatch.setattr(shop.loaded.pipeline, "get_or_compute", counted)
    assert {it.status_code for it in await asyncio.gather(*(shop.ask("where") for _ in range(20)))} == {200}
    assert most == 3


async def test_health_is_told_while_all_places_are_taken(tmp_path: Path) -> None:
    shop = Shop(tmp_path, WordParts(slow_s=0.3), max_ongoing_requests=1, max_queued_requests=1)
    asked = [asyncio.create_task(shop.ask("slowly where")) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert (await shop.ask("where")).status_code == 429
    assert (await shop.client.get("/healthz")).status_code == 200
    assert (await shop.client.get("/readyz")).status_code == 200
    assert [response.status_code for response in await asyncio.gather(*asked)] == [200, 200]
