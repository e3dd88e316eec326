"""The benchmark against a real HTTP server that answers at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slmfleet.models.errors import SettingsFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.training.data import load_corpus
from slmfleet.models.training.evaluate import REAL_SOURCES
from slmfleet.services.evaluation.bench.load import BITEXT_ROWS, bench, bench_texts, render
from slmfleet.services.settings import SHOP_DIR


class Answers(BaseHTTPRequestHandler):
    """`busy` is refused; what was asked before comes from the cache."""

    protocol_version = "HTTP/1.1"
    seen: set[str] = set()  # noqa: RUF012

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["content-length"])))["text"]
        body: dict[str, object] = {"status": "answered", "cache": "hit" if text in self.seen else "miss"}
        body["cost"] = {"cpu_ms": 2.0}
        self.seen.add(text)
        busy = text == "busy" or self.headers.get("x-api-key") != "key"
        sent = json.dumps({"title": "busy"} if busy else body).encode()
        self.send_response(503 if busy else 200)
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_statuses_answers_and_hits_are_counted(url: str) -> None:
    texts = [*(f"text {number}" for number in range(30)), "busy"]
    result = bench(url, texts, 2, "key")
    assert result.statuses == {200: 30, 503: 1}
    assert result.answers == {"answered": 30}
    assert result.from_cache == 20  # those that the connections were warmed up with
    assert 0 < result.p50_ms <= result.p99_ms
    assert result.model_cpu_ms == 2.0
    assert max(map(len, render(result).splitlines())) <= 80


def test_nobody_there_is_a_fault() -> None:
    with pytest.raises(SettingsFault, match=r"nobody answers at http://127\.0\.0\.1:9"):
        bench("http://127.0.0.1:9", ["hello"], 1)


def test_the_texts_are_real_shoppers_and_some_of_bitext() -> None:
    corpus = load_corpus(load_fleet(SHOP_DIR))
    real = sum(row.source in REAL_SOURCES for row in corpus.test)
    texts = bench_texts(corpus)
    assert real > 0
    assert len(texts) == real + BITEXT_ROWS
