"""`serve_fleet`: from nothing to ready and back, beside another cluster on the same host."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from fakes.processes import of_process
from fakes.serving import WordParts, write_word_shop
from fakes.waiting import until

from connected.conftest import TESTS, Cluster
from slmfleet.models.errors import SettingsFault
from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.serve.up import error_messages, serve_fleet
from slmfleet.services.settings import Settings

PROGRAM = """
import sys
from pathlib import Path
from fakes.serving import WordParts
from slmfleet.models.errors import SlmfleetError
from slmfleet.services.serve.up import serve_fleet
from slmfleet.services.settings import load_settings

folder, port, placement = sys.argv[1:4]
settings = load_settings(fleet_dir=Path(folder), state_dir=Path(folder), port=int(port), placement=placement)
try:
    serve_fleet(settings, lambda line: print(line, flush=True), WordParts(slow_s=1.5))
except SlmfleetError as error:
    sys.exit(f"slmfleet: {error}")
"""


#: Every step that Ray can fail in, by each kind of its failures; prints what becomes of it.
FAILING = """
import sys
from pathlib import Path
from unittest.mock import patch
from fakes.serving import WordParts
from ray.exceptions import RayActorError, RayTaskError
from slmfleet.models.errors import Unreachable
from slmfleet.services.serve import app, up as serve_here
from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.settings import Settings

folder = Path(sys.argv[1])
for name, failing in [("start", app), ("run", app), ("_loaded", serve_here), ("nobody answers", None)]:
    cause = RuntimeError("proxies did not start\\n  File x")
    for error in [cause, RayTaskError("ready", "Traceback", cause), RayActorError()]:
        settings = Settings(fleet_dir=folder, state_dir=folder, port=free_ports(1)[0])
        step, effect = (name, error) if failing else ("run", [None])
        with (
            patch.multiple(app, start=lambda *_: folder, run=lambda *_: None),
            patch.object(app, "stop", lambda: print("stop", end=" ")),
            patch.object(serve_here, "_await_ready"),
            patch.object(failing or app, step, side_effect=effect),
        ):
            try:
                serve_here.serve_fleet(settings, lambda line: None, WordParts())
            except Unreachable as told:
                print(name, "|", told)
for step in ("delete", "shutdown"):
    with (
        patch.object(app.ray, "is_initialized", return_value=True),
        patch.multiple(app.serve, delete=lambda name: None, shutdown=lambda: None),
        patch.object(app.serve, step, side_effect=RayActorError()),
        patch.object(app.ray, "shutdown") as shutdown,
    ):
        app.stop()
        print(step, shutdown.call_count)
"""


ANY_METRICS_PORTS = {"SLMFLEET_METRICS_PORT": "0", "SLMFLEET_HAPROXY_METRICS_PORT": "0"}


def _environment() -> dict[str, str]:
    """Of a process that starts a cluster of its own: nothing of this one's, the tests' fakes to import."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "deploy" / "editable")])
    return {**mine, "PYTHONPATH": path, **ANY_METRICS_PORTS}


