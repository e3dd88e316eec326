"""How a routed text reaches its specialist: in this process, or in another one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Protocol

from slmfleet.models.contracts import Explanation, Reading
from slmfleet.models.errors import ModelBroken, SlmfleetError
from slmfleet.models.fleet.config import Domain
from slmfleet.services.pipeline.guarded_model import HealthLatch, Probed
from slmfleet.services.pipeline.microbatch import MicroBatcher
from slmfleet.services.telemetry import logs, metrics, tracing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpecialistRequest:
    """A text for a specialist, whether its reading is to be explained, and the request and span it serves.

    `knowledge` is the digest of the knowledge that the asker will quote from (Domain.knowledge_digest).
    """

    text: str
    explain: bool = False
    knowledge: str = ""
    traceparent: str | None = None
    request_id: str | None = None


class Dispatcher(Protocol):
    """Brings a text to the specialist of its domain."""

    @property
    def domains(self) -> frozenset[str]:
        """Domains that have a specialist here."""
        ...

    async def read(self, domain: str, text: str, explain: bool = False) -> Reading:
        """What the domain's specialist makes of `text`, explained or not. Raises ModelBroken, Overloaded."""
        ...

    def reindex(self, domain: Domain) -> None:
        """Have the domain's other knowledge searched from now on. Blocking. Raises BundleFault."""
        ...

    async def faults(self) -> dict[str, str | None]:
        """Domain -> None when its specialist passes its probe, else what is wrong."""
        ...


class Indexed(Protocol):
    """What searches a domain's passages."""

    def reindex(self, domain: Domain) -> None:
        """Answer from `domain`, the same domain with other knowledge, from now on. Raises BundleFault."""
        ...


class SpecialistModel(Probed, Indexed, Protocol):
    """One domain's model, blocking."""

    def read(self, text: str) -> Reading:
        """Intent, slots and passages of `text`. Raises ModelBroken."""
        ...

    def explain(self, text: str) -> Explanation:
        """Why `text` has the intent that `read` gives it. Raises ModelBroken."""
        ...


class RemoteSpecialist(Protocol):
    """One domain's model in another process."""

    async def read_all(self, questions: list[SpecialistRequest]) -> list[Reading | ModelBroken]:
        """One outcome a question, in order: a text that breaks the model must not fail its neighbours.

        Raises ModelBroken, Overloaded, DeadlineExceeded when there is no answer at all.
        """
        ...

    async def check(self) -> str | None:
        """What is wrong with the specialist, or None. Raises as `read_all` does."""
        ...


class GuardedSpecialist:
    """A specialist behind a guard, for whichever process holds it."""

    def __init__(self, domain: str, specialist: SpecialistModel) -> None:
        self._domain = domain
        self._specialist = specialist
        self.guard = HealthLatch(f"the {domain} specialist", specialist)

    def reindex(self, domain: Domain) -> None:
        """Answer from the domain's other knowledge from now on. Raises BundleFault."""
        self._specialist.reindex(domain)

    def read(self, text: str, explain: bool = False) -> Reading:
        """What the specialist makes of `text`. Raises ModelBroken, whatever the model raised."""
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


class ColocatedDispatcher:
    """Specialists in this process. They compute in `executor`, off the event loop."""

    def __init__(self, specialists: Mapping[str, SpecialistModel], executor: Executor) -> None:
        self._specialists = {name: GuardedSpecialist(name, model) for name, model in specialists.items()}
        self._executor = executor

    @property
    def domains(self) -> frozenset[str]:
        """Domains that have a specialist here."""
        return frozenset(self._specialists)

    async def read(self, domain: str, text: str, explain: bool = False) -> Reading:
        """What the domain's specialist makes of `text`, explained or not. Raises ModelBroken."""
        specialist = self._specialists.get(domain)
        if specialist is None:
            raise ModelBroken(f"there is no specialist for {domain}")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, copy_context().run, specialist.read, text, explain)

    def reindex(self, domain: Domain) -> None:
        """Answer from the domain's other knowledge from now on. Raises BundleFault."""
        self._specialists[domain.name].reindex(domain)

    async def faults(self) -> dict[str, str | None]:
        """Domain -> None, or what is wrong: its probe, or a read that failed since its last good probe."""
        return await self._ask(lambda guard: guard.check())

    async def probe(self) -> dict[str, str | None]:
        """Domain -> None, or what is wrong by its probe alone: what justifies a restart."""
        return await self._ask(lambda guard: guard.probe())

    async def _ask(self, question: Callable[[HealthLatch], str | None]) -> dict[str, str | None]:
        loop = asyncio.get_running_loop()
        answers = await asyncio.gather(
            *(
                loop.run_in_executor(self._executor, question, model.guard)
                for model in self._specialists.values()
            )
        )
        return dict(zip(self._specialists, answers, strict=True))


class SplitDispatcher:
    """Specialists in other processes, one collector a domain.

    `probe_timeout_s` bounds how long a specialist that does not answer can hold up `faults`. `knowledge`:
    domain -> digest of what is quoted here; each question carries it, so that its specialist follows.
    """

    def __init__(
        self,
        remotes: Mapping[str, RemoteSpecialist],
        cap: int = 64,
        max_waiting: int = 1_024,
        lanes: int = 1,
        probe_timeout_s: float = 2.0,
        knowledge: Mapping[str, str] | None = None,
    ) -> None:
        self._remotes = dict(remotes)
        self._knowledge = dict(knowledge or {})
        self._collectors = {
            domain: MicroBatcher(remote.read_all, cap, max_waiting, lanes)
            for domain, remote in self._remotes.items()
        }
        self._probe_timeout_s = probe_timeout_s

    @property
    def domains(self) -> frozenset[str]:
        """Domains that have a specialist somewhere."""
        return frozenset(self._remotes)

    async def read(self, domain: str, text: str, explain: bool = False) -> Reading:
        """What the domain's specialist makes of `text`. Raises ModelBroken, Overloaded, DeadlineExceeded."""
        collector = self._collectors.get(domain)
        if collector is None:
            raise ModelBroken(f"there is no specialist for {domain}")
        question = SpecialistRequest(
            text,
            explain,
            self._knowledge.get(domain, ""),
            tracing.traceparent(),
            logs.request_id.get(),
        )
        outcome = await collector.read(question)
        if isinstance(outcome, ModelBroken):
            raise outcome
        return outcome

    def reindex(self, domain: Domain) -> None:
        """Have the specialist follow with the next question."""
        self._knowledge[domain.name] = domain.knowledge_digest

    async def faults(self) -> dict[str, str | None]:
        """Domain -> None, or what is wrong, asked of every specialist at once."""
        answers = await asyncio.gather(*(self._check(domain) for domain in self._remotes))
        return dict(zip(self._remotes, answers, strict=True))

    async def _check(self, domain: str) -> str | None:
        try:
            async with asyncio.timeout(self._probe_timeout_s):
                return await self._remotes[domain].check()
        except TimeoutError:
            return f"the {domain} specialist did not answer its probe within {self._probe_timeout_s:g} s"
        except SlmfleetError as error:
            return str(error)
        except Exception:
            log.exception("the %s specialist cannot be asked", domain)
            return f"the {domain} specialist cannot be reached"
