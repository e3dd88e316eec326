"""The configuration of the embedded servers, as Valkey itself reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from slmfleet.services.embedded.configuration import Name, configuration
from slmfleet.services.embedded.valkey import EmbeddedValkey


@pytest.mark.parametrize("folder", ["plain", "with a space", 'with "quotes" and \\'])
def test_a_folder_of_any_name_is_read_as_it_is_written(tmp_path: Path, folder: str) -> None:
    server = EmbeddedValkey("cache", tmp_path / folder)
    with redis.Redis.from_url(server.start(), decode_responses=True) as client:
        assert client.config_get("dir")["dir"] == str(tmp_path / folder / "cache")
        assert client.config_get("logfile")["logfile"] == str(tmp_path / folder / "cache.log")
    server.stop()


@pytest.mark.parametrize("name", ["cache", "broker"])
def test_no_server_listens_beyond_this_machine(name: Name) -> None:
    lines = configuration(name, Path("/state"), 7000, "secret").splitlines()
    assert {"port 7000", "requirepass secret", "bind 127.0.0.1", "protected-mode yes"} <= set(lines)
