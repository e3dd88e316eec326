"""Time and CPU of one query by stage, recorded in the metrics."""

from __future__ import annotations

import time

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Answer, Decision
from slmfleet.services.telemetry import metrics


class QueryMeter:
    """Measures one query. `cpu_s` is its CPU time so far, in all processes."""

    def __init__(self) -> None:
        self._started = self._mark = time.perf_counter()
        self.cpu_s = 0.0

    def stage(self, stage: str, domain: str, cpu_s: float | None = None) -> None:
        """`stage` is done. It began when the one before it ended, and used `cpu_s` in this process.

        Without `cpu_s` the stage ran on the event loop, whose thread is counted as a whole.
        """
        now = time.perf_counter()
        metrics.STAGE_DURATION.observe(now - self._mark, stage, domain)
        self._mark = now
        if cpu_s is not None:
            metrics.CPU_SECONDS.add(cpu_s, stage, domain)
            self.cpu_s += cpu_s

    def read(self, domain: str, started: float, cpu_s: float) -> None:
        """A specialist has read its text; `started` (perf_counter) is when the read began.

        Its CPU seconds are recorded by the process that has the specialist.
        """
        metrics.STAGE_DURATION.observe(time.perf_counter() - started, "specialist", domain)
        self.cpu_s += cpu_s

    def mark(self) -> None:
        """The next stage begins now."""
        self._mark = time.perf_counter()

    def elapsed_s(self) -> float:
        """Seconds since the query arrived."""
        return time.perf_counter() - self._started

    def routed(self, decision: Decision) -> None:
        """Counts the routes of the decision."""
        for route in decision.routes:
            metrics.ROUTES.add(1, route.domain, _verdict(decision, route.domain))
            metrics.ROUTER_CONFIDENCE.observe(route.confidence, route.domain)

    def answered(self, answer: Answer, has_cache: bool) -> None:
        """Counts the answer, computed or cached."""
        domain = answer.route.domain
        metrics.QUERIES.add(1, domain, answer.status)
        metrics.ENERGY_JOULES.add(answer.cost.energy_mj / 1e3, domain, answer.cost.energy_source)
        if has_cache:
            metrics.CACHE_REQUESTS.add(1, answer.cache)


def _verdict(decision: Decision, domain: str) -> str:
    if decision.abstained:
        return "abstained"
    return domain if domain in (HAND_OFF, OUT_OF_SCOPE) else "dispatched"
