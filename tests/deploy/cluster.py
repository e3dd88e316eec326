"""A cluster as KubeRay makes one of a rendered RayService: same variables, start and way to configure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from deploy.nodes import Node, name_node, until

#: Both from KubeRay: how it starts Ray, and when a worker is ready.
_READY = (
    "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success && "
    "wget --tries 1 -T 10 -q -O- http://localhost:8000/-/healthz | grep success"
)


@dataclass
class RayCluster:
    """Head and workers of the RayService `spec`. `environment`: variable -> value, secrets included.

    `redis_password`: of the Redis that gcsFaultToleranceOptions name, where they do.
    """

    name: str
    spec: dict[str, Any]
    environment: Mapping[str, str]
    cpus: int = 4
    redis_password: str = ""
    workers: list[Node] = field(default_factory=list)
    head: Node = field(init=False)

    def __post_init__(self) -> None:
        self._config = self.spec["rayClusterConfig"]
        self._state = self._config.get("gcsFaultToleranceOptions")
        self._numbers = itertools.count()
        self.start_head()

    def start_head(self) -> None:
        """A head: each has an address of its own, as a pod does, and all the same name."""
        params = dict(self._config["headGroupSpec"]["rayStartParams"])
        more = {}
        if self._state is not None:
            params["redis-password"] = self.redis_password
            more = {
                "RAY_REDIS_ADDRESS": self._state["redisAddress"],
                "RAY_external_storage_namespace": f"uid-of-{self.name}",
                "REDIS_PASSWORD": self.redis_password,
            }
        self.head = Node(f"{self.name}h{next(self._numbers)}", {**self.environment, **more})
        name_node(f"{self.name}-head", self.head)
        self.head.start(_start(params, f"--head --node-ip-address={self.head.address}"))

    def add_worker(self) -> Node:
        """One worker more."""
        more = {"RAY_ADDRESS": f"{self.name}-head:6379"}
        if self._state is not None:
            more["RAY_gcs_rpc_server_reconnect_timeout_s"] = "600"
        worker = Node(f"{self.name}w{next(self._numbers)}", {**self.environment, **more})
        self.start_worker(worker)
        self.workers.append(worker)
        return worker

    def start_worker(self, worker: Node) -> None:
        """Run Ray on a worker, for the first time or again after it ended there."""
        params = {**self._config["workerGroupSpecs"][0]["rayStartParams"], "num-cpus": self.cpus}
        worker.start(_start(params, f"--address={self.name}-head:6379 --node-ip-address={worker.address}"))

    def lose(self, worker: Node) -> None:
        """End a worker at once."""
        self.workers.remove(worker)
        worker.lose()

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

    @property
    def _dashboard(self) -> str:
        return f"http://{self.head.address}:8265"

    def applications(self) -> dict[str, Any]:
        """What Serve tells of its applications; nothing while the dashboard is busy."""
        try:
            answer = httpx.get(f"{self._dashboard}/api/serve/applications/", timeout=60)
        except httpx.TransportError:
            return {}
        applications: dict[str, Any] = answer.json()["applications"] if answer.is_success else {}
        return applications

    def await_running(self, seconds: float = 400) -> None:
        """Wait until every deployment is healthy."""

        def running() -> bool:
            for told in self.applications().values():
                if told["status"] == "DEPLOY_FAILED":  # UNHEALTHY ends by itself, as when a worker was lost
                    raise SystemExit(told["message"])
                return bool(told["status"] == "RUNNING")
            return False

        until(running, seconds, "running")

    def replicas(self) -> dict[str, int]:
        """Deployment -> replicas that run; nothing while the dashboard is busy."""
        return {
            name: sum(replica["state"] == "RUNNING" for replica in deployment["replicas"])
            for told in self.applications().values()
            for name, deployment in told["deployments"].items()
        }

    def knows(self, worker: Node) -> bool:
        """Whether Ray takes `worker` for alive."""
        told = httpx.get(f"{self._dashboard}/nodes?view=summary", timeout=60).json()
        return any(
            node["ip"] == worker.address and node["raylet"]["state"] == "ALIVE"
            for node in told["data"]["summary"]
        )

    def ready(self, worker: Node) -> bool:
        """Whether KubeRay would let traffic come to `worker`."""
        try:
            return worker.run(_READY)[0] == 0
        except (OSError, ValueError):  # its first process is gone
            return False


def _start(params: Mapping[str, object], more: str) -> str:
    flags = " ".join(f"--{name}={value}" for name, value in params.items())
    return f"exec ray start --block --object-store-memory=100000000 {flags} {more}"
