"""Outcomes of finished trainings on disk, so that an interrupted evaluation of a suite goes on where it was.

FOLDER/<suite>/runs/<task>-<seed>.npz    the outcomes row by row, without the rows' texts, and the cost

A run counts as long as its key is the same: `run_key` says what is in it.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.atomic_file import atomic_write
from slmfleet.models.benchmarks.outcomes import Measured, Outcomes
from slmfleet.models.benchmarks.rows import SUITES_DIR
from slmfleet.models.benchmarks.task import Task
from slmfleet.models.errors import DataFault
from slmfleet.models.training.recipe import ROUTER, ROUTER_BASE, Recipe

#: Raise it by hand whenever code changes what a training of a suite, or the reading of its test rows, results
#: in: runs of another version are trained for again. A change that leaves every figure as it is (a comment, a
#: name, a faster loop) does not raise it.
TRAINER_VERSION: Final = 1

_PARTS = ("clean", "typos", "exact")
_COLUMNS = tuple(column.name for column in fields(Outcomes))


@dataclass(frozen=True)
class Run:
    """One training measured on one task; seconds of training, median milliseconds a text, size as served."""

    measured: Measured
    training_s: float
    latency_ms: float
    bytes: int
    parameters: int


class RunStore:
    """The runs in a folder, of the state and never of the repository: they can always be made again."""

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        """`folder` is made when there is something to store; with `fresh` no stored run is found."""
        self._folder = folder
        self._fresh = fresh

    def find(self, task: Task, seed: int) -> Run | None:
        """The run of `task` with `seed`; None where there is none with the present key.

        Raises DataFault for a file that is no run.
        """
        path = self._path(task, seed)
        if self._fresh or not path.is_file():
            return None
        return read_run(path, run_key(task, seed))

    def store(self, task: Task, seed: int, run: Run) -> Run:
        """Store `run` in place of any other of that task and seed; returns what `find` will find.

        Confidences are stored in single precision, which halves the files.
        """
        key = run_key(task, seed)
        arrays: dict[str, Any] = {
            "key": np.array(key),
            "cost": np.array([run.training_s, run.latency_ms, run.bytes, run.parameters]),
        }
        for part in _PARTS:
            outcomes: Outcomes | None = getattr(run.measured, part)
            if outcomes is not None:
                arrays |= {f"{part}.{name}": _packed(getattr(outcomes, name)) for name in _COLUMNS}
        path = self._path(task, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as fresh:
            np.savez_compressed(fresh, **arrays)
        stored = read_run(path, key)
        assert stored is not None
        return stored

    def _path(self, task: Task, seed: int) -> Path:
        return self._folder / task.suite / "runs" / f"{task.name}-{seed}.npz"


def read_run(path: Path, key: str) -> Run | None:
    """The run in `path`; None where its key is another. Raises DataFault for a file that is no run."""
    try:
        with np.load(path) as saved:
            if str(saved["key"]) != key:
                return None
            arrays = {name: saved[name] for name in saved.files}
        training_s, latency_ms, size, parameters = (float(value) for value in arrays["cost"])
        measured = Measured(*(_unpacked(arrays, part) for part in _PARTS))  # type: ignore[arg-type]
        return Run(measured, training_s, latency_ms, int(size), int(parameters))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        raise DataFault(f"{path}: is no stored run of a suite; remove it, and it is measured anew") from None


def _packed(column: NDArray[np.generic]) -> NDArray[np.generic]:
    return column.astype(np.float32) if column.dtype == np.float64 else column


def _unpacked(arrays: dict[str, NDArray[Any]], part: str) -> Outcomes | None:
    if f"{part}.{_COLUMNS[0]}" not in arrays:
        return None
    columns: list[Any] = [arrays[f"{part}.{name}"] for name in _COLUMNS]
    return Outcomes(*(one.astype(np.float64) if one.dtype == np.float32 else one for one in columns))


def run_key(
    task: Task,
    seed: int,
    recipes: tuple[Recipe, ...] = (ROUTER, ROUTER_BASE),
    version: int = TRAINER_VERSION,
) -> str:
    """A hash of what decides a run: the rows of `task` and of all suites (the base encoder is distilled on
    those), the recipes, the seed, and TRAINER_VERSION."""
    rows = (task.kind, task.train, task.validation, task.test, task.out_of_scope)
    parts = (version, [asdict(recipe) for recipe in recipes], seed, _suites_digest(SUITES_DIR), rows)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@cache
def _suites_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*/rows.jsonl.gz")):
        digest.update(path.parent.name.encode() + path.read_bytes())
    return digest.hexdigest()
