from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slmfleet.models.benchmarks import trainer as suite_training  # noqa: E402
from slmfleet.models.benchmarks.task import SuiteRow, Task  # noqa: E402
from slmfleet.models.benchmarks.tasks import load_suite  # noqa: E402
from slmfleet.models.benchmarks.trainer import SuiteTrainer, suite_texts  # noqa: E402
from slmfleet.models.text.normalise import fingerprint  # noqa: E402
from slmfleet.models.training.distill import distilled_base  # noqa: E402
from slmfleet.models.training.recipe import ROUTER, ROUTER_BASE  # noqa: E402

WORDS = {
    "parcel": (
        "where is my parcel {}",
        "track parcel {}",
        "parcel {} has not come",
        "when will parcel {} come",
    ),
    "money": ("give me my money back {}", "refund {} please", "i want a refund for {}", "money back for {}"),
    "size": ("is {} in size ten", "which size fits {}", "size guide for {}", "too small, what size of {}"),
    "shop": ("is your shop open on {}", "opening hours {}", "when does the shop open {}", "shop closed {}"),
}
THINGS = ("shoes", "a hat", "the lamp", "my desk")
NOWHERE = "nowhere"


def task(kind: str = "single", scope: bool = True) -> Task:
    rows = [
        SuiteRow(text.format(thing), (label,))
        for label, texts in WORDS.items()
        for text in texts
        for thing in THINGS
    ]
    test = [SuiteRow(text.format("it"), (label,)) for label, texts in WORDS.items() for text in texts]
    test += [SuiteRow("who won the cricket", (NOWHERE,))] if scope else []
    return Task(
        suite="small", name="few", kind=kind, train=tuple(rows), validation=(), test=tuple(test),  # type: ignore[arg-type]
        out_of_scope=NOWHERE, reader="few", dropped=0, twins=0,
    )  # fmt: skip


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[SuiteTrainer]:
    layers = (0,)
    base = distilled_base(
        [row.text for row in task().train], tmp_path, silent,
        replace(ROUTER_BASE, layers=layers, vocabulary=1_500, epochs=1),
    )  # fmt: skip
    yield SuiteTrainer(tmp_path, replace(ROUTER, layers=layers, epochs=10), base)
    torch.use_deterministic_algorithms(False)


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_reader_reads_and_refuses(trainer: SuiteTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_training, "_GENERIC_ROWS", 140)
    monkeypatch.setattr(suite_training, "_FOLDS", 2)
    one = trainer(task(), 1, silent)
    assert list(one.labels) == [*sorted(WORDS), NOWHERE]
    assert 0 < one.threshold < 1
    assert one.exact is not None
    served, exact = one.read("refund my shoes").probabilities, one.exact.read("refund my shoes").probabilities
    assert 0 < np.abs(served - exact).max() < 0.1
    for row in task().test:
        verdict = one.read(row.text)
        assert verdict.probabilities.sum() == pytest.approx(1)
        if row.labels != (NOWHERE,):
            assert one.labels[int(np.argmax(verdict.probabilities))] == row.labels[0]
    inside = [one.read(row.text).inlier for row in task().test[:-1]]
    assert one.read("who won the cricket").inlier < np.median(inside)


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_reader_comes_out_the_same_again_and_another_of_another_seed(
    trainer: SuiteTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite_training, "_GENERIC_ROWS", 60)
    monkeypatch.setattr(suite_training, "_FOLDS", 2)
    trainer._recipe = replace(trainer._recipe, epochs=1)
    one, again, other = (trainer(task(), seed, silent) for seed in (1, 1, 2))
    assert one.threshold == again.threshold
    verdicts = [[reader.read(row.text) for row in task().test] for reader in (one, again, other)]
    likely = [[verdict.probabilities.tolist() for verdict in row] for row in verdicts]
    trust = [[verdict.inlier for verdict in row] for row in verdicts]
    assert likely[0] == likely[1] != likely[2]
    assert trust[0] == trust[1] != trust[2]


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_row_may_have_any_number_of_labels(trainer: SuiteTrainer) -> None:
    single = task(scope=False)
    both = tuple(
        SuiteRow(f"{one.text} and {two.text}", (*one.labels, *two.labels))
        for one, two in zip(single.train, reversed(single.train), strict=True)
        if one.labels != two.labels
    )
    nothing = tuple(SuiteRow(f"hello {thing}", ()) for thing in THINGS)
    many = replace(single, kind="multi", train=(*single.train, *both, *nothing))
    reader = trainer(many, 1, silent)
    assert list(reader.labels) == sorted(WORDS)
    said = {
        label
        for label, chance in zip(
            reader.labels, reader.read("track parcel it and refund it please").probabilities, strict=True
        )
        if chance > 0.5
    }
    assert said == {"parcel", "money"}
    assert reader.read("hello my desk").probabilities.max() < 0.5


def test_what_is_left_out_for_calibration_is_whole_labels_and_a_share_of_the_others() -> None:
    from slmfleet.models.training.task import TrainingTask

    rows = [suite_training._row(row) for row in task().train]
    to_learn = TrainingTask(rows, sorted(WORDS), lambda row: row.domain)
    kept, held = suite_training._leave_out(task(), to_learn, True, 3)
    assert len(kept.rows) + len(held) == len(rows)
    missing = {row.text for row in held if row.domain == suite_training._LEFT_OUT}
    labels = {row.domain for row in rows if row.text in missing}
    assert len(labels) == 1
    assert not labels & {row.domain for row in kept.rows}
    for label in set(WORDS) - labels:
        assert sum(row.domain == label for row in held) == 0.25 * len(rows) / len(WORDS)
    folds = [suite_training._leave_out(task(), to_learn, True, 3, fold)[1] for fold in range(4)]
    left_out = [{row.text for row in held if row.domain == suite_training._LEFT_OUT} for held in folds]
    assert set().union(*left_out) == {row.text for row in rows}
    assert sum(map(len, left_out)) == len(rows)
    known = [{row.text for row in held if row.domain in WORDS} for held in folds]
    assert sum(map(len, known)) == 3 * len(rows) // 4, "each is held out once, but where its label is missing"
    assert len(set().union(*known)) == sum(map(len, known))
    five = replace(to_learn, rows=[row for label in WORDS for row in rows if row.domain == label][:5])
    assert len(suite_training._leave_out(task(scope=False), five, True, 3)[1]) == 1, "not two of five"
    unscoped, held = suite_training._leave_out(task(scope=False), to_learn, True, 3)
    assert {row.domain for row in held} == set(WORDS)
    assert {row.domain for row in unscoped.rows} == set(WORDS)


@pytest.mark.parametrize(
    "suite", ["hint3-v1", "hint3-v2", "clinc150", "banking77", "hwu64", "snips", "nlupp"]
)
def test_no_tested_text_is_learned_from(suite: str) -> None:
    for one in load_suite(suite).tasks:
        tested = {fingerprint(row.text) for row in one.test}
        learned = [row.text for row in (*one.train, *one.validation)]
        if one.tests_scope:
            learned += [row.text for row in suite_training._generic(one, 0)]
        assert not [text for text in learned if fingerprint(text) in tested]


def test_the_base_has_seen_training_texts_alone() -> None:
    tested = {
        fingerprint(row.text)
        for suite in ("hint3-v2", "clinc150", "banking77", "snips")
        for t in load_suite(suite).tasks
        for row in t.test
    }
    texts = suite_texts()
    assert 10_000 < len(texts) == len(set(texts))
    # A text that a data set has in both splits is in both here.
    assert len(tested & set(texts)) < 40
