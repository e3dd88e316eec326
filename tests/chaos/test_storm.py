"""A minute of the storm; `make storm` is the long one."""

from __future__ import annotations

import pytest
from chaos.storm import storm

pytestmark = [pytest.mark.connected, pytest.mark.timeout(280)]


def test_nothing_is_lost_and_nothing_said_in_two_ways() -> None:
    account = storm(events=600, seconds=60.0)
    print("\n" + account.printed())
    assert account.disturbances["consumers killed"] >= 20
    assert account.disturbances["broker killed"] >= 1
    assert account.disturbances["gateway killed"] >= 1
    assert account.answered == account.events == 600
    assert account.poison > 0
    assert account.clean, account.printed()
