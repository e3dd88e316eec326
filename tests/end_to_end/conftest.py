"""The shop as `slmfleet up` serves it, in a process of its own, once a placement."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.settings import load_settings


@dataclass
class Served:
    """A running shop."""

    placement: str
    client: httpx.Client
    state: Path
    pid: int
    printed: list[str]
    ready_after_s: float

    def token(self, customer: str) -> dict[str, str]:
        """The header of a verified customer."""
        settings = load_settings(state_dir=self.state)
        return {"Authorization": f"Bearer {DefaultFactory().token_for(settings, customer)}"}


@pytest.fixture(scope="session", params=["colocated", "split"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = tmp_path_factory.mktemp(request.param)
    port = free_ports(1)[0]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"SLMFLEET_STATE_DIR": str(state), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment |= {"SLMFLEET_METRICS_PORT": "0", "SLMFLEET_HAPROXY_METRICS_PORT": "0"}
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", "from slmfleet.services.cli.main import app; app()", "up",
         "--port", str(port), "--placement", request.param],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    printed: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert process.stdout
        for line in process.stdout:
            printed.append(line.rstrip())
            if line.startswith("curl "):
                ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(90), "\n".join(printed)
        after = time.monotonic() - started
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield Served(request.param, client, state, process.pid, printed, after)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        reader.join(5)
        assert process.stdout
        process.stdout.close()
        assert code == 0, "\n".join(printed)
