"""The dashboard as Grafana will read it: nothing in it can be empty for a name that is wrong."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from slmfleet.services.telemetry import metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER = DEPLOY / "grafana"
#: Of others: exported by Ray and HAProxy, not defined here.
OTHERS = {
    "ray_serve_deployment_replica_healthy": {"deployment", "replica", "application"},
    "haproxy_backend_http_responses_total": {"proxy", "code"},
}
UNITS = {"s", "reqps", "ops", "percentunit", "bytes", "joule", "watt", "none"}


def _dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "slmfleet.json").read_text(encoding="utf-8"))
    return document


PANELS = [panel for panel in _dashboard()["panels"] if panel["type"] != "row"]


def rules() -> dict[str, str]:
    """Recorded name -> expression."""
    document = YAML(typ="safe").load((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    return {
        rule["record"]: rule["expr"]
        for group in document["groups"]
        for rule in group["rules"]
        if "record" in rule
    }


def _known() -> dict[str, set[str]]:
    """Every name that Prometheus can know, with its labels."""
    known = dict(OTHERS)
    for metric in metrics.ALL:
        labels = set(metric.labels)
        if metric.kind == "histogram":
            known |= {f"{metric.name}_{end}": labels for end in ("count", "sum")}
            known[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            known[metric.name] = labels
    return known


def _names(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:slmfleet|ray|haproxy)[a-z_]*[:_][a-z0-9_:]+", expression))


def test_the_file_is_what_the_program_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("dashboard", FOLDER / "dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dashboard", module)
    spec.loader.exec_module(module)
    assert (FOLDER / "slmfleet.json").read_text(encoding="utf-8") == module.content()


def test_ids_are_unique_and_panels_do_not_overlap() -> None:
    panels = _dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_what_exists(panel: dict[str, Any]) -> None:
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"]["uid"] == panel["targets"][0]["datasource"]["uid"] == "slmfleet"
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        _check(target["expr"])


@pytest.mark.parametrize("name", rules())
def test_a_recorded_rule_asks_for_what_exists(name: str) -> None:
    _check(rules()[name])


def _check(expression: str) -> None:
    known, recorded = _known(), rules()
    labels: set[str] = set()
    for name in _names(expression):
        assert name in known or name in recorded, f"{name} does not exist"
        labels |= known.get(name, set())
        if name in recorded:
            labels |= set(re.findall(r"[a-z_]+", " ".join(re.findall(r"by \(([^)]*)\)", recorded[name]))))
    used = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
    used |= set(re.findall(r"([a-z_]+)(?:=|!=|=~|!~)\"", expression))
    assert used <= labels, f"{used - labels} are no labels of it"


def test_the_datasource_is_the_one_that_panels_name() -> None:
    source = YAML(typ="safe").load(
        (FOLDER / "provisioning" / "datasources" / "prometheus.yaml").read_text(encoding="utf-8")
    )
    assert [one["uid"] for one in source["datasources"]] == ["slmfleet"]
