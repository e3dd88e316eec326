from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slmfleet.models.errors import BundleFault, ModelBroken
from slmfleet.models.inference.bundle import HEAD_FILE, read_card
from slmfleet.models.inference.classifier import Classifier, runner_up
from slmfleet.services.settings import SHOP_DIR

BUNDLE = SHOP_DIR / "returns" / "bundle"
CARD = read_card(BUNDLE, "specialist")
CLASSIFIER = Classifier.load(BUNDLE, CARD.mixture)


def test_probabilities_sum_to_one_and_the_best_is_the_likeliest() -> None:
    scores = CLASSIFIER.score("how long do I have to return shoes")
    assert scores.probabilities.shape == (len(CARD.labels),)
    assert scores.probabilities.sum() == pytest.approx(1)
    assert scores.best == int(scores.probabilities.argmax())
    assert 0 < scores.confidence < 1


def test_a_typing_error_is_corrected_and_offsets_stay_those_of_the_text() -> None:
    text = "can i retrun the shoes"
    scores = CLASSIFIER.score(text)
    assert scores.corrected == "can i return the shoes"
    words = {text[start:end] for start, end in scores.encoding.offsets}
    assert "retrun" in words
    assert scores.best == CLASSIFIER.score("can i return the shoes").best


def test_the_encoders_signals_are_its_log_probabilities_and_what_they_were_divided_by() -> None:
    signals, encoding, _ = CLASSIFIER.signals("where is my refund")
    assert np.exp(signals.encoder).sum() == pytest.approx(1)
    assert signals.encoder + signals.log_normaliser == pytest.approx(encoding.intent, abs=1e-4)
    assert signals.log_normaliser == pytest.approx(
        np.logaddexp.reduce(encoding.intent.astype(float)), abs=1e-4
    )


def test_a_head_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    for name in ("model.int8.onnx", "tokenizer.json"):
        shutil.copy(BUNDLE / name, tmp_path / name)
    CLASSIFIER.save_head(tmp_path / HEAD_FILE)
    again = Classifier.load(tmp_path, CARD.mixture)
    for text in ("where is my refund", "retrun label"):
        assert np.array_equal(again.score(text).probabilities, CLASSIFIER.score(text).probabilities)
    assert np.array_equal(again.tagging.transitions, CLASSIFIER.tagging.transitions)


def test_a_damaged_head_is_a_fault(tmp_path: Path) -> None:
    shutil.copytree(BUNDLE, tmp_path / "bundle")
    (tmp_path / "bundle" / HEAD_FILE).write_bytes(b"no head")
    with pytest.raises(BundleFault, match=rf"{HEAD_FILE}: cannot be read"):
        Classifier.load(tmp_path / "bundle", CARD.mixture)


def test_numbers_that_are_not_finite_are_no_answer() -> None:
    mixture = replace(CARD.mixture, temperature=float("nan"))
    with pytest.raises(ModelBroken, match="not finite"):
        Classifier.load(BUNDLE, mixture).score("where is my refund")


def test_the_others_share_what_the_confidence_leaves() -> None:
    assert runner_up(np.array([0.2, 0.5, 0.3]), 0.8) == (2, pytest.approx(0.2 * 0.3 / 0.5))
    assert runner_up(np.array([0.5, 0.5]), 0.1)[1] == pytest.approx(0.1)  # never above the first
    assert runner_up(np.array([1.0]), 0.9) == (None, pytest.approx(0.1))
