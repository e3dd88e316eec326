"""Which broker and ledger the settings mean, and how a server that is away is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from slmfleet.models.errors import SettingsFault, Unreachable
from slmfleet.services.events.brokers.redis import RedisStreams
from slmfleet.services.events.connection import (
    Connection,
    broker_url,
    connect,
    ledger_client,
    run_connected,
    without_password,
)
from slmfleet.services.settings import Settings


async def test_a_redis_broker_is_its_own_ledger(broker: str) -> None:
    async with connect(Settings(broker_url=SecretStr(broker))) as connection:
        assert isinstance(connection.transport, RedisStreams)
        assert (await connection.ledger.acquire("k", "a")).attempts == 1
        assert await connection.dead.all() == []


def test_another_broker_needs_a_ledger_of_its_own() -> None:
    with pytest.raises(SettingsFault, match="SLMFLEET_LEDGER_URL"):
        ledger_client("amqp://127.0.0.1", Settings())


def test_the_embedded_broker_is_used_unless_another_is_set(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    with pytest.raises(SettingsFault, match="there is no broker: start `slmfleet up`"):
        broker_url(settings)
    settings.embedded_dir().mkdir()
    (settings.embedded_dir() / "broker.url").write_text("redis://:p@127.0.0.1:7000\n")
    assert broker_url(settings) == "redis://:p@127.0.0.1:7000"
    named = Settings(state_dir=tmp_path, broker_url=SecretStr("nats://127.0.0.1"))
    assert broker_url(named) == "nats://127.0.0.1"


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    settings = Settings(broker_url=SecretStr("redis://:secret@127.0.0.1:1"))

    async def read(connection: Connection) -> list[object]:
        return [*await connection.dead.all()]

    with pytest.raises(Unreachable, match=r"^the broker at redis://127\.0\.0\.1:1 cannot be reached"):
        run_connected(settings, read)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:1/0", "redis://host:1/0"),
        ("amqp://user:p@ss@host", "amqp://host"),
        ("nats://host:4222", "nats://host:4222"),
    ],
)
def test_a_password_is_taken_out_of_a_url(url: str, shown: str) -> None:
    assert without_password(url) == shown
