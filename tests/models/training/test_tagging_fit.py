from __future__ import annotations

import numpy as np
import pytest

from slmfleet.models.training.tagging_fit import fit_tagging

OUT, BEGIN, INSIDE = 0, 1, 2


def test_what_follows_often_has_a_higher_transition_than_what_does_so_seldom() -> None:
    tagging = fit_tagging([(0, [BEGIN, INSIDE])] * 9 + [(0, [BEGIN, OUT])], 1, 3)
    assert tagging.transitions.shape == (4, 4)
    assert tagging.transitions[BEGIN, INSIDE] > tagging.transitions[BEGIN, OUT]
    assert tagging.transitions[3, BEGIN] > tagging.transitions[3, OUT]  # the last row: what texts begin with
    assert (
        tagging.transitions[INSIDE, 3] > tagging.transitions[BEGIN, 3]
    )  # the last column: what they end with


def test_without_rows_no_transition_is_likelier_than_another() -> None:
    assert fit_tagging([], 2, 3).transitions == pytest.approx(np.zeros((4, 4)), abs=1e-6)


def test_a_tag_is_unseen_where_enough_rows_of_an_intent_lack_it() -> None:
    rows = [(0, [OUT, BEGIN])] * 30 + [(1, [OUT])] * 29 + [(None, [INSIDE])] * 30
    assert fit_tagging(rows, 2, 3).unseen.tolist() == [[False, False, True], [False, False, False]]
