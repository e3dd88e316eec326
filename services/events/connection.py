"""The broker and the ledger that the settings name, opened together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from slmfleet.models.errors import SettingsFault, Unreachable
from slmfleet.services.events.brokers.registry import REDIS, transport_for
from slmfleet.services.events.dead_letters import DeadLetters
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.redis_connection import RETRY_FOR_S, retrying_client
from slmfleet.services.events.transport import Transport
from slmfleet.services.settings import Settings, embedded_url

T = TypeVar("T")
#: A command line does not wait for a server as long as a consumer does.
_COMMAND_RETRY_FOR_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Connection:
    """A transport, not prepared yet, and what the ledger's Redis holds."""

    url: str
    transport: Transport
    ledger: Ledger
    dead: DeadLetters


@asynccontextmanager
async def connect(settings: Settings, retry_for_s: float = RETRY_FOR_S) -> AsyncIterator[Connection]:
    """The broker and ledger of `settings`; the connections are closed at the end.

    Raises SettingsFault when a URL is missing or wrong.
    """
    url = broker_url(settings)
    transport = transport_for(url, settings)
    client = ledger_client(url, settings, retry_for_s)
    ledger = Ledger(client, settings.event_keep_s, settings.event_reclaim_s, settings.event_attempts)
    try:
        yield Connection(url, transport, ledger, DeadLetters(client))
    finally:
        await client.aclose()
        await transport.close()


def run_connected(settings: Settings, command: Callable[[Connection], Awaitable[T]]) -> T:
    """What `command` returns, in an event loop of its own.

    Raises SettingsFault, Unreachable when the ledger's Redis is away, and what `command` raises.
    """

    async def run() -> T:
        async with connect(settings, _COMMAND_RETRY_FOR_S) as connection:
            try:
                return await command(connection)
            except RedisError as error:
                where = without_password(connection.url)
                raise Unreachable(f"the broker at {where} cannot be reached: {error}") from None

    return asyncio.run(run())


def broker_url(settings: Settings) -> str:
    """The URL of the broker: the one that is set, else that of `slmfleet up`. Raises SettingsFault."""
    if settings.broker_url is not None:
        return settings.broker_url.get_secret_value()
    embedded = embedded_url(settings.embedded_dir(), "broker")
    if embedded is not None:
        return embedded
    raise SettingsFault("there is no broker: start `slmfleet up`, or name one with --broker URL")


def ledger_client(broker_url: str, settings: Settings, retry_for_s: float = RETRY_FOR_S) -> Redis:
    """A client of the Redis of ledger and dead letters: `ledger_url`, else the broker where that is Redis.

    Raises SettingsFault when there is none.
    """
    given = settings.ledger_url
    if given is not None:
        return retrying_client(given.get_secret_value(), retry_for_s)
    if urlsplit(broker_url).scheme in REDIS.schemes:
        return retrying_client(broker_url, retry_for_s)
    raise SettingsFault(
        "SLMFLEET_LEDGER_URL: name a Redis or Valkey (appendonly, noeviction) that remembers which events "
        "were answered; this broker cannot"
    )


def without_password(url: str) -> str:
    """The URL without its user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
