from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from fakes.readers import ScriptedReader, TfidfReader, make_task, no_bar, slice_of, verdict

from slmfleet.models.benchmarks import checkpoints
from slmfleet.models.benchmarks.checkpoints import TRAINER_VERSION, RunStore, read_run, run_key
from slmfleet.models.benchmarks.outcomes import Outcomes
from slmfleet.models.benchmarks.run import run_suite
from slmfleet.models.benchmarks.task import Reader, Suite, SuiteRow, Task
from slmfleet.models.benchmarks.tasks import load_suite
from slmfleet.models.errors import DataFault
from slmfleet.models.training.recipe import ROUTER, ROUTER_BASE, Recipe


def task(name: str = "few", reader: str = "few", text: str = "pay") -> Task:
    train = [SuiteRow(text, ("pay",)), SuiteRow("ship", ("ship",))]
    test = [SuiteRow("one", ("pay",)), SuiteRow("two", ("ship",)), SuiteRow("off", ("none",))]
    return make_task(train, test, out_of_scope="none", name=name, reader=reader)


class CountingTrainer:
    """Notes what it trained for; stops, as an impatient user would, where it is told to."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.calls: list[tuple[str, int]] = []
        self._stops_at = stops_at

    def __call__(self, task: Task, seed: int, progress: Callable[[int, int], None]) -> Reader:
        if len(self.calls) == self._stops_at:
            raise KeyboardInterrupt
        self.calls.append((task.name, seed))
        third = 1 / 3 + seed / 100
        said = {"one": verdict(1 - third, third), "two": verdict(third, 1 - third)}
        rounded = ScriptedReader(("pay", "ship"), {**said, "off": verdict(0.5, 0.5, inlier=0.1)})
        return replace(rounded, exact=ScriptedReader(("pay", "ship"), {**said, "off": verdict(0.6, 0.4)}))


def suite(*tasks: Task) -> Suite:
    return Suite("small", "", tasks, {})


def test_an_interrupted_evaluation_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = suite(task("a"), task("b", "other"))
    with pytest.raises(KeyboardInterrupt):
        run_suite(whole, 3, CountingTrainer(stops_at=4), no_bar, 10, RunStore(tmp_path))
    again = CountingTrainer()
    went_on = run_suite(whole, 3, again, no_bar, 10, RunStore(tmp_path))
    assert again.calls == [("b", 1), ("b", 2)]
    at_once = run_suite(whole, 3, CountingTrainer(), no_bar, 10)
    for mine, theirs in zip(went_on.tasks, at_once.tasks, strict=True):
        assert mine.metrics == theirs.metrics
        assert mine.risk_coverage == theirs.risk_coverage


@pytest.mark.parametrize("name", ["hint3-v1", "snips", "nlupp"])
def test_what_is_kept_says_what_was_measured_to_the_last_digit(name: str, tmp_path: Path) -> None:
    some = slice_of(load_suite(name), 150, 60)
    first = run_suite(some, 1, TfidfReader, no_bar, 20, RunStore(tmp_path))
    trainer = CountingTrainer()
    assert run_suite(some, 1, trainer, no_bar, 20, RunStore(tmp_path)) == first
    assert trainer.calls == []


def test_more_seeds_train_only_for_those_that_are_new(tmp_path: Path) -> None:
    run_suite(suite(task()), 1, CountingTrainer(), no_bar, 10, RunStore(tmp_path))
    trainer = CountingTrainer()
    run_suite(suite(task()), 3, trainer, no_bar, 10, RunStore(tmp_path))
    assert trainer.calls == [("few", 1), ("few", 2)]


def test_a_reader_is_trained_anew_where_one_of_its_tasks_has_no_run(tmp_path: Path) -> None:
    run_suite(suite(task("a")), 1, CountingTrainer(), no_bar, 10, RunStore(tmp_path))
    trainer = CountingTrainer()
    result = run_suite(suite(task("a"), task("b")), 1, trainer, no_bar, 10, RunStore(tmp_path))
    assert trainer.calls == [("a", 0)]
    assert [one.name for one in result.tasks] == ["a", "b"]


def test_fresh_trains_anew_and_keeps_that(tmp_path: Path) -> None:
    run_suite(suite(task()), 1, CountingTrainer(), no_bar, 10, RunStore(tmp_path))
    trainer = CountingTrainer()
    run_suite(suite(task()), 1, trainer, no_bar, 10, RunStore(tmp_path, fresh=True))
    assert trainer.calls == [("few", 0)]
    assert RunStore(tmp_path).find(task(), 0) is not None


@pytest.mark.parametrize(
    "other",
    [
        task(text="settle"),
        replace(task(), test=(*task().test, SuiteRow("more", ("pay",)))),
        replace(task(), validation=(SuiteRow("kept", ("pay",)),)),
        replace(task(), test=(*task().test[:2], SuiteRow("off", ("pay",)))),
    ],
    ids=["training row", "test row", "validation row", "label"],
)
def test_a_run_of_other_rows_does_not_count(other: Task, tmp_path: Path) -> None:
    run_suite(suite(task()), 1, CountingTrainer(), no_bar, 10, RunStore(tmp_path))
    assert RunStore(tmp_path).find(task(), 0) is not None
    assert RunStore(tmp_path).find(other, 0) is None


def test_each_part_of_the_key_makes_another_run() -> None:
    key = run_key(task(), 0)
    assert run_key(task(), 0) == key
    assert run_key(task(), 1) != key
    assert run_key(task(), 0, version=TRAINER_VERSION + 1) != key
    assert run_key(task(), 0, recipes=(ROUTER, replace(ROUTER_BASE, epochs=1))) != key
    assert run_key(replace(task(), kind="multi"), 0) != key
    assert run_key(replace(task(), out_of_scope="off"), 0) != key


@pytest.mark.parametrize("field", [field.name for field in fields(Recipe)])
def test_each_field_of_the_recipe_makes_another_run(field: str) -> None:
    value = getattr(ROUTER, field)
    other = replace(ROUTER, **{field: (0,) if field == "layers" else (value or 0) + 1})
    assert run_key(task(), 0, recipes=(other, ROUTER_BASE)) != run_key(task(), 0)


def test_rows_of_any_suite_make_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The encoder that all readers start from is distilled on them.
    keys = []
    for content in ("one", "two"):
        suites = tmp_path / content
        (suites / "small").mkdir(parents=True)
        (suites / "small" / "rows.jsonl.gz").write_text(content, encoding="utf-8")
        monkeypatch.setattr(checkpoints, "SUITES_DIR", suites)
        keys.append(run_key(task(), 0))
    assert keys[0] != keys[1]


def test_a_run_of_another_trainer_is_trained_for_again_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small" / "runs" / "few-0.npz"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        np.savez(file, key=np.array("of another version, with other columns"))
    trainer = CountingTrainer()
    run_suite(suite(task()), 1, trainer, no_bar, 10, RunStore(tmp_path))
    assert trainer.calls == [("few", 0)]
    assert read_run(path, run_key(task(), 0)) is not None


def test_a_file_that_is_no_run_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "small" / "runs" / "few-0.npz"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        np.savez(file, made_from=np.array("nothing"))
    for content in (b"", b"PK", b"text", path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DataFault, match=r"few-0\.npz: is no stored run of a suite; remove it"):
            RunStore(tmp_path).find(task(), 0)


def test_no_text_and_no_broken_file_is_kept(tmp_path: Path) -> None:
    run_suite(suite(task(text="a secret")), 1, CountingTrainer(), no_bar, 10, RunStore(tmp_path))
    assert [path.name for path in (tmp_path / "small" / "runs").iterdir()] == ["few-0.npz"]
    run = RunStore(tmp_path).find(task(text="a secret"), 0)
    assert run is not None
    for column in fields(Outcomes):
        assert getattr(run.measured.clean, column.name).dtype.kind in "bif"
