"""What measuring costs: `python tests/measure/metrics_cost.py`, not a test.

The shop's own pipeline answers real shoppers' texts in this process, in short rounds that alternate between
measured and not measured, so that whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryDirectory

from slmfleet.models.data import load_corpus
from slmfleet.models.fleet import load_fleet
from slmfleet.services import metrics
from slmfleet.services.bench import bench_texts
from slmfleet.services.fleet_loading import load_pipeline
from slmfleet.services.pipeline import Pipeline, Query
from slmfleet.services.settings import load_settings
from slmfleet.services.shipped import ShippedParts

ROUND = 40


async def _round(pipeline: Pipeline, texts: list[str], recording: bool) -> tuple[float, float]:
    """Median milliseconds and mean CPU milliseconds of a query."""
    metrics.record(recording)
    took_ms, cpu = [], time.process_time()
    for text in texts:
        started = time.perf_counter()
        await pipeline.answer(Query(text))
        metrics.REQUEST_DURATION.observe(time.perf_counter() - started, "http", "answered")
        took_ms.append((time.perf_counter() - started) * 1e3)
    return statistics.median(took_ms), (time.process_time() - cpu) / len(texts) * 1e3


async def _rounds(pipeline: Pipeline, texts: list[str], pairs: int) -> list[dict[str, float]]:
    await _round(pipeline, texts[:200], True)
    found = []
    for pair in range(pairs):
        chosen = random.sample(texts, ROUND)
        order = [True, False] if pair % 2 else [False, True]
        outcome = {recording: await _round(pipeline, chosen, recording) for recording in order}
        found.append(
            {
                "p50": outcome[True][0] / outcome[False][0],
                "cpu": outcome[True][1] / outcome[False][1],
                "p50_ms": outcome[False][0],
                "cpu_ms": outcome[False][1],
            }
        )
    return found


def _stages() -> float:
    return sum(
        sample.value
        for family in metrics.REGISTRY.collect()
        for sample in family.samples
        if sample.name == "slmfleet_cpu_seconds_total"
    )


def _calls() -> float:
    """Microseconds of CPU of what one query records, alone."""
    metrics.record(True)
    started = time.thread_time()
    for _ in range(5_000):
        for stage in ("session", "router", "reply"):
            metrics.STAGE_DURATION.observe(0.002, stage, "shipping")
        metrics.STAGE_DURATION.observe(0.002, "specialist", "shipping")
        for stage in ("router", "reply", "specialist"):
            metrics.CPU_SECONDS.add(0.002, stage, "shipping")
        metrics.ROUTES.add(1, "shipping", "dispatched")
        metrics.ROUTER_CONFIDENCE.observe(0.9, "shipping")
        metrics.QUERIES.add(1, "shipping", "answered")
        metrics.ENERGY_JOULES.add(0.02, "shipping", "estimated")
        metrics.REQUEST_DURATION.observe(0.004, "http", "answered")
    return (time.thread_time() - started) / 5_000 * 1e6


def main(pairs: int) -> None:
    with TemporaryDirectory() as state, ThreadPoolExecutor(2) as executor:
        settings = load_settings(state_dir=state)
        texts = bench_texts(load_corpus(load_fleet(settings.fleet_dir)))
        pipeline = load_pipeline(settings, ShippedParts(), executor).pipeline
        rounds = asyncio.run(_rounds(pipeline, texts, pairs))
        told: dict[str, float] = {"pairs_of_rounds": pairs, "queries_a_round": ROUND}
        for name in ("p50", "cpu"):
            low, middle, high = statistics.quantiles([one[name] for one in rounds], n=4)
            told |= {f"{name}_ratio": middle, f"{name}_ratio_q1": low, f"{name}_ratio_q3": high}
            told[f"{name}_ms"] = statistics.median(one[f"{name}_ms"] for one in rounds)
        told["recording_us_a_query"] = _calls()

        async def load() -> None:
            metrics.watch_thread("event_loop")
            await asyncio.gather(*(pipeline.answer(Query(text)) for text in texts[:64]))

        before, stages = time.process_time(), _stages()
        for _ in range(8):
            asyncio.run(load())
        told["stages_of_process_cpu"] = (_stages() - stages) / (time.process_time() - before)
    print(json.dumps({name: round(value, 4) for name, value in told.items()}, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
