from __future__ import annotations

import io

import pytest
from rich.console import Console

from slmfleet.services.evaluation.compare.options import CompareOptions, Prices
from slmfleet.services.evaluation.compare.report import (
    Comparison,
    Outcome,
    QuestionResult,
    Sizes,
    comparison,
    render,
)


def outcome(status: str, right: bool = False, grounded: bool = True, **more: object) -> Outcome:
    text = "You have 30 days from delivery to send it back in its box. " * 3
    return Outcome(status=status, text=text, right=right, grounded=grounded, **{"latency_ms": 4.0, **more})


@pytest.fixture
def result() -> Comparison:
    asked = [
        QuestionResult(
            question="how long?", domain="returns", passage="window", given=["window", "other"],
            fleet=outcome("answered", right=True, cpu_ms=2.0),
            baseline=outcome("answered", right=True, grounded=False, invented=["14"], cpu_ms=900.0,
                             latency_ms=1_000, prompt_tokens=300, completion_tokens=20),
        ),
        QuestionResult(
            question="why?", domain="returns", passage="reason", given=["window", "other"],
            fleet=outcome("needs_identity", cpu_ms=4.0),
            baseline=outcome("answered", cpu_ms=1_500.0, latency_ms=3_000, prompt_tokens=500,
                             completion_tokens=40),
        ),
        QuestionResult(
            question="who won the cup?", domain=None, passage=None, given=["window"],
            fleet=outcome("refused", cpu_ms=3.0),
            baseline=outcome("answered", grounded=False, cpu_ms=600.0, latency_ms=2_000, prompt_tokens=400,
                             completion_tokens=30),
        ),
    ]  # fmt: skip
    return comparison(
        asked,
        CompareOptions(prices=Prices(core_hour=0.36)),
        fleet=Sizes("the fleet (6 specialists, router)", 57_200_000, 134_000_000),
        baseline=Sizes("SmolLM2-135M-Instruct.Q4_1", 134_515_008, 246_000_000),
        lenience=2.34,
        core_watts=8,
    )  # fmt: skip


def test_figures(result: Comparison) -> None:
    fleet, baseline = result.fleet, result.baseline
    assert (fleet.answered.hits, fleet.answered.total) == (1, 2)
    assert (fleet.right.hits, fleet.right_and_grounded.hits) == (1, 1)
    assert (baseline.right.hits, baseline.right_and_grounded.hits) == (1, 0)
    # Of the answers given, out of scope too.
    assert (fleet.grounded.hits, fleet.grounded.total) == (1, 1)
    assert (baseline.grounded.hits, baseline.grounded.total) == (1, 3)
    assert (fleet.refused_out_of_scope.hits, baseline.refused_out_of_scope.hits) == (1, 0)
    assert (result.right_passage_given.hits, result.right_passage_given.total) == (1, 2)
    assert (fleet.cpu_ms_per_query, baseline.cpu_ms_per_query) == (3, 1_000)
    assert result.cpu_ratio == pytest.approx(333.3)
    assert baseline.joules_per_query == pytest.approx(8)
    assert baseline.cost_per_1000 == pytest.approx(0.1)
    assert (baseline.latency_p50_ms, baseline.latency_p95_ms) == (2_000, 2_900)
    assert (baseline.tokens_read_per_query, baseline.tokens_written_per_query) == (400, 30)
    assert Comparison.model_validate_json(result.model_dump_json()) == result


def test_it_fits_80_columns_and_says_how_it_was_measured(result: Comparison) -> None:
    shown = io.StringIO()
    Console(file=shown, width=80, highlight=False).print(render(result, samples=2))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for said in (
        "57.2 M", "134.5 M", "134 MB", "246 MB", "3.0 ms", "1.00 s", "2.00 s / 2.90 s", "8 J", "0.1",
        "400 / 30", "333 times the CPU", "seed 0", "2.3 % of its domain's", "8 W a busy core",
        "core-hour is taken to cost 0.36", "> how long?", "made up: 14", "not grounded",
    ):  # fmt: skip
        assert said in " ".join(" ".join(lines).split()), said
    assert "who won the cup?" not in shown.getvalue()
