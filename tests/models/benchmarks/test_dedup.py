from __future__ import annotations

from slmfleet.models.benchmarks.dedup import rows_with_twins, without_twins
from slmfleet.models.benchmarks.task import SuiteRow


def rows(*texts: str) -> list[SuiteRow]:
    return [SuiteRow(text, ("a",)) for text in texts]


TRAIN = rows("Where is order 1234?", "cancel it", "🙂", "unlike all else")
TEST = rows("where is order 9876", "where is order 9876", "Cancel it!", "something new", "🙁")


def test_test_texts_with_a_near_duplicate_in_training_are_listed() -> None:
    assert rows_with_twins(TRAIN, TEST) == ["where is order 9876", "where is order 9876", "Cancel it!"]


def test_training_loses_them_and_the_test_rows_stay() -> None:
    kept = without_twins(TRAIN, TEST)
    assert [row.text for row in kept] == ["🙂", "unlike all else"]
    assert rows_with_twins(kept, TEST) == []


def test_two_texts_without_words_are_twins_only_when_equal() -> None:
    assert rows_with_twins(rows("🙂"), rows("🙁", "🙂")) == ["🙂"]
