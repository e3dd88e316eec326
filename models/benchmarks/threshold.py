"""The trust from which on a label is taken for right, in suites that test scope. Training time only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from slmfleet.models.inference.mixture import log_odds

#: Share of questions that are taken to be out of scope where a threshold is chosen: a shop's lot, not a
#: benchmark's.
_OUT_OF_SCOPE_SHARE = 0.4
#: A threshold lies within these log-odds.
_MOST = 8.0


def fit_threshold(trust: NDArray[np.float64], right: NDArray[np.bool_], outside: NDArray[np.bool_]) -> float:
    """The trust at which a right label and a row out of scope are equally likely, all (rows,).

    Rows out of scope count so that they make up _OUT_OF_SCOPE_SHARE. A curve through all rows, since the best
    of all cuts is a matter of luck among few.
    """
    used = right | outside
    if right.sum() < 2 or outside.sum() < 2:
        return 0.0
    weight = np.where(right, (1 - _OUT_OF_SCOPE_SHARE) / right.sum(), _OUT_OF_SCOPE_SHARE / outside.sum())
    odds = np.array([log_odds(one) for one in trust])[used, None]
    curve = LogisticRegression(C=1.0, max_iter=1_000)
    curve.fit(odds, right[used], sample_weight=weight[used] * used.sum())
    slope = max(float(curve.coef_[0][0]), 1e-6)
    return float(1 / (1 + np.exp(np.clip(curve.intercept_[0] / slope, -_MOST, _MOST))))
