"""`slmfleet bench`: the test texts of real shoppers, posted to a served fleet, and how long each took."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from pydantic import BaseModel

from slmfleet.models.errors import SettingsFault
from slmfleet.models.training.data import Corpus
from slmfleet.models.training.evaluate import REAL_SOURCES

BITEXT_ROWS = 500


class Benchmark(BaseModel):
    """What the server answered. Latencies are the client's, in milliseconds, over every request.

    `from_cache`: answers without a model; evict them before, to measure the models.
    """

    url: str
    connections: int
    queries: int
    statuses: dict[int, int]
    answers: dict[str, int]
    from_cache: int
    p50_ms: float
    p99_ms: float
    queries_per_s: float
    model_cpu_ms: float


def bench_texts(corpus: Corpus) -> list[str]:
    """Every HINT3 test text of the two retailers, and 500 of Bitext's."""
    real = [row.text for row in corpus.test if row.source in REAL_SOURCES]
    return real + [row.text for row in corpus.test if row.source == "bitext"][:BITEXT_ROWS]


def bench(url: str, texts: Sequence[str], connections: int, api_key: str | None = None) -> Benchmark:
    """Post `texts` to `url` over `connections` kept open. Raises SettingsFault when nobody answers."""
    parts = urlsplit(url)
    headers = {"content-type": "application/json"} | ({"x-api-key": api_key} if api_key else {})

    def post(share: Sequence[str]) -> list[tuple[int, str, float, float, bool]]:
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=30)
        outcomes = []
        for text in share:
            started = time.perf_counter()
            connection.request("POST", "/v1/queries", json.dumps({"text": text}).encode(), headers)
            response = connection.getresponse()
            body = json.loads(response.read())
            took_ms = (time.perf_counter() - started) * 1e3
            cpu_ms = float(body["cost"]["cpu_ms"]) if response.status == 200 else 0.0
            hit = body.get("cache") == "hit"
            outcomes.append((response.status, str(body.get("status")), took_ms, cpu_ms, hit))
        connection.close()
        return outcomes

    try:
        post(texts[:20])  # connections and caches of the operating system warm up
        started = time.perf_counter()
        with ThreadPoolExecutor(connections) as pool:
            outcomes = [
                one
                for share in pool.map(post, (texts[n::connections] for n in range(connections)))
                for one in share
            ]
        seconds = time.perf_counter() - started
    except OSError as error:
        raise SettingsFault(f"nobody answers at {url}: {error}; start one with `slmfleet up`") from None
    latencies = [took_ms for _, _, took_ms, _, _ in outcomes]
    return Benchmark(
        url=url,
        connections=connections,
        queries=len(outcomes),
        statuses=dict(Counter(status for status, *_ in outcomes)),
        answers=dict(Counter(answer for status, answer, *_ in outcomes if status == 200).most_common()),
        from_cache=sum(hit for *_, hit in outcomes),
        p50_ms=round(statistics.median(latencies), 2),
        p99_ms=round(statistics.quantiles(latencies, n=100)[98], 2),
        queries_per_s=round(len(outcomes) / seconds, 1),
        model_cpu_ms=round(statistics.median(cpu for _, _, _, cpu, _ in outcomes), 3),
    )


def render(result: Benchmark) -> str:
    """The benchmark for a terminal."""
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(result.statuses.items()))
    answers = ", ".join(f"{answer} {count}" for answer, count in result.answers.items())
    return (
        f"{result.queries} queries over {result.connections} connection(s): {statuses}\n"
        f"p50 {result.p50_ms} ms, p99 {result.p99_ms} ms, {result.queries_per_s} queries/s, "
        f"median CPU {result.model_cpu_ms} ms\n{answers}; from the cache {result.from_cache}"
    )
