from __future__ import annotations

from pathlib import Path

import pytest
from fakes.command_line import CommandLine


@pytest.fixture
def slmfleet(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "state")
