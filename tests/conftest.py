"""How `pytest -n 2` shares the tests out: what starts servers in one process, all else a file at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

#: Folders whose tests start Ray, brokers or whole shops: two such at once would meet on ports and starve.
_SERVERS = ("chaos", "connected", "deploy", "end_to_end")

if "PYTEST_XDIST_WORKER" in os.environ:  # torch with two threads beside others waits more than it works
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        group = "servers" if folder in _SERVERS else str(item.path.relative_to(here))
        item.add_marker(pytest.mark.xdist_group(group))
