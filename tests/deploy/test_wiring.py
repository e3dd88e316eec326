"""What no schema sees: that the objects fit each other, and what an operator expects of every workload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy.conftest import CHART, Document, case, matches, of_kind, pods, rendered, serve_config, the

from slmfleet.services.settings import RAY_ENVIRONMENT, Settings

PRODUCTION = CHART / "ci" / "production-values.yaml"
#: Settings that a cluster must not take from `slmfleet up`: KubeRay hands out tokens, and a replica that
#: leaves drains as long as Serve's own default says.
_OF_ONE_MACHINE = {"RAY_AUTH_MODE", "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"}


def _containers(template: Document) -> list[Document]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def _ports(template: Document) -> dict[str, int]:
    return {
        port["name"]: port["containerPort"]
        for container in _containers(template)
        for port in container.get("ports", [])
    }


def _selected(documents: list[Document], selector: dict[str, Any]) -> list[Document]:
    return [pod for _, pod in pods(documents) if matches(selector, pod["metadata"]["labels"])]


@case
def test_every_selector_selects_pods(values: Path) -> None:
    documents = rendered(values)
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] in ("Deployment", "PodDisruptionBudget", "PodMonitor"):
            assert _selected(documents, spec["selector"]), document["metadata"]["name"]
        if document["kind"] == "Service":
            assert len(_selected(documents, {"matchLabels": spec["selector"]})) == 1
        if document["kind"] == "NetworkPolicy":
            assert _selected(documents, spec["podSelector"]), document["metadata"]["name"]
        if document["kind"] == "ServiceMonitor":
            found = [
                it
                for it in of_kind(documents, "Service")
                if matches(spec["selector"], it["metadata"]["labels"])
            ]
            assert len(found) == 1
            names = {port["name"] for port in found[0]["spec"]["ports"]}
            assert {endpoint["port"] for endpoint in spec["endpoints"]} <= names
    for name, pod in pods(documents):
        for spread in pod["spec"].get("topologySpreadConstraints", []):
            assert matches(spread["labelSelector"], pod["metadata"]["labels"]), name


@case
def test_ports_are_those_of_the_containers(values: Path) -> None:
    documents = rendered(values)
    for service in of_kind(documents, "Service"):
        (pod,) = _selected(documents, {"matchLabels": service["spec"]["selector"]})
        for port in service["spec"]["ports"]:
            assert _ports(pod)[port["targetPort"]] == port["port"]
    for monitor in of_kind(documents, "PodMonitor"):
        for pod in _selected(documents, monitor["spec"]["selector"]):
            assert {it["port"] for it in monitor["spec"]["podMetricsEndpoints"]} <= _ports(pod).keys()
    for name, pod in pods(documents):
        for container in _containers(pod):
            names = {port["name"] for port in container.get("ports", [])}
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                for way in ("httpGet", "tcpSocket"):
                    port = container.get(probe, {}).get(way, {}).get("port")
                    assert port is None or port in names, name


@case
def test_network_policies_open_the_ports_there_are_and_every_pod_is_behind_one(values: Path) -> None:
    documents = rendered(values)
    policies = of_kind(documents, "NetworkPolicy")
    if values.name.startswith("minimal"):
        assert policies == []
        return
    for policy in policies:
        behind = [_ports(pod) for pod in _selected(documents, policy["spec"]["podSelector"])]
        theirs = {port for ports in behind for port in ports.values()}
        for rule in policy["spec"]["ingress"]:
            assert {port["port"] for port in rule.get("ports", [])} <= theirs
    # every port of every pod can be reached by someone
    for name, pod in pods(documents):
        if name.endswith("-test"):
            continue
        opened = set()
        for policy in policies:
            if matches(policy["spec"]["podSelector"], pod["metadata"]["labels"]):
                opened |= {
                    port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", [])
                }
        within_ray = {6379} if "head" in name else set()
        assert set(_ports(pod).values()) - within_ray <= opened, name


def test_those_who_must_speak_with_each_other_may() -> None:
    documents = rendered()
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(documents)}
    head, worker = "fleet-slmfleet head", "fleet-slmfleet fleet"
    consumer, redis = "fleet-slmfleet-consumer", "fleet-slmfleet-redis"
    for speaker, hearer, port in (
        (head, worker, 45_000), (worker, head, 6379), (worker, worker, 30_000), (worker, redis, 6379),
        (consumer, redis, 6379), (consumer, worker, 8000),
    ):  # fmt: skip
        assert _lets(documents, "egress", labels[speaker], labels[hearer], port), (speaker, hearer, port)
        assert _lets(documents, "ingress", labels[hearer], labels[speaker], port), (speaker, hearer, port)
    stranger = {"app": "stranger"}
    for hearer, port in ((redis, 6379), (head, 8265), (head, 6379), (head, 10_001), (worker, 30_000)):
        assert not _lets(documents, "ingress", labels[hearer], stranger, port), (hearer, port)
    for speaker in (head, worker, consumer, redis):
        assert not _lets(documents, "egress", labels[speaker], stranger, 443), speaker
    operator = {"app.kubernetes.io/name": "kuberay-operator"}
    assert _lets(documents, "ingress", labels[head], operator, 8265)


def _lets(documents: list[Document], way: str, own: dict[str, str], other: dict[str, str], port: int) -> bool:
    """Whether the policies for a pod labelled `own` let it speak with (egress) or hear (ingress) `other`."""
    for policy in of_kind(documents, "NetworkPolicy"):
        if not matches(policy["spec"]["podSelector"], own):
            continue
        for rule in policy["spec"][way]:
            peers = rule.get("to" if way == "egress" else "from")
            ports = rule.get("ports")
            if ports is not None and port not in {each["port"] for each in ports}:
                continue
            if peers is None or any(matches(peer.get("podSelector", {}), other) for peer in peers):
                return True
    return False


@case
def test_every_workload_keeps_to_the_restricted_standard(values: Path) -> None:
    for name, pod in pods(rendered(values)):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["enableServiceLinks"] is False, name
        wants_kubernetes = "head" in name and values == PRODUCTION  # for Ray's autoscaler
        assert spec["automountServiceAccountToken"] is wants_kubernetes, name
        for container in _containers(pod):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["requests"], name
            assert container["resources"]["limits"]["memory"], name
            assert container["image"].partition(":")[2] not in ("", "latest"), name
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounts == {volume["name"] for volume in spec.get("volumes", [])}, name


def test_every_workload_has_the_pull_secrets_and_the_pinned_image() -> None:
    documents = rendered(PRODUCTION)
    for name, pod in pods(documents):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}], name
        for container in _containers(pod):
            assert container["image"].startswith("registry.example.com/care/slmfleet@sha256:"), name
    assert the(documents, "ServiceAccount")["imagePullSecrets"] == [{"name": "registry"}]


@case
def test_head_and_workers_have_rays_variables_before_ray_starts(values: Path) -> None:
    for name, pod in pods(rendered(values)):
        if " " not in name:
            continue
        (container,) = pod["spec"]["containers"]
        given = {each["name"]: each.get("value") for each in container["env"]}
        for variable, value in RAY_ENVIRONMENT.items():
            if variable not in _OF_ONE_MACHINE:
                assert given[variable] == value, f"{name}: {variable}"
        assert not {"REDIS_PASSWORD", "RAY_REDIS_ADDRESS"} & given.keys()  # KubeRay's own, with GCS on Redis
        assert {"SLMFLEET_API_KEYS", "SLMFLEET_TOKEN_SECRET"} <= given.keys()


@case
def test_variables_of_the_fleet_are_settings(values: Path) -> None:
    known = {f"SLMFLEET_{name.upper()}" for name in Settings.model_fields}
    for name, pod in pods(rendered(values)):
        for container in _containers(pod):
            for each in container.get("env", []):
                if each["name"].startswith("SLMFLEET_"):
                    assert each["name"] in known, f"{name}: {each['name']}"
            names = [each["name"] for each in container.get("env", [])]
            assert len(names) == len(set(names)), name
            for number, each in enumerate(container.get("env", [])):  # $(NAME) only knows what stands above
                for used in re.findall(r"\$\((\w+)\)", each.get("value", "")):
                    assert used in names[:number], f"{name}: {each['name']}"


@case
def test_no_secret_stands_in_an_object_and_each_is_named_by_one_that_uses_it(values: Path) -> None:
    documents = rendered(values)
    made = {secret["metadata"]["name"]: set(secret["data"]) for secret in of_kind(documents, "Secret")}
    used = {(it["name"], it["key"]) for document in documents for it in _secret_references(document)}
    assert {name for name, _ in used} >= made.keys()
    for name, key in used:
        if name in made:
            assert key in made[name]
    if values == PRODUCTION:
        assert made == {}


def _secret_references(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if "secretKeyRef" in value:
            yield value["secretKeyRef"]
        for below in value.values():
            yield from _secret_references(below)
    elif isinstance(value, list):
        for below in value:
            yield from _secret_references(below)


@case
def test_the_consumer_is_scaled_in_exactly_one_way(values: Path) -> None:
    documents = rendered(values)
    consumers = [
        it for it in of_kind(documents, "Deployment") if it["metadata"]["name"].endswith("-consumer")
    ]
    scalers = of_kind(documents, "HorizontalPodAutoscaler") + of_kind(documents, "ScaledObject")
    if not consumers:
        assert scalers == []
        return
    assert ("replicas" in consumers[0]["spec"]) + len(scalers) == 1
    for scaler in scalers:
        assert scaler["spec"]["scaleTargetRef"]["name"] == consumers[0]["metadata"]["name"]


def test_a_keda_trigger_of_the_bundled_redis_reads_the_stream_of_queries() -> None:
    documents = rendered(None, "helm4", "--set=consumer.scaling.type=keda")
    (trigger,) = the(documents, "ScaledObject")["spec"]["triggers"]
    assert (trigger["metadata"]["stream"], trigger["metadata"]["consumerGroup"]) == (
        "slmfleet.queries",
        "slmfleet",
    )
    address = trigger["metadata"]["address"].partition(".")[0]
    assert address in {service["metadata"]["name"] for service in of_kind(documents, "Service")}
    reference = trigger["authenticationRef"]["name"]
    assert the(documents, "TriggerAuthentication")["metadata"]["name"] == reference


@case
def test_ray_is_as_kuberay_wants_it(values: Path) -> None:
    service = the(rendered(values), "RayService")
    cluster = service["spec"]["rayClusterConfig"]
    assert len(service["metadata"]["name"]) <= 47
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    autoscaled = cluster["enableInTreeAutoscaling"]
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        spec = group["template"]["spec"]
        assert (spec.get("restartPolicy") == "Never") is autoscaled  # autoscaler v2
        stop = " ".join(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"])
        seconds = int(re.findall(r"deadline-remaining-seconds (\d+)", stop)[0])
        assert seconds < spec["terminationGracePeriodSeconds"]


def test_another_release_of_the_chart_alone_starts_no_new_cluster(tmp_path: Path) -> None:
    import shutil

    later = tmp_path / "slmfleet"
    shutil.copytree(CHART, later)
    about = later / "Chart.yaml"
    about.write_text(re.sub(r"^version: .*$", "version: 9.0.0", about.read_text(), flags=re.M))
    from deploy.conftest import helm, parse

    done = helm("helm4", "template", "fleet", str(later), "--namespace=answers",
                "--set=commonLabels.team=another,commonAnnotations.note=other")  # fmt: skip
    after = the(parse(done.stdout), "RayService")
    before = the(rendered(), "RayService")
    assert after["metadata"]["labels"] != before["metadata"]["labels"]
    assert after["spec"] == before["spec"]


def test_the_gateway_is_reached_by_the_service_that_kuberay_makes() -> None:
    documents = rendered(PRODUCTION)
    service = "larkspur-answers-serve-svc"
    backend = the(documents, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": service, "port": {"number": 8000}}
    route = the(documents, "HTTPRoute")
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": service, "port": 8000}]
    assert set(route["spec"]) == {"parentRefs", "hostnames", "rules"}
    config = serve_config(documents)
    assert config["http_options"] == {"host": "0.0.0.0", "port": 8000}
    worker = dict(pods(documents))["larkspur-answers fleet"]
    assert _ports(worker)["serve"] == 8000


def test_a_claim_is_mounted_where_the_fleet_is_read() -> None:
    documents = rendered(CHART / "ci" / "colocated-values.yaml")
    (application,) = serve_config(documents)["applications"]
    for name, pod in pods(documents):
        if " " in name or name.endswith("-consumer"):
            (mount,) = (it for it in pod["spec"]["containers"][0]["volumeMounts"] if it["name"] == "fleet")
            assert application["args"]["fleet_dir"].startswith(mount["mountPath"] + "/")
            assert mount["readOnly"] is True


pytestmark = pytest.mark.filterwarnings("error")
