from __future__ import annotations

import io
import time

from rich.console import Console

from slmfleet.models.progress import counted
from slmfleet.services.cli.progress_bars import bars


def terminal() -> tuple[Console, io.StringIO]:
    shown = io.StringIO()
    return Console(file=shown, force_terminal=True, width=80), shown


def test_bars_tell_how_far_each_is_within_80_columns() -> None:
    console, shown = terminal()
    with bars(console, auto_refresh=False) as bar:
        bar("sofmattress: train 0")(7, 20)
        bar("powerplay11: a longer name, read 1")(11_000, 12_000)
    drawn = shown.getvalue()
    assert " 7/20 " in drawn
    assert "11000/12000" in drawn
    assert "…" not in drawn  # nothing was cut


def test_what_must_not_disturb_is_drawn_only_when_told() -> None:
    console, shown = terminal()
    with bars(console, auto_refresh=False) as bar:
        told = bar("questions")
        before = shown.getvalue()
        time.sleep(0.3)
        assert shown.getvalue() == before
        told(1, 4)
        assert "1/4" in shown.getvalue()


def test_nothing_is_drawn_where_nobody_looks() -> None:
    shown = io.StringIO()
    with bars(Console(file=shown)) as bar:
        bar("questions")(4, 4)
    assert shown.getvalue() == ""


def test_counted_tells_of_one_more_at_each_call() -> None:
    steps: list[tuple[int, int]] = []
    tick = counted(lambda done, total: steps.append((done, total)), 3)
    tick()
    tick()
    assert steps == [(1, 3), (2, 3)]
