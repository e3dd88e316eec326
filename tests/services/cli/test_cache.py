from __future__ import annotations

import pytest
from typer.testing import CliRunner

from slmfleet.services.cli.main import app
from slmfleet.services.evaluation.bench import cache_correctness
from slmfleet.services.evaluation.bench.cache_correctness import CacheMeasure


def test_a_wrong_hit_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    found = CacheMeasure(kinds={}, pairs=6, wrong=1, same_text=1)
    monkeypatch.setattr(cache_correctness, "measure", lambda *_: found)
    told = CliRunner().invoke(app, ["cache", "measure", "--pairs", "6"])
    assert told.exit_code == 1
    assert "1 wrong hits in 6 pairs" in told.stdout


@pytest.mark.parametrize("words", [[], ["--all", "--domain", "returns"]])
def test_what_is_evicted_must_be_said(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["cache", "evict", *words])
    assert done.exit_code == 2
    assert "say what to evict" in done.stderr
