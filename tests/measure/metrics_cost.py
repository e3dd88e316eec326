"""What measuring costs: `python tests/measure/metrics_cost.py`, not a test.

The shop's own pipeline answers real shoppers' texts in this process, each once measured and once not, in
random order, so that whatever else the machine does falls on both alike.
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

from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.training.data import load_corpus
from slmfleet.services.evaluation.bench.load import bench_texts
from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.pipeline.default_parts import DefaultFactory
from slmfleet.services.pipeline.pipeline import Pipeline, Query
from slmfleet.services.settings import load_settings
from slmfleet.services.telemetry import metrics


async def _ask(pipeline: Pipeline, text: str, recording: bool) -> tuple[float, float]:
    """Milliseconds, and milliseconds of CPU."""
    metrics.record(recording)
    started, cpu = time.perf_counter(), time.process_time()
    await pipeline.answer(Query(text))
    metrics.REQUEST_DURATION.observe(time.perf_counter() - started, "http", "answered")
    return (time.perf_counter() - started) * 1e3, (time.process_time() - cpu) * 1e3


async def _pairs(pipeline: Pipeline, texts: list[str]) -> list[dict[bool, tuple[float, float]]]:
    """Each text asked twice, measured and not, in random order."""
    for text in texts[:100]:
        await _ask(pipeline, text, True)
    return [
        {recording: await _ask(pipeline, text, recording) for recording in random.sample([True, False], 2)}
        for text in texts
    ]


def _compared(pairs: list[dict[bool, tuple[float, float]]], place: int) -> dict[str, float]:
    """Ratio of medians, measured over not, with the 95 % interval of 1,000 resamples."""

    def ratio(chosen: list[dict[bool, tuple[float, float]]]) -> float:
        on, off = (
            statistics.median(pair[recording][place] for pair in chosen) for recording in (True, False)
        )
        return on / off

    again = sorted(ratio(random.choices(pairs, k=len(pairs))) for _ in range(1_000))
    name = ("latency", "cpu")[place]
    return {
        f"{name}_ratio": ratio(pairs),
        f"{name}_ratio_low": again[25],
        f"{name}_ratio_high": again[974],
        f"{name}_ms": statistics.median(pair[False][place] for pair in pairs),
    }


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


def main(queries: int) -> None:
    """Print what was measured as JSON."""
    with TemporaryDirectory() as state, ThreadPoolExecutor(2) as executor:
        settings = load_settings(state_dir=state)
        texts = bench_texts(load_corpus(load_fleet(settings.fleet_dir)))
        pipeline = load_pipeline(settings, DefaultFactory(), executor).pipeline
        pairs = asyncio.run(_pairs(pipeline, random.sample(texts, min(queries, len(texts)))))
        told: dict[str, float] = {"pairs": len(pairs), **_compared(pairs, 0), **_compared(pairs, 1)}
        told["recording_us_a_query"] = _calls()

        async def load() -> None:
            metrics.watch_thread("event_loop")
            for start in range(0, 512, 64):
                await asyncio.gather(*(pipeline.answer(Query(text)) for text in texts[start : start + 64]))

        before, stages = time.process_time(), _stages()
        asyncio.run(load())
        told["stages_of_process_cpu"] = (_stages() - stages) / (time.process_time() - before)
    print(json.dumps({name: round(value, 4) for name, value in told.items()}, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_800)
