"""The result of `slmfleet compare`: the figures of both sides, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from slmfleet.models.training.evaluate import Share
from slmfleet.services.evaluation.compare.options import CompareOptions, Prices
from slmfleet.services.evaluation.figures import Figure


@dataclass(frozen=True, slots=True)
class Sizes:
    """A side by name: parameters, the bytes that loading it added, whether questions leave the machine."""

    name: str
    parameters: int | None
    resident_bytes: int | None
    leaves_machine: bool = False


class Outcome(BaseModel):
    """One side's answer to one question. `status`: answered, refused, or what the fleet asks back for."""

    status: str
    text: str
    right: bool
    grounded: bool
    invented: list[str] = []
    latency_ms: float
    cpu_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class QuestionResult(BaseModel):
    """One question, the passages in the baseline's prompt, and both answers. Out of scope: no `passage`."""

    question: str
    domain: str | None
    passage: str | None
    given: list[str]
    fleet: Outcome
    baseline: Outcome


class Side(BaseModel):
    """The figures of one side. Latency and CPU over all questions; None: not measured or not reported.

    `right`, `right_and_grounded`: of all in-domain questions. `grounded`: of the answers given, in any scope.
    """

    name: str
    parameters: int | None
    resident_bytes: int | None
    answered: Figure
    right: Figure
    right_and_grounded: Figure
    grounded: Figure
    refused_out_of_scope: Figure
    latency_p50_ms: float
    latency_p95_ms: float
    cpu_ms_per_query: float | None
    joules_per_query: float | None
    cost_per_1000: float | None
    tokens_read_per_query: float | None
    tokens_written_per_query: float | None
    leaves_machine: bool


class Comparison(BaseModel):
    """Both sides on the same questions."""

    fleet: Side
    baseline: Side
    questions: int
    seed: int
    right_passage: bool
    core_watts: float
    price_core_hour: float | None
    #: In-domain questions whose right passage was in the baseline's prompt.
    right_passage_given: Figure
    #: Percent of the other passages of the domain that would count as the right one.
    lenience_percent: float
    #: CPU of the baseline by that of the fleet, of the mean query.
    cpu_ratio: float | None
    asked: list[QuestionResult]


def comparison(
    asked: list[QuestionResult],
    options: CompareOptions,
    *,
    fleet: Sizes,
    baseline: Sizes,
    lenience: float,
    core_watts: float,
) -> Comparison:
    """The figures of both sides over the results `asked`. `lenience` in percent."""
    ours = _side(fleet, [one.fleet for one in asked], asked, core_watts, options.prices)
    theirs = _side(baseline, [one.baseline for one in asked], asked, core_watts, options.prices)
    inside = [one for one in asked if one.passage is not None]
    ratio = None
    if ours.cpu_ms_per_query and theirs.cpu_ms_per_query:
        ratio = theirs.cpu_ms_per_query / ours.cpu_ms_per_query
    return Comparison(
        fleet=ours,
        baseline=theirs,
        questions=len(asked),
        seed=options.seed,
        right_passage=options.right_passage,
        core_watts=core_watts,
        price_core_hour=options.prices.core_hour,
        right_passage_given=_figure(one.passage in one.given for one in inside),
        lenience_percent=round(lenience, 1),
        cpu_ratio=None if ratio is None else round(ratio, 1),
        asked=asked,
    )


def _side(
    sizes: Sizes,
    outcomes: Sequence[Outcome],
    asked: Sequence[QuestionResult],
    core_watts: float,
    prices: Prices,
) -> Side:
    inside = [outcome for outcome, one in zip(outcomes, asked, strict=True) if one.passage is not None]
    beyond = [outcome for outcome, one in zip(outcomes, asked, strict=True) if one.passage is None]
    p50, p95 = np.percentile([one.latency_ms for one in outcomes], [50, 95])
    cpu_ms = _mean([one.cpu_ms for one in outcomes])
    read = _mean([one.prompt_tokens for one in outcomes])
    written = _mean([one.completion_tokens for one in outcomes])
    return Side(
        name=sizes.name,
        parameters=sizes.parameters,
        resident_bytes=sizes.resident_bytes,
        answered=_figure(one.status == "answered" for one in inside),
        right=_figure(one.right for one in inside),
        right_and_grounded=_figure(one.right and one.grounded for one in inside),
        grounded=_figure(one.grounded for one in outcomes if one.status == "answered"),
        refused_out_of_scope=_figure(one.status == "refused" for one in beyond),
        latency_p50_ms=round(float(p50), 3),
        latency_p95_ms=round(float(p95), 3),
        cpu_ms_per_query=cpu_ms,
        joules_per_query=None if cpu_ms is None else cpu_ms / 1e3 * core_watts,
        cost_per_1000=_cost_per_1000(cpu_ms, read, written, prices),
        tokens_read_per_query=read,
        tokens_written_per_query=written,
        leaves_machine=sizes.leaves_machine,
    )


