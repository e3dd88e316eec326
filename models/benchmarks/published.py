"""What other systems reached on the suites' tasks, and what this project is to reach.

suites/published.yaml holds figures one by one, each with its source and conditions; those of HINT3
are read from its authors' own result files, at the threshold of best accuracy and at the lowest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from slmfleet.models.benchmarks.rows import SUITES_DIR, json_lines
from slmfleet.models.benchmarks.task import PublishedFigure
from slmfleet.models.errors import DataFault

_HINT3_SOURCE = "github.com/hellohaptik/HINT3, results"
_SYSTEMS = {"bert": "BERT", "dialogflow": "Dialogflow", "haptik": "Haptik", "luis": "LUIS", "rasa": "Rasa"}
_TRADED = frozenset({"in_scope_accuracy", "oos_recall"})
#: (suite, task)
Place = tuple[str, str]


class _Figure(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str
    task: str
    system: str
    metrics: dict[str, float] = Field(min_length=1)
    source: str
    note: str = ""
    kind: Literal["published", "floor"] = "published"


class _Goal(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str
    task: str
    metrics: dict[str, float] = Field(min_length=1)


class _Published(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    figures: list[_Figure]
    goals: list[_Goal] = []


@dataclass(frozen=True)
class PublishedFigures:
    """All figures and explicit goals, by (suite, task)."""

    figures: Mapping[Place, tuple[PublishedFigure, ...]]
    goals: Mapping[Place, Mapping[str, float]]

    def figures_of(self, suite: str, task: str) -> tuple[PublishedFigure, ...]:
        """The figures for one task, the best first within each metric."""
        found = self.figures.get((suite, task), ())
        return tuple(sorted(found, key=lambda figure: (figure.metric, -figure.value, figure.system)))

    def goals_of(self, suite: str, task: str) -> dict[str, float]:
        """Metric -> percentage to reach: the best published (a floor where nothing is), unless set otherwise.

        Metrics that a threshold trades against each other are taken from the system of best accuracy, where
        accuracy is published: a system that refuses everything has an out-of-scope recall of 100 %.
        """
        best: dict[str, PublishedFigure] = {}
        for kind in ("floor", "published"):
            figures = [figure for figure in self.figures_of(suite, task) if figure.kind == kind]
            # Reversed: the best of a metric comes first, and is assigned last.
            best |= {figure.metric: figure for figure in reversed(figures)}
            if accurate := next((figure.system for figure in figures if figure.metric == "accuracy"), None):
                best |= {
                    figure.metric: figure
                    for figure in figures
                    if figure.metric in _TRADED and figure.system == accurate
                }
        values = {metric: figure.value for metric, figure in best.items()}
        return values | dict(self.goals.get((suite, task), {}))


def load_published(folder: Path = SUITES_DIR) -> PublishedFigures:
    """Figures and goals of `published.yaml` and of HINT3's results. Raises DataFault."""
    path = folder / "published.yaml"
    try:
        read = _Published.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataFault(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise DataFault(f"{path}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from None
    figures: dict[Place, list[PublishedFigure]] = defaultdict(list)
    for one in read.figures:
        for metric, value in one.metrics.items():
            figures[one.suite, one.task].append(
                PublishedFigure(one.system, metric, value, one.source, one.note, one.kind)
            )
    for retailer, figure in _hint3(folder / "hint3" / "published_results_v1.jsonl.gz"):
        figures["hint3-v1", retailer].append(figure)
    goals: dict[Place, dict[str, float]] = defaultdict(dict)
    for goal in read.goals:
        goals[goal.suite, goal.task] |= goal.metrics
    return PublishedFigures({place: tuple(found) for place, found in figures.items()}, goals)


def _hint3(path: Path) -> list[tuple[str, PublishedFigure]]:
    """(retailer, figure) of every system that was trained on the full training set."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for _, row in json_lines(path):
        if row["train"] == "full":
            rows[row["retailer"], row["system"]].append(row)
    figures = []
    for (retailer, system), measured in sorted(rows.items()):
        best = max(measured, key=lambda row: row["accuracy"])
        lowest = min(measured, key=lambda row: row["threshold"])
        name = _SYSTEMS[system]
        note = f"threshold {best['threshold']}, the best of nine on the test set"
        for metric in ("accuracy", "in_scope_accuracy", "oos_recall"):
            value = round(100 * best[metric], 2)
            figures.append((retailer, PublishedFigure(name, metric, value, _HINT3_SOURCE, note)))
        note = f"threshold {lowest['threshold']}, the lowest reported"
        value = round(100 * lowest["in_scope_accuracy"], 2)
        figures.append((retailer, PublishedFigure(name, "intent_accuracy", value, _HINT3_SOURCE, note)))
    return figures
