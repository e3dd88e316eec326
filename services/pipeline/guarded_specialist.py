"""A domain's specialist behind a guard, for whichever process has it, and the requests to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from slmfleet.models.contracts import Explanation, Reading
from slmfleet.models.errors import ModelBroken
from slmfleet.models.fleet.config import Domain
from slmfleet.services.pipeline.guarded_model import HealthLatch, Probed
from slmfleet.services.telemetry import logs, metrics, tracing


@dataclass(frozen=True, slots=True)
class SpecialistRequest:
    """A text for a specialist in another process, and the request and span that it is read for.

    `knowledge` is the digest of the knowledge that will be quoted (Domain.knowledge_digest).
    """

    text: str
    explain: bool = False
    knowledge: str = ""
    traceparent: str | None = None
    request_id: str | None = None


class KnowledgeIndex(Protocol):
    """Searches a domain's passages."""

    def reindex(self, domain: Domain) -> None:
        """Search the new knowledge of `domain` from now on. Blocking. Raises BundleFault."""
        ...


class SpecialistModel(Probed, KnowledgeIndex, Protocol):
    """One domain's model that is loaded. Its methods block."""

    def read(self, text: str) -> Reading:
        """Intent, slots and passages of `text`. Raises ModelBroken."""
        ...

    def explain(self, text: str) -> Explanation:
        """Why `text` has the intent that `read` gives it. Raises ModelBroken."""
        ...


class GuardedSpecialist:
    """The specialist of `domain`. Its methods block."""

    def __init__(self, domain: str, specialist: SpecialistModel) -> None:
        self._domain = domain
        self._specialist = specialist
        self.guard = HealthLatch(f"the {domain} specialist", specialist)

    def reindex(self, domain: Domain) -> None:
        """Search the new knowledge of `domain` from now on. Raises BundleFault."""
        self._specialist.reindex(domain)

    def read(self, text: str, explain: bool = False) -> Reading:
        """The reading of `text`, explained or not. Raises ModelBroken, whatever the model raised."""
        reading = self.guard.call(self._specialist.read, text)
        metrics.CPU_SECONDS.add(reading.cpu_ms / 1e3, "specialist", self._domain)
        if not explain:
            return reading
        explanation = self.guard.call(self._specialist.explain, text)
        metrics.CPU_SECONDS.add(explanation.cpu_ms / 1e3, "explain", self._domain)
        return reading.explained(explanation)

    def read_all(self, questions: list[SpecialistRequest]) -> list[Reading | ModelBroken]:
        """One outcome a question. Texts are read one by one.

        Dynamic int8 quantisation scales by the whole batch, so in a batch the decision on one customer's
        words would depend on another's. An explanation takes as long as dozens of readings, and those that
        travel with it wait for it: explanations are for people who look into a decision, not for traffic.
        """
        return [self._outcome(question) for question in questions]

    def _outcome(self, question: SpecialistRequest) -> Reading | ModelBroken:
        logs.request_id.set(question.request_id)
        try:
            with tracing.span("read", question.traceparent, domain=self._domain):
                return self.read(question.text, question.explain)
        except ModelBroken as error:
            return error
