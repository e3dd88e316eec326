"""Middleware before Ray Serve's own handling of a request, inside each replica.

Serve reads some client headers itself, before the gateway is called. It decodes them as UTF-8, so that one
odd byte is answered with a bare 500, and lets a client switch off deadlines. It also echoes any request id,
as a second header beside the gateway's. A `traceparent` is passed on under another name, since Serve would
act on it.
"""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slmfleet.services.gateway.request_id import HEADER, request_id_of
from slmfleet.services.telemetry import tracing

#: Headers that control Ray Serve; clients may not.
_CONTROL_HEADERS = frozenset(
    {
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"x-session-id",
        b"serve_multiplexed_model_id",
        b"serve-multiplexed-model-id",
        b"traceparent",
        b"tracestate",
    }
)


class HeaderSanitizer:
    """ASGI middleware: removes the headers that control Serve; one safe request id in, the same one out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with one safe id; its response carries that id once."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = (HEADER, request_id_of(scope["headers"]).encode("ascii"))
        headers = [
            pair
            for pair in scope["headers"]
            if pair[0] not in (HEADER, tracing.TRACEPARENT, *_CONTROL_HEADERS)
        ]
        given = [value for name, value in scope["headers"] if name == b"traceparent"]
        if len(given) == 1 and tracing.checked(given[0].decode("latin-1")):
            headers.append((tracing.TRACEPARENT, given[0]))

        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [pair for pair in message["headers"] if pair[0].lower() != HEADER]
                message = {**message, "headers": [*others, request_id]}
            await send(message)

        await self._app({**scope, "headers": [*headers, request_id]}, receive, send_once)


def serve_middlewares() -> list[Middleware]:
    """For RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH: middlewares that Serve wraps around its own."""
    return [Middleware(HeaderSanitizer)]
