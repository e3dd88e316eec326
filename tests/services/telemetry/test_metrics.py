"""What is recorded, under which names, in how many series."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.serving import write_word_shop
from fakes.sharing import QuotingParts, sharer, sharing_settings
from fakes.shop import BATCH, Shop
from prometheus_client.parser import text_string_to_metric_families

from slmfleet.models.contracts import Answer, Decision, Reading
from slmfleet.models.fleet.config import Fleet
from slmfleet.services.pipeline.pipeline import Query, Replier
from slmfleet.services.settings import Settings
from slmfleet.services.telemetry import metrics
from slmfleet.services.telemetry.labels import LABELS

#: What DESIGN promises, by name and labels; dashboards and rules stand on it.
PROMISED = {
    "slmfleet_request_duration_seconds": ("channel", "outcome"),
    "slmfleet_stage_duration_seconds": ("stage", "domain"),
    "slmfleet_queries_total": ("domain", "outcome"),
    "slmfleet_router_confidence": ("domain",),
    "slmfleet_cache_requests_total": ("result",),
    "slmfleet_cpu_seconds_total": ("stage", "domain"),
    "slmfleet_energy_joules_total": ("domain", "source"),
    "slmfleet_model_parameters": ("domain",),
    "slmfleet_model_bytes": ("domain",),
    "slmfleet_resident_bytes": (),
    "slmfleet_events_total": ("type", "result"),
    "slmfleet_event_lag": (),
    "slmfleet_dead_letters_total": ("reason",),
}


def samples() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every series of this process, as Prometheus would read it."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.exposition())
        for sample in family.samples
    }


def value(name: str, **labels: str) -> float:
    """One series now, 0 when it is not there yet."""
    return samples().get((name, frozenset(labels.items())), 0.0)


@pytest.fixture(autouse=True)
def _recording() -> Iterator[None]:
    yield
    metrics.record(True)


def test_every_promised_metric_is_there_with_its_labels() -> None:
    defined = {metric.name: metric.labels for metric in metrics.ALL}
    assert PROMISED.items() <= defined.items()
    assert {metric.kind for metric in metrics.ALL} == {"counter", "gauge", "histogram"}
    for metric in metrics.ALL:
        assert metric.documentation.endswith(".")
        assert f"# HELP {metric.name} {metric.documentation}\n" in metrics.exposition()
    assert all(name.startswith("slmfleet_") for name in defined)
    assert not {"query", "text", "session", "session_id", "customer"} & {
        label for labels in defined.values() for label in labels
    }


def test_durations_fall_into_buckets_from_a_fifth_of_a_millisecond_to_five_seconds() -> None:
    assert (metrics.BUCKETS[0], metrics.BUCKETS[-1]) == (0.0002, 5.0)
    assert all(
        above / below < 2.6 for below, above in zip(metrics.BUCKETS, metrics.BUCKETS[1:], strict=False)
    )


async def test_an_answer_is_counted_by_stage_domain_outcome_and_cost(shop: Shop) -> None:
    watched = {
        "slmfleet_queries_total": {"domain": "shipping", "outcome": "answered"},
        "slmfleet_routes_total": {"domain": "shipping", "verdict": "dispatched"},
        "slmfleet_router_confidence_count": {"domain": "shipping"},
        "slmfleet_request_duration_seconds_count": {"channel": "http", "outcome": "answered"},
    } | {
        f"{name}|{stage}": {"stage": stage, "domain": "shipping"}
        for name in ("slmfleet_stage_duration_seconds_count", "slmfleet_cpu_seconds_total")
        for stage in ("router", "specialist", "reply")
    }
    before = {name: value(name.partition("|")[0], **labels) for name, labels in watched.items()}
    joules = value("slmfleet_energy_joules_total", domain="shipping", source="estimated")
    cost = (await shop.ask("where is my parcel")).json()["cost"]
    grown = {name: value(name.partition("|")[0], **labels) - before[name] for name, labels in watched.items()}
    cpu = {name: grown.pop(name) for name in list(grown) if "cpu_seconds" in name}
    assert set(grown.values()) == {1}
    assert sum(cpu.values()) * 1e3 == pytest.approx(cost["cpu_ms"], abs=0.01)
    drawn = value("slmfleet_energy_joules_total", domain="shipping", source="estimated") - joules
    assert drawn * 1e3 == pytest.approx(cost["energy_mj"], abs=0.01)
    assert cost["energy_source"] == "estimated"


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        ({"text": ""}, "invalid-field"),
        ({"text": "explode where"}, "model-broken"),
        ({"text": "slowly where " + "x " * 9}, "answered"),
    ],
)
async def test_a_refused_request_is_counted_by_what_was_wrong(
    shop: Shop, asked: dict[str, str], outcome: str
) -> None:
    labels = {"channel": "http", "outcome": outcome}
    before = value("slmfleet_request_duration_seconds_count", **labels)
    await shop.client.post("/v1/queries", json=asked)
    assert value("slmfleet_request_duration_seconds_count", **labels) == before + 1


async def test_health_checks_are_not_requests(shop: Shop) -> None:
    def count() -> float:
        return sum(n for (name, _), n in samples().items() if name.endswith("request_duration_seconds_count"))

    before = count()
    await shop.client.get("/healthz")
    await shop.client.get("/readyz")
    assert count() == before
    await shop.client.post(BATCH, json={"queries": [{"text": "where"}]})
    assert count() == before + 1


async def test_nothing_is_recorded_when_switched_off(shop: Shop) -> None:
    metrics.record(False)
    before = samples()
    await shop.ask("where is my parcel")
    after = samples()
    process = ("slmfleet_process_cpu_seconds_total", "slmfleet_resident_bytes")
    assert {k: v for k, v in after.items() if k[0] not in process} == {
        k: v for k, v in before.items() if k[0] not in process
    }


def test_a_fleet_of_six_domains_has_under_four_thousand_series() -> None:
    """Every combination that labels allow, in one process; a busy replica has a fifth of them."""
    sizes = {name: len(values) for name, values in LABELS.items() if values is not None}
    sizes |= {"domain": 6 + 4, "outcome": 6 + 12, "type": 4, "reason": 6, "model": 1}
    # a stage belongs to a domain only where a specialist, the router or the reply is concerned
    series = 0
    for metric in metrics.ALL:
        combinations = 1
        for label in metric.labels:
            combinations *= 5 if label == "stage" else sizes[label]
        buckets = getattr(metric, "buckets", ())
        series += combinations * (len(buckets) + 3 if buckets else 1)
    assert series < 4_000, series


def test_a_model_is_measured_when_it_is_loaded(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.executor.shutdown()
    for domain in ("router", "shipping", "returns"):
        assert value("slmfleet_model_bytes", domain=domain) > 0
        assert value("slmfleet_model_parameters", domain=domain) > 0
    asyncio.run(shop.client.aclose())


class FickleParts(QuotingParts):
    """Answers differently once `added` has an entry, as after a change that the cache does not know of."""

    def replier(self, settings: Settings, fleet: Fleet) -> Replier:
        default = super().replier(settings, fleet)

        class Fickle:
            def reply(self, query: Query, decision: Decision, readings: Sequence[Reading]) -> Answer:
                answer = default.reply(query, decision, readings)
                return replace(answer, text=answer.text + "".join(added))

        return Fickle()


#: What FickleParts adds to every answer.
added: list[str] = []


@pytest.mark.parametrize(("changed", "verdict"), [([], "same"), (["!"], "different")])
async def test_a_hit_is_counted_and_a_sample_of_hits_is_computed_anew(
    tmp_path: Path, changed: list[str], verdict: str
) -> None:
    write_word_shop(tmp_path / "fleet", cacheable="shared")
    added.clear()
    names = ["hit", "miss", "bypass", "error"]

    def counts() -> list[float]:
        return [value("slmfleet_cache_requests_total", result=name) for name in names] + [
            value("slmfleet_cache_checks_total", result="same"),
            value("slmfleet_cache_checks_total", result="different"),
            value("slmfleet_queries_total", domain="shipping", outcome="answered"),
            value("slmfleet_routes_total", domain="shipping", verdict="dispatched"),
        ]

    before = counts()
    async with sharer(sharing_settings(tmp_path, None, cache_check_rate=1.0), FickleParts()) as one:
        assert (await one.ask("where is a parcel")).cache == "miss"
        added.extend(changed)
        assert (await one.ask("where is a parcel")).cache == "hit"
        assert (await one.ask("where is a parcel", customer="ann")).cache == "bypass"
        await one.loaded.pipeline.checked()
    grown = [now - was for now, was in zip(counts(), before, strict=True)]
    assert grown[:4] == [1, 1, 1, 0]
    assert grown[4:6] == ([1, 0] if verdict == "same" else [0, 1])
    assert grown[6] == 3, "answers, whoever made them"
    assert grown[7] == 3, "the router decided for the miss, the bypass and the sample"
