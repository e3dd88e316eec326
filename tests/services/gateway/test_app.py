"""The HTTP interface as a client meets it: answers, refusals, request ids, deadlines, clients that leave."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fakes.serving import WordParts
from fakes.shop import ASK, BATCH, Shop, problem_of

from slmfleet.models.contracts import Answer
from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.schemas import FleetBody


async def test_a_question_is_answered_with_its_evidence_route_and_cost(shop: Shop) -> None:
    response = await shop.ask("where is my parcel", headers={"authorization": "Bearer token-of-alice"})
    assert response.status_code == 200
    answer = Answer.model_validate_json(response.content)
    assert (answer.status, answer.text) == ("answered", "About track, alice.")
    assert answer.parts[0].evidence[0].ref == "track"
    assert answer.route.domain == "shipping"
    assert answer.cost.latency_ms > 0
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"


async def test_a_batch_is_answered_in_order(shop: Shop) -> None:
    texts = ["where is my parcel", "can i return shoes", "blah blah", "how fast is express"]
    response = await shop.client.post(BATCH, json={"queries": [{"text": text} for text in texts]})
    assert [a["route"]["domain"] for a in response.json()["answers"]] == [
        "shipping",
        "returns",
        "shipping",
        "shipping",
    ]
    assert [a["status"] for a in response.json()["answers"]] == [
        "answered",
        "answered",
        "handed_off",
        "answered",
    ]


async def test_no_token_is_a_stranger_and_the_body_cannot_name_a_customer(shop: Shop) -> None:
    assert (await shop.ask("where is my parcel")).json()["text"] == "About track, stranger."
    named = await shop.client.post(ASK, json={"text": "where is my parcel", "customer": "alice"})
    assert problem_of(named, 422, "invalid-field")["field"] == "customer"


async def test_text_is_what_was_meant(shop: Shop) -> None:
    body = orjson.dumps(
        {
            "text": "  where is my parcel \N{COMBINING ACUTE ACCENT} 📦  ",
            "session_id": "s-1",
            "locale": "de-DE",
        }
    )
    response = await shop.client.post(
        ASK, content=body, headers={"content-type": 'application/json; charset="UTF-8"'}
    )
    assert response.json()["session_id"] == "s-1"
    assert (await shop.ask("w" * 2_000)).status_code == 200


async def test_the_fleet_tells_what_is_loaded(shop: Shop) -> None:
    fleet = FleetBody.model_validate_json((await shop.client.get("/v1/fleet")).content)
    assert fleet.placement == "colocated"
    assert [(d.domain, d.intents, d.passages, d.bytes) for d in fleet.domains] == [
        ("shipping", ["speed", "track"], 2, 60),
        ("returns", ["how", "window"], 2, 60),
    ]
    assert fleet.router.threshold == 0.3


async def test_head_is_get_without_its_body(shop: Shop) -> None:
    async def receive() -> Any:
        raise AssertionError("there is no body to read")

    for path in ("/v1/fleet", "/healthz", "/readyz", "/openapi.json"):
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        get = await shop.client.get(path)
        await shop.app({"type": "http", "method": "HEAD", "path": path, "headers": []}, receive, send)
        assert sent[0]["status"] == get.status_code == 200
        assert dict(sent[0]["headers"])[b"content-length"] == str(len(get.content)).encode()
        assert sent[1]["body"] == b""


@pytest.mark.parametrize("given", ["abc", "A.b_c-9", "x" * 128])
async def test_a_safe_request_id_is_echoed(shop: Shop, given: str) -> None:
    for path in ("/healthz", "/nowhere"):
        assert (await shop.client.get(path, headers={"x-request-id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", " ", "a b", "x" * 129, "<script>", "é", "a,b", "a\tb"])
async def test_an_unsafe_request_id_is_replaced(shop: Shop, given: str) -> None:
    response = await shop.client.get("/nowhere", headers={"x-request-id": given.encode()})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])
    assert problem_of(response, 404, "not-found")


async def test_two_request_ids_are_none(shop: Shop) -> None:
    response = await shop.client.get("/healthz", headers=[("x-request-id", "a"), ("x-request-id", "b")])
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_a_client_that_disconnects_cancels_its_work(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = asyncio.Event()

    async def endless(_: object) -> Answer:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    monkeypatch.setattr(shop.loaded.pipeline, "get_or_compute", endless)
    messages = [{"type": "http.request", "body": b'{"text":"a"}'}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0.01)
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": ASK,
        "headers": [(b"content-type", b"application/json")],
    }
    await asyncio.wait_for(shop.app(scope, receive, send), 2)
    assert cancelled.is_set()
    assert sent == []


async def test_a_client_that_leaves_amid_its_body_is_no_error(shop: Shop) -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": ASK,
        "headers": [(b"content-type", b"application/json")],
    }
    await shop.app(scope, receive, send)
    assert (await shop.ask("where")).status_code == 200


async def test_lifespan_is_acknowledged_and_websockets_are_closed(shop: Shop) -> None:
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await shop.app({"type": "lifespan"}, receive, send)
    await shop.app({"type": "websocket", "path": ASK, "headers": []}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


async def test_a_swap_of_what_is_loaded_serves_the_next_request(shop: Shop) -> None:
    (shop.folder / "version").write_text("abcabcabcabc")
    shop.loaded = load_pipeline(shop.settings, WordParts(), shop.executor)
    answer = (await shop.ask("where is my parcel")).json()
    assert answer["parts"][0]["model"]["version"] == "abcabcabcabc"


async def test_it_can_be_mounted_below_a_prefix(shop: Shop) -> None:
    transport = httpx.ASGITransport(shop.app, root_path="/eu")
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        assert (await client.get("/eu/healthz")).status_code == 200
        assert (await client.get("/us/healthz")).status_code == 404


async def test_a_slow_answer_is_408_at_the_deadline(tmp_path: Path) -> None:
    shop = Shop(tmp_path, WordParts(slow_s=0.5), request_timeout_s=0.1)
    found = problem_of(await shop.ask("slowly where"), 408, "deadline-exceeded")
    assert "0.1 s" in found["detail"]


async def test_a_timeout_inside_is_not_mistaken_for_the_deadline(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inner(_: object) -> Answer:
        raise TimeoutError

    monkeypatch.setattr(shop.loaded.pipeline, "get_or_compute", inner)
    problem_of(await shop.ask("a"), 500, "internal")


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
