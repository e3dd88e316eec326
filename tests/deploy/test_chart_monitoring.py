"""What the chart gives Prometheus and Grafana is what deploy/ gives them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from deploy.conftest import CHART, ROOT, Document, of_kind, rendered, the
from ruamel.yaml import YAML

PRODUCTION = CHART / "ci" / "production-values.yaml"


def _config(name: str) -> Any:
    return YAML(typ="safe").load((ROOT / "deploy" / "prometheus" / name).read_text())


def test_the_rules_are_those_of_deploy_and_promtool_takes_them(tmp_path: Path) -> None:
    rule = the(rendered(PRODUCTION), "PrometheusRule")
    assert rule["spec"]["groups"] == _config("rules.yml")["groups"]
    if shutil.which("promtool") is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    YAML().dump(rule["spec"], tmp_path / "rules.yml")
    done = subprocess.run(
        ["promtool", "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_that_of_deploy() -> None:
    (config_map,) = of_kind(rendered(PRODUCTION), "ConfigMap")
    told = json.loads(config_map["data"]["slmfleet.json"])
    assert told == json.loads((ROOT / "deploy" / "grafana" / "slmfleet.json").read_text())
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"


def _as_configured(endpoint: Document) -> list[Document]:
    """An endpoint's metric relabelings in Prometheus's words, `replace` being what it does by itself."""
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    return [
        {names.get(key, key): value for key, value in step.items() if (key, value) != ("action", "replace")}
        for step in endpoint.get("metricRelabelings", [])
    ]


def test_pages_are_scraped_as_deploy_scrapes_them_under_the_same_jobs() -> None:
    documents = rendered(PRODUCTION)
    endpoints = [
        *the(documents, "PodMonitor")["spec"]["podMetricsEndpoints"],
        *the(documents, "ServiceMonitor")["spec"]["endpoints"],
    ]
    scraped = {
        step["replacement"]: _as_configured(endpoint)
        for endpoint in endpoints
        for step in endpoint["relabelings"]
        if step["targetLabel"] == "job"
    }
    configured = {
        job["job_name"]: job.get("metric_relabel_configs", [])
        for job in _config("prometheus.yml")["scrape_configs"]
    }
    assert scraped == configured


def test_the_consumers_page_is_on_the_port_that_deploy_scrapes() -> None:
    (job,) = (
        it for it in _config("prometheus.yml")["scrape_configs"] if it["job_name"] == "slmfleet-consumer"
    )
    (target,) = job["static_configs"][0]["targets"]
    (service,) = (it for it in of_kind(rendered(), "Service") if it["metadata"]["name"].endswith("-consumer"))
    assert int(target.rpartition(":")[2]) == service["spec"]["ports"][0]["port"]
