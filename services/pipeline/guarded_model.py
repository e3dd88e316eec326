"""Guards around models: whatever a model raises becomes ModelBroken, and is reported for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from slmfleet.models.contracts import Decision, Explanation
from slmfleet.models.errors import ModelBroken

T = TypeVar("T")
log = logging.getLogger(__name__)

#: Seconds for which a failed call is reported.
_REPORT_S: Final = 60.0


class Probed(Protocol):
    """A model with a self-test."""

    def probe(self) -> None:
        """Raises ModelBroken when the model cannot answer the question on its card."""
        ...


class TextRouter(Protocol):
    """Decides which specialists read a text, and can explain it."""

    def route(self, text: str) -> Decision:
        """Where each request in `text` goes. Raises ModelBroken."""
        ...

    def route_whole(self, text: str) -> Decision:
        """Where `text` goes, taken for one request. Raises ModelBroken."""
        ...

    def explain(self, text: str) -> Explanation:
        """Why `text`, taken for one request, goes where it goes. Raises ModelBroken."""
        ...


class RouterModel(TextRouter, Probed, Protocol):
    """A router that is loaded."""


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """`fault` is why the model fails its probe, `failed_call` a call of the last minute that failed, or None.

    One odd text can make a healthy model raise, so a failed call is reported and makes nothing unavailable.
    """

    fault: str | None = None
    failed_call: str | None = None

    def __str__(self) -> str:
        return self.fault or self.failed_call or "ok"


class HealthLatch:
    """Calls one model and remembers its last failed call. Thread-safe: each outcome is one assignment."""

    def __init__(self, name: str, model: Probed, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._model = model
        self._clock = clock
        #: Message and time of the last failed call.
        self._failed: tuple[str, float] | None = None

    def call(self, function: Callable[[str], T], text: str) -> T:
        """`function(text)`, a method of the model. Raises ModelBroken, whatever the model raised."""
        try:
            return function(text)
        except ModelBroken as error:
            log.error("%s: %s", self._name, error)
            self._failed = str(error), self._clock()
            raise
        except Exception as error:
            log.exception("%s raised while reading", self._name)
            self._failed = f"{self._name} could not read a question that it was asked", self._clock()
            raise ModelBroken(f"{self._name} could not read this question") from error

    def probe(self) -> str | None:
        """Why the model fails its probe, or None. Blocking: one forward pass."""
        try:
            self._model.probe()
        except ModelBroken as error:
            return str(error)
        except Exception:
            log.exception("%s raised while being probed", self._name)
            return f"{self._name} cannot be probed"
        return None

    def check(self) -> ModelHealth:
        """The probe, and the last failed call while it is recent. Changes nothing. Blocking."""
        failed = self._failed
        recent = failed is not None and self._clock() - failed[1] < _REPORT_S
        return ModelHealth(self.probe(), failed[0] if failed is not None and recent else None)


class GuardedRouter:
    """A router behind a guard."""

    def __init__(self, router: RouterModel) -> None:
        self._router = router
        self.guard = HealthLatch("the router", router)

    def route(self, text: str) -> Decision:
        """The decision for `text`. Raises ModelBroken, whatever the router raised."""
        return self.guard.call(self._router.route, text)

    def route_whole(self, text: str) -> Decision:
        """The decision for `text` as one request. Raises ModelBroken, whatever the router raised."""
        return self.guard.call(self._router.route_whole, text)

    def explain(self, text: str) -> Explanation:
        """Why `text` goes where it goes. Raises ModelBroken, whatever the router raised."""
        return self.guard.call(self._router.explain, text)
