from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.readers import ScriptedReader, TfidfReader, make_task, no_bar, slice_of, verdict
from rich.console import Console

from slmfleet.models.benchmarks import run as suites
from slmfleet.models.benchmarks.report import tables
from slmfleet.models.benchmarks.result import SuiteResult
from slmfleet.models.benchmarks.run import evaluate_suite, median_ms, run_suite
from slmfleet.models.benchmarks.task import PublishedFigure, Reader, Suite, SuiteRow, Task
from slmfleet.models.benchmarks.tasks import load_suite
from slmfleet.models.errors import NotFound, SettingsFault
from slmfleet.services.cli.progress_bars import bars
from slmfleet.services.settings import SHOP_DIR


def few(reader: str = "few", name: str = "few", **more: object) -> Task:
    train = [SuiteRow("p", ("pay",)), SuiteRow("s", ("ship",))]
    test = [SuiteRow("one", ("pay",)), SuiteRow("two", ("pay",)), SuiteRow("off", ("none",))]
    return make_task(train, test, out_of_scope="none", reader=reader, name=name, **more)


class ScriptedTrainer:
    """Its readers are right about `one`, and about `two` with an even seed."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def __call__(self, task: Task, seed: int, progress: Callable[[int, int], None]) -> Reader:
        self.calls.append((task.name, seed))
        progress(1, 1)
        right, wrong = verdict(0.9, 0.1), verdict(0.1, 0.9)
        two = right if seed % 2 == 0 else wrong
        return ScriptedReader(
            ("pay", "ship"), {"one": right, "two": two, "off": verdict(0.5, 0.5, inlier=0.0)}
        )


def test_values_are_told_seed_by_seed_with_mean_and_spread() -> None:
    suite = Suite("small", "A small suite", (few(),), {"small": "MIT"})
    result = run_suite(suite, 3, ScriptedTrainer(), no_bar, resamples=100)
    (task,) = result.tasks
    measure = task.metrics["intent_accuracy"]
    assert measure.values == [100.0, 50.0, 100.0]
    assert measure.mean == 83.33
    assert measure.sd == pytest.approx(28.87)  # sample standard deviation of 1, 1/2, 1
    assert measure.low is not None
    assert measure.high is not None
    assert measure.low <= measure.mean <= measure.high
    assert task.metrics["oos_recall"].values == [100.0, 100.0, 100.0]
    assert (task.train_rows, task.test_rows, task.out_of_scope_rows) == (2, 3, 1)
    assert len(task.cost.training_s) == len(task.cost.latency_ms) == 3
    assert (task.cost.bytes, task.cost.parameters) == (1_000_000, 2_000_000)
    # By inlier: one and two tie and come first; the row out of scope comes last, and is always a mistake.
    assert task.risk_coverage.coverage[-1] == 100
    assert task.risk_coverage.risk[-1] == pytest.approx(100 * (1 / 3 + 2 / 3 + 1 / 3) / 3, abs=0.01)
    assert task.risk_coverage.risk[0] == pytest.approx(100 * 0.5 / 3, abs=0.01)


def test_one_seed_has_no_spread() -> None:
    result = run_suite(Suite("small", "", (few(),), {}), 1, ScriptedTrainer(), no_bar, resamples=10)
    assert result.tasks[0].metrics["intent_accuracy"].sd is None


def test_tasks_of_one_reader_are_trained_for_once_a_seed() -> None:
    trainer = ScriptedTrainer()
    tasks = (few("shared", "first"), few("shared", "second"), few("other", "third"))
    result = run_suite(Suite("small", "", tasks, {}), 2, trainer, no_bar, resamples=10)
    assert trainer.calls == [("first", 0), ("first", 1), ("third", 0), ("third", 1)]
    assert [task.name for task in result.tasks] == ["first", "second", "third"]


def test_progress_is_told_to_its_end() -> None:
    told: dict[str, list[tuple[int, int]]] = {}

    def bar(name: str) -> Callable[[int, int], None]:
        steps = told.setdefault(name, [])
        return lambda done, total: steps.append((done, total))

    run_suite(Suite("small", "", (few(),), {}), 1, ScriptedTrainer(), bar, resamples=7)
    assert list(told) == ["few: train 0", "few: read 0", "few: resample"]
    assert told["few: read 0"] == [(done, 5) for done in range(1, 6)]  # three rows, two again with typos
    assert told["few: resample"][-1] == (7, 7)


def test_latency_is_of_reading_alone_and_joined_texts_are_read_joined() -> None:
    def compared() -> tuple[float, ...]:
        raise AssertionError("scores that are compared with the reader's own are not its cost")

    reader = ScriptedReader(("pay",), {}, otherwise=replace(verdict(1.0), ood_baselines=compared))
    task = make_task([SuiteRow("p", ("pay",))], [SuiteRow(f"t{n}", ("pay",)) for n in range(300)])
    assert 0 < median_ms(reader, task) < 50
    assert reader.read_texts == [f"t{n}" for n in [*range(10), *range(200)]]
    assert math.isnan(median_ms(reader, make_task([SuiteRow("p", ("pay",))], [])))


@pytest.mark.parametrize("name", ["hint3-v1", "snips", "nlupp", "transfer"])
def test_a_reader_that_learns_a_little_goes_through_each_kind_of_task(name: str) -> None:
    suite = slice_of(load_suite(name, SHOP_DIR), train=150, test=60)
    result = run_suite(suite, 1, TfidfReader, no_bar, resamples=20)
    for task in result.tasks:
        first = next(iter(task.metrics.values()))
        assert first.mean is not None
        assert 5 < first.mean < 100, task.name
        told = Console(width=80, file=io.StringIO(), highlight=False)
        for part in tables(result):
            told.print(part)
        written = told.file.getvalue()  # type: ignore[attr-defined]
        assert max(map(len, written.splitlines())) <= 80
        assert f"{name} {task.name}" in written


def test_ours_stands_beside_each_published_figure_and_the_goal() -> None:
    figures = (
        PublishedFigure("Them", "intent_accuracy", 71.3, "paper"),
        PublishedFigure("Simple", "intent_accuracy", 60.0, "us", kind="floor"),
    )
    task = few(published=figures, goals={"intent_accuracy": 71.3})
    result = run_suite(Suite("small", "A suite", (task,), {}), 2, ScriptedTrainer(), no_bar, resamples=50)
    told = Console(width=80, file=io.StringIO(), highlight=False)
    for part in tables(result):
        told.print(part)
    written = told.file.getvalue()  # type: ignore[attr-defined]
    (line,) = [line for line in written.splitlines() if line.startswith("intent_accuracy")]
    assert line.split() == [
        "intent_accuracy", "75.0", *str(result.tasks[0].metrics["intent_accuracy"]).split()[1:], "35.4",
        "71.3", "Them", "71.3,", "Simple*", "60.0",
    ]  # fmt: skip
    assert SuiteResult.model_validate_json(result.model_dump_json()) == result


def test_no_seeds_and_no_such_suite_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    trainer = ScriptedTrainer()
    for seeds in (0, -1):
        with pytest.raises(SettingsFault, match="seeds should be 1 or more"):
            evaluate_suite("snips", seeds, SHOP_DIR, tmp_path, no_bar, trainer)
    with pytest.raises(NotFound, match=r"no suite 'glue'.*hint3-v1, hint3-v2, clinc150"):
        evaluate_suite("glue", 1, SHOP_DIR, tmp_path, no_bar, trainer)
    assert trainer.calls == []


def test_evaluate_suite_shows_progress_beside_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(suites, "load_suite", lambda name, fleet: Suite(name, "", (few(),), {}))
    looked_at = Console(stderr=True, force_terminal=True, width=80)
    with bars(looked_at) as bar:
        result = evaluate_suite("small", 1, SHOP_DIR, tmp_path, bar, ScriptedTrainer())
    suites.show_suite(result, True, None)
    out, err = capsys.readouterr()
    assert json.loads(out)["tasks"][0]["metrics"]["intent_accuracy"]["mean"] == 100.0
    assert "few: resample" in err
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err)  # without colours and movements
    assert max(map(len, drawn.splitlines())) <= 80


def test_rows_in_scope_are_read_again_with_typing_errors() -> None:
    class Trainer:
        def __call__(self, task: Task, seed: int, progress: Callable[[int, int], None]) -> Reader:
            right, wrong = verdict(0.9, 0.1), verdict(0.1, 0.9)
            return ScriptedReader(("pay", "ship"), {"invoice": right, "weather": right}, otherwise=wrong)

    test = [SuiteRow("invoice", ("pay",)), SuiteRow("weather", ("none",))]
    task = make_task([SuiteRow("p", ("pay",)), SuiteRow("s", ("ship",))], test, out_of_scope="none")
    (found,) = run_suite(Suite("small", "", (task,), {}), 1, Trainer(), no_bar, resamples=5).tasks
    assert found.metrics["intent_accuracy"].mean == 100
    assert found.metrics["typo_accuracy"].mean == 0
    assert found.metrics["typo_loss"].mean == 100


def test_without_torch_a_suite_names_the_extra(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("hidden", name=name)
sys.meta_path.insert(0, Hidden())
from slmfleet.models.benchmarks.run import evaluate_suite
from slmfleet.models.errors import SettingsFault
try:
    evaluate_suite("snips", 1, Path({str(tmp_path)!r}), Path({str(tmp_path)!r}), lambda name: print)
except SettingsFault as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert out.stdout.strip() == (
        "a suite is measured on models that are trained for it, which needs torch: install the extra with "
        "pip install 'slmfleet[train]'"
    ), out.stderr
