from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.fleet import ROWS

from slmfleet.models.benchmarks.published import PublishedFigures, load_published
from slmfleet.models.benchmarks.task import SuiteRow
from slmfleet.models.benchmarks.tasks import (
    CONNECTORS,
    SUITES,
    join_rows,
    load_suite,
    make_task,
    rows_with_twins,
    transfer_tasks,
    without_twins,
)
from slmfleet.models.errors import NotFound
from slmfleet.models.training.data import Corpus, Row

SHIPPED = [name for name in SUITES if name != "transfer"]
TASKS = {
    "hint3-v1": ["sofmattress", "curekart", "powerplay11"],
    "hint3-v2": ["sofmattress", "curekart", "powerplay11"],
    "clinc150": ["full", "oos-plus"],
    "banking77": ["full", "10-shot", "5-shot"],
    "hwu64": ["full", "10-shot", "5-shot"],
    "snips": ["intents+slots", "joined"],
    "nlupp": ["banking", "hotels"],
}
#: (suite, task) -> test rows, those out of scope, labels in scope
TESTS = {
    ("hint3-v1", "sofmattress"): (397, 166, 21), ("hint3-v1", "curekart"): (991, 539, 28),
    ("hint3-v1", "powerplay11"): (983, 708, 59), ("hint3-v2", "sofmattress"): (397, 144, 21),
    ("hint3-v2", "curekart"): (991, 532, 28), ("hint3-v2", "powerplay11"): (983, 674, 57),
    ("clinc150", "full"): (5_500, 1_000, 150), ("clinc150", "oos-plus"): (5_500, 1_000, 150),
    ("banking77", "full"): (3_080, 0, 77), ("banking77", "10-shot"): (3_080, 0, 77),
    ("banking77", "5-shot"): (3_080, 0, 77), ("hwu64", "full"): (1_076, 0, 64),
    ("hwu64", "10-shot"): (1_076, 0, 64), ("hwu64", "5-shot"): (1_076, 0, 64),
    ("snips", "intents+slots"): (700, 0, 7), ("snips", "joined"): (1_000, 0, 7),
    ("nlupp", "banking"): (1_862, 0, 47), ("nlupp", "hotels"): (914, 0, 36),
}  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_every_suite_has_its_tasks_whole_and_nothing_tested_is_learnt(name: str) -> None:
    suite = load_suite(name)
    assert [task.name for task in suite.tasks] == TASKS[name]
    assert suite.licences
    for task in suite.tasks:
        rows, outside, labels = TESTS[name, task.name]
        assert len(task.test) == rows
        assert sum(row.labels == (task.out_of_scope,) for row in task.test) == outside
        assert len(task.labels) == labels
        assert task.tests_scope == bool(outside)
        assert rows_with_twins(task.train, task.test) == []
        assert rows_with_twins(task.validation, task.test) == []
        if task.kind != "multi":  # few rows of many labels: some are never seen in training
            tested = {label for row in task.test for label in row.labels}
            assert tested <= {*task.labels, task.out_of_scope}


def test_what_was_dropped_is_counted() -> None:
    found = {task.name: (task.dropped, task.twins) for task in load_suite("hint3-v2").tasks}
    assert found == {"sofmattress": (1, 1), "curekart": (7, 8), "powerplay11": (1, 1)}
    task = load_suite("banking77").tasks[0]
    assert (len(task.train) + task.dropped, task.twins) == (10_003, 25)


def test_hint3_has_nothing_out_of_scope_to_learn_from_and_clinc150_has() -> None:
    for task in load_suite("hint3-v1").tasks:
        assert all(row.labels != (task.out_of_scope,) for row in task.train)
    full, plus = load_suite("clinc150").tasks
    count = [sum(row.labels == ("oos",) for row in task.train) for task in (full, plus)]
    assert count == [100, 251]
    assert sum(row.labels == ("oos",) for row in full.validation) == 100


def test_the_few_shot_tasks_have_few_shots() -> None:
    for name, labels in (("banking77", 77), ("hwu64", 64)):
        _, ten, five = load_suite(name).tasks
        assert len(ten.train) + ten.dropped == 10 * labels
        assert len(five.train) + five.dropped == 5 * labels
        assert five.validation == ()


