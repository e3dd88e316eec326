from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from slmfleet.models.contracts import Answer, Cost, Evidence, ModelVersion, Part, Routing, RunnerUp, Status
from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.text.normalise import fingerprint
from slmfleet.models.training.data import load_corpus
from slmfleet.services.evaluation.customers import (
    OUTCOMES,
    CustomerQuestion,
    answers_both,
    customer_figures,
    load_questions,
    outcome_of,
)
from slmfleet.services.settings import SHOP_DIR, Settings

MODEL = ModelVersion("returns", "0" * 12)
POLICY = {
    "id": "q1", "kind": "policy", "style": "ordinary", "channel": "chat", "text": "return shoes?",
    "history": [], "domains_any_of": [["returns"]], "status_any_of": ["answered"],
    "accept": ["returns/shoes", "returns/time"],
}  # fmt: skip


def question(**changes: object) -> CustomerQuestion:
    return CustomerQuestion.model_validate({**POLICY, **changes})


def answer(status: Status, *refs: str, part: Status | None = None) -> Answer:
    text = "30 days"
    quotes = [(ref.partition("/")[0], (Evidence("knowledge", ref, text),)) for ref in refs]
    return Answer(
        id="a",
        status=status,
        text=text,
        parts=tuple(
            Part(domain, "i", 0.9, (), part or status, text, quote, MODEL) for domain, quote in quotes
        ),
        route=Routing("returns", 0.9, 0.8, False, RunnerUp("billing", 0.1), MODEL),
        cache="bypass",
        cost=Cost(1, 1, 1, "estimated"),
        session_id=None,
        explanation=None,
    )


ORDER = {"kind": "order", "status_any_of": ["needs_identity", "needs_input"], "accept": []}
NONE = {
    "domains_any_of": [],
    "status_any_of": ["out_of_scope", "handed_off"],
    "accept": [],
    "no_evidence": True,
}
SOCIAL = {**NONE, "kind": "social", "status_any_of": ["answered", "out_of_scope"]}


@pytest.mark.parametrize(
    ("changes", "got", "outcome"),
    [
        ({}, answer("answered", "returns/time"), "served"),
        ({}, answer("answered", "returns/mail"), "misled"),
        ({}, answer("needs_input", "returns/mail", "returns/shoes"), "offered"),
        ({}, answer("needs_input", "returns/mail"), "other"),
        ({}, answer("handed_off"), "gave_up"),
        ({}, answer("out_of_scope"), "gave_up"),
        ({}, answer("needs_identity", "returns/time"), "other"),
        ({"domains_any_of": [["billing"]]}, answer("answered", "returns/time"), "other"),
        ({"must_say": r"\\$12"}, answer("answered", "returns/time"), "misled"),
        ({"must_say": "30"}, answer("answered", "returns/time"), "served"),
        # A passage that is only offered beside the answer does not make the answer right.
        ({}, answer("answered", "returns/time", part="needs_input"), "misled"),
        (ORDER, answer("needs_identity", "returns/x"), "served"),
        (ORDER, answer("needs_identity", "billing/x"), "other"),
        (ORDER, answer("answered", "returns/time"), "misled"),
        (NONE, answer("out_of_scope"), "served"),
        (NONE, answer("answered", "returns/time"), "misled"),
        (NONE, answer("needs_input", "returns/time"), "other"),
        (SOCIAL, answer("answered"), "served"),
        (SOCIAL, answer("answered", "returns/time"), "misled"),
    ],
)
def test_each_outcome(changes: dict[str, object], got: Answer, outcome: str) -> None:
    assert outcome_of(question(**changes), got) == outcome


def test_two_asks_are_both_answered_or_not() -> None:
    double = question(kind="two_asks", accept_each=[["returns/time"], ["billing/cards", "billing/cash"]])
    assert answers_both(double, answer("answered", "returns/time", "billing/cash"))
    assert not answers_both(double, answer("answered", "returns/time"))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", r"questions\.jsonl:2: line: Invalid JSON"),
        (json.dumps({**POLICY, "kind": "riddle"}), r"questions\.jsonl:2: kind: Input should be 'policy'"),
        (
            json.dumps({**POLICY, "status_any_of": ["done"]}),
            r"questions\.jsonl:2: status_any_of\.0: Input should",
        ),
        (json.dumps({**POLICY, "register": "chat"}), r"questions\.jsonl:2: register: Extra inputs are not"),
    ],
)
def test_a_wrong_line_is_named(line: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "customers").mkdir()
    path = tmp_path / "customers" / "questions.jsonl"
    path.write_text(f"{json.dumps(POLICY)}\n{line}\n", encoding="utf-8")
    with pytest.raises(DataFault, match=fault):
        load_questions(tmp_path)


def test_a_fleet_without_such_questions_is_measured_without(tmp_path: Path) -> None:
    assert load_questions(tmp_path) == []
    assert customer_figures(Settings(), [], lambda: None) == []


def test_the_shops_questions_name_what_there_is_and_are_in_no_other_set() -> None:
    fleet, questions = load_fleet(SHOP_DIR), load_questions(SHOP_DIR)
    domains = fleet.domains.items()
    known = {f"{name}/{passage.id}" for name, domain in domains for passage in domain.passages}
    for one in questions:
        assert set(one.accept) <= known, one.id
        assert {domain for right in one.domains_any_of for domain in right} <= set(fleet.domains), one.id
        assert (one.kind == "follow_up") == bool(one.history), one.id
        assert set(one.accept) == set().union(*one.accept_each) or not one.accept_each, one.id
    for field in ("id", "text"):
        assert Counter(getattr(one, field) for one in questions).most_common(1)[0][1] == 1
    corpus = load_corpus(fleet)
    others = {fingerprint(row.text) for row in (*corpus.train, *corpus.test)}
    assert [one.id for one in questions if fingerprint(one.text) in others] == []


def test_figures_count_every_question_once(tmp_path: Path) -> None:
    asked = load_questions(SHOP_DIR)
    some = [*asked[:6], *(one for one in asked if one.style == "ordinary")][:10]
    ticks: list[None] = []
    figures = customer_figures(Settings(state_dir=tmp_path, metrics=False), some, lambda: ticks.append(None))
    assert len(ticks) == len(some)
    for style in ("oblique", "ordinary"):
        whole, *kinds = [one for one in figures if one.style == style]
        assert whole.kind == "all"
        for name in OUTCOMES:
            assert getattr(whole, name).hits == sum(getattr(kind, name).hits for kind in kinds)
        assert sum(getattr(whole, name).hits for name in OUTCOMES) == whole.served.total
