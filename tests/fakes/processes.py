"""What /proc tells of a process that may be gone by the time it is read."""

from __future__ import annotations

from pathlib import Path


def of_process(pid: int, name: str) -> bytes:
    """`/proc/PID/name`; empty when the process has ended, or ends while it is read."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
