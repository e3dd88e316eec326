from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.linear_model import LogisticRegression

from slmfleet.models.inference.lexical import BUCKETS, Lexical, features
from slmfleet.models.training.lexical_fit import fit_lexical, fit_lexical_many

ROWS = {
    "where is my parcel": 0,
    "where did the parcel go": 0,
    "track my parcel please": 0,
    "i want my money back": 1,
    "give me the money back": 1,
    "when do i get my money": 1,
}


@pytest.fixture
def head() -> Lexical:
    return fit_lexical(list(ROWS), list(ROWS.values()), 3)


def test_the_head_knows_its_rows_misspelt_ones_and_labels_without_rows(head: Lexical) -> None:
    for text, label in ROWS.items():
        assert int(np.argmax(head.log_probabilities(text))) == label
    assert int(np.argmax(head.log_probabilities("wheres my parcle"))) == 0
    assert head.log_probabilities("where is my parcel")[2] < -10


def test_of_a_single_label_everything_is() -> None:
    head = fit_lexical(list(ROWS), [1] * len(ROWS), 2)
    assert int(np.argmax(head.log_probabilities("anything"))) == 1


def test_it_agrees_with_scikit_learn(head: Lexical) -> None:
    rarity = head.arrays()["rarity"].astype(np.float64)
    dense = np.zeros((len(ROWS), BUCKETS))
    for row, text in enumerate(ROWS):
        buckets, values = features(text, rarity)
        np.add.at(dense[row], buckets, values)
    model = LogisticRegression(C=20.0, max_iter=1_000).fit(dense, list(ROWS.values()))
    mine = np.stack([np.exp(head.log_probabilities(text))[:2] for text in ROWS])
    assert np.abs(mine - model.predict_proba(dense)).max() < 0.02


def test_each_of_many_labels_has_log_odds_of_its_own() -> None:
    texts = [*ROWS, "where is my parcel and my money", "hello"]
    labels = [*([label] for label in ROWS.values()), [0, 1], []]
    head = fit_lexical_many(texts, labels, 3)
    both, neither = head.log_odds("my parcel and my money"), head.log_odds("hello")
    assert (both[:2] > 0).all()
    assert (neither < 0).all()
    assert both[2] < -10  # no row has the label
