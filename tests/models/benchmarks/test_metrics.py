from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from fakes.readers import ScriptedReader, make_task, verdict

from slmfleet.models.benchmarks.metrics import intervals, metrics_of, ranking
from slmfleet.models.benchmarks.outcomes import Measured, best_label, observe, typo_of
from slmfleet.models.benchmarks.task import SuiteRow, Task
from slmfleet.models.contracts import Slot
from slmfleet.models.training.data import Span

LABELS = ("pay", "ship", "none")


def row(text: str, *labels: str, spans: tuple[Span, ...] | None = None) -> SuiteRow:
    return SuiteRow(text, labels, spans)


def measure(task: Task, reader: ScriptedReader) -> dict[str, float]:
    in_scope = [one for one in task.test if one.labels != (task.out_of_scope,)]
    both = Measured(observe(reader, task, task.test), observe(reader, task, in_scope, typo_of))
    return {name: metric(both) for name, metric in metrics_of(task).items()}


def scope_task() -> Task:
    test = [row("one", "pay"), row("two", "pay"), row("three", "ship"), row("four", "ship"),
            row("five", "none"), row("six", "none")]  # fmt: skip
    return make_task([row("p", "pay"), row("s", "ship"), row("n", "none")], test, out_of_scope="none")


#: At the threshold of 0.5: right; refused by `inlier`; refused by its best label; wrong; refused; taken.
SCOPE_VERDICTS = {
    "one": verdict(0.8, 0.2, 0.0, inlier=0.9),
    "two": verdict(0.6, 0.4, 0.0, inlier=0.4),
    "three": verdict(0.1, 0.3, 0.6, inlier=0.8),
    "four": verdict(0.9, 0.1, 0.0, inlier=0.7),
    "five": verdict(0.5, 0.5, 0.0, inlier=0.1),
    "six": verdict(0.2, 0.7, 0.1, inlier=0.6),
}


def test_rounding_loses_what_the_exact_model_had_right() -> None:
    task = scope_task()
    in_scope = [one for one in task.test if one.labels != ("none",)]
    rounded = ScriptedReader(LABELS, SCOPE_VERDICTS)
    right_about_four = {**SCOPE_VERDICTS, "four": verdict(0.1, 0.9, 0.0)}
    both = Measured(
        observe(rounded, task, task.test),
        observe(rounded, task, in_scope),
        observe(ScriptedReader(LABELS, right_about_four), task, task.test),
    )
    loss = metrics_of(task)["int8_loss"]
    assert loss(both) == pytest.approx(1 / 4)
    assert loss(both.take(np.array([0, 1]))) == 0  # neither of them is "four"
    assert loss(both.take(np.array([3, 3]))) == 1


def test_scope_metrics_by_hand() -> None:
    reader = ScriptedReader(LABELS, SCOPE_VERDICTS, otherwise=verdict(1.0, 0.0, 0.0))
    found = measure(scope_task(), reader)
    assert list(found) == [
        "intent_accuracy", "accuracy", "in_scope_accuracy", "oos_recall", "auroc", "auroc_softmax",
        "auroc_energy", "auroc_nearest", "auroc_mahalanobis", "ece", "aurc", "typo_accuracy", "typo_loss",
        "int8_loss",
    ]  # fmt: skip
    assert np.isnan(found["int8_loss"])  # nor another of exact weights
    assert np.isnan(found["auroc_energy"])  # this reader has no other scores
    # Without a threshold `three` is right: out of scope is no answer to a row in scope.
    assert found["intent_accuracy"] == pytest.approx(3 / 4)
    assert found["in_scope_accuracy"] == pytest.approx(1 / 4)
    assert found["oos_recall"] == pytest.approx(1 / 2)
    assert found["accuracy"] == pytest.approx(2 / 6)
    # In scope 0.9 0.4 0.8 0.7 against 0.1 0.6: seven of eight pairs.
    assert found["auroc"] == pytest.approx(7 / 8)
    # By inlier: one, three right, four wrong, six taken for in scope, two right, five.
    assert found["aurc"] == pytest.approx((0 + 0 + 1 / 3 + 2 / 4 + 2 / 5 + 3 / 6) / 6)
    # Confidences among the labels in scope: 0.8, 0.6, 0.3 / 0.4 right; 0.9 wrong; each in a bin of its own.
    assert found["ece"] == pytest.approx((0.2 + 0.4 + 0.25 + 0.9) / 4)


