"""What one query takes, stage by stage, told to the metrics."""

from __future__ import annotations

import time

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision
from slmfleet.services.schemas import AnswerBody
from slmfleet.services.telemetry import metrics


class QueryMeter:
    """Follows one query. `cpu_s` is what it took so far, in whichever processes."""

    def __init__(self) -> None:
        self._started = self._mark = time.perf_counter()
        self.cpu_s = 0.0

    def stage(self, stage: str, domain: str, cpu_s: float | None = None) -> None:
        """`stage` is done: it began when the one before it ended, and spent `cpu_s` in this process.

        Without `cpu_s` the stage ran on the event loop, whose thread is counted as a whole.
        """
        now = time.perf_counter()
        metrics.STAGE_DURATION.observe(now - self._mark, stage, domain)
        self._mark = now
        if cpu_s is not None:
            metrics.CPU_SECONDS.add(cpu_s, stage, domain)
            self.cpu_s += cpu_s

    def read(self, domain: str, started: float, cpu_s: float) -> None:
        """A specialist has read its text, `started` (perf_counter) when it was wanted.

        The process that holds it counts its CPU time.
        """
        metrics.STAGE_DURATION.observe(time.perf_counter() - started, "specialist", domain)
        self.cpu_s += cpu_s

    def mark(self) -> None:
        """The next stage begins now."""
        self._mark = time.perf_counter()

    def elapsed_s(self) -> float:
        """Seconds since the query came."""
        return time.perf_counter() - self._started

    def routed(self, decision: Decision) -> None:
        """Counts what the router decided."""
        for route in decision.routes:
            metrics.ROUTES.add(1, route.domain, _verdict(decision, route.domain))
            metrics.ROUTER_CONFIDENCE.observe(route.confidence, route.domain)

    def answered(self, body: AnswerBody, looked_up: bool) -> None:
        """Counts the answer, computed or kept; `looked_up`: there is a cache."""
        domain = body.route.domain
        metrics.QUERIES.add(1, domain, body.status)
        metrics.ENERGY_JOULES.add(body.cost.energy_mj / 1e3, domain, body.cost.energy_source)
        if looked_up:
            metrics.CACHE_REQUESTS.add(1, body.cache)


def _verdict(decision: Decision, domain: str) -> str:
    if decision.abstained:
        return "abstained"
    return domain if domain in (HAND_OFF, OUT_OF_SCOPE) else "dispatched"
