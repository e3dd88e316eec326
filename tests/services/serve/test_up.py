"""`slmfleet up` before Ray is started; tests/connected/test_serve_here.py has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.serving import WordParts, write_word_shop

from slmfleet.models.errors import FleetFault
from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.serve.up import serve_fleet
from slmfleet.services.settings import Settings


def test_faults_of_the_folder_are_found_before_anything_starts(tmp_path: Path) -> None:
    folder = write_word_shop(tmp_path / "fleet")
    (folder / "returns" / "domain.yaml").unlink()
    settings = Settings(fleet_dir=folder, state_dir=tmp_path, port=free_ports(1)[0], metrics_port=0)
    settings = settings.model_copy(update={"haproxy_metrics_port": 0})
    lines: list[str] = []
    with pytest.raises(FleetFault, match=r"returns"):
        serve_fleet(settings, lines.append, WordParts())
    assert lines == []
