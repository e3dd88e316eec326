from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fakes.fleet import write_fleet


@pytest.fixture
def make_fleet(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small fleet of two domains; keyword arguments replace whole files (`returns/domain.yaml`)."""
    return partial(write_fleet, tmp_path / "fleet")
