from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from slmfleet.models.benchmarks.scores import (
    area_under_risk_coverage,
    auroc,
    f1,
    macro_f1,
    micro_f1,
    risk_coverage,
    span_counts,
)


@pytest.mark.parametrize("decimals", [1, 8])
def test_auroc_is_scikit_learns_with_ties_and_without(decimals: int) -> None:
    dice = np.random.default_rng(1)
    for _ in range(5):
        positive = dice.random(200) < 0.3
        score = np.round(dice.random(200) + 0.3 * positive, decimals)
        assert auroc(score, positive) == pytest.approx(roc_auc_score(positive, score), abs=1e-12)


def test_auroc_by_hand_and_without_a_class() -> None:
    # Of the four pairs one is right, one is wrong and two are ties.
    score = np.array([0.5, 0.5, 0.5, 0.9])
    assert auroc(score, np.array([True, False, True, False])) == pytest.approx((0.5 + 0.5) / 4)
    assert math.isnan(auroc(score, np.zeros(4, dtype=bool)))
    assert math.isnan(auroc(score, np.ones(4, dtype=bool)))


def test_risk_and_coverage_by_hand() -> None:
    score = np.array([0.2, 0.9, 0.8, 0.5])
    wrong = np.array([True, False, True, False])
    assert risk_coverage(score, wrong).tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert area_under_risk_coverage(score, wrong) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_rows_of_equal_score_have_no_order() -> None:
    score = np.array([0.7, 0.7, 0.1])
    one = risk_coverage(score, np.array([True, False, False]))
    other = risk_coverage(score, np.array([False, True, False]))
    assert one.tolist() == other.tolist() == pytest.approx([0.5, 0.5, 1 / 3])


def test_perfect_ranking_beats_the_worst() -> None:
    wrong = np.array([False] * 8 + [True] * 2)
    good, bad = np.linspace(1, 0, 10), np.linspace(0, 1, 10)
    assert area_under_risk_coverage(good, wrong) < 0.1 < area_under_risk_coverage(bad, wrong)
    assert math.isnan(area_under_risk_coverage(np.zeros(0), np.zeros(0, dtype=bool)))


def test_multi_label_f1_is_scikit_learns() -> None:
    dice = np.random.default_rng(2)
    truth, said = dice.random((80, 6)) < 0.3, dice.random((80, 6)) < 0.3
    truth[:, 4] = False
    assert micro_f1(truth, said) == pytest.approx(f1_score(truth, said, average="micro"))
    labels = [0, 1, 2, 3, 5]  # the fifth is no row's label
    assert macro_f1(truth, said) == pytest.approx(f1_score(truth, said, average="macro", labels=labels))
    assert math.isnan(macro_f1(np.zeros((3, 2), dtype=bool), np.ones((3, 2), dtype=bool)))


def test_a_slot_counts_with_its_name_and_both_ends() -> None:
    marked = {("city", 0, 5), ("date", 9, 14), ("city", 20, 24)}
    read = {("city", 0, 5), ("date", 9, 15), ("place", 20, 24), ("time", 30, 34)}
    assert span_counts(marked, read) == (3, 4, 1)
    assert f1(3, 4, 1) == pytest.approx(2 * (1 / 4) * (1 / 3) / (1 / 4 + 1 / 3))
    assert math.isnan(f1(0, 2, 0))
    assert f1(2, 0, 0) == 0
