from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from slmfleet.models.errors import Unreachable
from slmfleet.services.embedded import valkey as embedded_valkey
from slmfleet.services.embedded.configuration import NAMES, Name
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.settings import embedded_url

PROGRAM = """
import sys, time
from pathlib import Path
from slmfleet.services.embedded.valkey import EmbeddedValkey

servers = [EmbeddedValkey(name, Path(sys.argv[1])) for name in ("cache", "broker")]
for server in servers:
    server.start()
print(*(server.pid for server in servers), flush=True)
time.sleep(60)
"""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[Name, EmbeddedValkey]]:
    made = {name: EmbeddedValkey(name, tmp_path / "valkey") for name in NAMES}
    yield made
    for server in made.values():
        server.stop()


def test_the_cache_forgets_and_the_broker_does_not(servers: dict[Name, EmbeddedValkey]) -> None:
    for name, policy, aof in (("cache", "allkeys-lfu", "no"), ("broker", "noeviction", "yes")):
        server = servers[name]  # type: ignore[index]
        with redis.Redis.from_url(server.start(), decode_responses=True) as client:
            assert client.config_get("maxmemory-policy")["maxmemory-policy"] == policy
            assert client.config_get("appendonly")["appendonly"] == aof
            assert (client.config_get("maxmemory")["maxmemory"] != "0") == (name == "cache")
            client.set("kept", "yes")
            server.kill()
            server.start()  # at the same place, so that the client finds it again
            assert client.get("kept") == ("yes" if name == "broker" else None)


def test_only_its_user_can_reach_it(servers: dict[Name, EmbeddedValkey]) -> None:
    url = servers["broker"].start()
    place = redis.connection.parse_url(url)
    assert place["host"] == "127.0.0.1"
    with (
        redis.Redis(port=place["port"]) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    folder = servers["broker"]._folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "broker.url").stat().st_mode) == 0o600
    command = Path(f"/proc/{servers['broker'].pid}/cmdline").read_bytes()
    assert place["password"].encode() not in command


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_servers_die_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    parent = _parent(tmp_path)
    assert parent.stdout is not None
    with parent.stdout as stdout:
        pids = [int(pid) for pid in stdout.readline().split()]
    assert all(_lives(pid) for pid in pids)
    parent.send_signal(number)
    parent.wait(10)
    _until(lambda: not any(_lives(pid) for pid in pids))


def test_a_server_that_outlived_its_parent_is_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where the kernel cannot be asked to end a child with its parent.
    program = (
        "from slmfleet.services.embedded import valkey as embedded_valkey\n"
        "embedded_valkey._LAUNCH = embedded_valkey._LAUNCH.replace('== \"linux\"', '== \"plan9\"')\n"
        + PROGRAM
    )
    parent = _parent(tmp_path, program)
    assert parent.stdout is not None
    with parent.stdout as stdout:
        _, orphan = (int(pid) for pid in stdout.readline().split())
    with redis.Redis.from_url(embedded_url(tmp_path, "broker") or "") as client:
        client.set("kept", "yes")
    parent.kill()
    parent.wait(10)
    time.sleep(0.2)
    assert _lives(orphan)
    for name in NAMES:
        server = EmbeddedValkey(name, tmp_path)
        url = server.start()
        try:
            with redis.Redis.from_url(url) as client:
                assert client.get("kept") == (b"yes" if name == "broker" else None)
        finally:
            server.stop()
    assert not _lives(orphan)


def test_a_second_process_uses_the_servers_of_the_first(tmp_path: Path) -> None:
    parent = _parent(tmp_path)
    assert parent.stdout is not None
    try:
        with parent.stdout as stdout:
            stdout.readline()
        second = EmbeddedValkey("broker", tmp_path)
        assert second.start() == embedded_url(tmp_path, "broker")
        assert second.pid is None
        second.stop()
        with redis.Redis.from_url(second.url) as client:
            assert client.ping()
    finally:
        parent.kill()
        parent.wait(10)


def test_one_that_cannot_start_says_where_its_log_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_valkey, "valkey_binary", lambda: tmp_path / "nothing")
    server = EmbeddedValkey("cache", tmp_path / "valkey")
    with pytest.raises(Unreachable, match=r"the embedded cache does not come up; its log is .*cache.log"):
        server.start()
    server.stop()
    with pytest.raises(Unreachable, match="cannot be started"):
        EmbeddedValkey("cache", Path("/proc/nowhere")).start()


def _parent(folder: Path, program: str = PROGRAM) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
    )


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
