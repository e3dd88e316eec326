from __future__ import annotations

from pathlib import Path

import pytest
from fakes.fleet import write_fleet

from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.services.evaluation import corpus
from slmfleet.services.evaluation.corpus import has_rows, load_rows, no_rows, require_suites
from slmfleet.services.settings import SHOP_DIR


def test_a_fleet_without_rows_is_refused_with_what_would_do(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path / "fleet")
    assert has_rows(load_rows(load_fleet(folder)))
    for path in folder.glob("*/utterances.jsonl"):
        path.unlink()
    with pytest.raises(DataFault, match=r"no training or test rows; write DOMAIN/utterances\.jsonl"):
        load_rows(load_fleet(folder))
    assert "they are in its repository" in no_rows(SHOP_DIR)


def test_suites_that_are_not_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_suites()
    monkeypatch.setattr(corpus, "SUITES_DIR", tmp_path / "suites")
    with pytest.raises(DataFault, match="no published data sets; an installed slmfleet carries none"):
        require_suites()
