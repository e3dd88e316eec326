"""CPU time and memory of the process itself, read whenever its metrics are collected."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.metrics_core import Metric as Family

from slmfleet.services.telemetry.instruments import Counter, Gauge
from slmfleet.services.telemetry.labels import NO_DOMAIN


class ProcessCollector:
    """A collector of a registry that brings three metrics up to date; nothing is collected before `bind`.

    Must be registered before them, since a registry collects in the order of registration.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cpu_s = 0.0
        self._threads: dict[str, tuple[int, float]] = {}
        self._metrics: tuple[Counter, Counter, Gauge] | None = None

    def bind(self, process_cpu: Counter, stage_cpu: Counter, resident_bytes: Gauge) -> None:
        """The metrics to update: CPU seconds of the process, CPU seconds by stage, resident memory."""
        self._metrics = process_cpu, stage_cpu, resident_bytes

    def watch(self, stage: str) -> None:
        """Count the CPU time of the calling thread as `stage`, from now on."""
        clock = time.pthread_getcpuclockid(threading.get_ident())
        with self._lock:
            if self._threads.get(stage, (None,))[0] != clock:
                self._threads[stage] = (clock, time.thread_time())

    def collect(self) -> Iterable[Family]:
        """Updates the bound metrics; returns none of its own."""
        if self._metrics is None:
            return ()
        process_cpu, stage_cpu, resident_bytes = self._metrics
        with self._lock:
            now_s = time.process_time()
            process_cpu.add(now_s - self._cpu_s)
            self._cpu_s = now_s
            for stage, (clock, before_s) in self._threads.items():
                with contextlib.suppress(OSError):  # the thread has ended
                    thread_s = time.clock_gettime(clock)
                    stage_cpu.add(thread_s - before_s, stage, NO_DOMAIN)
                    self._threads[stage] = (clock, thread_s)
        with contextlib.suppress(OSError):  # a system without /proc
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            resident_bytes.set(pages * os.sysconf("SC_PAGE_SIZE"))
        return ()
