from __future__ import annotations

import pytest

from slmfleet.services.evaluation.bench import cache_correctness
from slmfleet.services.evaluation.bench.cache_correctness import measure
from slmfleet.services.settings import load_settings
from slmfleet.services.state import answer_cache as cache


def test_no_trap_is_fallen_into(tmp_path: object) -> None:
    advanced: list[int] = []
    result = measure(load_settings(state_dir=tmp_path), 60, lambda: advanced.append(1))
    assert result.pairs == len(advanced) == 60
    assert result.wrong == 0
    assert 0 < result.same_text <= 1
    assert all(len(line) <= 80 for line in cache_correctness.render(result).splitlines())


def test_a_cache_that_takes_the_near_for_the_same_is_caught(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a semantic cache would: any two texts of the same first words.
    monkeypatch.setattr(cache, "text_key", lambda text: "-".join(text.lower().split()[:1]))
    assert measure(load_settings(state_dir=tmp_path), 60, lambda: None).wrong > 0
