from __future__ import annotations

from slmfleet.models.progress import counted


def test_each_call_reports_one_more_step() -> None:
    steps: list[tuple[int, int]] = []
    tick = counted(lambda done, total: steps.append((done, total)), 3)
    for _ in range(3):
        tick()
    assert steps == [(1, 3), (2, 3), (3, 3)]
