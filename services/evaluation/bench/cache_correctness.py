"""`slmfleet cache measure`: the real pipeline, with the cache, asked what it must not take for the same."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from slmfleet.models.contracts import Answer, Decision, Reading, Reply
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.question import Query
from slmfleet.models.training.data import load_corpus
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.evaluation.bench.cache_pairs import KINDS, Pair, pairs
from slmfleet.services.evaluation.bench.reply_memory import ReplyMemory
from slmfleet.services.pipeline.assembly import FleetFactory, load_pipeline
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.pipeline.pipeline import Replier
from slmfleet.services.records.seed import read_seed
from slmfleet.services.settings import Settings
from slmfleet.services.state.shared_state import SharedState

_CUSTOMERS = 20


class KindFigures(BaseModel):
    """Pairs of one kind: how often the second question was answered by what the first one left."""

    pairs: int
    exact_hits: int
    exact_wrong: int
    understood_hits: int
    understood_wrong: int


class CacheMeasure(BaseModel):
    """`exact`: by the text. `understood`: by intents, slots and evidence, once the models ran.

    Wrong is a hit whose answer is not the one that is computed without any cache. `same_text`: of questions
    asked twice, the share answered by the cache. Medians in microseconds: a reply worded, and one remembered.
    """

    kinds: dict[str, KindFigures]
    pairs: int
    wrong: int
    same_text: float
    reply_us: float
    remembered_us: float


class _Checked:
    """A replier that words each reply, and tells whether a remembered one would have been the same."""

    def __init__(self, replier: Replier, fleet: Fleet) -> None:
        self._replier = replier
        self.memory = ReplyMemory(replier, fleet)
        self.hit = self.wrong = False
        self.worded_s: list[float] = []
        self.recalled_s: list[float] = []

    def reply(self, query: Query, decision: Decision, readings: Sequence[Reading]) -> Reply:
        started = time.perf_counter()
        known = self.memory.recall(decision, readings)
        recalled = time.perf_counter()
        answer = self._replier.reply(query, decision, readings)
        self.hit = known is not None
        if known is None:
            self.memory.reply(query, decision, readings)
        else:
            self.recalled_s.append(recalled - started)
            self.worded_s.append(time.perf_counter() - recalled)
        self.wrong = known is not None and known != answer
        return answer


class _CheckedParts:
    """The parts of a fleet, with its replier checked."""

    def __init__(self, parts: FleetFactory) -> None:
        self._parts = parts
        self.checked: _Checked | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parts, name)

    def replier(self, settings: Settings, fleet: Fleet) -> Replier:
        """Words and checks."""
        self.checked = _Checked(self._parts.replier(settings, fleet), fleet)
        return self.checked


def measure(
    settings: Settings, count: int, advance: Callable[[], None], parts: FleetFactory | None = None
) -> CacheMeasure:
    """Ask `count` pairs, with a server of its own for the cache. `advance` is called after each.

    Raises FleetFault, BundleFault, ModelBroken, Unreachable.
    """
    fleet = load_fleet(settings.fleet_dir)
    made = pairs(fleet, load_corpus(fleet), _customers(fleet), count)
    with tempfile.TemporaryDirectory(prefix="slmfleet-") as folder, _server(Path(folder)) as url:
        own = settings.model_copy(update={"redis_url": SecretStr(url), "redis_timeout_s": 5.0})
        return asyncio.run(_measure(own, made, advance, parts or DefaultFactory()))


async def _measure(
    settings: Settings, made: Sequence[Pair], advance: Callable[[], None], parts: FleetFactory
) -> CacheMeasure:
    checking = _CheckedParts(parts)
    shared = SharedState(settings)
    figures = {
        kind: KindFigures(pairs=0, exact_hits=0, exact_wrong=0, understood_hits=0, understood_wrong=0)
        for kind in KINDS
    }
    truths: dict[tuple[str, str | None], Answer] = {}
    repeated = found = 0
    with ThreadPoolExecutor(1) as executor:
        plain = load_pipeline(settings, parts, executor).pipeline
        cached = load_pipeline(settings, checking, executor, shared=shared).pipeline
        checked = checking.checked
        assert checked is not None
        await shared.heartbeat()
        shared.start()
        for pair in made:
            figure = figures[pair.kind]
            figure.pairs += 1
            checked.memory.forget()
            await cached.answer(Query(text=pair.first, customer=pair.customers[0]))
            await shared.flush()
            checked.hit = checked.wrong = False
            second = await cached.answer(Query(text=pair.second, customer=pair.customers[1]))
            figure.understood_hits += checked.hit
            figure.understood_wrong += checked.wrong
            asked = (pair.second, pair.customers[1])
            if asked not in truths:
                truths[asked] = await plain.answer(Query(text=pair.second, customer=pair.customers[1]))
            if second.cache == "hit":
                figure.exact_hits += 1
                figure.exact_wrong += _said(second) != _said(truths[asked])
            await shared.flush()
            if pair.kind == "paraphrase":
                again = await cached.answer(Query(text=pair.second))
                repeated += 1
                found += again.cache == "hit"
                figure.exact_wrong += again.cache == "hit" and _said(again) != _said(truths[asked])
            advance()
        await shared.stop()
    return CacheMeasure(
        kinds={kind: figure for kind, figure in figures.items() if figure.pairs},
        pairs=sum(figure.pairs for figure in figures.values()),
        wrong=sum(figure.exact_wrong + figure.understood_wrong for figure in figures.values()),
        same_text=round(found / max(1, repeated), 4),
        reply_us=round(statistics.median(checked.worded_s or [0.0]) * 1e6, 1),
        remembered_us=round(statistics.median(checked.recalled_s or [0.0]) * 1e6, 1),
    )


def _said(body: Answer) -> dict[str, Any]:
    """All of an answer that is not of one asking."""
    return body.model_dump(exclude={"id", "cache", "cost", "session_id"})


def printed(result: CacheMeasure) -> str:
    """The measurement for a terminal."""
    lines = [
        f"{'pairs that differ in':<22}{'pairs':>7}{'exact':>9}{'wrong':>7}{'understood':>12}{'wrong':>7}"
    ]
    for kind, figure in result.kinds.items():
        name = "words only (Bitext)" if kind == "paraphrase" else f"a {kind}"
        lines.append(
            f"{name:<22}{figure.pairs:>7}{figure.exact_hits:>9}{figure.exact_wrong:>7}"
            f"{figure.understood_hits:>12}{figure.understood_wrong:>7}"
        )
    lines.append(f"{result.wrong} wrong hits in {result.pairs} pairs")
    paraphrases = result.kinds.get("paraphrase")
    if paraphrases:
        exact, understood = (
            hits / paraphrases.pairs for hits in (paraphrases.exact_hits, paraphrases.understood_hits)
        )
        lines.append(
            f"paraphrases found: {exact:.1%} by their text, {understood:.1%} once understood;"
            f"\nof texts asked twice the cache answers {result.same_text:.1%}"
        )
    lines.append(f"a reply worded: {result.reply_us} us, remembered: {result.remembered_us} us (medians)")
    return "\n".join(lines)


def _customers(fleet: Fleet) -> list[str]:
    folder = fleet.folder / "records"
    if not folder.is_dir():
        return []
    return [str(customer["user_id"]) for customer in read_seed(folder).rows()["customers"][:_CUSTOMERS]]


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    server = EmbeddedValkey("cache", folder)
    try:
        yield server.start()
    finally:
        server.stop()
