"""`slmfleet consume`: puts broker, ledger, handlers and answerer together and runs the consumer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from slmfleet.models.errors import Unreachable
from slmfleet.services.events.answerer import GatewayClient, PipelineClient, QueryClient
from slmfleet.services.events.change_handler import ChangeHandler
from slmfleet.services.events.cloudevents import CHANGES, QUERIES
from slmfleet.services.events.connection import connect, without_password
from slmfleet.services.events.consumer import Consumer
from slmfleet.services.events.counts import EventCounts
from slmfleet.services.events.handler import dead_letter_writer
from slmfleet.services.events.query_handler import QueryHandler
from slmfleet.services.events.transport import BROKER_LOGGER, HandleAll
from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.pipeline.default_parts import DefaultFactory
from slmfleet.services.settings import Settings
from slmfleet.services.state.change_publisher import ChangePublisher
from slmfleet.services.telemetry import tracing


def consume(
    settings: Settings, gateway: str | None, host: str, port: int, report: Callable[[str], None]
) -> int:
    """Consume until asked to stop; returns the exit code. Without `gateway` this process runs the pipeline.

    `report` is called with lines for the operator. Raises SettingsFault, Unreachable, and what loading the
    pipeline raises.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    tracing.start(settings.otlp_endpoint, "slmfleet-consumer")
    try:
        return asyncio.run(_consume(settings, gateway, host, port, report))
    finally:
        tracing.stop()


async def _consume(
    settings: Settings, gateway: str | None, host: str, port: int, report: Callable[[str], None]
) -> int:
    async with connect(settings) as connection:
        transport, ledger, dead = connection.transport, connection.ledger, connection.dead
        shorten_tracebacks([BROKER_LOGGER, *transport.noisy_loggers])
        counts = EventCounts()
        with ThreadPoolExecutor(1, thread_name_prefix="models") as executor:
            answerer = _answerer(settings, gateway, executor)
            queries = QueryHandler(answerer, ledger, dead, transport.publish, counts)
            handlers: dict[str, HandleAll] = {QUERIES: queries.handle_all}
            transport.on_undeliverable(dead_letter_writer(dead, counts))
            stops: list[Callable[[], None]] = [queries.stop]
            publisher = _change_publisher(settings, report)
            if publisher is not None:
                changes = ChangeHandler(publisher, ledger, dead, counts)
                handlers[CHANGES] = changes.handle_all
                stops.append(changes.stop)
            consumer = Consumer(transport, handlers, answerer, counts, stops)
            broker = without_password(connection.url)
            answers = gateway or "this process"
            report(f"consuming {' and '.join(handlers)} from {broker}; answers come from {answers}")
            report(f"health: http://{host}:{port}/readyz")
            try:
                return await consumer.serve(host, port)
            finally:
                if publisher is not None:
                    await publisher.close()


def _answerer(settings: Settings, gateway: str | None, executor: ThreadPoolExecutor) -> QueryClient:
    if gateway is not None:
        return GatewayClient(gateway, next(iter(sorted(settings.api_key_set())), None))
    parts = DefaultFactory()
    loaded = load_pipeline(settings, parts, executor)
    return PipelineClient(lambda: loaded, parts.customer_of(settings))


def _change_publisher(settings: Settings, report: Callable[[str], None]) -> ChangePublisher | None:
    try:
        return ChangePublisher(settings)
    except Unreachable as error:
        report(f"change events are left on {CHANGES}: {error}")
        return None


def shorten_tracebacks(loggers: Iterable[str]) -> None:
    """Have these loggers print an exception as one line: a broker that is away briefly is no traceback."""
    for name in loggers:
        logging.getLogger(name).addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", ()
        record.exc_info = None
    return True
