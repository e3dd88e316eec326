from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

pytest.importorskip("torch")

from slmfleet.models.errors import DataFault
from slmfleet.models.inference.bundle import Card, Probe, TrainedFrom, read_card
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.mixture import Mixture
from slmfleet.models.training.card import BASE, choose_probe, draft_card, measured_card, trained_from
from slmfleet.models.training.classifier_training import TrainedClassifier
from slmfleet.models.training.data import Row
from slmfleet.models.training.recipe import SPECIALIST
from slmfleet.models.training.task import TrainingTask


class Scores:
    def __init__(self, best: int, confidence: float) -> None:
        self.best, self.confidence = best, confidence


class ScriptedClassifier:
    """Says b of everything, the surer the longer the text."""

    mixture = Mixture(lexical_weight=0.5)

    def score(self, text: str) -> Scores:
        return Scores(1, len(text) / 100)


class Trained:
    slot_labels = ("O",)
    parameters = 12


CLASSIFIER = cast("Classifier", ScriptedClassifier())


def row(text: str, intent: str | None, source: str = "own") -> Row:
    return Row(text, "d", intent, None, None, source)


ROWS = [row("a longer one", "a"), row("short", "b"), row("longer", "b"), row("unlabelled text", None)]
TASK = TrainingTask(ROWS, ["a", "b"], lambda row: row.intent)


def test_the_probe_is_the_surest_row_of_those_that_are_right() -> None:
    assert choose_probe(CLASSIFIER, TASK) == Probe(text="longer", label="b")


def test_a_model_that_is_never_right_has_no_probe() -> None:
    with pytest.raises(DataFault, match="right about none of its training rows"):
        choose_probe(CLASSIFIER, TrainingTask([row("x", "a")], ["a", "b"], lambda row: row.intent))


def test_provenance_counts_sources_and_names_their_licences_only() -> None:
    rows = [row("x", "a"), row("y", "b", "hint3/curekart"), row("z", "b", "hint3/curekart")]
    licences = {"own": "Apache-2.0", "hint3": "ODbL", "unused": "MIT"}
    found = trained_from(rows, [row("held out", "a", "unused")], licences)
    assert found.rows == {"hint3/curekart": 2, "own": 1}
    assert found.licences == {"hint3": "ODbL", "own": "Apache-2.0"}
    assert found.held_out_rows == 1
    assert found.sha256 != trained_from(rows[:2], [], licences).sha256


def test_a_card_is_sealed_measured_and_sealed_again(tmp_path: Path) -> None:
    (tmp_path / "model.int8.onnx").write_bytes(b"graph")
    provenance = TrainedFrom(
        rows={"own": 4}, licences={"own": "Apache-2.0"}, held_out_rows=0, sha256="0" * 64
    )
    trained = cast("TrainedClassifier", Trained())
    card = draft_card("specialist", "d", TASK, SPECIALIST, trained, (CLASSIFIER, 0.7), provenance)
    assert (card.base, card.threshold, card.mixture.lexical_weight) == (BASE, 0.7, 0.5)
    assert card.recipe["epochs"] == 20

    def measure(sealed: Card) -> dict[str, float]:
        assert sealed.files.keys() == {"model.int8.onnx"}
        return {"own.intent_accuracy": 1.0}

    final = measured_card(tmp_path, card, measure)
    assert read_card(tmp_path, "specialist") == final
    assert final.metrics == {"own.intent_accuracy": 1.0}
    assert np.isfinite(final.threshold)
