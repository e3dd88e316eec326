"""serveConfigV2: Ray knows its keys, the fleet its names, and the very same is deployed and asked."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deploy.conftest import CHART, Document, case, parse, pods, rendered, serve_config, the
from deploy.nodes import ISOLATED
from pydantic import BaseModel

from slmfleet.models.fleet.loading import load_fleet
from slmfleet.services.settings import SHOP_DIR, Settings


def _unknown(value: Any, model: type[BaseModel], where: str = "") -> list[str]:
    """Keys that Ray's own model of its configuration does not have; it lets them pass itself."""
    found = []
    for key, below in value.items():
        field = model.model_fields.get(key)
        if field is None:
            found.append(f"{where}{key}")
            continue
        for kind in _models(field.annotation):
            for one in below if isinstance(below, list) else [below]:
                if isinstance(one, dict):
                    found += _unknown(one, kind, f"{where}{key}.")
    return found


def _models(annotation: Any) -> list[type[BaseModel]]:
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _faults(config: Document) -> list[str]:
    """What is wrong with a Serve configuration, that Ray notices or not."""
    from ray.serve.schema import ServeDeploySchema

    faults = _unknown(config, ServeDeploySchema)
    ServeDeploySchema.model_validate(config)
    for application in config["applications"]:
        Settings.model_validate(application["args"])  # forbids what it does not know
        for deployment in application["deployments"]:
            scale = deployment.get("autoscaling_config")
            if (scale is None) == ("num_replicas" not in deployment):
                faults.append(f"{deployment['name']}: scaled in none or two ways")
            if scale and scale["min_replicas"] > scale["max_replicas"]:
                faults.append(f"{deployment['name']}: min above max")
    return faults


@case
def test_every_key_is_known_and_every_bound_holds(values: Path) -> None:
    assert _faults(serve_config(rendered(values))) == []


@pytest.mark.parametrize("wrong", ["min_replica", "downscale_delay", "num_cpu"])
def test_a_misspelt_key_is_noticed(wrong: str) -> None:
    config = copy.deepcopy(serve_config(rendered()))
    deployment = config["applications"][0]["deployments"][1]
    deployment["ray_actor_options" if wrong == "num_cpu" else "autoscaling_config"][wrong] = 1
    assert any(fault.endswith(wrong) for fault in _faults(config))


@case
def test_there_is_one_deployment_for_each_domain(values: Path) -> None:
    (application,) = serve_config(rendered(values))["applications"]
    names = [deployment["name"] for deployment in application["deployments"]]
    domains = [f"specialist-{domain}" for domain in load_fleet(SHOP_DIR).domains]
    split = application["args"]["placement"] == "split"
    assert names == ["gateway", *(domains if split else [])]
    most = application["args"].get("specialist_max_replicas", 1)
    for deployment in application["deployments"][1:]:
        scale = deployment.get("autoscaling_config", {"max_replicas": deployment.get("num_replicas")})
        assert scale["max_replicas"] <= most, "the gateway would not use them all"


def test_a_domain_is_scaled_by_itself() -> None:
    (application,) = serve_config(rendered(CHART / "ci" / "split-values.yaml"))["applications"]
    by_name = {deployment["name"]: deployment for deployment in application["deployments"]}
    assert by_name["specialist-shipping"]["autoscaling_config"]["max_replicas"] == 8
    assert by_name["specialist-orders"]["autoscaling_config"]["max_replicas"] == 4
    assert by_name["specialist-billing"]["num_replicas"] == 2
    assert by_name["specialist-returns"]["ray_actor_options"] == {"num_cpus": 0.25}
    assert application["args"]["specialist_max_replicas"] == 8
    assert application["args"]["session_ttl_s"] == 900
    assert {it["user_config"]["revision"] for it in by_name.values()} == {"2026-06-15"}


def variables(documents: list[Document]) -> dict[str, str]:
    """Head's variables with secrets in their places; without the Redis, which does not run here."""
    head = dict(pods(documents))["fleet-slmfleet head"]["spec"]["containers"][0]
    given = {each["name"]: each["value"] for each in head["env"] if "value" in each}
    for gone in ("HOME", "SLMFLEET_REDIS_URL"):
        given.pop(gone, None)
    return given | {
        "SLMFLEET_API_KEYS": "key-one,key-two",
        "SLMFLEET_TOKEN_SECRET": "0123456789" * 4,
        "SLMFLEET_STATE_DIR": "/tmp/ray/state",
        "RAY_AUTH_MODE": "disabled",  # KubeRay's part
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def on_nodes(script: str, seconds: float, values: Path | None = None, **more: Any) -> Any:
    """What `script` prints as JSON, run with the rendered RayService on nodes of its own."""
    for name in ("unshare", "nsenter", "ip", "wget"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is missing: apt-get install util-linux iproute2 wget")
    if subprocess.run([*ISOLATED, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody make a network namespace")
    documents = rendered(values)
    spec = the(documents, "RayService")["spec"]
    given = {
        "spec": spec, "config": parse(spec["serveConfigV2"])[0], "environment": variables(documents),
        "key": "key-two", **more,
    }  # fmt: skip
    # Without what clusters of other tests were told.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLMFLEET_"))}
    done = subprocess.run(
        [*ISOLATED, sys.executable, str(Path(__file__).parent / script)],
        input=json.dumps(given), capture_output=True, text=True, timeout=seconds,
        env={**clean, "PYTHONPATH": given["environment"]["PYTHONPATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.connected
@pytest.mark.timeout(900)
@pytest.mark.parametrize("values", [CHART / "ci" / "minimal-values.yaml", None], ids=["minimal", "default"])
def test_the_very_same_configuration_is_deployed_and_answers(values: Path | None) -> None:
    told = on_nodes("ask_serve_config.py", 890, values)
    for answer in told["answers"]:
        assert answer["status"] == "answered"
        assert "30 days" in answer["text"]
        assert answer["parts"][0]["domain"] == "returns"
    assert all(set(pages.values()) == {200} for pages in told["ports"]), told["ports"]
    assert told["unkeyed"] == 401
    domains = list(load_fleet(SHOP_DIR).domains)
    assert told["domains"] == domains
    if values is None:
        assert told["placement"] == "split"
        assert told["replicas"] == {"gateway": 2, **{f"specialist-{domain}": 1 for domain in domains}}
    else:
        assert told["placement"] == "colocated"
        assert told["replicas"] == {"gateway": 1}
