"""What each training of a suite made of the test rows, kept: an interrupted evaluation goes on where it was.

FOLDER/<suite>/runs/<task>-<seed>.npz    the outcomes row by row, without the rows' texts, and the cost

A run counts as long as it was made from the same rows (its task's, and those of all suites, which the base is
distilled on) by the same code: the sources of `models` and `router`.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.atomic_file import atomic_write
from slmfleet.models.benchmarks.metrics import Measured, Outcomes
from slmfleet.models.benchmarks.rows import SUITES_DIR
from slmfleet.models.benchmarks.task import Task
from slmfleet.models.errors import DataFault

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
    """The runs kept in a folder."""

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        """They are kept in `folder`, made when there is something to keep; with `fresh` none is found."""
        self._folder = folder
        self._fresh = fresh

    def find(self, task: Task, seed: int) -> Run | None:
        """The run of `task` with `seed`; None where there is none, or none that still counts."""
        path = self._path(task, seed)
        if self._fresh or not path.is_file():
            return None
        origin, run = read_run(path)
        return run if origin == run_key(task, seed) else None

    def keep(self, task: Task, seed: int, run: Run) -> Run:
        """Keep `run` in place of any other of that task and seed; what is returned is what `find` will find.

        Confidences are kept in single precision, which halves the files.
        """
        arrays: dict[str, Any] = {
            "made_from": np.array(run_key(task, seed)),
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
        return read_run(path)[1]

    def _path(self, task: Task, seed: int) -> Path:
        return self._folder / task.suite / "runs" / f"{task.name}-{seed}.npz"


def read_run(path: Path) -> tuple[str, Run]:
    """What a kept run was made from (`run_key`), and the run. Raises DataFault for another file."""
    try:
        with np.load(path) as kept:
            found = {name: kept[name] for name in kept.files}
        training_s, latency_ms, size, parameters = (float(value) for value in found["cost"])
        measured = Measured(*(_unpacked(found, part) for part in _PARTS))  # type: ignore[arg-type]
        return str(found["made_from"]), Run(measured, training_s, latency_ms, int(size), int(parameters))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        raise DataFault(f"{path}: not a kept run of a suite; remove it, and it is measured anew") from None


def _packed(column: NDArray[np.generic]) -> NDArray[np.generic]:
    return column.astype(np.float32) if column.dtype == np.float64 else column


def _unpacked(found: dict[str, NDArray[Any]], part: str) -> Outcomes | None:
    if f"{part}.{_COLUMNS[0]}" not in found:
        return None
    columns: list[Any] = [found[f"{part}.{name}"] for name in _COLUMNS]
    return Outcomes(*(one.astype(np.float64) if one.dtype == np.float32 else one for one in columns))


def run_key(task: Task, seed: int) -> str:
    """What decides a run: the rows of `task`, the seed and the code that trains and reads, as one hash."""
    rows = repr((task.kind, task.train, task.validation, task.test, task.out_of_scope, seed))
    return hashlib.sha256(f"{_ground()}{rows}".encode()).hexdigest()[:32]


@cache
def _ground() -> str:
    """A hash of what all runs stand on."""
    # Beside the rows, and not by the packages' __path__: that has every checkout of slmfleet there is on the
    # path, while modules come from the first.
    paths = [path for part in ("models", "router") for path in (SUITES_DIR.parents[2] / part).rglob("*.py")]
    digest = hashlib.sha256()
    for path in sorted([*paths, *SUITES_DIR.glob("*/rows.jsonl.gz")]):
        digest.update(path.parent.name.encode() + path.name.encode() + path.read_bytes())
    return digest.hexdigest()
