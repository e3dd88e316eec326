"""A real Prometheus scrapes a fleet on a real Ray, and every expression of the dashboard finds something."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.collector import Collector, collecting
from fakes.waiting import until
from prometheus_client import start_http_server

from connected.conftest import Cluster, Deployed
from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.telemetry import metrics

pytestmark = [
    pytest.mark.connected,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is missing: apt-get install prometheus"
    ),
]
DEPLOY = Path(__file__).parents[2] / "deploy"


class Prometheus:
    """A server that scrapes every two seconds, and what it can be asked."""

    def __init__(self, port: int) -> None:
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series of an expression now; NaN is no value."""
        answer = self.client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return [series for series in found if series["value"][1] != "NaN"]

    def value(self, expression: str) -> float:
        """The one value of an expression, 0 without any."""
        series = self.query(expression)
        assert len(series) <= 1, series
        return float(series[0]["value"][1]) if series else 0.0

    def up(self) -> bool:
        try:
            return self.client.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `otel` is not installed")
    with collecting() as listening:
        yield listening


@pytest.fixture(scope="module")
def shop(cluster: Cluster, collector: Collector) -> Iterator[Deployed]:
    """Everything on that there is to see a fleet by."""
    seen: dict[str, Any] = {
        "price_core_hour": 0.04,
        "price_gib_hour": 0.005,
        "otlp_endpoint": collector.endpoint,
        "log_level": "info",
        "log_queries": True,
    }
    with cluster.shop("measured", placement="split", gateway_replicas=2, **seen) as deployed:
        yield deployed


