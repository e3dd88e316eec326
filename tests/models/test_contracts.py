"""An answer as a value and as JSON."""

from __future__ import annotations

import json
import pickle

from slmfleet.models.contracts import (
    Answer,
    Cost,
    Decision,
    Evidence,
    Explanation,
    Explanations,
    Flip,
    LabelScore,
    ModelVersion,
    Neighbour,
    Part,
    Route,
    Slot,
    WordWeight,
)

MODEL = ModelVersion("returns", "0123456789ab")
PART = Part(
    "returns", "how", 0.123456, (Slot("order_id", "#W1", 0, 3),), "answered", "Hi.",
    (Evidence("rule", "returns.days", "30"),), MODEL,
)  # fmt: skip
DECISION = Decision((Route("returns", 0.98765, "hi"),), 0.55556, ("billing", 0.011111), False, MODEL)
WHY = Explanation(
    "hi", "how", 0.123456, 0.5, LabelScore("cost", 0.1), (WordWeight("hi", 0, 2, -1.23456),),
    Flip(("hi",), "cost", 0.55556), (Neighbour("hello", "how", 0.99999),), cpu_ms=3.0,
)  # fmt: skip


def answer() -> Answer:
    return Answer(
        id="1", status="answered", text="Hi.", parts=(PART,), route=DECISION.routing, cache="bypass",
        cost=Cost.measured(0.00123456, 0.001, 0.008, "estimated"),
        explanation=Explanations(route=WHY, parts=(WHY.for_part("returns"),)),
    )  # fmt: skip


def test_shares_have_four_digits_in_an_answer_and_all_of_them_outside() -> None:
    made = answer()
    assert (made.parts[0].confidence, PART.confidence) == (0.1235, 0.123456)
    assert (made.route.confidence, made.route.threshold, made.route.runner_up.confidence) == (
        0.9877,
        0.5556,
        0.0111,
    )
    assert made.explanation is not None
    part = made.explanation.parts[0]
    assert (part.words[0].weight, part.nearest[0].similarity, part.flip) == (
        -1.2346,
        1.0,
        Flip(("hi",), "cost", 0.5556),
    )


def test_an_answer_is_the_same_after_json() -> None:
    made = answer()
    again = Answer.model_validate_json(made.model_dump_json())
    assert again.model_dump() == made.model_dump()
    assert pickle.loads(pickle.dumps(made)) == made


def test_the_json_has_every_field_but_what_an_explanation_cost() -> None:
    document = json.loads(answer().model_dump_json())
    assert [*document] == [
        "id", "status", "text", "parts", "route", "cache", "cost", "session_id", "explanation",
    ]  # fmt: skip
    assert [*document["explanation"]["parts"][0]] == [
        "text", "label", "confidence", "threshold", "runner_up", "words", "flip", "nearest", "domain",
    ]  # fmt: skip
    assert document["cost"] == {
        "latency_ms": 1.235, "cpu_ms": 1.0, "energy_mj": 8.0, "energy_source": "estimated",
    }  # fmt: skip
    assert document["session_id"] is None


def test_the_explanation_of_a_part_is_the_models_with_its_domain() -> None:
    part = WHY.for_part("returns")
    assert part.domain == "returns"
    assert all(getattr(part, name) == getattr(WHY, name) for name in Explanation.__dataclass_fields__)
