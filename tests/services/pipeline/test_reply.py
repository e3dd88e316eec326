"""Replies over the demonstration shop's own policies and records, from readings made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slmfleet.models.contracts import (
    HAND_OFF,
    OUT_OF_SCOPE,
    Answer,
    Decision,
    ModelVersion,
    PassageMatch,
    Reading,
    Reference,
    Route,
    Slot,
)
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.text.grounding import ungrounded
from slmfleet.services.pipeline.pipeline import Query
from slmfleet.services.pipeline.reply import Replier
from slmfleet.services.records.store import Records, open_records
from slmfleet.services.settings import SHOP_DIR

MODEL = ModelVersion("test", "0")
CUSTOMER = "noah_brown_6181"  # has one order
ORDER = "#W7678072"
IVANS = "#W6893533"  # one of several of ivan_santos_6635
OTHERS = "#W2611340"  # belongs to james_li_5688


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return load_fleet(SHOP_DIR)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    path: Path = tmp_path_factory.mktemp("records") / "records.sqlite"
    opened = open_records(f"sqlite:///{path}", SHOP_DIR / "records")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def replier(fleet: Fleet, records: Records) -> Replier:
    return Replier(fleet, records)


def decision(domain: str, abstained: bool = False) -> Decision:
    return Decision((Route(domain, 0.9, "text"),), 0.5, ("other", 0.1), abstained, MODEL)


def reading(
    fleet: Fleet, domain: str, intent: str, slots: dict[str, str] | None = None, sure: bool = True,
    evidence: bool = True,
) -> Reading:  # fmt: skip
    passages = fleet.domains[domain].config.intents[intent].passages or (
        fleet.domains[domain].passages[0].id,
    )
    return Reading(
        domain, intent, 0.9, tuple(Slot(name, value, 0, 1) for name, value in (slots or {}).items()),
        (PassageMatch(passages[0], 0.9),), MODEL, sure, evidence,
    )  # fmt: skip


def reply(replier: Replier, read: Reading, customer: str | None = None) -> Answer:
    return replier.reply(Query("text", customer), decision(read.domain), [read])


def test_policy_is_quoted_whole_with_its_passage(replier: Replier, fleet: Fleet) -> None:
    answer = reply(replier, reading(fleet, "returns", "return_policy"))
    assert answer.status == "answered"
    assert answer.text == answer.parts[0].evidence[0].quote
    assert answer.parts[0].evidence[0].kind == "knowledge"


def test_without_any_passage_a_person_takes_over(replier: Replier, fleet: Fleet) -> None:
    read = replace(reading(fleet, "returns", "return_policy", evidence=False), passages=())
    answer = reply(replier, read)
    assert (answer.status, answer.parts[0].evidence) == ("handed_off", ())


def test_where_no_passage_is_clear_the_nearest_are_offered_by_title(replier: Replier, fleet: Fleet) -> None:
    near = list(fleet.domains["returns"].passages[:3])
    matches = tuple(PassageMatch(one.id, 0.5) for one in (*near[:2], replace(near[2], id="gone"), near[2]))
    read = replace(reading(fleet, "returns", "return_policy", evidence=False), passages=matches)
    answer = reply(replier, read)
    assert answer.status == "needs_input"
    assert answer.text.splitlines()[1:] == [f"- {one.title}" for one in near]
    assert [(one.ref, one.quote) for one in answer.parts[0].evidence] == [
        (f"returns/{one.id}", one.title) for one in near
    ]
    assert near[0].text not in answer.text


def test_an_order_is_read_for_its_verified_customer_only(replier: Replier, fleet: Fleet) -> None:
    named = reading(fleet, "shipping", "track_order", {"order_id": ORDER})
    assert reply(replier, named).status == "needs_identity"
    mine = reply(replier, named, CUSTOMER)
    assert mine.status == "answered"
    assert ORDER in mine.text
    assert mine.parts[0].evidence[0].kind == "record"


def test_anothers_order_gets_the_words_of_an_unknown_one(replier: Replier, fleet: Fleet) -> None:
    anothers = reply(replier, reading(fleet, "shipping", "track_order", {"order_id": OTHERS}), CUSTOMER)
    unknown = reply(replier, reading(fleet, "shipping", "track_order", {"order_id": "#W0000000"}), CUSTOMER)
    assert anothers.status == unknown.status == "needs_input"
    assert anothers.text.replace(OTHERS, "") == unknown.text.replace("#W0000000", "")
    assert anothers.parts[0].evidence == unknown.parts[0].evidence == ()


def test_the_only_order_is_meant_and_several_are_asked_about(
    replier: Replier, fleet: Fleet, records: Records
) -> None:
    unnamed = reading(fleet, "shipping", "track_order")
    assert ORDER in reply(replier, unnamed, CUSTOMER).text
    several = "ivan_santos_6635"
    asked = reply(replier, unnamed, several)
    assert asked.status == "needs_input"
    assert all(order.order_id in asked.text for order in records.recent_orders(several))


def test_two_orders_are_both_answered(replier: Replier, fleet: Fleet, records: Records) -> None:
    two = [order.order_id for order in records.recent_orders("ivan_santos_6635")][:2]
    read = reading(fleet, "shipping", "track_order")
    read = Reading(
        read.domain, read.intent, 0.9, tuple(Slot("order_id", value, 0, 1) for value in two),
        read.passages, MODEL, True, True,
    )  # fmt: skip
    assert all(order_id in reply(replier, read, "ivan_santos_6635").text for order_id in two)


def test_a_record_is_not_read_on_a_guess(replier: Replier, fleet: Fleet) -> None:
    guess = reading(fleet, "shipping", "track_order", {"order_id": ORDER}, sure=False, evidence=False)
    answer = reply(replier, guess, CUSTOMER)
    assert answer.status == "needs_input"
    assert {one.kind for one in answer.parts[0].evidence} == {"knowledge"}
    assert ORDER not in answer.text


def test_a_product_is_answered_from_the_catalogue_for_anyone(replier: Replier, fleet: Fleet) -> None:
    answer = reply(replier, reading(fleet, "product", "product_price", {"product": "Hiking Boots"}))
    assert answer.status == "answered"
    assert "$" in answer.text
    assert answer.parts[0].evidence[0].kind == "record"


@pytest.mark.parametrize(
    ("domain", "status"),
    [(HAND_OFF, "handed_off"), (OUT_OF_SCOPE, "out_of_scope"), ("returns", "handed_off")],
)
def test_what_no_specialist_reads_is_worded_politely(replier: Replier, domain: str, status: str) -> None:
    answer = replier.reply(Query("text"), decision(domain, abstained=domain == "returns"), [])
    assert (answer.status, answer.parts) == (status, ())
    assert "{" not in answer.text


def test_to_what_the_router_is_unsure_of_passages_are_offered_and_nothing_is_said(
    replier: Replier, fleet: Fleet
) -> None:
    sure = reading(fleet, "shipping", "track_order", {"order_id": ORDER})
    unsure = decision("shipping", abstained=True)
    answer = replier.reply(Query("text", CUSTOMER), unsure, [sure])
    assert (answer.status, answer.parts[0].status) == ("needs_input", "needs_input")
    assert {one.kind for one in answer.parts[0].evidence} == {"knowledge"}
    assert ORDER not in answer.text
    assert fleet.domains["shipping"].passage_by_id[sure.passages[0].passage_id].title in answer.text
    for readings in ([], [replace(sure, passages=())]):
        assert replier.reply(Query("text"), unsure, readings).status == "handed_off"


def test_the_whole_takes_the_status_that_asks_most(replier: Replier, fleet: Fleet) -> None:
    readings = [reading(fleet, "returns", "return_policy"), reading(fleet, "shipping", "track_order")]
    answer = replier.reply(Query("text"), decision("returns"), readings)
    assert answer.status == "needs_identity"
    assert answer.text.count("\n\n") == 1


def test_a_part_without_evidence_does_not_swallow_the_others(replier: Replier, fleet: Fleet) -> None:
    unproved = replace(reading(fleet, "billing", "installments", evidence=False), passages=())
    known = reading(fleet, "returns", "return_policy")
    answer = replier.reply(Query("text"), decision("billing"), [unproved, known, unproved])
    assert answer.status == "handed_off"
    assert [part.status for part in answer.parts] == ["handed_off", "answered", "handed_off"]
    said, rest = answer.text.split("\n\n")
    assert said == answer.parts[1].text == answer.parts[1].evidence[0].quote
    assert "rest of your message" in rest
    alone = replier.reply(Query("text"), decision("billing"), [unproved, unproved])
    assert alone.text == alone.parts[0].text


def test_a_wish_for_a_person_is_granted_once_beside_an_answer(replier: Replier, fleet: Fleet) -> None:
    routes = (Route(HAND_OFF, 0.9, "a person"), Route("returns", 0.9, "text"), Route(HAND_OFF, 0.9, "agent"))
    readings = [reading(fleet, "returns", "return_policy")]
    answer = replier.reply(Query("text"), Decision(routes, 0.5, ("other", 0.1), False, MODEL), readings)
    assert answer.status == "handed_off"
    assert answer.text.startswith(answer.parts[0].text)
    assert answer.text.count("passing you to a person") == 1


def test_a_lent_order_is_used_where_it_is_meant_or_needed(replier: Replier, fleet: Fleet) -> None:
    def answered(intent: str, *inherited_slots: Reference) -> Answer:
        domain = "shipping" if intent == "track_order" else "orders"
        return reply(
            replier,
            replace(reading(fleet, domain, intent), inherited_slots=inherited_slots),
            "ivan_santos_6635",
        )

    mine = Reference("order_id", IVANS, True)
    implicit = replace(mine, explicit=False)
    assert answered("track_order").status == "needs_input"
    assert IVANS in answered("track_order", implicit).parts[0].evidence[0].ref
    assert IVANS in answered("cancel_order", mine).text
    assert answered("cancel_order", implicit).parts[0].evidence[0].kind == "knowledge"
    own = reading(fleet, "orders", "cancel_order", {"order_id": "#W0000000"})
    assert IVANS not in reply(replier, replace(own, inherited_slots=(mine,)), "ivan_santos_6635").text


def test_a_lent_order_of_anothers_stays_unknown(replier: Replier, fleet: Fleet) -> None:
    inherited_slots = replace(
        reading(fleet, "shipping", "track_order"), inherited_slots=(Reference("order_id", OTHERS, True),)
    )
    assert reply(replier, inherited_slots).status == "needs_identity"
    answer = reply(replier, inherited_slots, CUSTOMER)
    assert (answer.status, answer.parts[0].evidence) == ("needs_input", ())


def test_every_record_reply_of_the_shop_is_grounded_for_every_order(replier: Replier, fleet: Fleet) -> None:
    """All 1,000 orders through all order intents: answered, and each number stands in the evidence."""
    rows = map(json.loads, (SHOP_DIR / "records" / "orders.jsonl").read_text(encoding="utf-8").splitlines())
    orders = [(row["user_id"], row["order_id"]) for row in rows]
    assert len(orders) == 1_000
    seen = set()
    for domain in fleet.domains.values():
        for name, intent in domain.config.intents.items():
            if intent.record != "order":
                continue
            for customer, order_id in orders[:: 1 if name == "track_order" else 7]:
                answer = reply(replier, reading(fleet, domain.name, name, {"order_id": order_id}), customer)
                assert answer.status == "answered", (domain.name, name, order_id, answer.text)
                quotes = [one.quote for one in answer.parts[0].evidence]
                assert not ungrounded(answer.text, quotes)
                assert "{" not in answer.text
                seen.add((domain.name, name))
    assert len(seen) > 8
