"""`slmfleet cache bench`: a cache hit against a no-op route, and what an unreachable server costs.

The two are measured by turns, so that other load slows both alike.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from slmfleet.models.errors import SettingsFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.question import Query
from slmfleet.services.evaluation.corpus import load_rows
from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.settings import Settings
from slmfleet.services.state.shared_state import SharedState

_ROUNDS = 10
_CANDIDATES = ("how much is express shipping?", "how do refunds work", "what payment methods do you accept")
_NOBODY = "redis://127.0.0.1:1"


class CacheBench(BaseModel):
    """Medians in milliseconds. `ratio`: of the hit's to the no-op's median in each round, lowest, median and
    highest. `down_adds_ms`: what a query takes longer without the server than without any cache.
    """

    url: str
    requests: int
    no_op_p50_ms: float
    hit_p50_ms: float
    ratio: tuple[float, float, float]
    queries: int
    without_cache_p50_ms: float
    server_down_p50_ms: float
    down_adds_ms: float


def bench(settings: Settings, url: str, requests: int, advance: Callable[[], None]) -> CacheBench:
    """`requests` of each kind over HTTP, half as many queries in this process. Raises SettingsFault."""
    no_op, hit = _over_http(url, next(iter(settings.api_key_set()), None), requests, advance)
    size = len(hit) // _ROUNDS
    ratios = sorted(
        statistics.median(hit[start : start + size]) / statistics.median(no_op[start : start + size])
        for start in range(0, size * _ROUNDS, size)
    )
    plain, down = asyncio.run(_server_down(settings, requests // 2, advance))
    return CacheBench(
        url=url,
        requests=len(hit),
        no_op_p50_ms=round(statistics.median(no_op), 3),
        hit_p50_ms=round(statistics.median(hit), 3),
        ratio=(round(ratios[0], 2), round(statistics.median(ratios), 2), round(ratios[-1], 2)),
        queries=len(plain),
        without_cache_p50_ms=round(statistics.median(plain), 3),
        server_down_p50_ms=round(statistics.median(down), 3),
        down_adds_ms=round(statistics.median(b - a for a, b in zip(plain, down, strict=True)), 3),
    )


def render(result: CacheBench) -> str:
    """The benchmark for a terminal."""
    low, middle, high = result.ratio
    return (
        f"{result.requests} of each at {result.url}, in turns:\n"
        f"  GET /healthz {result.no_op_p50_ms} ms, a cache hit {result.hit_p50_ms} ms (p50)\n"
        f"  ratio {middle} ({low} to {high} in {_ROUNDS} rounds)\n"
        f"{result.queries} queries in this process, in turns:\n"
        f"  without a cache {result.without_cache_p50_ms} ms, its server down "
        f"{result.server_down_p50_ms} ms (p50)\n"
        f"  an unreachable server adds {result.down_adds_ms} ms (median of the differences)"
    )


def _over_http(
    url: str, api_key: str | None, requests: int, advance: Callable[[], None]
) -> tuple[list[float], list[float]]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=30)
    headers = {"content-type": "application/json"} | ({"x-api-key": api_key} if api_key else {})

    def timed(method: str, path: str, body: bytes | None) -> tuple[float, bytes]:
        started = time.perf_counter()
        connection.request(method, path, body, headers)
        answer = connection.getresponse().read()
        return (time.perf_counter() - started) * 1e3, answer

    no_op, hits = [], []
    try:
        body = next((each for each in map(_request_body, _CANDIDATES) if _is_cached(timed, each)), None)
        if body is None:
            raise SettingsFault(f"{url} caches no answer to any of: {'; '.join(_CANDIDATES)}")
        for _ in range(requests):
            no_op.append(timed("GET", "/healthz", None)[0])
            took_ms, answer = timed("POST", "/v1/queries", body)
            if json.loads(answer).get("cache") != "hit":
                raise SettingsFault(f"a cached answer was not found again at {url}")
            hits.append(took_ms)
            advance()
    except OSError as error:
        raise SettingsFault(f"nobody answers at {url}: {error}; start one with `slmfleet up`") from None
    finally:
        connection.close()
    return no_op, hits


def _request_body(text: str) -> bytes:
    return json.dumps({"text": text}).encode()


def _is_cached(timed: Callable[[str, str, bytes | None], tuple[float, bytes]], body: bytes) -> bool:
    verdicts = [json.loads(timed("POST", "/v1/queries", body)[1]).get("cache") for _ in range(20)]
    return bool(verdicts[-1] == "hit")


async def _server_down(
    settings: Settings, count: int, advance: Callable[[], None]
) -> tuple[Sequence[float], Sequence[float]]:
    """Milliseconds of each query without a cache, and with one whose server is gone; none is found there."""
    fleet = load_fleet(settings.fleet_dir)
    texts = [row.text for row in load_rows(fleet).test][:count]
    shared = SharedState(settings.model_copy(update={"redis_url": SecretStr(_NOBODY)}))
    shared.start()
    plain: list[float] = []
    down: list[float] = []
    with ThreadPoolExecutor(1) as executor:
        pipelines = (
            (load_pipeline(settings, DefaultFactory(), executor).pipeline, plain),
            (load_pipeline(settings, DefaultFactory(), executor, shared=shared).pipeline, down),
        )
        for text in texts:
            for pipeline, times in pipelines:
                started = time.perf_counter()
                await pipeline.answer(Query(text=text))
                times.append((time.perf_counter() - started) * 1e3)
            advance()
        await shared.stop()
    return plain, down
