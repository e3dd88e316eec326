"""Takes replicas, nodes and bundles away from a cluster under load, and counts what its clients notice; JSON.

stdin as for ask_serve_config.py. The clients are what a Service is: they ask the workers that are ready, one
after the other, and try once more, elsewhere, when a connection breaks or 5xx comes back.
"""

from __future__ import annotations

import copy
import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from deploy.cluster import RayCluster
from deploy.nodes import Node, make_network, until

_CLIENTS = 2
_QUESTIONS = (
    "how long do I have to return shoes?", "how much is express shipping?", "i forgot my password",
    "is there a fee if I cancel my order?",
)  # fmt: skip


class Service:
    """The workers that are in it, and clients who ask them."""

    def __init__(self, key: str) -> None:
        self.workers: list[Node] = []
        self._key = key
        self.seen: Counter[str] = Counter()
        self._turn = itertools.count()

    def _ask(self, client: httpx.Client, text: str, worker: Node) -> str:
        try:
            answer = client.post(
                f"http://{worker.address}:8000/v1/queries",
                json={"text": text},
                headers={"x-api-key": self._key},
            )
        except httpx.TransportError as error:
            return type(error).__name__
        return str(answer.status_code)

    def _keep_asking(self, done: threading.Event) -> None:
        with httpx.Client(timeout=20) as client:
            while not done.is_set():
                number = next(self._turn)
                text = _QUESTIONS[number % len(_QUESTIONS)]
                first = self._ask(client, text, self.workers[number % len(self.workers)])
                if first == "200":
                    self.seen["at once"] += 1
                    continue
                second = self._ask(client, text, self.workers[(number + 1) % len(self.workers)])
                self.seen[f"{first}, then {second}"] += 1

    @contextmanager
    def asked(self) -> Iterator[Counter[str]]:
        """Clients ask while this is open; yields what they saw: "at once", or both outcomes of two tries."""
        self.seen = seen = Counter()
        done = threading.Event()
        clients = [threading.Thread(target=self._keep_asking, args=(done,)) for _ in range(_CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(3)
        try:
            yield seen
            time.sleep(3)
        finally:
            done.set()
            for client in clients:
                client.join()


def main() -> None:
    given = json.load(sys.stdin)
    make_network()
    cluster = RayCluster("a", given["spec"], given["environment"], cpus=5)
    for _ in range(2):
        cluster.add_worker()
    cluster.apply(given["config"])
    cluster.await_running()
    service = Service(given["key"])
    told: dict[str, Counter[str]] = {}

    def gather(workers: list[Node]) -> None:
        for worker in workers:
            until(lambda: cluster.ready(worker), 120, f"ready: {worker.name}")  # noqa: B023 - called at once
        service.workers = workers

    gather(list(cluster.workers))
    print("bundles are announced anew", file=sys.stderr)
    config = copy.deepcopy(given["config"])
    for deployment in config["applications"][0]["deployments"]:
        deployment["user_config"] = {"revision": "1"}
    with service.asked() as told["another revision"]:
        cluster.apply(config)
        time.sleep(2)
        cluster.await_running()

    print("a gateway replica is killed", file=sys.stderr)
    with service.asked() as told["a gateway replica killed"]:
        cluster.workers[0].run("pkill -9 -o -f ServeReplica:slmfleet:gateway")
        until(lambda: cluster.replicas()["gateway"] < 2, 60, "noticed")
        until(lambda: cluster.replicas()["gateway"] == 2, 200, "replaced")

    print("a worker drains as its preStop says", file=sys.stderr)
    cluster.add_worker()
    gather(list(cluster.workers))
    leaving = cluster.workers[1]
    with service.asked() as told["a worker drained"]:
        service.workers = [worker for worker in cluster.workers if worker is not leaving]
        stopping = leaving.begin(given["pre_stop"])
        printed, _ = stopping.communicate(timeout=300)
        leaving.lose()
    cluster.await_running()

    print("a worker is lost", file=sys.stderr)
    staying = [worker for worker in cluster.workers if worker is not leaving]
    cluster.workers[:] = staying
    replacement = cluster.add_worker()
    until(lambda: cluster.ready(staying[0]) and cluster.ready(staying[1]), 200, "both ready")
    service.workers = staying
    with service.asked() as told["a worker lost"]:
        staying[1].lose()
        service.workers = staying[:1]
        time.sleep(30)
        cluster.await_running()
    del replacement
    print(json.dumps({"told": told, "drain": printed[-300:]}))


if __name__ == "__main__":
    main()
