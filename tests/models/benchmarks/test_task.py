from __future__ import annotations

from fakes.readers import make_task

from slmfleet.models.benchmarks.task import SuiteRow


def rows(*labels: str) -> list[SuiteRow]:
    return [SuiteRow(f"text {n}", (label,)) for n, label in enumerate(labels)]


def test_labels_are_those_of_training_in_scope_and_in_order() -> None:
    task = make_task(rows("ship", "pay", "none", "pay"), rows("refund"), out_of_scope="none")
    assert task.labels == ("pay", "ship")


def test_a_task_tests_scope_where_a_test_row_is_out_of_it() -> None:
    assert make_task(rows("pay"), rows("pay", "none"), out_of_scope="none").tests_scope
    assert not make_task(rows("pay", "none"), rows("pay"), out_of_scope="none").tests_scope
    assert not make_task(rows("pay"), rows("pay")).tests_scope
