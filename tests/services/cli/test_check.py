from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fakes.command_line import CommandLine
from fakes.fleet import write_fleet

from slmfleet.models.errors import BundleFault, FleetFault
from slmfleet.services.cli.check import check_fleet
from slmfleet.services.settings import SHOP_DIR


def test_check_passes_the_shop_and_explains_a_broken_one(slmfleet: CommandLine, tmp_path: Path) -> None:
    good = slmfleet("check")
    assert good.returncode == 0, good.stderr
    assert "6 domains" in good.stdout
    shutil.copytree(SHOP_DIR, tmp_path / "shop")
    path = tmp_path / "shop" / "returns" / "domain.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    place = next(index for index, line in enumerate(lines) if "cacheable: shared" in line)
    lines[place] = "    cacheable: sometimes"
    path.write_text("\n".join(lines), encoding="utf-8")
    bad = slmfleet("check", "--fleet", str(tmp_path / "shop"))
    assert bad.returncode == 2
    assert f"{path}:{place + 1}: " in bad.stderr.replace("\n", "")


def test_a_fleet_that_is_not_trained_yet_has_notes_and_no_faults(tmp_path: Path) -> None:
    checked = check_fleet(write_fleet(tmp_path / "fleet"))
    assert checked.probed == 0
    notes = [str(note) for note in checked.notes]
    for name in ("returns", "parcels", "router"):
        assert any(note.endswith(f"is not trained yet: run `slmfleet train {name}`") for note in notes)
    *lines, last = checked.render().splitlines()
    assert all(line.startswith("note: ") for line in lines)
    assert last.endswith("0 of 3 bundles pass their probe")


def test_too_few_rows_are_a_fault(tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path / "fleet")
    path = fleet / "returns" / "utterances.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[:2]))
    with pytest.raises(FleetFault, match="at least 5 are needed"):
        check_fleet(fleet)


def test_a_damaged_bundle_is_a_fault(tmp_path: Path) -> None:
    shutil.copytree(SHOP_DIR, tmp_path / "shop")
    (tmp_path / "shop" / "returns" / "bundle" / "head.npz").write_bytes(b"damaged")
    with pytest.raises(BundleFault, match=r"head\.npz"):
        check_fleet(tmp_path / "shop")
