from __future__ import annotations

from dataclasses import replace

import pytest

from slmfleet.models.contracts import Decision, ModelVersion, PassageMatch, Reading, Route, Slot
from slmfleet.services.evaluation.decision_digest import DecisionDigest, RecordedSpecialist

MODEL = ModelVersion("router", "000000000001")
DECISION = Decision((Route("returns", 0.91234, "refund?"),), 0.5, ("billing", 0.05), False, MODEL)
READING = Reading(
    "returns",
    "refund",
    0.8,
    (Slot("item", "shoes", 0, 5),),
    (PassageMatch("window", 0.7),),
    MODEL,
    True,
    True,
)


def digest(*made: Decision | Reading) -> str:
    total = DecisionDigest()
    total.add(made)
    return total.hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        replace(DECISION, routes=(Route("billing", 0.91234, "refund?"),)),
        replace(DECISION, routes=(Route("returns", 0.9125, "refund?"),)),
        replace(DECISION, routes=(*DECISION.routes, Route("billing", 0.7, "and?", 9))),
        replace(DECISION, runner_up=("orders", 0.05)),
        replace(DECISION, abstained=True),
    ],
)
def test_another_decision_is_another_digest(changed: Decision) -> None:
    assert digest(changed, READING) != digest(DECISION, READING)


@pytest.mark.parametrize(
    "changed",
    [
        replace(READING, intent="exchange"),
        replace(READING, slots=()),
        replace(READING, slots=(Slot("item", "boots", 0, 5),)),
        replace(READING, passages=(PassageMatch("other", 0.7),)),
        replace(READING, passage_is_evidence=False),
    ],
)
def test_another_reading_is_another_digest(changed: Reading) -> None:
    assert digest(DECISION, changed) != digest(DECISION, READING)


def test_order_counts_and_what_is_no_decision_does_not() -> None:
    assert digest(DECISION, READING) != digest(READING, DECISION)
    route = Route("returns", 0.912344, "refund?")  # the same to four digits
    same = replace(DECISION, routes=(route,), model=ModelVersion("router", "2"), cpu_ms=3.0)
    assert digest(same, replace(READING, cpu_ms=1.0)) == digest(DECISION, READING)


def test_readings_are_added_as_they_are_made() -> None:
    class Reader:
        def read(self, text: str) -> Reading:
            return READING

    total = DecisionDigest()
    recorded = RecordedSpecialist(Reader(), total)  # type: ignore[arg-type]
    assert recorded.read("refund?") is READING
    assert total.hexdigest() == digest(READING)
