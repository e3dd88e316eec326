from __future__ import annotations

import io

from rich.console import Console

from slmfleet.models.training.evaluate import Share
from slmfleet.services.evaluation.customers import CustomerFigures
from slmfleet.services.evaluation.figures import Figure
from slmfleet.services.evaluation.fleet import Evaluation, RouterFigures, SpecialistFigures
from slmfleet.services.evaluation.passages import PassageOutcomes
from slmfleet.services.evaluation.report import render

SOME, FEW, NONE = Figure.of(Share(3_251, 5_873)), Figure.of(Share(36, 39)), Figure.of(Share(0, 0))


def evaluation(*customers: CustomerFigures) -> Evaluation:
    return Evaluation(
        router_version="0" * 12,
        threshold=0.86,
        max_wrong_domain_rate=0.05,
        bytes={"router": 12_000_000, "shipping": 8_000_000},
        customers=list(customers),
        router=[
            RouterFigures(
                source="hint3/sofmattress", right_domain=SOME, sent=SOME, wrong_dispatch=FEW,
                refused_out_of_scope=SOME, calibration_error=0.1,
            ),
            RouterFigures(
                source="own", right_domain=NONE, sent=NONE, wrong_dispatch=NONE, refused_out_of_scope=NONE,
                calibration_error=None,
            ),
        ],
        specialists=[
            SpecialistFigures(
                domain="shipping", source="hint3/sofmattress", intent=SOME, passage=SOME, passage_said=SOME,
                right_of_said=FEW, right_among_offered=NONE, slot_f1=0.975, calibration_error=None,
            )
        ],
        reach=PassageOutcomes(answered_right=2, answered_wrong=1),
        offered_out_of_scope=FEW,
        decisions_sha256="ab" * 32,
    )  # fmt: skip


def shown(result: Evaluation) -> str:
    out = io.StringIO()
    console = Console(width=80, file=out, highlight=False)
    for part in render(result):
        console.print(part)
    return out.getvalue()


def test_it_fits_80_columns_and_ends_with_the_digest() -> None:
    hard = CustomerFigures(
        style="ordinary", kind="out_of_scope", served=SOME, offered=SOME, misled=FEW, gave_up=FEW, other=FEW,
        answered_right=NONE, both_answered=NONE,
    )  # fmt: skip
    lines = shown(evaluation(hard)).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert not any("\u2026" in line for line in lines)
    assert lines[-1].rstrip() == "Decisions: sha256 abababababababab"
    customer = next(line for line in lines if "out_of_scope" in line)
    assert customer.split() == [
        "ordinary",
        "out_of_scope",
        "55.4",
        "[54-57]",
        "5873",
        "55.4",
        "92.3",
        "92.3",
        "-",
    ]


def test_a_fleet_without_customers_questions_has_no_table_of_them() -> None:
    text = shown(evaluation())
    assert "What customers get" not in text
    assert "Of 3 questions that a passage answers" in " ".join(text.split())
