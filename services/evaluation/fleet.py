"""`slmfleet evaluate`: router and specialists on rows they were never trained on, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from pydantic import BaseModel
from rich.console import Group
from rich.table import Table

from slmfleet.models.contracts import OUT_OF_SCOPE, Decision
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.bundle import size_bytes
from slmfleet.models.inference.specialist import Specialist
from slmfleet.models.progress import Progress, counted
from slmfleet.models.training.data import Row
from slmfleet.models.training.evaluate import Share, SpecialistResult, by_source, evaluate_specialist
from slmfleet.router.evaluate import RouterResult, evaluate_router
from slmfleet.services.evaluation.corpus import load_rows
from slmfleet.services.evaluation.customers import CustomerFigures, customer_figures, load_questions
from slmfleet.services.evaluation.decision_digest import DecisionDigest, RecordedSpecialist
from slmfleet.services.evaluation.figures import Figure
from slmfleet.services.evaluation.passages import PassageOutcomes, passage_outcomes
from slmfleet.services.pipeline.default_factory import load_models
from slmfleet.services.settings import Settings


class RouterFigures(BaseModel):
    """The router on one source's rows."""

    source: str
    right_domain: Figure
    sent: Figure
    wrong_dispatch: Figure
    refused_out_of_scope: Figure
    calibration_error: float | None

    @classmethod
    def of(cls, source: str, result: RouterResult) -> RouterFigures:
        """The figures of a result."""
        return cls(
            source=source,
            right_domain=Figure.of(result.right),
            sent=Figure.of(result.sent),
            wrong_dispatch=Figure.of(result.wrong_dispatch),
            refused_out_of_scope=Figure.of(result.refused),
            calibration_error=_known(result.calibration_error),
        )


class SpecialistFigures(BaseModel):
    """A specialist on one source's rows."""

    domain: str
    source: str
    intent: Figure
    passage: Figure
    passage_said: Figure
    right_of_said: Figure
    right_among_offered: Figure
    slot_f1: float | None
    calibration_error: float | None

    @classmethod
    def of(cls, domain: str, source: str, result: SpecialistResult) -> SpecialistFigures:
        """The figures of a result."""
        return cls(
            domain=domain,
            source=source,
            intent=Figure.of(result.intents),
            passage=Figure.of(result.passages),
            passage_said=Figure.of(result.quoted),
            right_of_said=Figure.of(result.right_quoted),
            right_among_offered=Figure.of(result.right_offered),
            slot_f1=_known(result.slot_f1),
            calibration_error=_known(result.calibration_error),
        )


class Evaluation(BaseModel):
    """Everything that `slmfleet evaluate` measures."""

    router_version: str
    threshold: float
    max_wrong_domain_rate: float
    bytes: dict[str, int]
    #: What customers get, by style and kind of question; empty where the fleet has no such questions.
    customers: list[CustomerFigures]
    router: list[RouterFigures]
    specialists: list[SpecialistFigures]
    #: Of all sources, questions that a passage answers.
    reach: PassageOutcomes
    #: Of all rows out of scope, those that are offered passages all the same.
    offered_out_of_scope: Figure
    #: Over every decision and reading: equal where nothing that is decided changed.
    decisions_sha256: str


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def evaluation(settings: Settings, progress: Progress = lambda done, total: None) -> Evaluation:
    """Evaluate the bundles of the fleet of `settings`. Raises FleetFault, DataFault, BundleFault."""
    fleet = load_fleet(settings.fleet_dir)
    corpus = load_rows(fleet)
    questions = load_questions(fleet.folder)
    router, specialists = load_models(fleet)
    rows_of = [len(corpus.test), *(len(corpus.of(name).test) for name in specialists)]
    tick = counted(progress, sum(rows_of) + len(questions))
    groups = by_source(corpus.test)
    decisions: dict[str, list[Decision]] = {}
    digest = DecisionDigest()
    for source, rows in groups.items():
        decisions[source] = [router.route(row.text) for row in rows]
        digest.add(decisions[source])
        for _ in rows:
            tick()
    groups["all"] = [row for rows in groups.values() for row in rows]
    decisions["all"] = [decision for made in decisions.values() for decision in made]
    specialist_figures = []
    for name, specialist in specialists.items():
        # evaluate_specialist calls nothing but `read`.
        recorded = cast("Specialist", RecordedSpecialist(specialist, digest))
        for source, rows in by_source(corpus.of(name).test).items():
            specialist_figures.append(SpecialistFigures.of(name, source, evaluate_specialist(recorded, rows)))
            for _ in rows:
                tick()
    folders = {name: domain.folder / "bundle" for name, domain in fleet.domains.items()}
    folders["router"] = fleet.folder / "router" / "bundle"
    return Evaluation(
        router_version=router.card.version,
        threshold=router.card.threshold,
        max_wrong_domain_rate=fleet.config.router.max_wrong_domain_rate,
        bytes={name: size_bytes(path) for name, path in folders.items()},
        customers=customer_figures(settings, questions, tick),
        router=[
            RouterFigures.of(source, evaluate_router(rows, decisions[source]))
            for source, rows in groups.items()
        ],
        specialists=specialist_figures,
        reach=passage_outcomes(groups["all"], decisions["all"], specialists),
        offered_out_of_scope=Figure.of(_offered_outside(groups["all"], decisions["all"])),
        decisions_sha256=digest.hexdigest(),
    )


