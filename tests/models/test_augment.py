from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.augment import with_typo


@given(st.text(alphabet="abcdefgh ", max_size=60), st.integers())
def test_a_typo_touches_one_long_word_by_one_letter(text: str, seed: int) -> None:
    before, after = text.split(" "), with_typo(text, random.Random(seed)).split(" ")
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) <= 1
    for old, new in changed:
        assert len(old) > 4
        assert abs(len(old) - len(new)) <= 1
        assert old[0] == new[0]
