"""What stands before Ray Serve's own handling of a request, inside each replica.

Serve reads some headers of the client's itself, before the gateway is called. It decodes them as UTF-8, so
that one odd byte is answered with a bare 500, and lets a client switch off deadlines. It also echoes any
request id, as a second header beside the gateway's.

A `traceparent` is no order to slmfleet, but Serve would act on it: it travels on under another name.
"""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slmfleet.services.gateway.request_id import HEADER, request_id_of
from slmfleet.services.telemetry import tracing

#: Headers by which Ray Serve takes orders. A shop's customers give none.
_ORDERS = frozenset(
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
    """ASGI middleware: no orders to Serve, one safe request id in, the same one out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under one safe id, and its answer back with that id once."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = (HEADER, request_id_of(scope["headers"]).encode("ascii"))
        kept = [pair for pair in scope["headers"] if pair[0] not in (HEADER, tracing.TRACEPARENT, *_ORDERS)]
        given = [value for name, value in scope["headers"] if name == b"traceparent"]
        if len(given) == 1 and tracing.checked(given[0].decode("latin-1")):
            kept.append((tracing.TRACEPARENT, given[0]))

        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [pair for pair in message["headers"] if pair[0].lower() != HEADER]
                message = {**message, "headers": [*others, request_id]}
            await send(message)

        await self._app({**scope, "headers": [*kept, request_id]}, receive, send_once)


def serve_middlewares() -> list[Middleware]:
    """What RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names: Serve puts these around its own."""
    return [Middleware(HeaderSanitizer)]
