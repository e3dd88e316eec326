from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slmfleet.models.inference.classifier import Classifier  # noqa: E402
from slmfleet.models.inference.mixture import Mixture  # noqa: E402
from slmfleet.models.training.classifier_training import Base, train_classifier  # noqa: E402
from slmfleet.models.training.data import Row, Span  # noqa: E402
from slmfleet.models.training.distill import distilled_base  # noqa: E402
from slmfleet.models.training.recipe import ROUTER, ROUTER_BASE  # noqa: E402
from slmfleet.models.training.task import TrainingTask  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
RECIPE = replace(ROUTER, layers=(0,), epochs=8)
ROWS = [
    Row(text.format(city), "travel", intent, None, (Span("city", start, start + len(city)),), "own")
    for city in ("paris", "rome", "new york", "berlin")
    for intent, text, start in (
        ("fly", "fly me to {}", 10),
        ("fly", "a flight to {} please", 12),
        ("stay", "book a room in {}", 15),
        ("stay", "hotel in {}", 9),
    )
]
TASK = TrainingTask(ROWS, ["fly", "stay"], lambda row: row.intent)


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    recipe = replace(ROUTER_BASE, layers=(0,), vocabulary=1_500, epochs=1)
    yield distilled_base([row.text for row in ROWS], tmp_path_factory.mktemp("base"), silent, recipe)
    torch.use_deterministic_algorithms(False)


def test_a_classifier_learns_its_rows_and_comes_out_the_same_again(base: Base, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        trained = train_classifier(TASK, RECIPE, base, tmp_path / name, silent)
        files = sorted((tmp_path / name).iterdir())
        digests.append([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])
    assert digests[0] == digests[1]
    assert [name for name, _ in digests[0]] == ["head.npz", "model.int8.onnx", "tokenizer.json"]
    assert trained.slot_labels == ["O", "B-@request", "B-city", "I-city"]
    right = [trained.classifier.score(row.text).best == TASK.label_places[row.intent or ""] for row in ROWS]
    assert np.mean(right) > 0.9


def test_the_files_load_as_what_was_trained_and_float_weights_decide_nearly_alike(
    base: Base, tmp_path: Path
) -> None:
    trained = train_classifier(TASK, RECIPE, base, tmp_path, silent)
    served, exact = Classifier.load(tmp_path, Mixture()), trained.exact(tmp_path, Mixture())
    for row in ROWS:
        probabilities = served.score(row.text).probabilities
        assert np.array_equal(probabilities, trained.classifier.score(row.text).probabilities)
        assert exact.score(row.text).probabilities == pytest.approx(probabilities, abs=0.15)


def test_rows_of_any_number_of_labels_have_log_odds_a_label(base: Base, tmp_path: Path) -> None:
    both = Row("fly me to rome and book a room in rome", "travel", "both", None, None, "own")
    labels = {"fly": ("fly",), "stay": ("stay",), "both": ("fly", "stay")}
    task = TrainingTask(
        [*ROWS, both, both],
        ["fly", "stay"],
        lambda row: None,
        labels_of=lambda row: labels[row.intent or ""],
    )
    recipe = replace(RECIPE, contrast=0.0, join_share=0.0)
    classifier = train_classifier(task, recipe, base, tmp_path, silent).classifier
    assert (classifier.lexical.log_odds(both.text) > 0).all()
    fly, stay = classifier.lexical.log_odds("fly me to paris")
    assert fly > 0 > stay
