"""How far long work is: bars on standard error, drawn where somebody looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from slmfleet.models.progress import Bars
from slmfleet.models.progress import Progress as Steps


@contextmanager
def bars(console: Console | None = None, auto_refresh: bool = True) -> Iterator[Bars]:
    """Bars on `console`, standard error by default; none where it is no terminal.

    Without `auto_refresh` they are drawn only when a step is reported, so that they take nothing of
    what is measured between.
    """
    console = console or Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(14), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), console=console, auto_refresh=auto_refresh, disable=not console.is_terminal,
    ) as shown:  # fmt: skip

        def bar(name: str) -> Steps:
            row = shown.add_task(name, total=None)

            def advance(done: int, total: int) -> None:
                shown.update(row, completed=done, total=total, refresh=not auto_refresh)

            return advance

        yield bar
