"""Readers for the suites: one with scripted verdicts, and one of TF-IDF that is trained in a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer

from slmfleet.models.benchmarks.task import Suite, SuiteRow, Task, Verdict
from slmfleet.models.benchmarks.tasks import CONNECTORS
from slmfleet.models.contracts import Slot
from slmfleet.models.progress import Progress


def no_bar(name: str) -> Progress:
    """A progress bar that shows nothing."""
    return lambda done, total: None


def make_task(
    train: Sequence[SuiteRow] = (), test: Sequence[SuiteRow] = (), kind: str = "single", **more: object
) -> Task:
    """A task of a few rows."""
    parts: dict[str, object] = {
        "suite": "small", "name": "few", "kind": kind, "train": tuple(train), "validation": (),
        "test": tuple(test), "out_of_scope": None, "reader": "few", "dropped": 0, "twins": 0, **more,
    }  # fmt: skip
    return Task(**parts)  # type: ignore[arg-type]


def verdict(*probabilities: float, inlier: float = 1.0, slots: Sequence[Slot] = ()) -> Verdict:
    """A verdict in one line."""
    return Verdict(np.array(probabilities), inlier, tuple(slots))


@dataclass
class ScriptedReader:
    """Returns the verdicts that it was given: one a text, or one a part of a joined text."""

    labels: Sequence[str]
    verdicts: Mapping[str, Verdict | tuple[Verdict, ...]]
    threshold: float = 0.5
    bytes: int = 1_000_000
    parameters: int = 2_000_000
    #: The verdict on any other text.
    otherwise: Verdict | None = None
    exact: ScriptedReader | None = None
    read_texts: list[str] = field(default_factory=list)

    def _verdict_on(self, text: str) -> Verdict | tuple[Verdict, ...]:
        self.read_texts.append(text)
        return self.verdicts[text] if self.otherwise is None else self.verdicts.get(text, self.otherwise)

    def read(self, text: str) -> Verdict:
        found = self._verdict_on(text)
        assert isinstance(found, Verdict)
        return found

    def read_joined(self, text: str) -> tuple[Verdict, ...]:
        found = self._verdict_on(text)
        return found if isinstance(found, tuple) else (found,)


class TfidfReader:
    """TF-IDF and logistic regression on at most `rows` training rows."""

    threshold = 0.3
    bytes = 1_000_000
    parameters = 2_000_000
    exact = None

    def __init__(self, task: Task, seed: int, progress: Progress, rows: int = 400) -> None:
        chosen = np.random.default_rng(seed).permutation(len(task.train))[:rows]
        train = [task.train[index] for index in sorted(chosen)]
        self.multi = task.kind == "multi"
        self.vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))
        table = self.vectors.fit_transform([row.text for row in train])
        if self.multi:
            self.binarizer = MultiLabelBinarizer()
            wanted = self.binarizer.fit_transform([row.labels for row in train])
            self.labels = list(self.binarizer.classes_)
            self.model = OneVsRestClassifier(LogisticRegression(C=10, max_iter=200)).fit(table, wanted)
        else:
            self.model = LogisticRegression(C=10, max_iter=200).fit(table, [row.labels[0] for row in train])
            self.labels = list(self.model.classes_)
        progress(1, 1)

    def read(self, text: str) -> Verdict:
        probabilities = self.model.predict_proba(self.vectors.transform([text]))[0]
        return Verdict(probabilities, float(probabilities.max()), ())

    def read_joined(self, text: str) -> tuple[Verdict, ...]:
        for connector in CONNECTORS:
            if connector in text:
                first, second = text.split(connector, 1)
                return self.read(first), self.read(second)
        return (self.read(text),)


def slice_of(suite: Suite, train: int = 300, test: int = 120) -> Suite:
    """A suite whose tasks have a few rows, evenly taken."""
    tasks = []
    for task in suite.tasks:
        parts = dict(task.__dict__)
        parts["train"] = task.train[:: max(1, len(task.train) // train)]
        parts["test"] = task.test[:: max(1, len(task.test) // test)]
        tasks.append(Task(**{name: parts[name] for name in Task.__dataclass_fields__}))
    return Suite(suite.name, suite.title, tuple(tasks), suite.licences)
