"""What the commands about events do: consume, publish, and dead list | show | replay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from cloudevents.core.v1.event import CloudEvent
from redis.exceptions import RedisError

from slmfleet.models.errors import Unreachable
from slmfleet.services.events import publisher as publishing
from slmfleet.services.events.answerer import GatewayClient, PipelineClient, QueryClient
from slmfleet.services.events.brokers.for_url import broker_url, ledger_client, ledger_on, transport_for
from slmfleet.services.events.cloudevents import CHANGES, QUERIES, AnswerData
from slmfleet.services.events.consumer import Consumer
from slmfleet.services.events.counts import EventCounts
from slmfleet.services.events.dead_letters import DeadLetter, DeadLetters
from slmfleet.services.events.handlers import ChangeHandler, QueryHandler, dead_letter_writer
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.transport import HandleAll, Transport
from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.settings import Settings
from slmfleet.services.state.change_publisher import ChangePublisher
from slmfleet.services.telemetry import tracing


def consume(
    settings: Settings, gateway: str | None, host: str, port: int, tell: Callable[[str], None]
) -> int:
    """Consume until asked to stop; returns the exit code. Without a `gateway` the pipeline answers here.

    Raises SettingsFault, Unreachable, and what loading the pipeline raises.
    """
    quiet_logs()
    tracing.start(settings.otlp_endpoint, "slmfleet-consumer")
    try:
        return asyncio.run(_consume(settings, gateway, host, port, tell))
    finally:
        tracing.stop()


async def _consume(
    settings: Settings, gateway: str | None, host: str, port: int, tell: Callable[[str], None]
) -> int:
    url = broker_url(settings)
    transport = transport_for(url, settings)
    client = ledger_client(url, settings)
    ledger, dead, counts = ledger_on(client, settings), DeadLetters(client), EventCounts()
    with ThreadPoolExecutor(1, thread_name_prefix="models") as executor:
        answerer = _answerer(settings, gateway, executor)
        queries = QueryHandler(answerer, ledger, dead, transport.publish, counts)
        handlers: dict[str, HandleAll] = {QUERIES: queries.handle_all}
        transport.when_given_up(dead_letter_writer(dead, counts))
        stops: list[Callable[[], None]] = [queries.stop]
        changes = _changes(settings, tell)
        if changes is not None:
            changing = ChangeHandler(changes, ledger, dead, counts)
            handlers[CHANGES] = changing.handle_all
            stops.append(changing.stop)
        consumer = Consumer(transport, handlers, answerer, counts, stops)
        where = gateway or "this process"
        tell(f"consuming {' and '.join(handlers)} from {without_password(url)}; answers come from {where}")
        tell(f"health: http://{host}:{port}/readyz")
        try:
            return await consumer.serve(host, port)
        finally:
            if changes is not None:
                await changes.close()
            await client.aclose()


def _answerer(settings: Settings, gateway: str | None, executor: ThreadPoolExecutor) -> QueryClient:
    if gateway is not None:
        return GatewayClient(gateway, next(iter(sorted(settings.api_key_set())), None))
    parts = DefaultFactory()
    loaded = load_pipeline(settings, parts, executor)
    return PipelineClient(lambda: loaded, parts.customer_of(settings))


def _changes(settings: Settings, tell: Callable[[str], None]) -> ChangePublisher | None:
    try:
        return ChangePublisher(settings)
    except Unreachable as error:
        tell(f"news of changes is left on {CHANGES}: {error}")
        return None


def without_password(url: str) -> str:
    """The URL without its password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def publish(settings: Settings, event: CloudEvent) -> None:
    """Put `event` on the broker. Raises SettingsFault, Unreachable."""

    async def run() -> None:
        async with _broker(settings) as (transport, _, _):
            await publishing.publish(transport, event)

    asyncio.run(run())


def ask(settings: Settings, event: CloudEvent, wait_s: float) -> AnswerData | DeadLetter | None:
    """Put a query event on the broker and wait for what becomes of it. Raises SettingsFault, Unreachable."""

    async def run() -> AnswerData | DeadLetter | None:
        async with _broker(settings) as (transport, dead, _):
            return await publishing.ask(transport, dead, event, wait_s)

    return asyncio.run(run())


def dead_letters(settings: Settings) -> list[DeadLetter]:
    """Every dead letter, oldest first. Raises SettingsFault, Unreachable."""

    async def run() -> list[DeadLetter]:
        async with _broker(settings) as (_, dead, _):
            return await dead.all()

    return asyncio.run(run())


def dead_letter(settings: Settings, letter_id: str) -> DeadLetter:
    """One dead letter. Raises SettingsFault, Unreachable, NotFound."""

    async def run() -> DeadLetter:
        async with _broker(settings) as (_, dead, _):
            return await dead.get(letter_id)

    return asyncio.run(run())


def replay(settings: Settings, letter_ids: list[str]) -> list[DeadLetter]:
    """Publish dead events again and remove their letters; all of them without ids. Returns the letters.

    Raises SettingsFault, Unreachable, NotFound, EventFault for one that would only die again.
    """

    async def run() -> list[DeadLetter]:
        async with _broker(settings) as (transport, dead, ledger):
            letters = [await dead.get(letter_id) for letter_id in letter_ids]
            await transport.prepare()
            for letter in letters:
                await dead.replay(letter, transport.publish, ledger)
            return letters

    return asyncio.run(run())


@asynccontextmanager
async def _broker(settings: Settings) -> AsyncIterator[tuple[Transport, DeadLetters, Ledger]]:
    url = broker_url(settings)
    transport = transport_for(url, settings)
    client = ledger_client(url, settings, patience_s=2.0)
    try:
        yield transport, DeadLetters(client), ledger_on(client, settings)
    except RedisError as error:
        raise Unreachable(f"the broker at {without_password(url)} cannot be reached: {error}") from None
    finally:
        await client.aclose()
        await transport.close()


def quiet_logs() -> None:
    """Logs on stderr, a line each: a broker that is away for a moment is no traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("slmfleet.broker", "aiormq.connection", "aio_pika.robust_connection", "nats.aio.client"):
        logging.getLogger(name).addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", ()
        record.exc_info = None
    return True
