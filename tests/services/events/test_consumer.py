"""`slmfleet consume` as a process: its health pages, how it drains, what its exit codes say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis
from fakes.events import query
from fakes.waiting import until

from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.events.brokers.redis import FIELD, GROUP
from slmfleet.services.events.cloudevents import ANSWERS, QUERIES, QUERY_RECEIVED

CLI = "from slmfleet.services.cli.main import app; app()"
#: The word shop's gateway, without Ray.
GATEWAY = """
import sys
from pathlib import Path
import uvicorn
from fakes.shop import Shop
uvicorn.run(Shop(Path(sys.argv[1]), request_timeout_s=5).app, port=int(sys.argv[2]), log_level="critical")
"""
TESTS = Path(__file__).parents[2]


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLMFLEET_")}
    return {**kept, "PYTHONPATH": path, "SLMFLEET_STATE_DIR": str(folder), "SLMFLEET_EVENT_RECLAIM_S": "1"}


@contextmanager
def program(code: str, *arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def page(url: str) -> tuple[int, dict[str, Any]]:
    try:
        response = httpx.get(url, timeout=10)
    except httpx.HTTPError:
        return 0, {}
    return response.status_code, response.json()


def test_a_consumer_reports_its_state_drains_and_ends_as_a_supervisor_expects(
    broker: str, tmp_path: Path
) -> None:
    gateway_port, port = free_ports(2)
    health = f"http://127.0.0.1:{port}"
    gateway_url = f"http://127.0.0.1:{gateway_port}"
    arguments = ["consume", "--broker", broker, "--gateway", gateway_url, "--port", str(port)]
    with (
        redis.Redis.from_url(broker) as client,
        program(CLI, *arguments, folder=tmp_path) as consumer,
    ):
        until(lambda: page(f"{health}/healthz")[0] == 200)
        status, told = page(f"{health}/readyz")
        assert (status, told["checks"]["broker"]) == (503, "ok")
        assert "cannot be reached" in told["checks"]["models"]
        client.xadd(QUERIES, {FIELD: query("where is my parcel slowly")})
        with program(GATEWAY, str(tmp_path), str(gateway_port), folder=tmp_path):
            until(lambda: page(f"{health}/readyz")[0] == 200)
            until(lambda: client.xlen(ANSWERS) == 1)
            assert page(f"{health}/asyncapi.json")[1]["asyncapi"] == "3.0.0"
            told = httpx.get(f"{health}/metrics", timeout=10).text
            assert f'slmfleet_events_total{{result="answered",type="{QUERY_RECEIVED}"}} 1.0' in told
            assert "slmfleet_event_lag 0.0" in told
            # in the middle of a slow one, it is asked to stop: it finishes it first
            for number in range(4):
                client.xadd(QUERIES, {FIELD: query("where is my parcel slowly", f"s{number}")})
            until(lambda: client.xpending(QUERIES, GROUP)["pending"] > 0)
            consumer.send_signal(signal.SIGTERM)
            assert consumer.wait(20) == 0
        assert client.xpending(QUERIES, GROUP)["pending"] == 0
        assert client.xinfo_groups(QUERIES)[0]["lag"] + client.xlen(ANSWERS) == 5


def test_a_consumer_whose_broker_was_flushed_wants_to_be_started_again(broker: str, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    with (
        redis.Redis.from_url(broker) as client,
        program(CLI, "consume", "--broker", broker, "--port", str(port), folder=tmp_path) as consumer,
    ):
        until(lambda: page(f"http://127.0.0.1:{port}/healthz")[0] == 200)
        until(lambda: bool(client.exists(QUERIES)))
        client.flushall()
        assert consumer.wait(20) == 1


def test_consuming_continues_when_the_broker_comes_back(tmp_path: Path) -> None:
    server = EmbeddedValkey("broker", tmp_path / "valkey")
    url = server.start()
    gateway_port, port = free_ports(2)
    gateway_url = f"http://127.0.0.1:{gateway_port}"
    arguments = ["consume", "--broker", url, "--gateway", gateway_url, "--port", str(port)]
    with (
        program(GATEWAY, str(tmp_path), str(gateway_port), folder=tmp_path),
        program(CLI, *arguments, folder=tmp_path) as consumer,
        redis.Redis.from_url(url) as client,
    ):
        until(lambda: page(f"http://127.0.0.1:{port}/readyz")[0] == 200)
        server.kill()
        time.sleep(0.5)
        server.start()
        client.xadd(QUERIES, {FIELD: query("where is my parcel")})
        until(lambda: client.xlen(ANSWERS) == 1)
        assert consumer.poll() is None
    server.stop()
