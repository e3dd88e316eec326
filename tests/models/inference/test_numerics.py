from __future__ import annotations

import numpy as np
import pytest

from slmfleet.models.inference.numerics import log_softmax, softmax


def test_softmax_is_over_the_last_axis_and_no_logit_is_too_large() -> None:
    assert softmax(np.array([[0.0, 0.0], [1_000.0, 0.0]])) == pytest.approx(
        np.array([[0.5, 0.5], [1.0, 0.0]])
    )
    assert softmax(np.array([0.0, np.log(3)])) == pytest.approx([0.25, 0.75])
    assert softmax(np.array([0.0, 2 * np.log(3)]), temperature=2) == pytest.approx([0.25, 0.75])


def test_log_softmax_is_exact_where_softmax_gives_nothing() -> None:
    logits = np.array([0.0, -2_000.0])
    assert softmax(logits)[1] == 0
    assert log_softmax(logits)[1] == -2_000
