"""Joules from a processor's meter, as far as a folder can stand for one: no test machine has RAPL."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slmfleet.services.telemetry.energy import EnergyMeter

TICKS = os.sysconf("SC_CLK_TCK")


class Machine:
    """A powercap folder with two packages, and a /proc/stat."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        for number, name in enumerate(["package-0", "package-1"]):
            (folder / f"intel-rapl:{number}").mkdir()
            (folder / f"intel-rapl:{number}" / "name").write_text(name + "\n")
        core = folder / "intel-rapl:0:0"  # part of package 0, which must not be counted twice
        core.mkdir()
        (core / "name").write_text("core\n")
        self.at(0, 0, 0.0)

    def at(self, first: int, second: int, busy_s: float) -> None:
        for number, count in enumerate([first, second]):
            (self.folder / f"intel-rapl:{number}" / "energy_uj").write_text(f"{count}\n")
            (self.folder / f"intel-rapl:{number}" / "max_energy_range_uj").write_text("999999999\n")
        ticks = int(busy_s * TICKS)
        (self.folder / "stat").write_text(f"cpu  {ticks} 0 0 {TICKS * 999} 5 0 0 0 0 0\ncpu0 1 2 3\n")

    def meter(self) -> EnergyMeter:
        return EnergyMeter(8.0, self.folder, self.folder / "stat", lambda: self.now)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_meter_it_is_estimated_and_says_so(tmp_path: Path) -> None:
    assert EnergyMeter(8.0, tmp_path / "none").joules(0.5) == (4.0, "estimated")


def test_a_query_pays_for_its_share_of_what_all_packages_drew(machine: Machine) -> None:
    meter = machine.meter()
    assert meter.joules(0.5) == (4.0, "estimated")
    machine.at(30_000_000, 10_000_000, 2.0)  # 40 J in 2 busy seconds
    assert meter.joules(0.5) == (4.0, "estimated"), "looked again within a second"
    machine.now = 1.5
    assert meter.joules(0.5) == (10.0, "rapl")


def test_the_counter_wraps(machine: Machine) -> None:
    machine.at(999_000_000, 0, 0.0)
    meter = machine.meter()
    machine.at(1_000_000, 0, 1.0)
    machine.now = 1.5
    assert meter.joules(1.0)[0] == pytest.approx(2.0)


def test_an_idle_interval_changes_nothing(machine: Machine) -> None:
    meter = machine.meter()
    machine.at(5_000_000, 0, 0.0)
    machine.now = 1.5
    assert meter.joules(1.0) == (8.0, "estimated")


def test_a_meter_that_cannot_be_read_any_more_is_an_estimate(machine: Machine) -> None:
    meter = machine.meter()
    machine.at(40_000_000, 0, 2.0)
    machine.now = 1.5
    assert meter.joules(1.0)[1] == "rapl"
    (machine.folder / "intel-rapl:1" / "energy_uj").unlink()
    machine.now = 3.0
    assert meter.joules(1.0)[1] == "estimated"
