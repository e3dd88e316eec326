from __future__ import annotations

import json
from pathlib import Path

from slmfleet.models.bundle import read_card, size_bytes
from slmfleet.models.fleet import load_fleet
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
