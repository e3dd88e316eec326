"""Writes slmfleet.json, the dashboard that Grafana provisions: `python deploy/grafana/dashboard.py`.

Panels as data rather than 1,000 lines of JSON by hand; a test compares the file with this.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "slmfleet.json"
SOURCE = {"type": "prometheus", "uid": "slmfleet"}
#: Metrics in no panel, alert or recording rule, and why (tests/packaging/test_contributing.py).
NOT_DRAWN = {"slmfleet_model_parameters": "constant per version; GET /v1/fleet shows it"}
_DURATION = "rate(slmfleet_{name}_duration_seconds_bucket[$__rate_interval])"


@dataclass(frozen=True)
class Panel:
    """A panel: its queries (PromQL, legend), the unit of its axis, and its description."""

    title: str
    unit: str
    description: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False


def _quantile(q: float, name: str, *by: str) -> str:
    labels = ", ".join(["le", *by])
    return f"histogram_quantile({q}, sum by ({labels}) ({_DURATION.format(name=name)}))"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            Panel(
                "Answers a second", "reqps", "Questions answered, over all channels and replicas.",
                (("sum(slmfleet:answers:rate5m)", "answers"),), "stat", 4,
            ),
            Panel(
                "Latency, 95 % are faster", "s", "At the gateway, from the request's head to its answer.",
                ((_quantile(0.95, "request"), "p95"),), "stat", 4,
            ),
            Panel(
                "Router gives up", "percentunit", "Requests handed to a person: no domain was sure enough.",
                (("slmfleet:abstention_ratio:rate15m", "abstained"),), "stat", 4,
            ),
            Panel(
                "CPU an answer", "s", "All CPU time of all processes, HTTP and Ray's part in them included.",
                (("slmfleet:process_cpu_seconds_per_answer:rate5m", "CPU"),), "stat", 4,
            ),
            Panel(
                "Answers for one of the large model", "none",
                "How many answers cost the CPU time of one of the configured large model "
                "(SLMFLEET_BASELINE_MODEL, SLMFLEET_BASELINE_CPU_S: a setting, not measured here).",
                (("slmfleet:answers_per_baseline_answer:rate5m", "{{model}}"),), "stat", 4,
            ),
            Panel(
                "Cost of 1,000 answers", "none", "In the currency of SLMFLEET_PRICE_CORE_HOUR and _GIB_HOUR.",
                (("slmfleet:cost_per_1000_answers:rate5m", "cost"),), "stat", 4,
            ),
        ),
    ),
    (
        "Latency and throughput",
        (
            Panel(
                "Answers by domain", "reqps", "By the domain of the first request in the question.",
                (("sum by (domain) (slmfleet:answers:rate5m)", "{{domain}}"),), stacked=True,
            ),
            Panel(
                "Requests by outcome", "reqps", "The answer's status, or the type of the problem.",
                (("slmfleet:requests:rate5m", "{{channel}} {{outcome}}"),), stacked=True,
            ),
            Panel(
                "Latency", "s", "At the gateway. The objective is 99 % within 100 ms.",
                tuple((_quantile(q, "request"), f"p{int(q * 100)}") for q in (0.5, 0.95, 0.99)),
            ),
            Panel(
                "Latency by stage", "s", "95 % are faster; waiting for a thread and the hop included.",
                ((_quantile(0.95, "stage", "stage"), "{{stage}}"),), width=12,
            ),
            Panel(
                "Latency of specialists", "s", "95 % are faster.",
                (
                    (
                        _quantile(0.95, "stage", "domain").replace("bucket[", 'bucket{stage="specialist"}['),
                        "{{domain}}",
                    ),
                ),
                width=12,
            ),
        ),
    ),
    (
        "Router and cache",
        (
            Panel(
                "Router: what it decides", "percentunit", "Shares of requests.",
                (
                    (
                        "sum by (verdict) (rate(slmfleet_routes_total[$__rate_interval]))"
                        " / scalar(sum(rate(slmfleet_routes_total[$__rate_interval])))",
                        "{{verdict}}",
                    ),
                ),
                stacked=True,
            ),
            Panel(
                "Router: confidence", "percentunit", "Median by domain, calibrated.",
                (
                    (
                        "histogram_quantile(0.5, sum by (le, domain) "
                        "(rate(slmfleet_router_confidence_bucket[$__rate_interval])))",
                        "{{domain}}",
                    ),
                ),
            ),
            Panel(
                "Cache", "reqps", "Bypass: personal, or of a conversation.",
                (("sum by (result) (rate(slmfleet_cache_requests_total[$__rate_interval]))", "{{result}}"),),
                stacked=True,
            ),
        ),
    ),
    (
        "Cost",
        (
            Panel(
                "CPU an answer, by domain", "s", "Of router, specialist and reply.",
                (
                    ("slmfleet:cpu_seconds_per_answer:rate5m", "{{domain}}"),
                    (
                        'max by (model) (slmfleet_baseline_per_query{quantity="cpu_seconds"})',
                        "{{model}} (configured)",
                    ),
                ),
            ),
            Panel(
                "Energy an answer, by domain", "joule", "The processor's meter, or estimated from CPU time.",
                (
                    ("slmfleet:joules_per_answer:rate5m", "{{domain}}"),
                    (
                        'max by (model) (slmfleet_baseline_per_query{quantity="joules"})',
                        "{{model}} (configured)",
                    ),
                ),
            ),
            Panel(
                "Energy by source", "watt", "estimated: CPU time times SLMFLEET_CORE_WATTS.",
                (("sum by (source) (rate(slmfleet_energy_joules_total[$__rate_interval]))", "{{source}}"),),
            ),
            Panel(
                "Cores in use, by stage", "none",
                "event_loop: HTTP, sessions, cache. The dashed rest of the processes is Ray's.",
                (
                    ("sum by (stage) (rate(slmfleet_cpu_seconds_total[$__rate_interval]))", "{{stage}}"),
                    ("sum(rate(slmfleet_process_cpu_seconds_total[$__rate_interval]))", "processes"),
                ),
            ),
            Panel(
                "Resident memory of replicas", "bytes", "Without Ray's own processes.",
                (("sum(slmfleet_resident_bytes)", "all"),),
            ),
            Panel(
                "Models", "bytes", "Bundles on disk.",
                (("max by (domain) (slmfleet_model_bytes)", "{{domain}}"),), "bargauge",
            ),
        ),
    ),
    (
        "Queue and replicas",
        (
            Panel(
                "Events", "ops", "By what became of them.",
                (
                    (
                        "sum by (type, result) (rate(slmfleet_events_total[$__rate_interval]))",
                        "{{type}} {{result}}",
                    ),
                ),
            ),
            Panel(
                "Events waiting", "none", "Not yet taken, and taken but not yet acknowledged.",
                (("max(slmfleet_event_lag)", "lag"), ("max(slmfleet_event_pending)", "pending")),
            ),
            Panel(
                "Dead letters", "none", "In the last hour, by reason.",
                (("sum by (reason) (increase(slmfleet_dead_letters_total[1h]))", "{{reason}}"),),
            ),
            Panel(
                "Healthy replicas", "none", "As Ray Serve sees them.",
                (("sum by (deployment) (ray_serve_deployment_replica_healthy)", "{{deployment}}"),), width=12,
            ),
            Panel(
                "Errors at the proxy", "reqps", "HAProxy's answers that are no success.",
                (
                    (
                        "sum by (code) (rate("
                        'haproxy_backend_http_responses_total{code!~"[123]xx"}[$__rate_interval]))',
                        "{{code}}",
                    ),
                ),
                width=12,
            ),
        ),
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard in Grafana's own JSON (schema 39, Grafana 10 and later)."""
    panels: list[dict[str, Any]] = []
    down = 0
    for row, row_panels in ROWS:
        panels.append(_placed(len(panels) + 1, "row", row, 0, down, 24, 1))
        down += 1
        across = 0
        for panel in row_panels:
            height = 4 if panel.kind == "stat" else 8
            if across + panel.width > 24:
                across, down = 0, down + height
            panels.append(
                _placed(len(panels) + 1, panel.kind, panel.title, across, down, panel.width, height)
                | _content(panel)
            )
            across += panel.width
        down += height
    return {
        "uid": "slmfleet",
        "title": "slmfleet",
        "description": "A fleet of small specialist language models: latency, decisions, cost.",
        "tags": ["slmfleet"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": panels,
    }


def _placed(id_: int, kind: str, title: str, x: int, y: int, w: int, h: int) -> dict[str, Any]:
    return {"id": id_, "type": kind, "title": title, "gridPos": {"x": x, "y": y, "w": w, "h": h}}


def _content(panel: Panel) -> dict[str, Any]:
    custom: dict[str, Any] = {"fillOpacity": 25 if panel.stacked else 5, "showPoints": "never"}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal"}
    return {
        "description": panel.description,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": custom if panel.kind == "timeseries" else {},
            },
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for n, (expr, legend) in enumerate(panel.queries)
        ],
    }


def content() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(content(), encoding="utf-8")
