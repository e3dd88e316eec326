"""CloudEvents in and out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.events import query

from slmfleet.models.contracts import Answer
from slmfleet.models.errors import EventFault
from slmfleet.services.events.cloudevents import (
    ANSWERS,
    CHANGES,
    HANDOFFS,
    KNOWLEDGE_CHANGED,
    QUERIES,
    STREAM_OF,
    KnowledgeChangedData,
    QueryData,
    answer_event,
    data_of,
    dead_letter_event,
    key_of,
    make_event,
    read_event,
    serialized,
    traceparent_of,
)

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
GOOD: dict[str, Any] = {
    "specversion": "1.0", "id": "7", "source": "shop", "type": "slmfleet.query.received.v1",
    "data": {"text": "hello"},
}  # fmt: skip


def changed(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value != "-"}).encode()


def answer(status: str = "answered") -> Answer:
    return Answer.model_validate(
        {
            "id": "a", "status": status, "text": "Hi.", "parts": [], "cache": "bypass",
            "route": {
                "domain": "d", "confidence": 1.0, "threshold": 0.5, "abstained": False,
                "runner_up": {"domain": "e", "confidence": 0.0}, "model": {"name": "r", "version": "1"},
            },
            "cost": {"latency_ms": 1.0, "cpu_ms": 1.0, "energy_mj": 1.0, "energy_source": "estimated"},
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        (b"", "unreadable", "empty"),
        (b"\xff\xfe", "unreadable", "not JSON"),
        (b"[1]", "unreadable", "must be a JSON object"),
        (changed(id="-"), "invalid", "id: is required"),
        (changed(id=""), "invalid", "id: is required"),
        (changed(source=3), "invalid", "source: is required, as text"),
        (changed(specversion="-"), "invalid", "specversion: is required"),
        (changed(specversion="0.3"), "invalid", "specversion"),
        (changed(time="yesterday"), "invalid", "time: must be a time such as"),
        (changed(time="2026"), "invalid", "time: must be a time such as"),
        (changed(subject=""), "invalid", "subject"),
        (changed(Bad="x"), "invalid", "Bad"),
        (changed(data_base64="aGk="), "invalid", "data_base64"),
        (changed(data="hello"), "invalid", "data: must be a JSON object"),
        (changed(type="other.v1"), "wrong_stream", "slmfleet.query.received.v1 is"),
        (changed(type="slmfleet.order.changed.v1"), "wrong_stream", "is not for slmfleet.queries"),
        (changed(data={"text": "x" * 300_000}), "invalid", "262,144 bytes"),
    ],
)
def test_what_is_no_event_for_the_stream_is_refused_by_name(body: bytes, reason: str, says: str) -> None:
    with pytest.raises(EventFault) as fault:
        read_event(body, QUERIES)
    assert fault.value.reason == reason
    assert says in str(fault.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "data: text: is required"),
        ({"text": "  "}, "data: text: "),
        ({"text": "hi", "customer": "alice"}, "customer: is not a field known here"),
        ({"text": "hi", "token": 3}, "data: token: "),
        ({"text": "hi", "session_id": "a b"}, "data: session_id: "),
    ],
)
def test_wrong_data_name_the_field(data: dict[str, Any], says: str) -> None:
    with pytest.raises(EventFault) as fault:
        data_of(read_event(changed(data=data), QUERIES), QueryData)
    assert says in str(fault.value)


def test_a_query_event_is_a_query_and_a_token() -> None:
    data = data_of(read_event(query("how long?", token="t", session_id="s-1"), QUERIES), QueryData)
    assert (data.token, data.text) == ("t", "how long?")
    question = data.model_dump(exclude_unset=True, exclude={"token"})
    assert question == {"text": "how long?", "session_id": "s-1"}


def test_source_and_id_say_which_event_it_is() -> None:
    first, again = read_event(changed()), read_event(changed(data={"text": "other"}))
    assert key_of(first) == key_of(again)
    assert key_of(first) != key_of(read_event(changed(id="8")))
    one, other = changed(source="a", id="b\0c"), changed(source="a\0b", id="c")
    assert key_of(read_event(one)) != key_of(read_event(other))


def test_an_answer_says_what_it_answers_and_carries_the_trace() -> None:
    event = read_event(changed(traceparent=TRACE), QUERIES)
    told = answer_event(event, answer())
    assert STREAM_OF[told.get_type()] == ANSWERS
    assert traceparent_of(told) == TRACE
    assert told.get_id() == answer_event(event, answer()).get_id()
    data: Any = json.loads(serialized(told))["data"]
    assert data["in_reply_to"] == {"source": "shop", "id": "7"}
    assert STREAM_OF[answer_event(event, answer("handed_off")).get_type()] == HANDOFFS
    assert traceparent_of(read_event(changed(traceparent="nonsense"))) is None


def test_a_change_event_is_for_the_stream_of_changes() -> None:
    event = read_event(serialized(make_event(KNOWLEDGE_CHANGED, {"domain": "returns"})), CHANGES)
    assert data_of(event, KnowledgeChangedData).domain == "returns"


@pytest.mark.parametrize("body", [b"plain", b"\xff\xfe\x00", "h\u00e9".encode()])
def test_a_dead_letter_holds_the_event_as_it_came(body: bytes) -> None:
    from slmfleet.services.events.cloudevents import DEAD, DiedData

    letter = dead_letter_event(body, QUERIES, "unreadable", "why", 0, None)
    assert data_of(read_event(serialized(letter), DEAD), DiedData).raw() == body
    assert letter.get_id() == dead_letter_event(body, QUERIES, "failed", "other", 3, None).get_id()


def test_the_letters_of_a_time_may_be_small() -> None:
    event = read_event(changed(time="2026-06-15t12:00:00z"), QUERIES)
    assert event.get_time() == datetime(2026, 6, 15, 12, tzinfo=UTC)
