"""What one query takes, stage by stage, told to the metrics."""

from __future__ import annotations

import time

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision
from slmfleet.services import metrics


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

    def all_read(self) -> None:
        """The next stage begins now."""
        self._mark = time.perf_counter()

    def answered(self, decision: Decision, status: str, joules: float, source: str) -> float:
        """Counts the answer; returns seconds since the query came."""
        for route in decision.routes:
            metrics.ROUTES.add(1, route.domain, _verdict(decision, route.domain))
            metrics.ROUTER_CONFIDENCE.observe(route.confidence, route.domain)
        domain = decision.routes[0].domain
        metrics.QUERIES.add(1, domain, status)
        metrics.ENERGY_JOULES.add(joules, domain, source)
        return time.perf_counter() - self._started


def _verdict(decision: Decision, domain: str) -> str:
    if decision.abstained:
        return "abstained"
    return domain if domain in (HAND_OFF, OUT_OF_SCOPE) else "dispatched"
