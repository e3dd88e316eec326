from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from fakes.readers import TfidfReader, no_bar, slice_of

from slmfleet.models.benchmarks.report import page, read_results, write_report
from slmfleet.models.benchmarks.result import SuiteResult
from slmfleet.models.benchmarks.run import run_suite
from slmfleet.models.benchmarks.tasks import load_suite
from slmfleet.models.errors import DataFault, SettingsFault

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def results() -> dict[str, SuiteResult]:
    return {
        name: run_suite(slice_of(load_suite(name), 120, 60), 2, TfidfReader, no_bar, resamples=20)
        for name in ("hint3-v1", "snips")
    }


@pytest.fixture
def folder(tmp_path: Path, results: dict[str, SuiteResult]) -> Path:
    write_report(tmp_path, results["snips"])
    write_report(tmp_path, results["hint3-v1"])
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_all_results_that_are_kept_are_on_one_page_in_the_order_of_the_suites(folder: Path) -> None:
    assert sorted(files(folder)) == [
        "hint3-v1/curekart-published.svg", "hint3-v1/curekart-risk-coverage.svg",
        "hint3-v1/powerplay11-published.svg", "hint3-v1/powerplay11-risk-coverage.svg",
        "hint3-v1/results.json", "hint3-v1/sofmattress-published.svg",
        "hint3-v1/sofmattress-risk-coverage.svg", "results.md", "snips/results.json",
    ]  # fmt: skip
    text = (folder / "results.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["hint3-v1", "snips"]
    for place in re.findall(r"\]\((.+?)\)", text):
        assert (folder / place).is_file(), place


def test_the_page_says_what_was_measured_and_nothing_else(
    folder: Path, results: dict[str, SuiteResult]
) -> None:
    text = (folder / "results.md").read_text(encoding="utf-8")
    assert text == page([results["hint3-v1"], results["snips"]]) == page(read_results(folder))
    task = results["hint3-v1"].tasks[0]
    measure = task.metrics["accuracy"]
    assert f"| accuracy | {measure} | {measure.sd:.1f} | {task.goals['accuracy']:.1f} |" in text
    assert "Dialogflow 71.3" in text
    assert (
        "- BERT, Dialogflow, Haptik, LUIS, Rasa: github.com/hellohaptik/HINT3, results; threshold 0.1" in text
    )


def test_a_changed_figure_changes_the_page(folder: Path) -> None:
    path = folder / "snips" / "results.json"
    before = page(read_results(folder))
    found = SuiteResult.model_validate_json(path.read_text(encoding="utf-8"))
    found.tasks[0].metrics["slot_f1"].mean = 12.3
    path.write_text(found.model_dump_json(), encoding="utf-8")
    assert page(read_results(folder)) != before


def test_made_again_every_byte_is_the_same(folder: Path, results: dict[str, SuiteResult]) -> None:
    before = files(folder)
    write_report(folder, results["hint3-v1"])
    assert files(folder) == before
    assert not [name for name, content in before.items() if name.endswith(".svg") and b"<dc:date" in content]


def test_plots_show_every_system_and_ours(folder: Path) -> None:
    svg = (folder / "hint3-v1" / "curekart-published.svg").read_text(encoding="utf-8")
    for system in ("slmfleet", "Haptik", "Dialogflow", "LUIS", "BERT", "Rasa", "TF-IDF"):
        assert f">{system}<" in svg
    assert ">74.8<" in svg


def test_a_damaged_result_is_told_with_its_file(folder: Path, results: dict[str, SuiteResult]) -> None:
    (folder / "snips" / "results.json").write_text('{"suite": "snips"}', encoding="utf-8")
    with pytest.raises(DataFault, match=r"snips/results\.json"):
        write_report(folder, results["hint3-v1"])


def test_without_matplotlib_it_says_what_to_install_and_keeps_the_results(
    tmp_path: Path, results: dict[str, SuiteResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsFault, match=r"slmfleet\[train\]"):
        write_report(tmp_path, results["hint3-v1"])
    assert read_results(tmp_path) == [results["hint3-v1"]]


def test_the_repositorys_own_page_is_what_its_results_say() -> None:
    """Holds of no results too: then there is no page."""
    path = ROOT / "docs" / "results.md"
    kept = read_results(ROOT / "docs")
    assert path.is_file() == bool(kept)
    if kept:
        assert path.read_text(encoding="utf-8") == page(kept), (
            "run `slmfleet evaluate --suite ... --report docs`"
        )


def test_suites_keep_their_order_and_unknown_ones_come_last(
    tmp_path: Path, results: dict[str, SuiteResult]
) -> None:
    for name in ("another", "banking77", "clinc150", "hint3-v2"):
        (tmp_path / name).mkdir()
        found = results["snips"].model_copy(update={"suite": name})
        (tmp_path / name / "results.json").write_text(found.model_dump_json(), encoding="utf-8")
    assert [one.suite for one in read_results(tmp_path)] == ["hint3-v2", "clinc150", "banking77", "another"]
