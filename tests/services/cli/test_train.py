"""Training itself: tests/models/training and tests/packaging/test_contributing.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.fleet import write_fleet

pytest.importorskip("torch")

from slmfleet.models.errors import DataFault
from slmfleet.services.cli.train import train_fleet


def test_an_unknown_domain_is_refused_with_those_there_are(tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path / "fleet")
    with pytest.raises(DataFault, match="no domain 'gardening': choose one of returns, parcels, router"):
        train_fleet(fleet, tmp_path / "cache", "gardening")


def test_a_fleet_without_rows_is_refused(tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path / "fleet")
    for path in fleet.glob("*/utterances.jsonl"):
        path.unlink()
    with pytest.raises(DataFault, match=r"no training or test rows; write DOMAIN/utterances\.jsonl"):
        train_fleet(fleet, tmp_path / "cache", None)