def test_nlupp_trains_on_two_folds_and_tests_on_the_rest() -> None:
    banking, hotels = load_suite("nlupp").tasks
    assert len(banking.train) + banking.dropped + len(banking.test) == 2_071
    assert len(hotels.train) + hotels.dropped + len(hotels.test) == 1_009
    assert banking.kind == "multi"


def test_joined_texts_are_two_test_utterances_of_two_intents() -> None:
    whole, joined = load_suite("snips").tasks
    assert joined.reader == whole.reader == whole.name
    assert joined.train == whole.train
    single = {row.text: row.labels[0] for row in whole.test}
    assert len({row.text for row in joined.test}) == 1_000
    used = set()
    for row in joined.test:
        first, second = row.labels
        assert first != second
        ways = {
            connector
            for connector in CONNECTORS
            for at in range(len(row.text))
            if row.text.startswith(connector, at)
            and single.get(row.text[:at]) == first
            and single.get(row.text[at + len(connector) :]) == second
        }
        assert ways, row
        used |= ways
    assert used == set(CONNECTORS)


def test_joining_is_the_same_every_time_and_another_seed_joins_otherwise() -> None:
    rows = load_suite("snips").tasks[0].test
    assert join_rows(rows, 50) == join_rows(rows, 50)
    assert join_rows(rows, 50) != join_rows(rows, 50, seed=1)


def test_an_unknown_suite_is_told_with_the_names_there_are(tmp_path: Path) -> None:
    for name in ("glue", "", "../shop", "transfer"):
        with pytest.raises(NotFound, match=rf"no suite '{name}'.*hint3-v1.*nlupp.*transfer"):
            load_suite(name)


def test_make_task_keeps_the_test_rows_and_drops_from_training_and_validation() -> None:
    def rows(*texts: str) -> list[SuiteRow]:
        return [SuiteRow(text, ("a",)) for text in texts]

    task = make_task(
        "s", "t", PublishedFigures({}, {}), train=rows("same", "Same!", "new"),
        validation=rows("SAME", "other"), test=rows("same", "more"),
    )  # fmt: skip
    assert [row.text for row in task.train] == ["new"]
    assert [row.text for row in task.validation] == ["other"]
    assert [row.text for row in task.test] == ["same", "more"]
    assert (task.dropped, task.twins, task.reader) == (2, 1, "t")


def test_transfer_learns_nothing_from_the_retailer_it_tests() -> None:
    def row(text: str, domain: str, source: str) -> Row:
        return Row(text, domain, None, None, None, source)

    corpus = Corpus(
        (
            row("own words", "returns", "own"),
            row("theirs", "billing", "hint3/sofmattress"),
            row("others", "billing", "hint3/curekart"),
            row("weather", "out_of_scope", "clinc150"),
        ),
        (
            row("a real question", "billing", "hint3/sofmattress"),
            row("a person please", "hand_off", "hint3/sofmattress"),
            row("football", "out_of_scope", "hint3/sofmattress"),
            row("another shop's", "returns", "hint3/curekart"),
            row("our own test", "returns", "own"),
        ),
        {},
    )
    sofmattress, curekart = transfer_tasks(corpus, load_published())
    assert [one.text for one in sofmattress.train] == ["own words", "others", "weather"]
    assert [(one.text, one.labels) for one in sofmattress.test] == [
        ("a real question", ("billing",)), ("a person please", ("hand_off",)),
    ]  # fmt: skip
    assert [one.text for one in curekart.test] == ["another shop's"]
    assert "out_of_scope" not in sofmattress.labels
    assert not sofmattress.tests_scope


def test_transfer_reads_the_fleet_it_is_given(make_fleet: Callable[..., Path]) -> None:
    suite = load_suite("transfer", make_fleet())
    assert [task.name for task in suite.tasks] == ["sofmattress", "curekart"]
    assert set(ROWS) <= set(suite.tasks[0].labels)


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
