"""Which brokers there are, and the transport to the one that a URL means.

A new broker is a file beside this one, with a class of the shape of `Transport`, and a line in BROKERS.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast
from urllib.parse import urlsplit

from slmfleet.models.errors import SettingsFault
from slmfleet.services.events.transport import Transport
from slmfleet.services.settings import Settings


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker before its client library is imported, which may be missing.

    `schemes` of its URLs; `path` is MODULE:CLASS of its transport; `extra` of slmfleet installs the library.
    """

    schemes: tuple[str, ...]
    path: str
    extra: str | None = None

    def transport(self) -> type[Transport]:
        """The class of its transport. Raises ImportError when the client library is missing."""
        module, _, name = self.path.partition(":")
        return cast("type[Transport]", getattr(import_module(module), name))


REDIS: Final = Broker(("redis", "rediss", "unix"), "slmfleet.services.events.brokers.redis:RedisStreams")
BROKERS: Final = (
    REDIS,
    Broker(("amqp", "amqps"), "slmfleet.services.events.brokers.rabbitmq:RabbitQueues", "rabbitmq"),
    Broker(("nats", "tls"), "slmfleet.services.events.brokers.nats:NatsStreams", "nats"),
)


def transport_for(url: str, settings: Settings) -> Transport:
    """The transport to the broker at `url`, not yet connected.

    Raises SettingsFault for a scheme that is not known, and where the broker's extra is not installed.
    """
    scheme = urlsplit(url).scheme
    broker = next((broker for broker in BROKERS if scheme in broker.schemes), None)
    if broker is None:
        known = [f"{scheme}://" for broker in BROKERS for scheme in broker.schemes]
        raise SettingsFault(
            f"a broker's URL starts with {', '.join(known[:-1])} or {known[-1]}, not '{scheme}'"
        )
    try:
        return broker.transport().from_settings(url, settings)
    except ImportError as error:
        raise SettingsFault(
            f"a broker at {scheme}:// needs {error.name}: pip install 'slmfleet[{broker.extra}]'"
        ) from None
