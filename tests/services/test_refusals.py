"""Every refusal of the HTTP interface: what is wrong with the request, in its status and words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.serving import WordParts
from fakes.shop import ASK, BATCH, JSON, Shop, problem_of


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
    ("body", "field", "detail"),
    [
        ({}, "text", "text: is required"),
        ({"text": ""}, "text", "at least 1 character"),
        ({"text": " \n\t"}, "text", "white space"),
        ({"text": "a\x00b"}, "text", "NUL"),
        ({"text": "w" * 2_001}, "text", "at most 2000 characters"),
        ({"text": "\N{DEVANAGARI LETTER QA}" * 2_000}, "text", "at most 2000 characters"),  # NFC doubles it
        ({"text": 7}, "text", "valid string"),
        ({"text": None}, "text", "valid string"),
        ({"text": ["a"]}, "text", "valid string"),
        ({"text": "a", "texts": "b"}, "texts", "is not a field known here"),
        ({"text": "a", "session_id": "a b"}, "session_id", "pattern"),
        ({"text": "a", "session_id": "x" * 65}, "session_id", "pattern"),
        ({"text": "a", "session_id": "a\n"}, "session_id", "pattern"),
        ({"text": "a", "locale": "english"}, "locale", "pattern"),
        ({f"field{n}": n for n in range(200)}, "body", "200 fields"),
    ],
)
async def test_a_wrong_field_is_named(shop: Shop, body: dict[str, Any], field: str, detail: str) -> None:
    found = problem_of(await shop.client.post(ASK, json=body), 422, "invalid-field")
    assert found["field"] == field
    assert detail in found["detail"]


async def test_every_wrong_field_is_in_the_detail(shop: Shop) -> None:
    found = problem_of(
        await shop.client.post(ASK, json={"text": "", "locale": "x", "session_id": 1, "zz": 1}),
        422,
        "invalid-field",
    )
    assert all(name in found["detail"] for name in ("text:", "locale:", "session_id:", "zz:"))
    batch = {"queries": [{"text": "a"}, {"text": ""}, {"text": "b", "locale": 5}]}
    found = problem_of(await shop.client.post(BATCH, json=batch), 422, "invalid-field")
    assert found["field"] == "queries.1.text"
    assert "queries.2.locale:" in found["detail"]
    many = {"queries": [{"text": "", "a": 1, "b": 2}] * 8}
    assert "and 14 more" in (await shop.client.post(BATCH, json=many)).json()["detail"]


@pytest.mark.parametrize("queries", [None, [], {}, "a", [1], [[]], [None]])
async def test_a_batch_of_anything_else_is_422(shop: Shop, queries: object) -> None:
    found = problem_of(await shop.client.post(BATCH, json={"queries": queries}), 422, "invalid-field")
    assert found["field"].startswith("queries")


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


async def test_too_many_queries_are_413(shop: Shop) -> None:
    response = await shop.client.post(BATCH, json={"queries": [{"text": "a"}] * 9})
    assert "at most 8" in problem_of(response, 413, "too-large")["detail"]


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/queries/", "/v1/queries:batches", "/V1/QUERIES", "/v1/%00", "/é"]
)
async def test_an_unknown_path_is_404(shop: Shop, path: str) -> None:
    problem_of(await shop.client.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", ASK, {"POST"}),
        ("HEAD", ASK, {"POST"}),
        ("DELETE", BATCH, {"POST"}),
        ("POST", "/v1/fleet", {"GET", "HEAD"}),
        ("OPTIONS", "/healthz", {"GET", "HEAD"}),
        ("BREW", "/readyz", {"GET", "HEAD"}),
    ],
)
async def test_another_method_is_405_and_told_which(
    shop: Shop, method: str, path: str, allowed: set[str]
) -> None:
    response = await shop.client.request(method, path)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer forged", "Basic dXNlcjpwYXNz", "token-of-alice", "Bearer \xff"],
)
async def test_a_token_that_proves_nobody_is_401_not_a_stranger(shop: Shop, header: str) -> None:
    response = await shop.ask("where is my parcel", headers={"authorization": header.encode("latin-1")})
    problem_of(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_keys_are_asked_for_everywhere_but_at_the_probes(tmp_path: Path) -> None:
    shop = Shop(tmp_path, WordParts(with_keys=True))
    for headers in ({}, {"x-api-key": "guess"}, {"x-api-key": ""}):
        for method, path in (("POST", ASK), ("POST", BATCH), ("GET", "/v1/fleet")):
            problem_of(await shop.client.request(method, path, headers=headers), 401, "unauthenticated")
        for path in ("/healthz", "/readyz", "/openapi.json"):
            assert (await shop.client.get(path, headers=headers)).status_code == 200
    keyed = {"x-api-key": "key-of-the-shop"}
    assert (await shop.client.get("/v1/fleet", headers=keyed)).status_code == 200
    assert (await shop.ask("where", headers=keyed)).status_code == 200
    problem_of(
        await shop.ask("where", headers={**keyed, "authorization": "Bearer x"}), 401, "unauthenticated"
    )
