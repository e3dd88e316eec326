"""What goes wrong on this side: slow, broken or overloaded, and that nothing sent makes it stumble."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes.serving import WordParts
from fakes.shop import ASK, BATCH, JSON, Shop, problem_of
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from slmfleet.models.contracts import Answer
from slmfleet.models.errors import Overloaded, SlmfleetError
from slmfleet.models.question import Query
from slmfleet.services.gateway.problems import PROBLEMS


async def test_a_slow_answer_is_408_at_the_deadline(tmp_path: Path) -> None:
    shop = Shop(tmp_path, WordParts(slow_s=0.5), request_timeout_s=0.1)
    found = problem_of(await shop.ask("slowly where"), 408, "deadline-exceeded")
    assert "0.1 s" in found["detail"]


async def test_a_body_that_never_ends_is_408(tmp_path: Path) -> None:
    shop = Shop(tmp_path, request_timeout_s=0.1)

    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    problem_of(await shop.client.post(ASK, content=drip(), headers=JSON), 408, "deadline-exceeded")


async def test_a_timeout_inside_is_not_mistaken_for_the_deadline(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inner(_: object) -> Answer:
        raise TimeoutError

    monkeypatch.setattr(shop.loaded.pipeline, "get_or_compute", inner)
    problem_of(await shop.ask("a"), 500, "internal")


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


@pytest.mark.parametrize("text", ["explode where", "derail"])
async def test_a_model_that_raises_is_503_without_its_insides(shop: Shop, text: str) -> None:
    response = await shop.ask(text)
    found = problem_of(response, 503, "model-broken")
    assert "secret" not in response.text
    assert "inside" not in found["detail"]
    assert int(response.headers["retry-after"]) >= 1


async def test_a_fault_of_ours_is_500_that_tells_nothing_and_is_logged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fall(_: object) -> Answer:
        raise KeyError("password of the database")

    monkeypatch.setattr(shop.loaded.pipeline, "get_or_compute", fall)
    response = await shop.ask("a", headers={"x-request-id": "trace-77"})
    problem_of(response, 500, "internal")
    assert "password" not in response.text
    assert "KeyError" not in response.text
    logged = next(record for record in caplog.records if "trace-77" in record.getMessage())
    assert logged.exc_info is not None


@pytest.mark.parametrize("name", ["router", "shipping", "returns"])
async def test_readiness_names_the_broken_model(shop: Shop, name: str) -> None:
    assert (await shop.client.get("/readyz")).json()["checks"] == {
        "router": "ok",
        "shipping": "ok",
        "returns": "ok",
    }
    (shop.folder / f"{name}.broken").touch()
    response = await shop.client.get("/readyz")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    checks = response.json()["checks"]
    assert "answers its probe wrongly" in checks.pop(name)
    assert set(checks.values()) == {"ok"}
    assert (await shop.client.get("/healthz")).status_code == 200


def test_every_error_has_a_row_or_is_internal() -> None:
    internal = {"FleetFault", "BundleFault", "DataFault", "BaselineFault", "SettingsFault", "EventFault"}
    kinds = {kind for base in SlmfleetError.__subclasses__() for kind in (base, *base.__subclasses__())}
    assert {kind.__name__ for kind in kinds - set(PROBLEMS)} == internal
    assert PROBLEMS[Overloaded].status == 429


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_near_queries = st.fixed_dictionaries(
    {},
    optional={
        "text": _json_values,
        "session_id": _json_values,
        "locale": _json_values,
        "history": _json_values,
        "queries": _json_values,
    },
)
_bodies = st.one_of(
    st.binary(max_size=300),
    _json_values.map(lambda value: json.dumps(value).encode()),
    _near_queries.map(lambda value: json.dumps(value).encode()),
    st.lists(_near_queries, max_size=10).map(lambda value: json.dumps({"queries": value}).encode()),
)


@hypothesis_settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(path=st.sampled_from([ASK, BATCH]), body=_bodies, odd=st.binary(max_size=40))
def test_no_body_or_header_makes_it_stumble(tmp_path: Path, path: str, body: bytes, odd: bytes) -> None:
    async def play() -> None:
        shop = Shop(tmp_path)
        response = await shop.client.post(
            path,
            content=body,
            headers=[
                (b"content-type", b"application/json"),
                (b"x-request-id", odd),
                (b"accept-language", odd),
            ],
        )
        assert response.status_code in (200, 400, 413, 422), response.text
        assert response.headers["x-request-id"]
        if response.status_code != 200:
            slug = {400: "malformed", 413: "too-large", 422: "invalid-field"}[response.status_code]
            problem_of(response, response.status_code, slug)
        shop.executor.shutdown()

    asyncio.run(play())
