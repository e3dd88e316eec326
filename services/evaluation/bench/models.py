"""`slmfleet bench --models`: what router and specialist take of one core, without a server around them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from pydantic import BaseModel

from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.inference.specialist import Specialist
from slmfleet.models.progress import Progress
from slmfleet.router.classifier import Router

#: Texts read beforehand: the processor's caches and the models' own warm up.
_WARM_UP_TEXTS = 50

#: Milliseconds that passed, and those of them that this thread was at work.
Spent = tuple[float, float]


class Timing(BaseModel):
    """Milliseconds of one model, or of several together, over the texts that it read."""

    texts: int
    p50_ms: float
    p99_ms: float
    cpu_p50_ms: float


class ModelTimes(BaseModel):
    """What a text took: the router of all of them; a specialist, and both, of those that are sent to it."""

    router: Timing
    specialist: Timing
    both: Timing


def model_times(fleet: Fleet, texts: Sequence[str], progress: Progress) -> ModelTimes:
    """Read `texts` one after another in this thread, each once: none is answered from a cache.

    Raises BundleFault, ModelBroken; DataFault where fewer than two texts are for a domain.
    """
    router = Router.of(fleet)
    specialists = {name: Specialist.load(domain) for name, domain in fleet.domains.items()}
    warm_up = texts[:_WARM_UP_TEXTS]
    routed: list[Spent] = []
    sent: list[tuple[Spent, Spent]] = []
    for done, text in enumerate([*warm_up, *texts]):
        if done == len(warm_up):
            routed, sent = [], []
        start = _now()
        domain = router.route(text).routes[0].domain
        between = _now()
        routed.append(_apart(start, between))
        if domain in specialists:
            specialists[domain].read(text)
            sent.append((routed[-1], _apart(between, _now())))
        progress(done + 1, len(warm_up) + len(texts))
    if len(sent) < 2:
        raise DataFault("fewer than two test texts are for a domain: there is nothing to measure")
    read = [there for _, there in sent]
    both = [(here[0] + there[0], here[1] + there[1]) for here, there in sent]
    return ModelTimes(router=_took(routed), specialist=_took(read), both=_took(both))


def _now() -> tuple[float, float]:  # seconds
    return time.perf_counter(), time.thread_time()


def _apart(start: tuple[float, float], end: tuple[float, float]) -> Spent:
    return 1e3 * (end[0] - start[0]), 1e3 * (end[1] - start[1])


def _took(times: Sequence[Spent]) -> Timing:
    wall, cpu = zip(*times, strict=True)
    return Timing(
        texts=len(times),
        p50_ms=round(statistics.median(wall), 3),
        p99_ms=round(statistics.quantiles(wall, n=100)[98], 3),
        cpu_p50_ms=round(statistics.median(cpu), 3),
    )


def render(result: ModelTimes) -> str:
    """The times for a terminal."""
    lines = ["one thread       texts   p50 ms   p99 ms  CPU p50 ms"]
    for name, took in (("router", result.router), ("specialist", result.specialist), ("both", result.both)):
        lines.append(
            f"{name:<14}{took.texts:>8}{took.p50_ms:>9.2f}{took.p99_ms:>9.2f}{took.cpu_p50_ms:>12.2f}"
        )
    return "\n".join(lines)
