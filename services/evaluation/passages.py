"""Where questions end up that a passage answers: with it, another one, a choice of passages, or a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from slmfleet.models.contracts import Decision
from slmfleet.models.inference.specialist import Specialist
from slmfleet.models.training.data import Row


class PassageOutcomes(BaseModel):
    """How many questions were answered from their passage or another one, were offered passages with theirs
    among them or not, or went to a person or were refused. As if no records were available."""

    answered_right: int = 0
    answered_wrong: int = 0
    offered_right: int = 0
    offered_wrong: int = 0
    not_answered: int = 0

    @property
    def total(self) -> int:
        """Of how many questions."""
        return sum(self.model_dump().values())


def passage_outcomes(
    rows: Sequence[Row], decisions: Sequence[Decision], specialists: Mapping[str, Specialist]
) -> PassageOutcomes:
    """Count `rows` that a passage answers, each with its decision."""
    counts = PassageOutcomes()
    for row, decision in zip(rows, decisions, strict=True):
        if row.passage is not None:
            kind = _outcome(row, decision, specialists)
            setattr(counts, kind, getattr(counts, kind) + 1)
    return counts


def _outcome(row: Row, decision: Decision, specialists: Mapping[str, Specialist]) -> str:
    if decision.abstained and not decision.likely:
        return "not_answered"
    quoted: list[tuple[str, str]] = []
    offered: list[tuple[str, str]] = []
    for route in decision.routes:
        specialist = specialists.get(route.domain)
        if specialist is not None:
            reading = specialist.read(route.text)
            found = [(route.domain, match.passage_id) for match in reading.passages]
            if reading.passage_is_evidence and not decision.abstained:
                quoted += found[:1]
            else:
                offered += found
    right = (row.domain, row.passage)
    if quoted:
        return "answered_right" if right in quoted else "answered_wrong"
    if offered:
        return "offered_right" if right in offered else "offered_wrong"
    return "not_answered"
