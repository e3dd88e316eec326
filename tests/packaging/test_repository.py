"""What is in the repository: no large files outside bundles, and a test for every module."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_BYTES = 1_000_000
#: Larger than that, and wanted.
LARGE = {"models/shop/sources/bitext/rows.jsonl"}
#: Modules without a test file of their name. This list only ever becomes shorter.
UNTESTED = {
    "services/events/brokers/nats.py",
    "services/events/brokers/rabbitmq.py",
    "services/events/transport.py",
    "services/serve/app.py",
    "services/serve/deployments.py",
    "services/telemetry/ray_export.py",
}


def _tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_is_large_but_bundles_and_known_data() -> None:
    large = {name for name in _tracked() if (ROOT / name).stat().st_size > MAX_BYTES}
    assert {name for name in large if "/bundle/" not in name} == LARGE


def test_docs_carry_no_arrays() -> None:
    assert not [name for name in _tracked() if name.startswith("docs/") and name.endswith(".npz")]


def test_no_branch_adds_more_than_a_megabyte_outside_bundles() -> None:
    """Of what the last commit adds: a merge counts as its whole branch."""
    parent = subprocess.run(["git", "rev-parse", "-q", "--verify", "HEAD^"], cwd=ROOT, capture_output=True)
    if parent.returncode != 0:  # a clone of depth 1
        return
    changed = subprocess.run(
        ["git", "diff", "--name-only", "-z", "--diff-filter=AM", "HEAD^", "HEAD"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    added = {
        name: (ROOT / name).stat().st_size
        for name in changed
        if name and "/bundle/" not in name and name not in LARGE and (ROOT / name).is_file()
    }
    known = subprocess.run(
        ["git", "ls-tree", "-r", "-l", "-z", "HEAD^"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    before = {line.partition("\t")[2]: int(line.split()[3]) for line in known.split("\0") if line}
    grown = sum(max(0, size - before.get(name, 0)) for name, size in added.items())
    assert grown <= MAX_BYTES, sorted(added, key=lambda name: -added[name])[:5]


def _modules() -> set[str]:
    """Modules with a function or a class."""
    found = set()
    for path in (path for top in ("services", "router", "models") for path in (ROOT / top).rglob("*.py")):
        if path.name == "__init__.py" or (ROOT / "models" / "shop") in path.parents:
            continue
        body = ast.parse(path.read_text("utf-8")).body
        if any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) for node in body):
            found.add(path.relative_to(ROOT).as_posix())
    return found


def test_every_module_has_a_test_file_of_its_name() -> None:
    untested = {
        name
        for name in _modules()
        if not (ROOT / "tests" / Path(name).with_name(f"test_{Path(name).name}")).is_file()
    }
    assert sorted(untested - UNTESTED) == [], "write a test file, do not add to the list"
    assert sorted(UNTESTED - untested) == [], "tested now: take it off the list"
