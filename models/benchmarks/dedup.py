"""Test rows that also occur in training, told by models.text.fingerprint."""

from __future__ import annotations

from collections.abc import Iterable

from slmfleet.models.benchmarks.task import SuiteRow
from slmfleet.models.text.normalise import fingerprint


def _key(text: str) -> str:
    # A text of punctuation or emoji alone has an empty fingerprint; two of them are not near-duplicates.
    return fingerprint(text) or text


def rows_with_twins(train: Iterable[SuiteRow], test: Iterable[SuiteRow]) -> list[str]:
    """The test texts that have a near-duplicate in training, in order; one each test row."""
    known = {_key(row.text) for row in train}
    return [row.text for row in test if _key(row.text) in known]


def without_twins(train: Iterable[SuiteRow], test: Iterable[SuiteRow]) -> tuple[SuiteRow, ...]:
    """The training rows that no test row is a near-duplicate of."""
    tested = {_key(row.text) for row in test}
    return tuple(row for row in train if _key(row.text) not in tested)
