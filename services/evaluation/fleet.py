"""`slmfleet evaluate`: router and specialists on rows they were never trained on, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from pydantic import BaseModel

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


def _offered_outside(rows: Sequence[Row], decisions: Sequence[Decision]) -> Share:
    outside = [one for row, one in zip(rows, decisions, strict=True) if row.domain == OUT_OF_SCOPE]
    return Share(sum(one.abstained and one.likely for one in outside), len(outside))
