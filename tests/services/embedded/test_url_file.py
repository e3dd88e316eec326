"""The URL file: readable by its owner alone, and the place that a server comes back to."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from slmfleet.services.embedded.url_file import port_and_password, write_url
from slmfleet.services.settings import embedded_url


def test_what_is_written_is_found_and_is_private(tmp_path: Path) -> None:
    assert embedded_url(tmp_path, "cache") is None
    for port in (7000, 7001):
        write_url(tmp_path, "cache", f"redis://:secret@127.0.0.1:{port}")
        assert embedded_url(tmp_path, "cache") == f"redis://:secret@127.0.0.1:{port}"
    assert stat.S_IMODE((tmp_path / "cache.url").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["cache.url"]


def test_a_known_url_gives_its_port_and_password() -> None:
    assert port_and_password("redis://:secret@127.0.0.1:7000") == (7000, "secret")


@pytest.mark.parametrize("url", [None, "redis://127.0.0.1:7000", "redis://:secret@127.0.0.1", "nonsense"])
def test_otherwise_the_password_is_new_and_long(url: str | None) -> None:
    (port, first), (_, second) = port_and_password(url), port_and_password(url)
    assert port is None
    assert first != second
    assert len(first) == 48
