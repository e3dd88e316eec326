"""Fitting the lexical head: logistic regression on hashed words and letter groups. Training time only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from slmfleet.models.inference.lexical import BUCKETS, Lexical, features, grams

#: Inverse strength of the ridge: TF-IDF rows are short, and want little of it.
_STRENGTH = 20.0
_MAX_ITERATIONS = 200
#: Log-odds of a label that no row has.
_NEVER = -20.0


def fit_lexical(texts: Sequence[str], wanted: Sequence[int], labels: int) -> Lexical:
    """A head over `labels` labels, from texts and label indices; a label without rows is never likely."""
    matrix, rarity = _matrix(texts)
    if len(set(wanted)) < 2:
        # With one label there is nothing to classify.
        bias_of_one = np.full(labels, _NEVER)
        bias_of_one[list(set(wanted))] = 0.0
        return Lexical.of(np.zeros((BUCKETS, labels)), bias_of_one, rarity)
    model = LogisticRegression(C=_STRENGTH, max_iter=_MAX_ITERATIONS, tol=1e-3)
    model.fit(matrix, np.asarray(wanted))
    weights_, bias = np.zeros((BUCKETS, labels)), np.full(labels, _NEVER)
    if len(model.classes_) == 2:
        # Of two classes scikit-learn gives one row: the odds of the second.
        weights_[:, model.classes_[1]], bias[model.classes_[1]] = model.coef_[0], model.intercept_[0]
        bias[model.classes_[0]] = 0.0
    else:
        weights_[:, model.classes_] = model.coef_.T
        bias[model.classes_] = model.intercept_
    return Lexical.of(weights_, bias, rarity)


def fit_lexical_many(texts: Sequence[str], wanted: Sequence[Sequence[int]], labels: int) -> Lexical:
    """A head of one binary classifier a label: any number of `wanted` label indices a text."""
    matrix, rarity = _matrix(texts)
    weights, bias = np.zeros((BUCKETS, labels)), np.full(labels, _NEVER)
    for label in range(labels):
        has_label = np.array([label in labels_ for labels_ in wanted])
        if has_label.any() and not has_label.all():
            model = LogisticRegression(C=_STRENGTH, max_iter=_MAX_ITERATIONS, tol=1e-3).fit(matrix, has_label)
            weights[:, label], bias[label] = model.coef_[0], model.intercept_[0]
    return Lexical.of(weights, bias, rarity)


def _matrix(texts: Sequence[str]) -> tuple[csr_matrix, NDArray[np.float64]]:
    """The features of `texts` (texts, BUCKETS), and the inverse document frequency (BUCKETS,) in them."""
    seen: Counter[int] = Counter()
    for text in texts:
        (words, _), (letters, _) = grams(text)
        seen.update({*words.tolist(), *letters.tolist()})
    rarity = np.zeros(BUCKETS)
    for bucket, count in seen.items():
        rarity[bucket] = 1 + np.log((1 + len(texts)) / (1 + count))
    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        buckets, weights = features(text, rarity)
        rows.append(np.full(len(buckets), row))
        columns.append(buckets)
        values.append(weights)
    matrix = csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(len(texts), BUCKETS)
    )
    return matrix, rarity
