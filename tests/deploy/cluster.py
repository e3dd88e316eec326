"""A cluster as KubeRay makes one of a rendered RayService: same variables, start and way to configure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from deploy.nodes import Node, until

#: Both from KubeRay: how it starts Ray, and when a worker is ready.
_READY = (
    "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success && "
    "wget --tries 1 -T 10 -q -O- http://localhost:8000/-/healthz | grep success"
)


@dataclass
class RayCluster:
    """Head and workers of the RayService `spec`. `environment`: variable -> value, secrets included."""

    name: str
    spec: dict[str, Any]
    environment: Mapping[str, str]
    cpus: int = 4
    workers: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._config = self.spec["rayClusterConfig"]
        self.head = Node(f"{self.name}h", self.environment)
        params = self._config["headGroupSpec"]["rayStartParams"]
        self.head.start(_start(params, f"--head --node-ip-address={self.head.address}"))
        self._dashboard = f"http://{self.head.address}:8265"

    def add_worker(self) -> Node:
        """One worker more."""
        gcs = f"{self.head.address}:6379"
        worker = Node(f"{self.name}w{len(self.workers)}", {**self.environment, "RAY_ADDRESS": gcs})
        params = self._config["workerGroupSpecs"][0]["rayStartParams"]
        params = {**params, "num-cpus": self.cpus}
        worker.start(_start(params, f"--address={gcs} --node-ip-address={worker.address}"))
        self.workers.append(worker)
        return worker

    def apply(self, config: dict[str, Any], seconds: float = 300) -> None:
        """Hand Serve its configuration, again and again until it takes it, as the operator does."""
        told = ["no answer"]

        def taken() -> bool:
            try:
                answer = httpx.put(f"{self._dashboard}/api/serve/applications/", json=config, timeout=seconds)
            except httpx.TransportError as error:
                told.append(repr(error))
                return False
            told.append(answer.text)
            return answer.is_success

        try:
            until(taken, seconds, "taken")
        except SystemExit:
            raise SystemExit(f"Serve does not take its configuration: {told[-1]}") from None

    def applications(self) -> dict[str, Any]:
        """What Serve tells of its applications; nothing while the dashboard is busy."""
        try:
            told = httpx.get(f"{self._dashboard}/api/serve/applications/", timeout=60).json()
        except httpx.TransportError:
            return {}
        applications: dict[str, Any] = told["applications"]
        return applications

    def await_running(self, seconds: float = 400) -> None:
        """Wait until every deployment is healthy."""

        def running() -> bool:
            for told in self.applications().values():
                if told["status"] in ("DEPLOY_FAILED", "UNHEALTHY"):
                    raise SystemExit(f"{told['message']}\n{told['deployments']}")
                return bool(told["status"] == "RUNNING")
            return False

        until(running, seconds, "running")

    def replicas(self) -> dict[str, int]:
        """Deployment -> replicas that run."""
        (told,) = self.applications().values()
        return {
            name: sum(replica["state"] == "RUNNING" for replica in deployment["replicas"])
            for name, deployment in told["deployments"].items()
        }

    def ready(self, worker: Node) -> bool:
        """Whether KubeRay would let traffic come to `worker`."""
        return worker.run(_READY)[0] == 0


def _start(params: Mapping[str, object], more: str) -> str:
    flags = " ".join(f"--{name}={value}" for name, value in params.items())
    return f"exec ray start --block --object-store-memory=100000000 {flags} {more}"