def test_other_scores_are_measured_each_by_itself() -> None:
    verdicts = {
        text: replace(told, ood_baselines=partial(tuple, (told.inlier, -told.inlier, 1.0, index)))
        for index, (text, told) in enumerate(SCOPE_VERDICTS.items())
    }
    mistyped = replace(verdict(1.0, 0.0, 0.0), ood_baselines=lambda: (0.0,) * 4)
    found = measure(scope_task(), ScriptedReader(LABELS, verdicts, otherwise=mistyped))
    assert found["auroc_softmax"] == found["auroc"] == pytest.approx(7 / 8)
    assert found["auroc_energy"] == pytest.approx(1 / 8)
    assert found["auroc_nearest"] == 0.5
    assert found["auroc_mahalanobis"] == 0  # the rows in scope come first


def test_a_row_at_the_threshold_is_accepted() -> None:
    task = make_task([row("p", "pay")], [row("one", "pay"), row("off", "none")], out_of_scope="none")
    verdicts = {"one": verdict(1.0, inlier=0.5), "off": verdict(1.0, inlier=0.4999)}
    rows = observe(ScriptedReader(("pay",), verdicts), task, task.test)
    assert rows.accepted.tolist() == [True, False]


def test_typing_errors_cost_what_they_cost() -> None:
    test = [row("parcel", "ship"), row("invoice", "pay"), row("one", "pay"), row("weather", "none")]
    task = make_task([row("p", "pay"), row("s", "ship")], test, out_of_scope="none")
    verdicts = {
        "parcel": verdict(0.1, 0.9), "invoice": verdict(0.9, 0.1), "one": verdict(0.9, 0.1),
        "weather": verdict(0.5, 0.5),
    }  # fmt: skip
    reader = ScriptedReader(("pay", "ship"), verdicts, otherwise=verdict(0.9, 0.1))
    found = measure(task, reader)
    # Misspelt, `parcel` is read as `pay`; `one` is too short for an error; `weather` is not read again.
    assert found["typo_accuracy"] == pytest.approx(2 / 3)
    assert found["typo_loss"] == pytest.approx(1 / 3)
    assert typo_of("weather") not in reader.read_texts


def test_without_rows_out_of_scope_there_are_no_scope_metrics_and_the_curve_goes_by_confidence() -> None:
    task = make_task(
        [row("p", "pay"), row("s", "ship")], [row("one", "pay"), row("two", "pay")], out_of_scope="none"
    )
    verdicts = {"one": verdict(0.9, 0.1, inlier=0.1), "two": verdict(0.3, 0.7, inlier=0.9)}
    reader = ScriptedReader(("pay", "ship"), verdicts)
    assert "auroc" not in metrics_of(task)
    score, wrong = ranking(task, observe(reader, task, task.test))
    assert score.tolist() == pytest.approx([0.9, 0.7])
    assert wrong.tolist() == [False, True]


def test_slots_by_hand() -> None:
    city, date = Span("city", 0, 5), Span("date", 6, 12)
    test = [row("paris monday", "pay", spans=(city, date)), row("none here", "pay", spans=())]
    task = make_task([row("p", "pay")], test)
    verdicts = {
        "paris monday": verdict(1.0, slots=[Slot("city", "paris", 0, 5), Slot("date", "day", 9, 12)]),
        "none here": verdict(1.0, slots=[Slot("city", "none", 0, 4)]),
    }
    found = measure(task, ScriptedReader(("pay",), verdicts, otherwise=verdict(1.0)))
    # Two marked, three read, one of them right.
    assert found["slot_f1"] == pytest.approx(2 * 1 / (2 + 3))


def test_many_labels_by_hand() -> None:
    test = [row("a", "pay", "ship"), row("b", "ship"), row("c")]
    task = make_task([row("p", "pay"), row("s", "ship")], test, kind="multi")
    verdicts = {"a": verdict(0.9, 0.4), "b": verdict(0.1, 0.5), "c": verdict(0.2, 0.1)}
    found = measure(task, ScriptedReader(("pay", "ship"), verdicts))
    assert found["exact_set"] == pytest.approx(2 / 3)  # the third row has no label and gets none
    assert found["micro_f1"] == pytest.approx(2 * 2 / (3 + 2))
    assert found["macro_f1"] == pytest.approx((1 + 2 * 1 / (2 + 1)) / 2)
    assert found["typo_loss"] == 0  # no long word
    # Sets said with 0.9 x 0.6 (wrong), 0.9 x 0.5 and 0.8 x 0.9 (right), each in a bin of its own.
    assert found["ece"] == pytest.approx((0.54 + 0.55 + 0.28) / 3)


def test_many_labels_are_told_from_the_readers_own_cut() -> None:
    task = make_task([row("p", "pay"), row("s", "ship")], [row("a", "pay", "ship")], kind="multi")
    low = replace(verdict(0.9, 0.4), label_threshold=0.3)
    found = measure(task, ScriptedReader(("pay", "ship"), {"a": low}))
    assert found["exact_set"] == 1
    assert found["ece"] == pytest.approx(1 - 0.9 * 0.4)  # the probability of what was said