def _figure(hits: Iterator[bool]) -> Figure:
    all_ = list(hits)
    return Figure.of(Share(sum(all_), len(all_)))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _cost_per_1000(
    cpu_ms: float | None, read: float | None, written: float | None, prices: Prices
) -> float | None:
    """By CPU time where that is measured, otherwise by the tokens that a URL says it used."""
    if cpu_ms is not None:
        return None if prices.core_hour is None else cpu_ms / 3600 * prices.core_hour
    if read is None or written is None or prices.million_read is None or prices.million_written is None:
        return None
    return (read * prices.million_read + written * prices.million_written) / 1e3


def render(result: Comparison, samples: int = 0) -> Group:
    """The comparison for a terminal of 80 columns, with both answers to the first `samples` questions."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("")
    sides = (result.fleet, result.baseline)
    for side in sides:
        table.add_column(side.name, overflow="fold", max_width=27)
    rows: tuple[tuple[str, Callable[[Side], str]], ...] = (
        ("parameters", lambda side: _or_dash(side.parameters, lambda n: f"{n / 1e6:.1f} M")),
        ("resident memory added", lambda side: _or_dash(side.resident_bytes, lambda n: f"{n / 1e6:.0f} MB")),
        ("in domain: answered, %", lambda side: str(side.answered)),
        ("in domain: right, %", lambda side: str(side.right)),
        ("  right and grounded, %", lambda side: str(side.right_and_grounded)),
        ("out of scope: refused, %", lambda side: str(side.refused_out_of_scope)),
        ("answers grounded, %", lambda side: str(side.grounded)),
        ("latency p50 / p95", lambda side: f"{_ms(side.latency_p50_ms)} / {_ms(side.latency_p95_ms)}"),
        ("CPU a query", lambda side: _or_dash(side.cpu_ms_per_query, _ms)),
        ("energy a query, estimate", lambda side: _or_dash(side.joules_per_query, lambda n: f"{n:.3g} J")),
        ("cost of 1,000 queries", lambda side: _or_dash(side.cost_per_1000, lambda n: f"{n:.2g}")),
        ("tokens read / written", _tokens),
        ("data leaves the machine", lambda side: "yes" if side.leaves_machine else "no"),
    )
    for name, shown in rows:
        table.add_row(name, *map(shown, sides))
    return Group(*_samples(result.asked[:samples]), table, "", *_notes(result))


def _notes(result: Comparison) -> Iterator[str]:
    if result.cpu_ratio is not None:
        yield f"A query takes the baseline {result.cpu_ratio:,.0f} times the CPU that it takes the fleet.\n"
    passages = "the three best passages of its domain"
    if result.right_passage:
        passages += ", the right one always among them"
    yield (
        f"{result.questions} of the shop's own test questions (seed {result.seed}), put to both by turns; "
        "percent [95 % interval] of how many. In the baseline's prompt were "
        f"{passages} (the right one for {result.right_passage_given}); finding them is not its cost.\n"
    )
    yield (
        "right: carries the numbers and half of the rare words of a sentence of the right passage "
        f"({result.lenience_percent:.1f} % of its domain's other passages would pass); grounded: its numbers "
        "and half of the rare words of each sentence stand in its evidence. By words, not by meaning.\n"
    )
    yield (
        "- : not measured or not known. CPU time is of all threads of this process; energy is estimated at "
        f"{result.core_watts:g} W a busy core{_priced(result.price_core_hour)}."
    )


def _priced(core_hour: float | None) -> str:
    return "" if core_hour is None else f"; a core-hour is taken to cost {core_hour:g}"


def _samples(asked: Sequence[QuestionResult]) -> Iterator[RenderableType]:
    for one in asked:
        where = f"{one.domain}/{one.passage}" if one.passage else "out of scope"
        yield Text(f"> {one.question}  ({where})", style="bold")
        for name, outcome in (("fleet", one.fleet), ("baseline", one.baseline)):
            marks = [outcome.status]
            if outcome.status == "answered":
                marks += ["right" if outcome.right else "not right"]
                marks += ["grounded" if outcome.grounded else "not grounded"]
            marks += [f"made up: {', '.join(outcome.invented)}"] if outcome.invented else []
            yield Padding(
                Text(f"{name} ({', '.join(marks)}): {' '.join(outcome.text.split())}"), (0, 0, 0, 2)
            )
        yield ""


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if value < 1_000 else f"{value / 1e3:.2f} s"


def _or_dash(value: float | None, shown: Callable[[float], str]) -> str:
    return "-" if value is None else shown(value)


def _tokens(side: Side) -> str:
    if side.tokens_read_per_query is None or side.tokens_written_per_query is None:
        return "-"
    return f"{side.tokens_read_per_query:.0f} / {side.tokens_written_per_query:.0f}"
