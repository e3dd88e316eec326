"""CPU time and memory of this process, read from its own clocks."""

from __future__ import annotations

import threading
import time

from slmfleet.services.telemetry import metrics


def value(name: str, **labels: str) -> float:
    """One series now, 0 when it is not there yet."""
    metrics.exposition()
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_the_threads_of_stages_are_counted_by_their_own_clocks() -> None:
    def work() -> None:
        metrics.watch_thread("event_loop")
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        done.set()
        stop.wait(10)

    done, stop = threading.Event(), threading.Event()
    before = value("slmfleet_cpu_seconds_total", stage="event_loop", domain="none")
    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert done.wait(20)
        grown = value("slmfleet_cpu_seconds_total", stage="event_loop", domain="none") - before
        assert 0.04 < grown < 0.2
    finally:
        stop.set()
        thread.join()


def test_the_page_of_a_process_has_what_it_recorded_and_what_it_takes() -> None:
    metrics.DEAD_LETTERS.add(1, "malformed")
    page = metrics.exposition()
    assert 'slmfleet_dead_letters_total{reason="malformed"}' in page
    resident = next(line for line in page.splitlines() if line.startswith("slmfleet_resident_bytes"))
    assert float(resident.split()[1]) > 10e6
