"""What `slmfleet consume` puts together; the process itself is tested in test_consumer.py."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from slmfleet.models.errors import SettingsFault
from slmfleet.services.events.consume import consume, shorten_tracebacks
from slmfleet.services.settings import Settings


@pytest.fixture
def noisy() -> Iterator[logging.Logger]:
    logger = logging.getLogger("slmfleet.test_consume")
    yield logger
    logger.filters.clear()


def test_an_exception_of_a_noisy_logger_is_one_line(
    noisy: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    shorten_tracebacks([noisy.name])
    try:
        raise ConnectionError("refused")
    except ConnectionError:
        noisy.exception("reconnecting to %s", "the broker")
    (record,) = caplog.records
    assert record.getMessage() == "reconnecting to the broker: refused"
    assert record.exc_info is None


def test_without_a_broker_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match="there is no broker"):
        consume(Settings(state_dir=tmp_path), "http://127.0.0.1:1", "127.0.0.1", 0, print)
