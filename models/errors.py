"""Every error of slmfleet, in one hierarchy.

    SlmfleetError
    ├── InvalidQuery            a field of the query is wrong (`field` names it)
    │   └── MalformedRequest    the request cannot be read at all
    ├── UnsupportedMediaType    the body is not JSON
    ├── TooLarge                the body or a batch is over its limit
    ├── Unauthenticated         no key or token, or one that is forged or expired
    ├── NotFound                no such path, domain or customer
    ├── MethodNotAllowed        the path exists, the method does not
    ├── DeadlineExceeded        the answer was not ready in time
    ├── Overloaded              too many requests in progress (`retry_after_s`)
    ├── ModelBroken             a model fails its own probe or raises
    ├── Unreachable             a server that is needed (Redis, a broker) does not answer or does not start
    ├── EventFault              an event on a queue cannot be dealt with (`reason`)
    ├── FleetFault              fleet.yaml, domain.yaml or a file they name is wrong (`faults`)
    ├── BundleFault             a bundle is damaged, of another format, or was trained for something else
    │   └── BundleMissing       there is no bundle: the model has not been trained yet
    ├── DataFault               a training row or source cannot be used
    ├── BaselineFault           a model to compare with cannot be loaded or queried
    └── SettingsFault           a setting is missing or contradicts another

Which HTTP status each becomes is decided in one table, in services/gateway/app.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class SlmfleetError(Exception):
    """Base of all: `str(error)` can be shown to the user who caused it."""


class InvalidQuery(SlmfleetError):
    """A field of a query is not acceptable; the message says what would do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class MalformedRequest(InvalidQuery):
    """The request cannot be read: broken JSON, invalid UTF-8, not an object."""


class UnsupportedMediaType(SlmfleetError):
    """The body's content type is not one that is understood."""


class TooLarge(SlmfleetError):
    """The body, or the number of queries in it, is over the limit."""


class Unauthenticated(SlmfleetError):
    """An API key or customer token is missing, forged or expired."""


class NotFound(SlmfleetError):
    """The requested thing does not exist, or the caller may not know that it does."""


class MethodNotAllowed(SlmfleetError):
    """The path exists but not with this method."""

    def __init__(self, message: str, allowed: Sequence[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class DeadlineExceeded(SlmfleetError):
    """The answer was not ready before the deadline."""


class Overloaded(SlmfleetError):
    """Too many requests are in progress; try again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelBroken(SlmfleetError):
    """A model fails its probe or raised while reading a query."""


class Unreachable(SlmfleetError):
    """A server that is needed (Redis, a broker) does not answer, or cannot be started."""


class EventFault(SlmfleetError):
    """An event cannot be dealt with, however often it is tried; `reason` is a word of events.Reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a fleet's folder: where, what, and what would do."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class FleetFault(SlmfleetError):
    """The fleet's folder has faults; all of them, not just the first."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class BundleFault(SlmfleetError):
    """A bundle cannot be served: missing, damaged, of another format, or trained for something else."""


class BundleMissing(BundleFault):
    """There is no bundle in the folder: the model has not been trained yet."""


class DataFault(SlmfleetError):
    """Training data cannot be used."""


class BaselineFault(SlmfleetError):
    """The model that the fleet is compared with cannot be loaded, or does not answer."""


class SettingsFault(SlmfleetError):
    """A setting is missing or contradicts another."""
