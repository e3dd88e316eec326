"""The benchmark against a real HTTP server, and the fleet in this process for the queries without one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from slmfleet.models.errors import SettingsFault
from slmfleet.services.evaluation.bench.cache import bench, render
from slmfleet.services.settings import load_settings


@contextmanager
def serving(verdict: Callable[[], str]) -> Iterator[str]:
    """A server that answers every question with the cache's `verdict`."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send({})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._send({"cache": verdict()})

        def _send(self, body: object) -> None:
            sent = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_hits_no_ops_and_queries_without_a_server_are_timed(tmp_path: Path) -> None:
    advanced: list[int] = []
    with serving(lambda: "hit") as url:
        result = bench(load_settings(state_dir=tmp_path), url, 40, lambda: advanced.append(1))
    assert (result.requests, result.queries) == (40, 20)
    assert len(advanced) == 60
    assert 0 < result.ratio[0] <= result.ratio[1] <= result.ratio[2]
    assert result.server_down_p50_ms > 0
    assert max(map(len, render(result).splitlines())) <= 80


def test_a_fleet_that_caches_nothing_is_a_fault(tmp_path: Path) -> None:
    with serving(lambda: "miss") as url, pytest.raises(SettingsFault, match="caches no answer to any of"):
        bench(load_settings(state_dir=tmp_path), url, 10, lambda: None)


def test_an_answer_that_is_lost_is_a_fault(tmp_path: Path) -> None:
    verdicts = iter(["miss"] + ["hit"] * 20 + ["miss"] * 100)
    with serving(lambda: next(verdicts)) as url, pytest.raises(SettingsFault, match="was not found again"):
        bench(load_settings(state_dir=tmp_path), url, 10, lambda: None)


def test_nobody_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match=r"nobody answers at http://127\.0\.0\.1:9"):
        bench(load_settings(state_dir=tmp_path), "http://127.0.0.1:9", 10, lambda: None)
