"""`slmfleet cache measure`: pairs of questions that must not share an entry, put to the real pipeline."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from slmfleet.models.contracts import Answer
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.question import Query
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.evaluation.bench.cache_pairs import KINDS, Pair, pairs
from slmfleet.services.evaluation.corpus import load_rows
from slmfleet.services.pipeline.assembly import FleetFactory, load_pipeline
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.records.seed import read_seed
from slmfleet.services.settings import Settings
from slmfleet.services.state.shared_state import SharedState

#: Customers on record who ask the pairs that differ in the customer.
_CUSTOMERS: Final = 20
#: Per request, not part of what a cached answer must equal.
_PER_REQUEST: Final = {"id", "cache", "cost", "session_id"}


class KindFigures(BaseModel):
    """Pairs of one kind: how often the second was a cache hit after the first, and wrongly so."""

    pairs: int = 0
    hits: int = 0
    wrong: int = 0


class CacheMeasure(BaseModel):
    """A hit is wrong where its answer is not the one computed without a cache.

    `same_text`: of questions asked twice, the share answered by the cache (0 to 1).
    """

    kinds: dict[str, KindFigures]
    pairs: int
    wrong: int
    same_text: float


def measure(
    settings: Settings, count: int, advance: Callable[[], None], factory: FleetFactory | None = None
) -> CacheMeasure:
    """Ask `count` pairs, with an embedded server for the cache. `advance` is called after each pair.

    Raises FleetFault, DataFault, BundleFault, ModelBroken, Unreachable.
    """
    fleet = load_fleet(settings.fleet_dir)
    made = pairs(fleet, load_rows(fleet), _customers(fleet), count)
    with tempfile.TemporaryDirectory(prefix="slmfleet-") as folder, _server(Path(folder)) as url:
        own = settings.model_copy(update={"redis_url": SecretStr(url), "redis_timeout_s": 5.0})
        return asyncio.run(_measure(own, made, advance, factory or DefaultFactory()))


async def _measure(
    settings: Settings, made: Sequence[Pair], advance: Callable[[], None], factory: FleetFactory
) -> CacheMeasure:
    shared = SharedState(settings)
    figures = {kind: KindFigures() for kind in KINDS}
    expected: dict[tuple[str, str | None], Answer] = {}
    repeated = found = 0
    with ThreadPoolExecutor(1) as executor:
        plain = load_pipeline(settings, factory, executor).pipeline
        cached = load_pipeline(settings, factory, executor, shared=shared).pipeline
        await shared.heartbeat()
        shared.start()
        for pair in made:
            figure = figures[pair.kind]
            figure.pairs += 1
            await cached.answer(Query(text=pair.first, customer=pair.customers[0]))
            await shared.flush()
            second = await cached.answer(Query(text=pair.second, customer=pair.customers[1]))
            request = (pair.second, pair.customers[1])
            if request not in expected:
                expected[request] = await plain.answer(Query(text=request[0], customer=request[1]))
            if second.cache == "hit":
                figure.hits += 1
                figure.wrong += _content(second) != _content(expected[request])
            await shared.flush()
            if pair.kind == "paraphrase":
                again = await cached.answer(Query(text=pair.second))
                repeated += 1
                found += again.cache == "hit"
                figure.wrong += again.cache == "hit" and _content(again) != _content(expected[request])
            advance()
        await shared.stop()
    return CacheMeasure(
        kinds={kind: figure for kind, figure in figures.items() if figure.pairs},
        pairs=sum(figure.pairs for figure in figures.values()),
        wrong=sum(figure.wrong for figure in figures.values()),
        same_text=round(found / max(1, repeated), 4),
    )


def render(result: CacheMeasure) -> str:
    """The measurement for a terminal."""
    lines = [f"{'pairs that differ in':<22}{'pairs':>7}{'hits':>9}{'wrong':>7}"]
    for kind, figure in result.kinds.items():
        name = "words only (Bitext)" if kind == "paraphrase" else f"a {kind}"
        lines.append(f"{name:<22}{figure.pairs:>7}{figure.hits:>9}{figure.wrong:>7}")
    lines.append(f"{result.wrong} wrong hits in {result.pairs} pairs")
    paraphrases = result.kinds.get("paraphrase")
    if paraphrases:
        lines.append(
            f"paraphrases found: {paraphrases.hits / paraphrases.pairs:.1%}; "
            f"of texts asked twice the cache answers {result.same_text:.1%}"
        )
    return "\n".join(lines)


def _content(body: Answer) -> dict[str, Any]:
    return body.model_dump(exclude=_PER_REQUEST)


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
