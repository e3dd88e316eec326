from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.bundle import read_card
from slmfleet.models.training.data import load_corpus
from slmfleet.models.training.evaluate import Share
from slmfleet.services.evaluation import fleet as evaluating
from slmfleet.services.evaluation.customers import load_questions
from slmfleet.services.settings import SHOP_DIR, Settings


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    # n = 10 and 100 in Wilson (1927), z = 1.96
    [(8, 10, 0.4901625, 0.9433178), (0, 10, 0.0, 0.2775328), (50, 100, 0.4038315, 0.5961685)],
)
def test_the_interval_is_wilsons(hits: int, total: int, low: float, high: float) -> None:
    assert Share(hits, total).interval == pytest.approx((low, high), abs=1e-6)


def test_what_evaluate_measures_is_what_the_cards_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The bundles are measured again, so the figures on their cards must come out again."""
    whole = load_corpus(load_fleet(SHOP_DIR))
    # Two sources are enough to show it, in a fifth of the time.
    some = replace(whole, test=tuple(row for row in whole.test if row.source in ("own", "hint3/sofmattress")))
    monkeypatch.setattr(evaluating, "load_rows", lambda fleet: some)
    steps: list[tuple[int, int]] = []
    few = load_questions(SHOP_DIR)[:40]
    monkeypatch.setattr(evaluating, "load_questions", lambda folder: few)
    settings = Settings(state_dir=tmp_path, metrics=False)
    result = evaluating.evaluation(settings, lambda done, total: steps.append((done, total)))
    assert steps == sorted(steps)
    assert steps[-1] == (steps[0][1],) * 2
    assert [row.source for row in result.router] == ["hint3/sofmattress", "own", "all"]
    assert result.router[2].sent.hits == result.router[0].sent.hits + result.router[1].sent.hits
    assert result.reach.total == sum(row.passage is not None for row in some.test) > 1_000
    assert 0 < result.offered_out_of_scope.hits < result.offered_out_of_scope.total / 2
    assert result.reach.answered_right > result.reach.answered_wrong
    assert len(result.decisions_sha256) == 64
    assert [(row.style, row.kind) for row in result.customers] == [("oblique", "all"), ("oblique", "policy")]
    assert result.customers[0].served.total == len(few)
    assert list(tmp_path.iterdir()) == []  # records are read in a folder of the measurement's own
    card = read_card(SHOP_DIR / "router" / "bundle", "router")
    for row in result.router:
        said = card.metrics.get(f"{row.source}.domain_accuracy")
        if said is not None:
            assert row.right_domain.percent == pytest.approx(100 * said, abs=2)
    for name, domain in load_fleet(SHOP_DIR).domains.items():
        metrics = read_card(domain.folder / "bundle", "specialist").metrics
        measured = {row.source: row for row in result.specialists if row.domain == name}
        own = measured["own"]
        # Another processor may round an int8 product otherwise and tip a row or two.
        assert own.intent.percent == pytest.approx(100 * metrics["own.intent_accuracy"], abs=1.5)
        assert own.passage.percent == pytest.approx(100 * metrics["own.passage_accuracy"], abs=1.5)