def test_a_label_that_is_only_tested_counts_against_the_reader() -> None:
    task = make_task([row("p", "pay")], [row("a", "pay", "rare")], kind="multi")
    found = measure(task, ScriptedReader(("pay",), {"a": verdict(1.0)}))
    assert found["exact_set"] == 0
    assert found["micro_f1"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx(1 / 2)


def test_joined_requests_by_hand() -> None:
    test = [row("a and b", "pay", "ship"), row("b then a", "ship", "pay"), row("a. b", "pay", "ship")]
    task = make_task([row("p", "pay"), row("s", "ship")], test, kind="joined", out_of_scope="none")
    pay, ship = verdict(0.8, 0.2, 0.0), verdict(0.0, 0.9, 0.1)
    verdicts = {"a and b": (pay, ship), "b then a": (pay, pay), "a. b": (ship,)}
    found = measure(task, ScriptedReader(LABELS, verdicts))
    assert found["exact_set"] == pytest.approx(1 / 3)
    assert found["micro_f1"] == pytest.approx(2 * 4 / (6 + 4))


def test_the_best_label_may_not_be_the_one_left_out() -> None:
    reader = ScriptedReader(LABELS, {})
    assert best_label(reader, verdict(0.1, 0.3, 0.6)) == ("none", pytest.approx(0.6))
    assert best_label(reader, verdict(0.1, 0.3, 0.6), but="none") == ("ship", pytest.approx(0.75))
    assert best_label(reader, verdict(0.0, 0.0, 1.0), but="none") == ("pay", 0.0)


def test_a_sample_keeps_typing_errors_with_their_rows() -> None:
    task = scope_task()
    reader = ScriptedReader(LABELS, SCOPE_VERDICTS, otherwise=verdict(0.0, 1.0, 0.0))
    in_scope = [one for one in task.test if one.labels != ("none",)]
    both = Measured(observe(reader, task, task.test), observe(reader, task, in_scope, typo_of))
    sample = both.take(np.array([5, 3, 0, 3, 4]))
    assert sample.clean.in_scope.tolist() == [False, True, True, True, False]
    assert sample.typos.right.tolist() == [both.typos.right[index] for index in (3, 0, 3)]


def test_nothing_to_measure_is_nan_not_zero() -> None:
    task = make_task([row("p", "pay")], [row("off", "none")], out_of_scope="none")
    found = measure(task, ScriptedReader(("pay",), {"off": verdict(1.0, inlier=0.1)}))
    assert found["oos_recall"] == 1
    for name in ("intent_accuracy", "in_scope_accuracy", "auroc", "ece", "typo_loss"):
        assert math.isnan(found[name]), name


def run_of(right: int, wrong: int) -> tuple[Measured, dict]:  # type: ignore[type-arg]
    rows = [SuiteRow(f"r{n}", ("a",)) for n in range(right)] + [
        SuiteRow(f"w{n}", ("b",)) for n in range(wrong)
    ]
    task = make_task([SuiteRow("t", ("a",)), SuiteRow("u", ("b",))], rows)
    reader = ScriptedReader(("a", "b"), {}, otherwise=verdict(0.9, 0.1))
    seen = observe(reader, task, task.test)
    return Measured(seen, seen), dict(metrics_of(task))


def test_the_interval_is_about_as_wide_as_the_binomials() -> None:
    run, metrics = run_of(160, 40)
    low, high = intervals([run], metrics)["intent_accuracy"]
    half = 1.96 * math.sqrt(0.8 * 0.2 / 200)
    assert (low, high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.012)


def test_the_same_every_time_and_told_step_by_step() -> None:
    run, metrics = run_of(30, 10)
    steps: list[int] = []
    first = intervals([run], metrics, lambda: steps.append(1), resamples=50)
    assert intervals([run], metrics, resamples=50) == first
    assert len(steps) == 50


def test_seeds_are_pooled_row_by_row() -> None:
    """Two runs that are wrong on each other's rows: every resample has the same mean."""
    one, metrics = run_of(20, 20)
    flipped = Measured(
        type(one.clean)(**{**one.clean.__dict__, "right": ~one.clean.right}), one.typos
    )  # fmt: skip
    assert intervals([one, flipped], metrics, resamples=50)["intent_accuracy"] == (0.5, 0.5)


def test_what_cannot_be_measured_has_no_interval() -> None:
    run, _ = run_of(3, 1)
    low, high = intervals([run], {"nothing": lambda _: math.nan}, resamples=10)["nothing"]
    assert math.isnan(low)
    assert math.isnan(high)