class Program:
    """`serve_fleet` in a process group of its own, as a shell starts it."""

    def __init__(self, folder: Path, placement: str) -> None:
        self.port = free_ports(1)[0]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), str(self.port), placement],
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=20)

    def lines_until(self, wanted: str) -> list[str]:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line.rstrip())
            if wanted in line:
                return lines
        raise AssertionError("\n".join(lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_word_shop(tmp_path)


@pytest.mark.connected
@pytest.mark.parametrize(("placement", "sign"), [("split", signal.SIGINT), ("colocated", signal.SIGTERM)])
def test_up_answers_and_goes_away_without_dropping_anyone(
    cluster: Cluster, folder: Path, placement: str, sign: signal.Signals
) -> None:
    with Program(folder, placement) as program:
        _live_and_die(program, sign)
    with cluster.shop(f"beside-{placement}") as shop:  # the other cluster is none the worse
        assert shop.ask("where").status_code == 200


def _live_and_die(program: Program, sign: signal.Signals) -> None:
    told = program.lines_until("is served at")
    assert any("shipping" in line and "000000000002" in line for line in told)
    url = f"http://127.0.0.1:{program.port}/v1/queries"
    answers: list[httpx.Response] = []
    asking = threading.Thread(
        target=lambda: answers.append(httpx.post(url, json={"text": "slowly where"}, timeout=20))
    )
    asking.start()
    time.sleep(0.4)
    if sign == signal.SIGINT:
        os.killpg(program.process.pid, sign)  # as Ctrl-C does: Ray's processes are sent it too
    else:
        program.process.send_signal(sign)
    rest = program.lines_until("stopped")
    asking.join()
    assert [answer.status_code for answer in answers] == [200]
    assert program.process.wait(20) == 0
    assert [line for line in told + rest if "Traceback" in line or "Error" in line or "raylet" in line] == []
    until(lambda: _members(program.process.pid) == [])


@pytest.mark.connected
def test_stopped_while_it_starts_it_leaves_nothing_behind(folder: Path) -> None:
    with Program(folder, "colocated") as program:
        program.lines_until("starting")
        time.sleep(1.5)
        os.killpg(program.process.pid, signal.SIGINT)
        assert not any("is served at" in line for line in program.lines_until("stopped"))
        assert program.process.wait(20) == 0
        until(lambda: _members(program.process.pid) == [])


@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        ("port", "another port"),
        ("metrics_port", "another SLMFLEET_METRICS_PORT"),
        ("haproxy_metrics_port", "another SLMFLEET_HAPROXY_METRICS_PORT"),
    ],
)
def test_a_taken_port_is_told_before_anything_starts(folder: Path, setting: str, instead: str) -> None:
    free = free_ports(3)
    ports = dict(zip(("port", "metrics_port", "haproxy_metrics_port"), free, strict=True))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports[setting] = taken.getsockname()[1]
        settings = Settings(fleet_dir=folder, state_dir=folder, **ports)  # type: ignore[arg-type]
        with pytest.raises(SettingsFault, match=rf"cannot listen on 127\.0\.0\.1:\d+: .*choose {instead}"):
            serve_fleet(settings, lambda line: None, WordParts())


def test_when_ray_fails_it_is_said_plainly_and_everything_is_stopped(folder: Path) -> None:
    """Told in a process of its own: Ray reads its environment once."""
    done = subprocess.run(
        [sys.executable, "-c", FAILING, str(folder)],
        env=_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 14, done.stderr
    for index, step in enumerate(("start", "run", "_loaded")):
        *first, last = lines[3 * index : 3 * index + 3]
        assert first == [f"stop {step} | Ray does not serve any more: proxies did not start"] * 2
        assert last.startswith(f"stop {step} | Ray does not serve any more: The actor")
    for line in lines[9:12]:
        assert line.startswith("stop nobody answers | the fleet was ready and does not answer any more")
    assert lines[12:] == ["delete 1", "shutdown 1"]
    assert "Traceback" not in done.stderr


def test_the_words_of_our_own_errors_are_found_in_a_traceback() -> None:
    traceback = (
        "Traceback (most recent call last):\n  File x\n"
        "slmfleet.models.errors.BundleFault: a/bundle: is damaged\n"
        "\nDuring handling\nRuntimeError: x\nslmfleet.models.errors.BundleFault: a/bundle: is damaged\n"
    )
    assert error_messages(traceback) == "a/bundle: is damaged"
    assert error_messages("RuntimeError: something of Ray's") is None


def _members(group: int) -> list[str]:
    """Command lines of the processes that are still in a process session, zombies aside."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        fields = of_process(pid, "stat").decode().rpartition(")")[2].split()
        if fields and int(fields[3]) == group and fields[0] != "Z":
            found.append(of_process(pid, "cmdline").decode().replace("\0", " "))
    return found
