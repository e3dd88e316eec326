"""The chart as a package: it lints, renders alike under both helms, and refuses what is wrong."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from deploy.conftest import CASES, CHART, ROOT, case, each_helm, helm, of_kind, rendered, serve_config, tool
from ruamel.yaml import YAML

SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def _load(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


VALUES = _load(CHART / "values.yaml")


@case
@each_helm
def test_it_lints_strictly(values: Path, which: str) -> None:
    done = helm(which, "lint", "--strict", str(CHART), f"--values={values}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_cases_are_those_that_are_promised() -> None:
    names = {path.stem.removesuffix("-values") for path in CASES}
    assert names == {"minimal", "production", "split", "colocated", "external-redis", "rabbitmq"}


@case
def test_both_helms_render_the_same(values: Path) -> None:
    def told(which: str) -> list[dict[str, Any]]:
        documents = rendered(values, which)
        for secret in of_kind(documents, "Secret"):
            secret["data"] = sorted(secret["data"])  # random, by design
        return sorted(documents, key=lambda it: (it["kind"], it["metadata"]["name"]))

    assert told("helm3") == told("helm4")


@case
def test_it_renders_for_each_version_of_kubernetes(values: Path) -> None:
    for minor in (29, 35):
        assert rendered(values, "helm4", f"--kube-version=1.{minor}")
    refused = helm("helm4", "template", "fleet", str(CHART), "--kube-version=1.28")
    assert "incompatible with Kubernetes" in refused.stderr


def _objects(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if "properties" in schema:
        yield where, schema
        for name, below in schema["properties"].items():
            yield from _objects(below, f"{where}.{name}")


def test_the_schema_knows_every_value_and_refuses_any_other() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft7Validator(SCHEMA)
    validator.validate(VALUES)
    places = [
        *_objects(SCHEMA),
        *((name, one) for name, one in SCHEMA["$defs"].items() if "properties" in one),
    ]
    assert len(places) > 30
    for where, schema in places:
        assert schema["additionalProperties"] is False, f"{where} lets unknown keys pass"
    for where in _mappings(VALUES):
        broken = copy.deepcopy(VALUES)
        place = broken
        for name in where:
            place = place[name]
        place["misspelt"] = 1
        assert list(validator.iter_errors(broken)), f"misspelt is let in at {where}"


def _mappings(value: dict[str, Any], where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of the objects that are the chart's own, not Kubernetes'."""
    schema = SCHEMA
    for name in where:
        schema = schema["properties"][name]
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "properties" not in schema:
        return
    yield where
    for name, below in value.items():
        if isinstance(below, dict):
            yield from _mappings(below, (*where, name))


@each_helm
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("ray.heads.x=1", "heads"),
        ("consumer.scaling.type=both", "scaling"),
        ("settings.api_keys=secret", "api_keys"),
        ("fullnameOverride=a-name-that-is-much-too-long-for-a-rayservice", "fullnameOverride"),
        ("redis.mode=external", "redis.external.existingSecret: name the Secret"),
        ("redis.mode=none", "consumer.broker.existingSecret: without a Redis"),
        ("gateway.autoscaling.minReplicas=9", "gateway.autoscaling: minReplicas must not be"),
        ("fleet.domains[0].name=a,fleet.domains[1].name=a", "fleet.domains: a is named twice"),
        ("ray.worker.drainSeconds=120", "terminationGracePeriodSeconds: must be above"),
        ("ray.workerGroups[0].name=a,ray.workerGroups[0].replicas=1,ray.workerGroups[0].minReplicas=2,"
         "ray.workerGroups[0].maxReplicas=3,ray.workerGroups[0].resources.limits.cpu=1",
         "replicas must lie between"),
        ("ray.gcsFaultTolerance.enabled=true", "ray.gcsFaultTolerance.redisAddress: give host:port"),
        ("fleet.existingClaim=x", "fleet.dir: name the fleet's folder"),
        ("consumer.scaling.type=keda,consumer.broker.existingSecret=x", "give KEDA's triggers"),
        ("ingress.enabled=true", "ingress.hosts: name a host"),
        ("httpRoute.enabled=true", "httpRoute.parentRefs: name a gateway"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_name(which: str, wrong: str, told: str) -> None:
    refused = helm(which, "template", "fleet", str(CHART), f"--set={wrong}")
    assert refused.returncode != 0
    assert told in refused.stderr


def test_the_readme_and_the_copies_are_what_make_chart_writes() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "chart.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_readme_describes_every_value() -> None:
    readme = (CHART / "README.md").read_text()
    assert list(_undescribed(VALUES, readme)) == []
    assert list(_undescribed({"image": {"registry": "x"}}, readme)) == ["image.registry"]


def _undescribed(values: dict[str, Any], readme: str, path: str = "") -> Iterator[str]:
    for key, value in values.items():
        where = f"{path}.{key}".lstrip(".")
        if f"| `{where}` |" in readme:
            continue
        if isinstance(value, dict) and value:
            yield from _undescribed(value, readme, where)
        else:
            yield where


def test_every_value_is_used() -> None:
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    schema_free = {"runAsNonRoot"}  # below podSecurityContext and the like, which are copied whole
    for where in _mappings(VALUES):
        for name in (VALUES if not where else _at(VALUES, where)).keys() - schema_free:
            assert f".{name}" in templates, f"{'.'.join(where)}.{name} is used by no template"


def _at(values: Any, where: tuple[str, ...]) -> Any:
    for name in where:
        values = values[name]
    return values


def test_serve_yaml_is_what_the_chart_deploys() -> None:
    told = _load(ROOT / "deploy" / "serve.yaml")
    assert told == serve_config(rendered())


def test_it_packs(tmp_path: Path) -> None:
    done = subprocess.run(
        [tool("helm4"), "package", str(CHART), "--destination", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("slmfleet-*.tgz"))