@pytest.fixture(scope="module")
def consumer_port() -> Iterator[int]:
    """This process's own page stands for a consumer's: it records what a consumer records."""
    port = free_ports(1)[0]
    server, thread = start_http_server(port, "127.0.0.1", metrics.REGISTRY)
    for _ in range(2):
        metrics.EVENTS.add(1, "slmfleet.query.received.v1", "answered")
        metrics.DEAD_LETTERS.add(1, "malformed")
    metrics.EVENT_LAG.set(3)
    metrics.EVENT_PENDING.set(1)
    for result in ("hit", "miss", "bypass"):
        metrics.CACHE_REQUESTS.add(1, result)
    yield port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def prometheus(
    cluster: Cluster, shop: Deployed, consumer_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copy(DEPLOY / "prometheus" / "rules.yml", folder)
    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8").replace("15s", "2s")
    for shipped, here in {
        9464: cluster.metrics_port,
        9465: cluster.haproxy_metrics_port,
        8081: consumer_port,
    }.items():
        assert f"127.0.0.1:{shipped}" in config
        config = config.replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{here}")
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    port = free_ports(1)[0]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    server = Prometheus(port)
    try:
        until(server.up, 30)
        yield server
    finally:
        process.terminate()
        process.wait(20)
        server.client.close()


def _ask(shop: Deployed, rounds: int) -> None:
    for _ in range(rounds):
        for text in ("where is my parcel", "can i return it", "blah", "track it and refund it"):
            assert shop.ask(text).status_code == 200
        assert shop.ask("explode where").status_code == 503
        shop.client.get("/nowhere")
    metrics.EVENTS.add(1, "slmfleet.query.received.v1", "answered")
    metrics.DEAD_LETTERS.add(1, "malformed")
    for result in ("hit", "miss", "bypass"):
        metrics.CACHE_REQUESTS.add(1, result)


def _expressions() -> Iterator[tuple[str, str]]:
    board = json.loads((DEPLOY / "grafana" / "slmfleet.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def test_every_expression_of_the_dashboard_finds_something(shop: Deployed, prometheus: Prometheus) -> None:
    for _ in range(4):
        _ask(shop, 3)
        before = prometheus.value("sum(slmfleet_queries_total)")
        until(lambda before=before: prometheus.value("sum(slmfleet_queries_total)") > before)  # type: ignore[misc]
    empty = dict(_expressions())

    def all_found() -> bool:
        for title, expression in _expressions():
            if title in empty and prometheus.query(expression):
                empty.pop(title)
        return not empty

    until(all_found, 30)


def test_names_are_the_same_from_replicas_and_from_a_page_of_ones_own(prometheus: Prometheus) -> None:
    for name in ("slmfleet_resident_bytes", "slmfleet_process_cpu_seconds_total"):
        jobs = {series["metric"]["job"] for series in prometheus.query(name)}
        assert jobs == {"slmfleet", "slmfleet-consumer"}, name
    assert not prometheus.query('{__name__=~"ray_slmfleet.*"}')


def _total(prometheus: Prometheus, name: str, **labels: str) -> float:
    """The sum of all series, those that a late scrape missed included."""
    wanted = ",".join(f'{label}="{value}"' for label, value in {"job": "slmfleet", **labels}.items())
    return prometheus.value(f"sum(last_over_time({name}{{{wanted}}}[1m]))")


def test_what_prometheus_counts_is_what_was_asked(shop: Deployed, prometheus: Prometheus) -> None:
    def counts() -> list[float]:
        return [
            _total(prometheus, "slmfleet_queries_total", domain="returns", outcome="answered"),
            _total(prometheus, "slmfleet_request_duration_seconds_bucket", le="+Inf", outcome="answered"),
            _total(prometheus, "slmfleet_request_duration_seconds_sum", outcome="answered"),
        ]

    def settled() -> list[float]:
        """What is counted once everything before has arrived."""
        seen = [counts()]
        until(lambda: seen.append(counts()) or time.sleep(1) or seen[-5:] == [seen[-1]] * 5, 60)  # type: ignore[func-returns-value]
        return seen[-1]

    before = settled()
    took_s = sum(shop.ask("can i return it").elapsed.total_seconds() for _ in range(20))
    until(lambda: counts()[0] >= before[0] + 20, 30)
    answers, requests, seconds = (now - was for now, was in zip(settled(), before, strict=True))
    assert (answers, requests) == (20, 20)
    assert 0 < seconds <= took_s


def test_cpu_time_comes_from_the_process_that_spent_it(prometheus: Prometheus) -> None:
    series = prometheus.query('last_over_time(slmfleet_cpu_seconds_total{job="slmfleet"}[1m])')
    by_stage: dict[str, set[str]] = {}
    for one in series:
        by_stage.setdefault(one["metric"]["stage"], set()).add(one["metric"]["WorkerId"])
    assert len(by_stage["specialist"]) == 2, "one process a domain"
    assert len(by_stage["router"]) == 2, "one process a gateway replica"
    assert not by_stage["specialist"] & by_stage["router"]
    assert by_stage["event_loop"] == by_stage["specialist"] | by_stage["router"]


def test_series_stay_few(prometheus: Prometheus) -> None:
    each = prometheus.query(
        'count by (WorkerId) (last_over_time({job="slmfleet",__name__=~"slmfleet_.+"}[1m]))'
    )
    assert each
    assert all(float(one["value"][1]) < 1_500 for one in each)


def test_no_label_names_a_query_or_a_customer(prometheus: Prometheus) -> None:
    known = {label for metric in metrics.ALL for label in metric.labels}
    for one in prometheus.query('{job="slmfleet",__name__=~"slmfleet_.+"}'):
        assert set(one["metric"]) <= known | {"__name__", "job", "instance", "WorkerId", "le"}, one
        assert not re.search("parcel|alice", json.dumps(one))


def test_nobody_elsewhere_can_read_the_export_port(cluster: Cluster) -> None:
    listening = subprocess.run(
        ["ss", "-ltnH", f"sport = :{cluster.metrics_port}"], capture_output=True, text=True
    )
    addresses = [line.split()[3] for line in listening.stdout.splitlines()]
    assert addresses
    assert all(address.startswith("127.") for address in addresses), addresses


def test_a_trace_goes_from_the_caller_through_the_gateway_to_the_specialist(
    shop: Deployed, collector: Collector
) -> None:
    trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    shop.ask("where is my parcel", headers={"traceparent": f"00-{trace}-{caller}-01"})

    def ours() -> dict[str, tuple[str, Any]]:
        return {
            span.name: (service, span) for service, span in collector.spans() if span.trace_id.hex() == trace
        }

    until(lambda: set(ours()) >= {"request", "router", "specialist", "read", "reply"}, 30)
    spans = ours()
    assert spans["request"][1].parent_span_id.hex() == caller
    assert spans["request"][0] == "slmfleet-gateway"
    assert spans["read"][0] == "slmfleet-specialist-shipping"
    assert spans["read"][1].parent_span_id == spans["specialist"][1].span_id


def test_both_processes_log_a_fault_under_the_same_request(shop: Deployed, cluster: Cluster) -> None:
    shop.ask("explode where is #W7678072", headers={"x-request-id": "the-fault"})
    shop.ask("where is #W7678072", headers={"x-request-id": "the-answer"})

    def lines() -> list[dict[str, Any]]:
        texts = [file.read_text(encoding="utf-8") for file in cluster.logs.glob("worker-*.err")]
        return [
            json.loads(line) for text in texts for line in text.splitlines() if line.startswith('{"time"')
        ]

    until(lambda: any(line.get("request_id") == "the-answer" for line in lines()), 20)
    found = [line for line in lines() if line.get("request_id") in ("the-fault", "the-answer")]
    assert [
        (line["level"], line["logger"].split(".")[-1]) for line in found if line["request_id"] == "the-fault"
    ] == [("error", "guarded_model")]
    [answer] = [line for line in found if line["request_id"] == "the-answer"]
    assert (answer["status"], answer["text"]) == ("answered", "where is [number]")
    assert "W7678072" not in json.dumps(found)
