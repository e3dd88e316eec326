"""Headers that control Ray Serve never reach it, and a request has one id."""

from __future__ import annotations

from typing import Any

import httpx

from slmfleet.services.serve.middleware import HeaderSanitizer

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def passed_on(headers: list[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """The headers that the application behind it gets, and the request ids of the response."""
    seen: dict[str, str] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update({name.decode(): value.decode() for name, value in scope["headers"]})
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"serves-own")]}
        )
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(HeaderSanitizer(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        response = await client.get("/", headers=headers)
    return seen, response.headers.get_list("x-request-id")


async def test_what_controls_serve_is_removed() -> None:
    seen, _ = await passed_on([("x-request-timeout-seconds", "0"), ("x-session-id", "s"), ("accept", "a/b")])
    assert not {"x-request-timeout-seconds", "x-session-id"} & seen.keys()
    assert seen["accept"] == "a/b"


async def test_a_trace_is_passed_on_under_another_name() -> None:
    seen, _ = await passed_on([("traceparent", TRACE)])
    assert "traceparent" not in seen
    assert TRACE in seen.values()


async def test_one_safe_request_id_goes_in_and_comes_out() -> None:
    seen, ids = await passed_on([("x-request-id", "mine-1")])
    assert (seen["x-request-id"], ids) == ("mine-1", ["mine-1"])
    seen, ids = await passed_on([("x-request-id", "not safe")])
    assert ids == [seen["x-request-id"]]
    assert "not safe" not in ids
