from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from slmfleet.models.benchmarks.report import read_results
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.bundle import read_card, size_bytes
from slmfleet.services.settings import SHOP_DIR

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_figures_are_those_of_the_bundles_in_the_repository() -> None:
    card = read_card(SHOP_DIR / "router" / "bundle", "router")
    assert f"Router {card.version}, threshold {card.threshold:.3f}" in README
    folders = [domain.folder for domain in load_fleet(SHOP_DIR).domains.values()] + [SHOP_DIR / "router"]
    total = sum(size_bytes(folder / "bundle") for folder in folders) / 1e6
    assert f"all {total:.1f}." in README


def test_the_ten_questions_are_those_that_are_tested() -> None:
    questions = json.loads((ROOT / "tests" / "end_to_end" / "questions.json").read_text(encoding="utf-8"))
    assert len(questions) == 10
    for question in questions:
        assert question["text"] in README


@pytest.mark.parametrize(
    ("row", "figures"),
    [
        (
            "HINT3 v1, right or rightly refused",
            "hint3-v1.sofmattress.accuracy hint3-v1.curekart.accuracy hint3-v1.powerplay11.accuracy",
        ),
        (
            "HINT3 v1, right of those in scope",
            "hint3-v1.sofmattress.intent_accuracy hint3-v1.curekart.intent_accuracy "
            "hint3-v1.powerplay11.intent_accuracy",
        ),
        (
            "HINT3 v2, right of those in scope",
            "hint3-v2.sofmattress.intent_accuracy hint3-v2.curekart.intent_accuracy "
            "hint3-v2.powerplay11.intent_accuracy",
        ),
        (
            "CLINC150, right in scope and refused",
            "clinc150.full.in_scope_accuracy clinc150.full.oos_recall",
        ),
        ("CLINC150, right of those in scope", "clinc150.full.intent_accuracy"),
        (
            "BANKING77",
            "banking77.full.intent_accuracy banking77.10-shot.intent_accuracy "
            "banking77.5-shot.intent_accuracy",
        ),
        ("HWU64", "hwu64.full.intent_accuracy hwu64.10-shot.intent_accuracy hwu64.5-shot.intent_accuracy"),
        ("SNIPS", "snips.intents+slots.intent_accuracy snips.intents+slots.slot_f1 snips.joined.exact_set"),
        ("NLU++", "nlupp.banking.micro_f1 nlupp.hotels.micro_f1"),
        (
            "the shop without a retailer's rows",
            "transfer.sofmattress.intent_accuracy transfer.curekart.intent_accuracy",
        ),
    ],
)
def test_the_table_of_published_data_sets_is_what_the_results_say(row: str, figures: str) -> None:
    measured = {
        f"{result.suite}.{task.name}.{name}": measure.mean
        for result in read_results(ROOT / "docs")
        for task in result.tasks
        for name, measure in task.metrics.items()
    }
    (line,) = [line for line in README.splitlines() if line.startswith(f"| {row}")]
    ours = re.findall(r"\d+\.\d", line.split("|")[2])
    assert ours == [f"{measured[figure]:.1f}" for figure in figures.split()]
