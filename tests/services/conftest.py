"""A shop a test, and a Valkey for those that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from fakes.shop import Shop

from slmfleet.services.embedded.configuration import Name
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.telemetry import instruments
from slmfleet.services.telemetry.labels import LABELS, OTHER, bounded


@pytest.fixture(autouse=True)
def declared_label_values(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No code under test records a value that a closed label does not declare, to be shown as `other`."""
    undeclared: list[str] = []

    def recording(label: str, value: str) -> str:
        found = bounded(label, value)
        if found == OTHER and LABELS[label] is not None:
            undeclared.append(f"{label}={value}")
        return found

    if "telemetry" not in request.path.parts:  # whose tests record such values to see them bounded
        monkeypatch.setattr(instruments, "bounded", recording)
    yield
    assert undeclared == []


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, request_timeout_s=2, max_batch=8, max_body_bytes=20_000)
    yield made
    made.executor.shutdown()


def _serving(name: Name, folder: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(name, folder)
    server.start()
    yield server
    server.stop()


def _emptied(server: EmbeddedValkey) -> str:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return server.url


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    yield from _serving("cache", tmp_path_factory.mktemp("valkey"))


@pytest.fixture
def valkey(valkey_server: EmbeddedValkey) -> str:
    """URL of a real, empty server."""
    return _emptied(valkey_server)


@pytest.fixture(scope="session")
def broker_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    yield from _serving("broker", tmp_path_factory.mktemp("broker"))


@pytest.fixture
def broker(broker_server: EmbeddedValkey) -> str:
    """URL of a real, empty server, set up as a broker."""
    return _emptied(broker_server)
