"""The trainer behind `slmfleet evaluate --suite`. Needs the extra `train`."""

from __future__ import annotations

from slmfleet.models.suite import Trainer


def suite_trainer() -> Trainer:
    """The trainer whose readers the suites measure. Raises NotImplementedError: there is none yet."""
    raise NotImplementedError("no trainer for the suites in this version")