def render(result: Evaluation) -> list[Group | Table | str]:
    """The evaluation for a terminal of 80 columns."""
    customers: list[Group | Table | str] = []
    if result.customers:
        customers = [
            _customers(result.customers), "",
            "served: a right answer, sign-in or refusal at once; offered: three titles, a right "
            "one among them; misled: answered from what does not answer; gave up: sent away "
            "although the shop knows; other: wrong titles, a sign-in that is not needed. right "
            "of answered: of the answers from policy or records, those that mislead nobody.", "",
        ]  # fmt: skip
    routing = Table(title="Router: percent [95 % interval] rows", box=None, padding=(0, 1, 0, 0))
    for head in ("source", "right domain", "sent", "wrong dispatch", "refused"):
        routing.add_column(head, justify="left")
    for row in result.router:
        sent = "-" if row.sent.percent is None else f"{row.sent.percent:.1f}"
        right, wrong, refused = (
            str(figure) for figure in (row.right_domain, row.wrong_dispatch, row.refused_out_of_scope)
        )
        routing.add_row(row.source.removeprefix("hint3/"), right, sent, wrong, refused)
    reading = Table(title="Specialists: percent [95 % interval] rows", box=None, padding=(0, 1, 0, 0))
    for head in ("domain", "source", "intent", "slot F1"):
        reading.add_column(head, justify="left")
    for line in result.specialists:
        f1 = "-" if line.slot_f1 is None else f"{100 * line.slot_f1:.1f}"
        reading.add_row(line.domain, line.source.removeprefix("hint3/"), str(line.intent), f1)
    passages = Table(title="Passages: percent [95 % interval] rows", box=None, padding=(0, 1, 0, 0))
    for head in ("domain", "first", "said", "right of said", "among offered"):
        passages.add_column(head, justify="left")
    for line in result.specialists:
        if line.passage.total:
            quoted, right, among = (
                str(figure) for figure in (line.passage_said, line.right_of_said, line.right_among_offered)
            )
            passages.add_row(line.domain, str(line.passage), quoted, right, among)
    total = sum(result.bytes.values()) / 1e6
    sizes = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in result.bytes.items())
    return [
        *customers,
        routing,
        "",
        reading,
        "",
        passages,
        "",
        _render_outcomes(result),
        "",
        "right domain: of rows for a domain or a person, threshold aside; sent: of a "
        "domain's rows, those sent to a specialist; wrong dispatch: of rows sent, those "
        "that were not for it; refused: of rows out of scope, those not sent. own: written "
        "by the shop's authors; curekart, sofmattress: by real shoppers (HINT3). "
        "Passages, of rows that one answers: first: it comes first; said: one is clear "
        "enough to be said, else the first three are offered; right of said, among "
        "offered: where it is the right one, or one of them.",
        "",
        f"Router {result.router_version}, threshold {result.threshold:.3f}, "
        f"promised wrong-dispatch rate {result.max_wrong_domain_rate:.2f} (fitted on held-out rows).",
        f"Bundles, MB: {sizes}; all {total:.1f}.",
        f"Decisions: sha256 {result.decisions_sha256[:16]}",
    ]


def _customers(figures: Sequence[CustomerFigures]) -> Table:
    table = Table(title="What customers get: percent [95 % interval] of rows", box=None, padding=(0, 1, 0, 0))
    for head in ("style", "kind", "rows", "served", "offered", "misled", "gave up", "right of answered"):
        table.add_column(head, justify="left")
    for row in figures:
        # The interval of what is promised; the rest is read beside it.
        cells = [f"{share.percent:.1f}" for share in (row.offered, row.misled, row.gave_up)]
        served = f"{row.served.percent:.1f} [{row.served.low:.0f}-{row.served.high:.0f}]"
        right = "-" if row.answered_right.percent is None else f"{row.answered_right.percent:.1f}"
        table.add_row(row.style, row.kind, str(row.served.total), served, *cells, right)
    return table


def _offered_outside(rows: Sequence[Row], decisions: Sequence[Decision]) -> Share:
    outside = [one for row, one in zip(rows, decisions, strict=True) if row.domain == OUT_OF_SCOPE]
    return Share(sum(one.abstained and one.likely for one in outside), len(outside))


def _render_outcomes(result: Evaluation) -> str:
    counts, outside = result.reach, result.offered_out_of_scope
    return (
        f"Of {counts.total} questions that a passage answers, router and specialists together answer "
        f"{counts.answered_right} from it and {counts.answered_wrong} from another one, offer three with it "
        f"to {counts.offered_right} and three without it to {counts.offered_wrong}, and leave "
        f"{counts.not_answered} to a person. Of {outside.total} out of scope "
        f"{outside.hits} are offered three."
    )
