"""How far long work is: what reports it, and what it is reported to."""

from __future__ import annotations

from collections.abc import Callable

#: Called while something long goes on, with (steps done, steps in all).
Progress = Callable[[int, int], None]


#: Starts the bar of that name; what it returns is told (done, in all).
Bars = Callable[[str], Progress]


def counted(steps: Progress, total: int) -> Callable[[], None]:
    """Tells `steps` of one more of `total` at each call."""
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        steps(done, total)

    return tick
