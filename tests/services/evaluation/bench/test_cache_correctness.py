from __future__ import annotations

import pytest
from typer.testing import CliRunner

from slmfleet.services.cli.main import app
from slmfleet.services.evaluation.bench import cache_correctness
from slmfleet.services.evaluation.bench.cache_correctness import CacheMeasure, measure
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


def test_a_wrong_hit_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    found = CacheMeasure(kinds={}, pairs=6, wrong=1, same_text=1)
    monkeypatch.setattr(cache_correctness, "measure", lambda *_: found)
    told = CliRunner().invoke(app, ["cache", "measure", "--pairs", "6"])
    assert told.exit_code == 1
    assert "1 wrong hits in 6 pairs" in told.stdout
