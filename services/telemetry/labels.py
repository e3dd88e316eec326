"""The labels of metrics and their bounded values: never one by query, session or customer."""

from __future__ import annotations

import threading
from typing import Final, get_args

from slmfleet.models.contracts import Status

#: How many values an open label may have before every further one becomes `other`.
MAX_VALUES: Final = 64
OTHER: Final = "other"
#: The domain of work that belongs to none.
NO_DOMAIN: Final = "none"

#: Label -> its values; None for an open label, whose values a fleet's folder (its domains) or events decide.
LABELS: Final[dict[str, frozenset[str] | None]] = {
    "domain": None,
    "outcome": None,
    "type": None,
    "reason": None,
    "channel": frozenset({"http", "queue", "cli", "voice"}),
    "stage": frozenset(
        {"router", "specialist", "reply", "cache", "session", "explain", "event_loop", "metrics"}
    ),
    "verdict": frozenset({"dispatched", "abstained", "hand_off", "out_of_scope"}),
    "result": frozenset(
        {"hit", "miss", "bypass", "error", "same", "different"}
        | {*get_args(Status), "duplicate", "retried", "invalidated"}
    ),
    "source": frozenset({"estimated", "rapl"}),
    "resource": frozenset({"core_hour", "gib_hour", "kwh"}),
    "quantity": frozenset({"cpu_seconds", "joules"}),
    "model": None,
}

_lock = threading.Lock()
_seen: dict[str, set[str]] = {name: set() for name in LABELS}


def bounded(label: str, value: str) -> str:
    """`value`, or `other` where the label does not have it, or has MAX_VALUES others already."""
    allowed = LABELS[label]
    if allowed is not None:
        return value if value in allowed else OTHER
    with _lock:
        seen = _seen[label]
        if value not in seen:
            if len(seen) >= MAX_VALUES:
                return OTHER
            seen.add(value)
    return value
