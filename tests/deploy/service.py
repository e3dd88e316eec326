"""A Kubernetes Service before workers, and clients who ask it; each tries once more, elsewhere."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from deploy.cluster import RayCluster
from deploy.nodes import Node

_CLIENTS = 2
_PAUSE_S = 0.05
#: Somewhat more than the fleet's own deadline.
_TIMEOUT_S = 8
#: KubeRay's readiness probe: every so often, and one failure takes a worker out.
_PROBED_EVERY_S = 5
_QUESTIONS = (
    "how long do I have to return shoes?", "how much is express shipping?", "i forgot my password",
    "is there a fee if I cancel my order?",
)  # fmt: skip
AT_ONCE = "answered at once"


class Seen(Counter[str]):
    """`AT_ONCE`, or both outcomes of two tries -> how often."""

    def __init__(self) -> None:
        super().__init__()
        self._unanswered_at: list[float] = []

    def note(self, *outcomes: str) -> None:
        """What one client saw; the last outcome is what it was left with."""
        self[AT_ONCE if outcomes == ("answered",) else ", then ".join(outcomes)] += 1
        if outcomes[-1] != "answered":
            self._unanswered_at.append(time.monotonic())

    @property
    def unanswered_s(self) -> float:
        """Seconds from the first who was left without an answer to the last."""
        return max(self._unanswered_at) - min(self._unanswered_at) if self._unanswered_at else 0.0


class Service:
    """Brings clients to the workers of `cluster` that are ready and were not told to stop."""

    def __init__(self, cluster: RayCluster, key: str) -> None:
        self._cluster = cluster
        self._stopping: list[Node] = []
        self._workers: list[Node] = []
        self._key = key
        self._turn = itertools.count()
        threading.Thread(target=self._follow, daemon=True).start()

    @property
    def workers(self) -> list[Node]:
        """Those that clients come to."""
        return self._workers

    def move(self, cluster: RayCluster) -> None:
        """Go to another cluster's workers, as when KubeRay gives the Service another selector."""
        self._cluster = cluster

    def leave(self, worker: Node) -> None:
        """Go there no more: its pod is being deleted."""
        self._stopping.append(worker)

    def _follow(self) -> None:
        while True:
            cluster = self._cluster
            self._workers = [
                worker
                for worker in list(cluster.workers)
                if worker not in self._stopping and cluster.ready(worker)
            ]
            time.sleep(_PROBED_EVERY_S)

    def _ask(self, client: httpx.Client, text: str, worker: Node) -> str:
        try:
            answer = client.post(
                f"http://{worker.address}:8000/v1/queries",
                json={"text": text},
                headers={"x-api-key": self._key},
            )
        except httpx.TransportError as error:
            return type(error).__name__
        return str(answer.json()["status"]) if answer.is_success else str(answer.status_code)

    def _keep_asking(self, seen: Seen, done: threading.Event) -> None:
        with httpx.Client(timeout=_TIMEOUT_S) as client:
            while not done.wait(_PAUSE_S):
                number = next(self._turn)
                # Never the same text twice, which would be answered from the cache, without a specialist.
                text = f"{_QUESTIONS[number % len(_QUESTIONS)]} {number}"
                workers = self._workers
                if not workers:
                    seen.note("nobody ready")
                    continue
                first = workers[number % len(workers)]
                outcome = self._ask(client, text, first)
                if outcome == "answered":
                    seen.note(outcome)
                    continue
                workers = self._workers
                others = [worker for worker in workers if worker is not first] or workers or [first]
                seen.note(outcome, self._ask(client, text, others[number % len(others)]))

    @contextmanager
    def asked(self) -> Iterator[Seen]:
        """Clients ask while this is open; yields what they see."""
        seen = Seen()
        done = threading.Event()
        clients = [threading.Thread(target=self._keep_asking, args=(seen, done)) for _ in range(_CLIENTS)]
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
