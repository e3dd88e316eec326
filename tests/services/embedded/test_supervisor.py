"""Embedded servers while a fleet is up: restarted when they end, left out when they cannot start."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import redis
from fakes.waiting import until

from slmfleet.services.embedded import valkey as embedded_valkey
from slmfleet.services.embedded.configuration import NAMES
from slmfleet.services.embedded.supervisor import embedded_valkeys


def test_a_server_that_ends_is_started_again(tmp_path: Path) -> None:
    reported: list[str] = []
    with (
        embedded_valkeys(tmp_path, ("cache",), reported.append) as urls,
        redis.Redis.from_url(urls["cache"]) as client,
    ):
        os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
        until(lambda: reported == ["the embedded cache had ended and is started again"])
        assert client.ping()
    with redis.Redis.from_url(urls["cache"]) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_one_that_cannot_start_is_reported_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_valkey, "valkey_binary", lambda: tmp_path / "nothing")
    reported: list[str] = []
    with embedded_valkeys(tmp_path / "valkey", NAMES, reported.append) as urls:
        assert urls == {}
    assert [line.split(";")[0] for line in reported] == [
        "the embedded cache does not come up",
        "the embedded broker does not come up",
    ]
