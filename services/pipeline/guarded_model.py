"""A model's guard: whatever a model raises becomes ModelBroken, and is remembered until its probe passes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from slmfleet.models.contracts import Decision, Explanation
from slmfleet.models.errors import ModelBroken

T = TypeVar("T")
log = logging.getLogger(__name__)


class Probed(Protocol):
    """A model that can be asked whether it still works."""

    def probe(self) -> None:
        """Raises ModelBroken when the model cannot answer the question on its card."""
        ...


class RouterModel(Probed, Protocol):
    """A router that can be probed."""

    def route(self, text: str) -> Decision:
        """The decision for `text`. Raises ModelBroken."""
        ...

    def route_whole(self, text: str) -> Decision:
        """The decision for `text` as one request. Raises ModelBroken."""
        ...

    def explain(self, text: str) -> Explanation:
        """Why `text` as one request goes where it goes. Raises ModelBroken."""
        ...


class HealthLatch:
    """Calls one model. Thread-safe in that each outcome is stored in one assignment.

    A probe and a failed call are different news: one odd text can make a healthy model raise, and must not
    get a replica restarted. So `probe` tells of the model alone, and `check` also of failed calls.
    """

    def __init__(self, name: str, model: Probed) -> None:
        self._name = name
        self._model = model
        self._failed: str | None = None

    def call(self, function: Callable[[str], T], text: str) -> T:
        """`function(text)`, a method of the model. Raises ModelBroken, whatever the model raised."""
        try:
            return function(text)
        except ModelBroken as error:
            log.error("%s: %s", self._name, error)
            self._failed = str(error)
            raise
        except Exception as error:
            log.exception("%s raised while reading", self._name)
            self._failed = f"{self._name} could not read a question that it was asked"
            raise ModelBroken(f"{self._name} could not read this question") from error

    def probe(self) -> str | None:
        """What is wrong with the model, or None. Blocking: one forward pass."""
        try:
            self._model.probe()
        except ModelBroken as error:
            return str(error)
        except Exception:
            log.exception("%s raised while being probed", self._name)
            return f"{self._name} cannot be probed"
        return None

    def check(self) -> str | None:
        """As `probe`, or the last failed call since a probe passed: it is told once, then forgiven."""
        failed = self._failed
        fault = self.probe()
        if fault is None:
            self._failed = None
        return fault or failed


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
