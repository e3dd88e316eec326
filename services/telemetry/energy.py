"""Energy of a query in joules: from the processor's meter (RAPL), else estimated from CPU time.

RAPL counts the energy of whole processor packages, idle power included. The joules since the last reading are
divided by all CPU time that the machine spent since, so that a query is charged for its share.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

Source = Literal["estimated", "rapl"]
#: The meter is updated every millisecond; a reading opens several files.
_READ_EVERY_S = 1.0


class EnergyMeter:
    """Converts CPU seconds into joules. `core_watts`: assumed power of a busy core without a meter."""

    def __init__(
        self,
        core_watts: float,
        powercap: Path = Path("/sys/class/powercap"),
        stat: Path = Path("/proc/stat"),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stat = stat
        self._now = now
        self._watts = core_watts
        self._source: Source = "estimated"
        self._packages = [folder for folder in sorted(powercap.glob("intel-rapl:*")) if _is_package(folder)]
        self._last = self._read()
        self._next = now() + _READ_EVERY_S

    def joules(self, cpu_s: float) -> tuple[float, Source]:
        """The joules of `cpu_s` CPU seconds, and whether they are estimated or from the meter."""
        if self._last is not None and self._now() >= self._next:
            self._next = self._now() + _READ_EVERY_S
            self._update()
        return cpu_s * self._watts, self._source

    def _update(self) -> None:
        before, now = self._last, self._read()
        self._last = now
        if before is None or now is None:
            self._source = "estimated"
            return
        drawn = sum(
            (end - start) % (limit + 1) for start, end, limit in zip(before[0], now[0], now[2], strict=True)
        )
        busy_s = now[1] - before[1]
        if busy_s > 0 and drawn > 0:
            self._watts, self._source = drawn / 1e6 / busy_s, "rapl"

    def _read(self) -> tuple[list[int], float, list[int]] | None:
        """Microjoules of each package, busy CPU seconds of the machine, where each package's count wraps."""
        if not self._packages:
            return None
        try:
            counts = [_number(folder / "energy_uj") for folder in self._packages]
            limits = [_number(folder / "max_energy_range_uj") for folder in self._packages]
            fields = [int(field) for field in self._stat.read_text("ascii").split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):  # only root may read it on many systems
            return None
        user, nice, system, _idle, _iowait, irq, softirq, steal = fields
        return counts, (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK"), limits


def _is_package(folder: Path) -> bool:
    try:
        return (folder / "name").read_text("ascii").startswith("package")
    except OSError:
        return False


def _number(file: Path) -> int:
    return int(file.read_text("ascii"))
