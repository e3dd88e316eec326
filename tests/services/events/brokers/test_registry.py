"""Which transport a URL means, and what is said of one that cannot be opened."""

from __future__ import annotations

import sys

import pytest

from slmfleet.models.errors import SettingsFault
from slmfleet.services.events.brokers.registry import BROKERS, transport_for
from slmfleet.services.settings import Settings


@pytest.mark.parametrize("broker", BROKERS, ids=lambda broker: broker.schemes[0])
def test_every_registered_broker_makes_a_transport(broker: object) -> None:
    kind = broker.transport()  # type: ignore[attr-defined]
    for scheme in broker.schemes:  # type: ignore[attr-defined]
        if scheme not in ("unix", "rediss"):  # they need a path, or certificates
            assert type(kind.from_settings(f"{scheme}://127.0.0.1:1", Settings())) is kind
    assert all(isinstance(name, str) for name in kind.noisy_loggers)


def test_no_scheme_means_two_brokers() -> None:
    schemes = [scheme for broker in BROKERS for scheme in broker.schemes]
    assert len(schemes) == len(set(schemes))


def test_an_unknown_scheme_names_those_that_are_known() -> None:
    with pytest.raises(SettingsFault, match=r"redis://, rediss://.*nats:// or tls://, not 'ftp'"):
        transport_for("ftp://127.0.0.1", Settings())


def test_a_missing_client_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slmfleet.services.events.brokers.rabbitmq", None)
    with pytest.raises(SettingsFault, match=r"amqp:// needs .*pip install 'slmfleet\[rabbitmq\]'"):
        transport_for("amqp://127.0.0.1", Settings())
