"""A shop a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, request_timeout_s=2, max_batch=8, max_body_bytes=20_000)
    yield made
    made.executor.shutdown()
