"""The two sides of a comparison: each answers a question, judged by the same rules, timed alike."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from slmfleet.models.errors import BaselineFault
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.question import Query
from slmfleet.services.evaluation.compare.baseline import Baseline, prompt
from slmfleet.services.evaluation.compare.judge import Judge, Verdict
from slmfleet.services.evaluation.compare.report import Outcome, Sizes
from slmfleet.services.pipeline.assembly import FleetFactory, load_pipeline
from slmfleet.services.schemas import FleetBody
from slmfleet.services.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A test row: out of scope, or answered by passage `right` of `domain`."""

    text: str
    domain: str | None = None
    right: Passage | None = None


class FleetSystem:
    """The pipeline that every channel calls, on the event loop of `runner`."""

    def __init__(
        self, settings: Settings, parts: FleetFactory, runner: asyncio.Runner, executor: ThreadPoolExecutor
    ) -> None:
        """Load it and ask it one question a domain. Raises as `load_pipeline` does."""
        before = _resident_bytes()
        self.fleet = parts.fleet(settings)
        self._loaded = load_pipeline(settings, parts, executor)
        self._runner = runner
        self._judge = Judge(self._passages())
        for title in self.titles():
            runner.run(self._loaded.pipeline.answer(Query(text=title)))
        grown = _grown_since(before)
        body = runner.run(self._described())
        parameters = body.router.parameters + sum(domain.parameters for domain in body.domains)
        self.sizes = Sizes(f"the fleet ({len(body.domains)} specialists, router)", parameters, grown)

    def titles(self) -> list[str]:
        """The heading of the first passage of each domain: something to ask of it."""
        return [domain.passages[0].title for domain in self.fleet.domains.values()]

    def knowledge(self, question: Question, right_passage: bool) -> list[Passage]:
        """The three passages that retrieval ranks best in the question's domain, or in all without one.

        With `right_passage` the right one takes the place of the third where it is not among them.
        """
        return self._runner.run(self._ranked(question, right_passage))

    def ask(self, question: Question) -> Outcome:
        """Its answer to `question`. Raises ModelBroken, Overloaded."""
        query = Query(text=question.text)
        answer, took_ms, cpu_ms = _timed(lambda: self._runner.run(self._loaded.pipeline.answer(query)))
        if answer.status == "answered":
            evidence = [one.quote for part in answer.parts for one in part.evidence]
            verdict = self._judge.verdict(question.text, answer.text, question.right, evidence)
        else:
            refused = answer.status in ("out_of_scope", "handed_off")
            verdict = Verdict(refused=refused, right=False, grounded=True)
        return _outcome(answer.status, answer.text, verdict, took_ms, cpu_ms)

    async def _ranked(self, question: Question, right_passage: bool) -> list[Passage]:
        ranked: list[tuple[float, Passage]] = []
        for name in [question.domain] if question.domain else self.fleet.domains:
            reading = await self._loaded.placement.read(name, question.text, explain=False)
            known = self.fleet.domains[name].passage_by_id
            ranked += [(match.score, known[match.passage_id]) for match in reading.passages]
        best = [passage for _, passage in sorted(ranked, key=lambda one: -one[0])][:3]
        if right_passage and question.right is not None and question.right not in best:
            best = [*best[:2], question.right]
        return best

    async def _described(self) -> FleetBody:
        return await self._loaded.describe()

    def _passages(self) -> list[Passage]:
        return [passage for domain in self.fleet.domains.values() for passage in domain.passages]


class BaselineSystem:
    """A generator with the passages of each question in its prompt."""

    def __init__(self, open_baseline: Callable[[], Baseline], fleet: Fleet, max_tokens: int) -> None:
        """Load it and ask it one question. Raises BaselineFault."""
        before = _resident_bytes()
        self._baseline = baseline = open_baseline()
        self._retailer = fleet.config.retailer
        self._max_tokens = max_tokens
        self._judge = Judge(passage for domain in fleet.domains.values() for passage in domain.passages)
        first = next(iter(fleet.domains.values())).passages[:3]
        try:
            baseline.answer(prompt(self._retailer, first, first[0].title), max_tokens)
        except BaselineFault:
            baseline.close()
            raise
        grown = _grown_since(before) if baseline.in_process else None
        self.sizes = Sizes(baseline.name, baseline.parameters, grown, baseline.leaves_machine)

    def close(self) -> None:
        """Give back what the generator holds."""
        self._baseline.close()

    def ask(self, question: Question, passages: Sequence[Passage]) -> Outcome:
        """Its answer to `question` from `passages`. Raises BaselineFault."""
        messages = prompt(self._retailer, passages, question.text)
        reply, took_ms, cpu_ms = _timed(lambda: self._baseline.answer(messages, self._max_tokens))
        evidence = [f"{passage.title}: {passage.text}" for passage in passages]
        verdict = self._judge.verdict(question.text, reply.text, question.right, evidence)
        outcome = _outcome(
            "answered", reply.text, verdict, took_ms, cpu_ms if self._baseline.in_process else None
        )
        tokens = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
        return outcome.model_copy(update=tokens)


def _outcome(status: str, text: str, verdict: Verdict, took_ms: float, cpu_ms: float | None) -> Outcome:
    return Outcome(
        status="refused" if verdict.refused else status,
        text=text,
        right=verdict.right,
        grounded=verdict.grounded,
        invented=list(verdict.invented),
        latency_ms=took_ms,
        cpu_ms=cpu_ms,
    )


def _timed(call: Callable[[], T]) -> tuple[T, float, float]:
    """What `call` returns, its milliseconds, and those of CPU that all threads of this process took."""
    cpu, started = time.process_time(), time.perf_counter()
    result = call()
    return result, (time.perf_counter() - started) * 1e3, (time.process_time() - cpu) * 1e3


def _resident_bytes() -> int | None:
    """Resident memory of this process, where the system tells."""
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _grown_since(before: int | None) -> int | None:
    now = _resident_bytes()
    return None if before is None or now is None else max(0, now - before)
