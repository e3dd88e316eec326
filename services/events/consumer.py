"""`slmfleet consume`: the FastStream application around a transport, its health pages, and how it ends.

Exit codes are for a supervisor: 0, it was asked to stop and finished its pending events; 1, it stopped by
itself (the broker was flushed, or stayed away) and should be started again; 2, a setting is wrong.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType
from typing import Any, Final

import orjson
import uvicorn
from faststream.asgi import AsgiFastStream
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from slmfleet.models.errors import Unreachable
from slmfleet.services.events.answerer import QueryClient
from slmfleet.services.events.asyncapi import declare, document_of, specification
from slmfleet.services.events.counts import EventCounts
from slmfleet.services.events.transport import Backlog, HandleAll, Transport
from slmfleet.services.telemetry import metrics

STOPPED: Final = 0
RESTART: Final = 1
_MAINTAIN_EVERY_S: Final = 10.0
_BACKLOG_TIMEOUT_S: Final = 3.0

log = logging.getLogger(__name__)


class Consumer(AsgiFastStream):
    """Consumes `transport` until it is asked to stop.

    `handlers`: stream -> what handles its deliveries. `stops` are called at shutdown, so that handlers stop
    waiting for a gateway that is away. As an ASGI application it serves /healthz, /readyz, /metrics and
    /asyncapi.json.
    """

    def __init__(
        self,
        transport: Transport,
        handlers: dict[str, HandleAll],
        answerer: QueryClient,
        counts: EventCounts,
        stops: Sequence[Callable[[], None]],
    ) -> None:
        declare(transport, handlers)
        self._transport = transport
        self._answerer = answerer
        self._counts = counts
        self._backlog: dict[str, Backlog] = {}
        self._consuming = self._closing = False
        self._maintenance: asyncio.Task[None] | None = None
        super().__init__(
            transport.broker,
            logger=log,
            asgi_routes=[
                ("/healthz", _page(self._health)),
                ("/readyz", _page(self._readiness)),
                ("/metrics", self._metrics),
                ("/asyncapi.json", _page(self._document)),
            ],
            specification=specification(),
            on_startup=[self._start_maintenance],
            after_startup=[self._mark_consuming],
            on_shutdown=stops,
            after_shutdown=[self._close],
        )

    async def serve(self, host: str, port: int) -> int:
        """Consume until SIGINT or SIGTERM; returns the exit code. Raises Unreachable."""
        stopping = False

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal stopping
            stopping = True

        for kind in (signal.SIGINT, signal.SIGTERM):
            signal.signal(kind, stop)  # uvicorn takes them while it serves, and raises them here afterwards
        await self._transport.prepare()
        config = uvicorn.Config(
            self, host, port, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=5
        )
        self._uvicorn = uvicorn.Server(config)
        if not stopping:
            await self._uvicorn.serve()
        return STOPPED if stopping else RESTART

    def exit(self) -> None:
        """Called by FastStream when a subscriber cannot continue, because its consumer group is gone."""
        log.error("the broker no longer knows this consumer's group; it was flushed, or its stream deleted")
        self._uvicorn.should_exit = True

    async def _start_maintenance(self) -> None:
        self._maintenance = asyncio.create_task(self._maintain())

    async def _mark_consuming(self) -> None:
        self._consuming = True

    async def _close(self) -> None:
        self._closing = True
        if self._maintenance is not None:
            self._maintenance.cancel()
        await self._answerer.close()

    async def _maintain(self) -> None:
        while not self._closing:  # redis-py loses a cancellation that comes while it reads a reply
            try:
                await self._transport.maintain()
            except Exception as error:  # noqa: BLE001 - consuming continues without it, and it is retried
                log.warning("maintenance of the broker failed: %s", error)
            await asyncio.sleep(_MAINTAIN_EVERY_S)
            if not self._consuming:  # FastStream's start failed, which leaves a process that does nothing
                log.error("consuming did not begin within %g s", _MAINTAIN_EVERY_S)
                self._uvicorn.should_exit = True

    async def _health(self) -> tuple[int, dict[str, Any]]:
        return 200, {"status": "ok"}

    async def _readiness(self) -> tuple[int, dict[str, Any]]:
        """200 when broker and models are ready, else 503; with the checks, the backlog and the counts."""
        unreachable = await self._refresh_backlog()
        checks = {"broker": unreachable or "ok", "models": await self._answerer.unready() or "ok"}
        ready = set(checks.values()) == {"ok"}
        return 200 if ready else 503, {
            "status": "ok" if ready else "unavailable",
            "checks": checks,
            "lag": {stream: backlog.waiting for stream, backlog in self._backlog.items()},
            "in_hand": {stream: backlog.pending for stream, backlog in self._backlog.items()},
            "handled": {f"{kind} {result}": n for (kind, result), n in self._counts.handled_by.items()},
            "dead": dict(self._counts.dead_by),
        }

    async def _refresh_backlog(self) -> str | None:
        """Read the backlog from the broker; returns why it could not be read, or None."""
        try:
            async with asyncio.timeout(_BACKLOG_TIMEOUT_S):
                self._backlog = await self._transport.backlog()
        except (Unreachable, TimeoutError) as error:
            return str(error) or "the broker does not answer"
        # -1: the broker does not know it.
        metrics.EVENT_LAG.set(sum(max(0, backlog.waiting) for backlog in self._backlog.values()))
        metrics.EVENT_PENDING.set(sum(backlog.pending for backlog in self._backlog.values()))
        return None

    async def _metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._refresh_backlog()  # while the broker is away, the last known values stay
        response = Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)
        await response(scope, receive, send)

    async def _document(self) -> tuple[int, dict[str, Any]]:
        return 200, document_of(self)


def _page(content: Callable[[], Awaitable[tuple[int, dict[str, Any]]]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status, document = await content()
        response = Response(orjson.dumps(document), status, media_type="application/json")
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    return app
