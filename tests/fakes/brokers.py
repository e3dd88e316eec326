"""A server of each broker: the embedded Valkey, and the others where this machine has them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.embedded.valkey import EmbeddedValkey

#: Debian's own wrapper insists on its user and folders.
_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """The URL of an embedded Valkey, set up as a broker."""
    server = EmbeddedValkey("broker", folder)
    yield server.start()
    server.stop()


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """The URL of a RabbitMQ of the test's own; skips where there is none."""
    if not _RABBIT.exists():
        pytest.skip("RabbitMQ is not installed (apt-get install rabbitmq-server)")
    port, distribution, mapper = free_ports(3)
    (folder / "plugins").write_text("[].")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper),
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
    }
    with _running([str(_RABBIT)], environment, port, 90):
        yield f"amqp://guest:guest@127.0.0.1:{port}"
    subprocess.run(["epmd", "-port", str(mapper), "-kill"], check=False, capture_output=True)


@contextmanager
def nats_server(folder: Path) -> Iterator[str]:
    """The URL of a NATS server with JetStream; skips where there is none."""
    binary = shutil.which("nats-server")
    if binary is None:
        pytest.skip("nats-server is not installed (apt-get install nats-server)")
    port = free_ports(1)[0]
    command = [binary, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)]
    with _running(command, dict(os.environ), port, 20):
        yield f"nats://127.0.0.1:{port}"


@contextmanager
def _running(command: list[str], environment: dict[str, str], port: int, within_s: float) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + within_s
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{command[0]} does not come up"
            time.sleep(0.1)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
