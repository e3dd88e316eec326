"""Which broker a URL means, and where the standing of its events is kept."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from redis.asyncio import Redis

from slmfleet.models.errors import SettingsFault
from slmfleet.services.events.brokers.redis import RedisStreams, patient_client
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.transport import Transport
from slmfleet.services.settings import Settings, embedded_url

_REDIS: Final = ("redis", "rediss", "unix")


def transport_for(url: str, settings: Settings) -> Transport:
    """The broker at `url`. Raises SettingsFault for a kind that is not known, or whose extra is missing."""
    scheme = urlsplit(url).scheme
    if scheme in _REDIS:
        return RedisStreams(url, settings.event_batch, settings.event_reclaim_s, settings.event_keep_s)
    try:
        if scheme in ("amqp", "amqps"):
            from slmfleet.services.events.brokers.rabbitmq import RabbitQueues

            return RabbitQueues(url, settings.event_batch, settings.event_keep_s)
        if scheme in ("nats", "tls"):
            from slmfleet.services.events.brokers.nats import NatsStreams

            return NatsStreams(url, settings.event_batch, settings.event_reclaim_s, settings.event_keep_s)
    except ImportError as error:
        extra = "rabbitmq" if scheme.startswith("amqp") else "nats"
        raise SettingsFault(
            f"a broker at {scheme}:// needs {error.name}: pip install 'slmfleet[{extra}]'"
        ) from None
    raise SettingsFault(
        f"a broker's URL starts with redis://, rediss://, unix://, amqp://, amqps://, nats:// or tls://, "
        f"not '{scheme}'"
    )


def broker_url(settings: Settings) -> str:
    """The URL of the broker, that of `slmfleet up` unless told otherwise. Raises SettingsFault."""
    if settings.broker_url is not None:
        return settings.broker_url.get_secret_value()
    embedded = embedded_url(settings.embedded_dir(), "broker")
    if embedded is not None:
        return embedded
    raise SettingsFault("there is no broker: start `slmfleet up`, or name one with --broker URL")


def ledger_client(broker_url: str, settings: Settings, patience_s: float = 30.0) -> Redis:
    """The Redis of the ledger and the dead letters: the broker, where that is Redis, unless told otherwise.

    Raises SettingsFault when there is none.
    """
    given = settings.ledger_url
    if given is not None:
        return patient_client(given.get_secret_value(), patience_s)
    if urlsplit(broker_url).scheme in _REDIS:
        return patient_client(broker_url, patience_s)
    raise SettingsFault(
        "SLMFLEET_LEDGER_URL: name a Redis or Valkey (appendonly, noeviction) that remembers which events "
        "were answered; this broker cannot"
    )


def ledger_on(client: Redis, settings: Settings) -> Ledger:
    """The ledger kept on `client`."""
    return Ledger(client, settings.event_keep_s, settings.event_reclaim_s, settings.event_attempts)
