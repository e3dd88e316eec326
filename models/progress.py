"""Types for reporting the progress of long work."""

from __future__ import annotations

from collections.abc import Callable

#: Called with (steps done, steps in all).
Progress = Callable[[int, int], None]


#: Starts a progress bar of that name; what it returns moves the bar.
Bars = Callable[[str], Progress]


def counted(steps: Progress, total: int) -> Callable[[], None]:
    """A function that reports one more step of `total` to `steps` at each call."""
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        steps(done, total)

    return tick
