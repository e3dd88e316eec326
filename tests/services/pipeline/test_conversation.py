"""What is made of several requests and of follow-ups, from readings made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.contracts import (
    HAND_OFF,
    OUT_OF_SCOPE,
    Decision,
    Evidence,
    ModelVersion,
    Part,
    PassageMatch,
    Reading,
    Reference,
    Route,
    Slot,
)
from slmfleet.models.text.gazetteer import singular
from slmfleet.models.text.slots import exact_slots
from slmfleet.services.pipeline.conversation import (
    Conversation,
    Routed,
    make_turn,
    merge_readings,
    readings_in_query,
    route_in_context,
    turns_from_history,
)
from slmfleet.services.pipeline.sessions import Turn

MODEL = ModelVersion("test", "0")
ASKED = Turn(
    "where is my order?", domain="shipping", intent="track", routed=0.97, confidence=0.9, model=MODEL
)
GAZETTEERS = {"product": {"boots": "Boots"}}
WAITING = replace(ASKED, waits=True)


class ListedRouter:
    """Routes by the whole text, surely; a text that is not listed nowhere. Counts its passes."""

    def __init__(self, **domains: str) -> None:
        self._domains = {text.replace("_", " "): domain for text, domain in domains.items()}
        self.texts: list[str] = []

    def route_whole(self, text: str) -> Decision:
        self.texts.append(text)
        domain = self._domains.get(text.rstrip("?"), "")
        route = Route(domain or "returns", 0.9 if domain else 0.3, text)
        return Decision((route,), 0.8, ("other", 0.1), not domain, MODEL, cpu_ms=1.0)

    def route(self, text: str) -> Decision:
        return self.route_whole(text)


def reading(text: str, intent: str = "track", passage: str = "p", **more: object) -> Reading:
    slots = exact_slots(text, GAZETTEERS)
    made = Reading("shipping", intent, 0.9, slots, (PassageMatch(passage, 0.9),), MODEL, True, True)
    return replace(made, **more)  # type: ignore[arg-type]


def routed(*texts: str) -> Routed:
    return Routed(
        Decision(tuple(Route("shipping", 0.9, t) for t in texts), 0.8, ("other", 0.1), False, MODEL)
    )


def test_a_question_that_stands_by_itself_is_routed_once_and_alone() -> None:
    router = ListedRouter(how_do_I_pay="billing")
    decision = route_in_context(router, "how do I pay?", [ASKED]).decision
    assert (decision.routes[0].domain, router.texts) == ("billing", ["how do I pay?"])


def test_without_a_turn_before_it_a_fragment_is_as_unsure_as_ever() -> None:
    router = ListedRouter()
    assert route_in_context(router, "and boots?", []).decision.abstained
    assert len(router.texts) == 1


def test_a_leaning_text_is_routed_behind_the_request_before_for_one_more_pass() -> None:
    both = "where is my order? and for boots"
    router = ListedRouter(and_for_boots="product", **{both: "shipping"})
    decision = route_in_context(router, "and for boots?", [ASKED]).decision
    route = decision.routes[0]
    assert (route.domain, route.text, decision.cpu_ms) == ("shipping", f"{both}?", 2.0)
    assert route.text[-route.start :] == "and for boots?"
    assert len(router.texts) == 2


def test_a_context_that_makes_it_no_surer_changes_nothing() -> None:
    router = ListedRouter(and_for_boots="product")
    decision = route_in_context(router, "and for boots?", [ASKED]).decision
    assert (decision.routes[0].domain, decision.routes[0].start) == ("product", 0)


def test_a_short_text_that_is_sure_by_itself_is_left_alone() -> None:
    router = ListedRouter(can_I_cancel_it="orders")
    assert route_in_context(router, "can I cancel it?", [ASKED]).decision.routes[0].domain == "orders"
    assert len(router.texts) == 1


@pytest.mark.parametrize("text", ["thanks", "ok", "person"])
def test_thanks_and_a_wish_for_a_person_are_no_follow_ups(text: str) -> None:
    router = ListedRouter(thanks=OUT_OF_SCOPE, ok=OUT_OF_SCOPE, person=HAND_OFF)
    assert route_in_context(router, text, [ASKED]).decision.routes[0].text == text
    assert len(router.texts) == 1


def test_a_bare_number_completes_the_question_that_waits_for_it() -> None:
    router = ListedRouter(**{"#W7678072": "orders"})
    got = route_in_context(router, "#W7678072", [WAITING])
    assert got.completes == WAITING
    assert got.decision.routes == (Route("shipping", 0.97, "where is my order? #W7678072", -19),)
    read = merge_readings(got, [(got.decision.routes[0], reading("where is my order? #W7678072", "details"))])
    assert (read[0][1].intent, read[0][1].intent_is_sure) == ("track", True)
    slots = readings_in_query(got, "#W7678072", read, [WAITING])[0].slots
    assert slots == (Slot("order_id", "#W7678072", 0, 9),)
    assert route_in_context(router, "#W7678072", [ASKED]).completes is None


def test_a_number_without_a_grammar_is_an_orders_when_one_was_asked_for() -> None:
    got = route_in_context(ListedRouter(), "it's 00123842", [WAITING])
    assert got.completes is None  # not a bare number: there is a word that is none
    got = route_in_context(ListedRouter(), "00123842", [WAITING])
    read = merge_readings(got, [(got.decision.routes[0], reading(got.decision.routes[0].text))])
    assert readings_in_query(got, "00123842", read, [WAITING])[0].slots == (
        Slot("order_id", "#00123842", 0, 8),
    )


LATE, LOST = ("shipping/late", "When a parcel is late"), ("shipping/lost", "When a parcel is lost")
FEE = ("billing/fee", "A late fee")
OFFERING = replace(ASKED, choices=(LATE, LOST))


def _titles(*passages: tuple[str, str]) -> tuple[Evidence, ...]:
    return tuple(Evidence("knowledge", ref, title) for ref, title in passages)


@pytest.mark.parametrize("text", ["2", "the second one", "lost"])
def test_a_passage_that_was_offered_is_chosen_and_is_the_answer(text: str) -> None:
    got = route_in_context(ListedRouter(), text, [OFFERING])
    (route,) = got.decision.routes
    assert (got.chosen, route.domain, route.text) == ("lost", "shipping", "When a parcel is lost")
    assert not got.decision.abstained
    asked = reading(route.text, passage="late", passage_is_evidence=False)
    ((_, read),) = merge_readings(got, [(route, asked)])
    assert (read.passages[0].passage_id, read.passage_is_evidence) == ("lost", True)
    assert not read.intent_is_sure  # else records would be asked, which nobody did
    assert readings_in_query(got, text, [(route, read)], [OFFERING])[0].slots == ()


@pytest.mark.parametrize(("text", "chosen"), [("3", "fee"), ("the fee", "fee"), ("first", "late")])
def test_of_two_questions_what_either_offered_is_chosen(text: str, chosen: str) -> None:
    parts = [
        Part("shipping", "track", 0.9, (), "needs_input", "Which?", _titles(LATE, LOST), MODEL),
        Part("billing", "fees", 0.7, (), "needs_input", "Which?", _titles(FEE, LOST), MODEL),
    ]
    read = [(Route(part.domain, 0.9, "it"), reading("it")) for part in parts]
    turn = make_turn("it and it", read, [reading("it")] * 2, parts, {})
    assert turn is not None
    assert (turn.choices, turn.waits) == ((LATE, LOST, FEE), False)
    got = route_in_context(ListedRouter(), text, [turn])
    assert (got.chosen, got.decision.routes[0].domain) == (
        chosen,
        "billing" if chosen == "fee" else "shipping",
    )


def test_of_two_questions_one_may_be_chosen_for_while_the_other_waits_for_an_order() -> None:
    parts = [
        Part("shipping", "track", 0.9, (), "needs_input", "Which order?", (), MODEL),
        Part("billing", "fees", 0.7, (), "needs_input", "Which?", _titles(FEE), MODEL),
    ]
    read = [(Route(part.domain, 0.9, "it"), reading("it")) for part in parts]
    turn = make_turn("it and it", read, [reading("it")] * 2, parts, {})
    assert turn is not None
    assert (turn.domain, turn.waits, turn.choices) == ("shipping", True, (FEE,))
    assert route_in_context(ListedRouter(), "the fee", [turn]).chosen == "fee"
    assert route_in_context(ListedRouter(), "#W1234567", [turn]).completes == turn


def test_what_another_version_offered_without_its_domain_is_of_the_turns() -> None:
    got = route_in_context(
        ListedRouter(), "2", [replace(ASKED, choices=(("late", "Late"), ("lost", "Lost")))]
    )
    assert (got.chosen, got.decision.routes[0].domain) == ("lost", "shipping")


def test_what_chooses_nothing_or_wants_a_person_is_no_choice() -> None:
    router = ListedRouter(how_do_I_pay="billing", person=HAND_OFF)
    for text, domain in (("how do I pay?", "billing"), ("person", HAND_OFF)):
        got = route_in_context(router, text, [OFFERING])
        assert (got.chosen, got.decision.routes[0].domain) == (None, domain)


def test_an_intent_of_another_bundle_is_not_forced_upon_a_reading() -> None:
    stale = replace(WAITING, model=ModelVersion("test", "1"))
    got = route_in_context(ListedRouter(), "#W7678072", [stale])
    assert merge_readings(got, [(got.decision.routes[0], reading("x", "details"))])[0][1].intent == "details"


def test_what_would_be_said_twice_is_said_once_by_the_surer_reading() -> None:
    text = "where is #W1234567? is it late?"
    one = (Route("shipping", 0.9, text[:19], 0), reading(text[:19], confidence=0.7, cpu_ms=1.0))
    two = (Route("shipping", 0.9, text[20:], 20), reading(text[20:], confidence=0.8, cpu_ms=2.0))
    (kept,) = merge_readings(routed(), [one, two])
    assert (kept[1].confidence, kept[1].cpu_ms, kept[0].start) == (0.8, 3.0, 20)
    (placed,) = readings_in_query(routed(), text, [kept], [])
    assert placed.slots == (Slot("order_id", "#W1234567", 9, 18),)


def test_equal_intents_with_other_evidence_or_other_orders_stay_apart() -> None:
    first = (Route("shipping", 0.9, "a"), reading("a"))
    assert len(merge_readings(routed(), [first, (first[0], reading("a", passage="q"))])) == 2
    assert len(merge_readings(routed(), [first, (first[0], reading("a", intent="cost"))])) == 2
    unproved = reading("a", passage="q", passage_is_evidence=False)
    assert len(merge_readings(routed(), [first, (first[0], unproved)])) == 1
    named = [(Route("shipping", 0.9, text), reading(text)) for text in ("#W1234567", "#W7654321")]
    assert len(merge_readings(routed(), named)) == 2


def test_what_one_request_names_serves_those_that_name_none() -> None:
    text = "cancel #W1234567 and where is the refund and how much are boots"
    read = [
        (Route("shipping", 0.9, text[:16], 0), reading(text[:16])),
        (Route("shipping", 0.9, text[21:40], 21), reading(text[21:40])),
        (Route("shipping", 0.9, text[45:], 45), reading(text[45:])),
    ]
    cancel, refund, boots = readings_in_query(routed(), text, read, [])
    assert cancel.inherited_slots == (Reference("product", "Boots", True),)
    assert refund.inherited_slots == (
        Reference("order_id", "#W1234567", True),
        Reference("product", "Boots", True),
    )
    assert boots.inherited_slots == (Reference("order_id", "#W1234567", True),)
    assert [text[slot.start : slot.end] for slot in cancel.slots + boots.slots] == ["#W1234567", "boots"]


def test_the_newest_turn_that_names_one_lends_what_the_question_does_not_name() -> None:
    turns = turns_from_history(["where is #W1111111?", "and #W2222222?", "how much are boots?"], GAZETTEERS)

    def inherited_slots(text: str) -> tuple[Reference, ...]:
        return readings_in_query(routed(), text, [(Route("shipping", 0.9, text), reading(text))], turns)[
            0
        ].inherited_slots

    boots = ("product", "Boots")
    assert inherited_slots("can I cancel it?") == (
        Reference("order_id", "#W2222222", True),
        Reference(*boots, True),
    )
    assert inherited_slots("how do I cancel an order?") == (
        Reference("order_id", "#W2222222", False),
        Reference(*boots, False),
    )
    assert inherited_slots("can I cancel #W3333333?") == (Reference(*boots, False),)


def test_what_is_remembered_is_the_part_that_waits_else_the_last() -> None:
    text = "where is my order and how do I pay for #W1234567?"
    read = [
        (Route("shipping", 0.9, "where is my order", 0), reading("")),
        (
            Route("shipping", 0.8, "how do I pay for #W1234567?", 22),
            reading("how do I pay for #W1234567?", "pay"),
        ),
    ]
    readings = readings_in_query(routed(), text, read, [])
    parts = [
        Part("shipping", "track", 0.9, (), "needs_input", "Which?", (), MODEL),
        Part("shipping", "pay", 0.7, (), "answered", "So.", (), MODEL),
    ]
    turn = make_turn(text, read, readings, parts, {})
    references = (("order_id", "#W1234567"),)
    assert turn == Turn("where is my order", references, "shipping", "track", 0.9, 0.9, MODEL, True)
    quoted = (Evidence("record", "orders", "#W1"), Evidence("knowledge", "shipping/lost", "When it is lost"))
    turn = make_turn(text, read, readings, [replace(parts[0], evidence=quoted), parts[1]], {})
    assert turn is not None
    assert (turn.choices, turn.waits) == ((("shipping/lost", "When it is lost"),), False)
    turn = make_turn(
        text, read, readings, [replace(parts[0], status="answered", evidence=quoted), parts[1]], {}
    )
    assert turn is not None
    assert turn.choices == ()
    assert (turn.text, turn.waits, turn.intent) == ("how do I pay for #W1234567?", False, "pay")
    assert make_turn("bla", [], [], [], {}) is None
    assert make_turn("bla #W1234567", [], [], [], {}) == Turn("", references)


@given(
    st.lists(st.sampled_from(["#W1234567", "boots", "a@b.example", "yesterday", "İ", "what"]), max_size=9),
    st.data(),
)
def test_every_slot_is_what_was_written_where_it_was_written(pieces: list[str], data: st.DataObject) -> None:
    text = " ".join(pieces)
    carried = data.draw(st.sampled_from(["", "where is #W7654321? ", "boots "]))
    cut = data.draw(st.integers(0, len(text)))
    spans = [(0, cut), (cut, len(text))] if not carried else [(-len(carried), len(text))]
    read = []
    for start, end in spans:
        part = (carried + text)[len(carried) + start : len(carried) + end]
        read.append((Route("shipping", 0.9, part, start), reading(part)))
    got = Routed(Decision(tuple(route for route, _ in read), 0.8, ("other", 0.1), False, MODEL))
    for one in readings_in_query(got, text, merge_readings(got, read), []):
        for slot in one.slots:
            written = text[slot.start : slot.end]
            assert _plain(slot.value) == _plain(written)


def _plain(written: str) -> str:
    """Without what normal forms add: a cut leaves "boot" and "W1234567", which name the same things."""
    return singular(written.lower().removeprefix("#"))


def test_a_conversation_routes_understands_and_remembers() -> None:
    router = ListedRouter(where_is_my_order="shipping")
    conversation = Conversation("where is my order? #W7678072", [], GAZETTEERS)
    decision = conversation.route(router)
    assert conversation.may_offer
    found = reading("where is my order? #W7678072")
    assert conversation.understand([(decision.routes[0], found)]) == [found]
    turn = conversation.remember([])
    assert turn is not None
    assert turn.references == (("order_id", "#W7678072"),)
    assert not Conversation("hm", [OFFERING], GAZETTEERS).may_offer
