from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")
from slmfleet.models.benchmarks import readers
from slmfleet.models.benchmarks.calibration import LabelCalibration
from slmfleet.models.benchmarks.readers import MultiLabelReader, SingleLabelReader, label_odds, request_starts
from slmfleet.models.inference.bundle import read_card
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.text.slots import BOUNDARY
from slmfleet.services.settings import SHOP_DIR

BUNDLE = SHOP_DIR / "router" / "bundle"
CARD = read_card(BUNDLE, "router")
CLASSIFIER = Classifier.load(BUNDLE, CARD.mixture)


def single() -> SingleLabelReader:
    in_scope = CARD.labels.index("out_of_scope")
    return SingleLabelReader(CARD.labels, CARD.threshold, 1, 1, CLASSIFIER, in_scope, CARD.slot_labels)


def test_a_verdict_has_the_classifiers_probabilities_and_the_confidence_in_scope() -> None:
    verdict = single().read("where is my refund")
    scores = CLASSIFIER.score("where is my refund")
    assert np.array_equal(verdict.probabilities, scores.probabilities)
    assert verdict.inlier == pytest.approx(scores.confidence)
    assert single().read("who won the cricket last night").inlier < verdict.inlier


def test_a_joined_text_is_read_request_by_request(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "how do I return shoes, and where is my invoice?"
    assert len(single().read_joined("how do I return shoes")) == 1
    monkeypatch.setattr(readers, "request_starts", lambda *arguments: [text.index("where")])
    found = [verdict.probabilities for verdict in single().read_joined(text)]
    apart = [single().read(part).probabilities for part in ("how do I return shoes", "where is my invoice")]
    assert np.array_equal(found, apart)  # without what joins them


def test_requests_start_where_the_tag_is_but_not_at_the_first_token() -> None:
    labels = ["O", BOUNDARY, "B-city"]
    likely = np.array([[0, 0, 9], [0, 9, 0], [9, 0, 0], [0, 9, 0], [9, 0, 0]], dtype=np.float32)
    offsets = [(0, 0), (0, 4), (5, 8), (9, 12), (0, 0)]
    assert request_starts(likely, offsets, labels) == [9]
    assert request_starts(likely[:, [0, 2]], offsets, ["O", "B-city"]) == []


def test_each_label_of_many_has_its_own_probability() -> None:
    calibration = LabelCalibration(temperature=2.0, threshold=0.3)
    reader = MultiLabelReader(CARD.labels, 1, 1, CLASSIFIER, calibration)
    verdict = reader.read("where is my refund")
    odds = label_odds(CLASSIFIER, "where is my refund")
    assert verdict.probabilities == pytest.approx(1 / (1 + np.exp(-odds / 2)))
    assert (verdict.label_threshold, verdict.inlier) == (0.3, 1.0)
    assert len(reader.read_joined("a and b")) == 1
