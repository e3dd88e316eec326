"""Bodies as a client sends them: unreadable, too large, endless, arbitrary."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fakes.shop import ASK, BATCH, JSON, Shop, problem_of
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"[" * 100_00, "not JSON"),
        (b'{"text": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "not JSON"),
        (b'{"text": NaN}', "not JSON"),
        (b'{"text": "\xff"}', "not JSON"),
        (b'{"text": "\xed\xa0\x80"}', "not JSON"),  # a surrogate written as UTF-8
        (rb'{"text": "\ud800"}', "not JSON"),  # and as an escape
        (b'{"text": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b'{"text": "a"} {', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[]", "object"),
        (b'"text"', "object"),
        (b"null", "object"),
        (b"1e999", "not JSON"),
    ],
)
@pytest.mark.parametrize("path", [ASK, BATCH])
async def test_what_cannot_be_read_is_400(shop: Shop, path: str, body: bytes, detail: str) -> None:
    found = problem_of(await shop.client.post(path, content=body, headers=JSON), 400, "malformed")
    assert detail in found["detail"]
    assert found["field"] == "body"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/json; charset=latin-1",
    ],
)
async def test_another_content_type_is_415(shop: Shop, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    problem_of(
        await shop.client.post(ASK, content=b'{"text":"a"}', headers=headers), 415, "unsupported-media-type"
    )


async def test_a_declared_length_over_the_limit_is_refused_unread(shop: Shop) -> None:
    class Unreadable(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            raise AssertionError("the body was read")
            yield b""

    for length in ("20001", "10485760", "9" * 400):
        response = await shop.client.post(
            ASK, content=Unreadable(), headers={**JSON, "content-length": length}
        )
        assert "20,000 bytes" in problem_of(response, 413, "too-large")["detail"]


async def test_a_stream_over_the_limit_is_refused_where_it_passes_it(shop: Shop) -> None:
    read = 0

    async def ten_megabytes() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1_000):
            read += 10_000
            yield b" " * 10_000

    response = await shop.client.post(ASK, content=ten_megabytes(), headers=JSON)
    problem_of(response, 413, "too-large")
    assert read <= 40_000
    assert response.headers["connection"] == "close"


async def test_a_body_that_never_ends_is_408(tmp_path: Path) -> None:
    shop = Shop(tmp_path, request_timeout_s=0.1)

    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    problem_of(await shop.client.post(ASK, content=drip(), headers=JSON), 408, "deadline-exceeded")


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
