"""The distributions as they are published: what is in them, and what works from them alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
#: Megabytes. The bundles are 49 of them.
MAX_WHEEL_MB = 51.0

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True, capture_output=True
    )
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs `slmfleet` from the installed wheel, in an empty folder."""
    site, empty = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("empty")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
         "--target", str(site), str(wheel)],
        check=True,
    )  # fmt: skip

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        code = (
            "from slmfleet.services.settings import SHOP_DIR;"
            f"assert str(SHOP_DIR).startswith({str(site)!r}), SHOP_DIR;"
            "from slmfleet.services.cli.main import app; app(prog_name='slmfleet')"
        )
        environment = {
            **os.environ, "PYTHONPATH": str(site), "SLMFLEET_STATE_DIR": str(empty / "state"),
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, "-c", code, *words], env=environment, cwd=empty, capture_output=True, text=True
        )

    return run


def test_the_wheel_has_code_and_served_shop_and_no_rows(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "slmfleet/services/cli/main.py", "slmfleet/services/py.typed", "slmfleet/models/shop/fleet.yaml",
        "slmfleet/models/shop/product_names.txt", "slmfleet/models/shop/returns/domain.yaml",
        "slmfleet/models/shop/returns/knowledge.md", "slmfleet/models/shop/returns/bundle/model.int8.onnx",
        "slmfleet/models/shop/records/orders.jsonl", "slmfleet/models/shop/sources/hint3/LICENSE",
    ):  # fmt: skip
        assert wanted in names
    assert not [name for name in names if not name.startswith(("slmfleet/", "slmfleet-"))]
    rows = [name for name in names if name.endswith((".jsonl", ".jsonl.gz")) and "/records/" not in name]
    assert rows == []
    assert not [name for name in names if "/suites/" in name]
    assert wheel.stat().st_size < MAX_WHEEL_MB * 1e6


def test_the_sdist_has_every_row(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files", "services", "router", "models"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    assert set(tracked) <= names
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"} <= names


def test_the_wheel_answers_explains_and_checks(installed: Run) -> None:
    for words, says in (
        (("ask", "how long do I have to return shoes?"), "30 days"),
        (("explain", "how long do I have to return shoes?"), "nearest"),
        (("check",), "no training or test rows; an installed slmfleet carries none"),
    ):
        done = installed(*words)
        assert done.returncode == 0, done.stderr
        assert says in done.stdout
        assert done.stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate",),
        ("bench",),
        ("train",),
        ("evaluate", "--suite", "snips"),
        ("evaluate", "--suite", "transfer"),
    ],
)
def test_what_needs_rows_says_where_they_are(installed: Run, words: tuple[str, ...]) -> None:
    done = installed(*words)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("; an installed slmfleet carries none, they are in its repository (git clone)")


def test_version_is_that_of_pyproject_chart_and_changelog(wheel: Path, installed: Run) -> None:
    version = wheel.name.split("-")[1]
    assert installed("--version").stdout == f"slmfleet {version}\n"
    chart = YAML(typ="safe").load((ROOT / "helm" / "slmfleet" / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == version
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
