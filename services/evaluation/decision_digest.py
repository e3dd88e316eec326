"""One SHA-256 over what router and specialists decide, to show that a change of code changed no decision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from slmfleet.models.contracts import Decision, Reading
from slmfleet.models.inference.specialist import Specialist

#: Decimal places: processors differ behind them.
_DIGITS: Final = 4
#: Fields that are no part of a decision.
_IGNORED: Final = frozenset({"model", "cpu_ms", "explanation"})


class DecisionDigest:
    """A running digest of values in the order in which they are added; names of fields do not count."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, made: Iterable[Decision | Reading]) -> None:
        """Add decisions or readings."""
        for one in made:
            self._sha256.update(json.dumps(_values(one)).encode())

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._sha256.hexdigest()


class RecordedSpecialist:
    """A specialist whose readings are added to a digest."""

    def __init__(self, specialist: Specialist, digest: DecisionDigest) -> None:
        self._specialist = specialist
        self._digest = digest

    def read(self, text: str) -> Reading:
        """The specialist's reading."""
        reading = self._specialist.read(text)
        self._digest.add([reading])
        return reading


def _values(value: Any) -> Any:
    """`value` as JSON: dataclasses become lists of their fields' values, floats are rounded."""
    if is_dataclass(value):
        return [_values(getattr(value, field.name)) for field in fields(value) if field.name not in _IGNORED]
    if isinstance(value, Mapping):
        return [[str(name), _values(one)] for name, one in sorted(value.items())]
    if isinstance(value, (list, tuple)):
        return [_values(one) for one in value]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    return round(float(value), _DIGITS) + 0.0  # no negative zero
