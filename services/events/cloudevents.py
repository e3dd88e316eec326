"""Events in and out: CloudEvents 1.0 in structured JSON, their types, their data, and their streams.

`source` and `id` together identify an event, however often it is delivered.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

import orjson
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import BaseModel, ConfigDict, Field

from slmfleet.models.errors import EventFault, InvalidQuery
from slmfleet.services.schemas import AnswerBody, QueryBody
from slmfleet.services.validation import parse_object, validate

QUERY_RECEIVED: Final = "slmfleet.query.received.v1"
QUERY_ANSWERED: Final = "slmfleet.query.answered.v1"
QUERY_HANDED_OFF: Final = "slmfleet.query.handed_off.v1"
KNOWLEDGE_CHANGED: Final = "slmfleet.knowledge.changed.v1"
ORDER_CHANGED: Final = "slmfleet.order.changed.v1"
EVENT_DIED: Final = "slmfleet.event.died.v1"

QUERIES: Final = "slmfleet.queries"
ANSWERS: Final = "slmfleet.answers"
HANDOFFS: Final = "slmfleet.handoffs"
CHANGES: Final = "slmfleet.changes"
DEAD: Final = "slmfleet.dead"

#: Type -> the stream (queue, subject) that it travels on.
STREAM_OF: Final[Mapping[str, str]] = {
    QUERY_RECEIVED: QUERIES,
    QUERY_ANSWERED: ANSWERS,
    QUERY_HANDED_OFF: HANDOFFS,
    KNOWLEDGE_CHANGED: CHANGES,
    ORDER_CHANGED: CHANGES,
    EVENT_DIED: DEAD,
}
CONTENT_TYPE: Final = JSONFormat.CONTENT_TYPE
#: The `source` of events that the fleet makes.
SOURCE: Final = "slmfleet"
MAX_EVENT_BYTES: Final = 262_144  # a dead letter may have more: its event is inside

_REQUIRED: Final = ("specversion", "id", "source", "type")
_IDS: Final = uuid.UUID("7c6c7b53-5d0f-5c39-8e6e-2f1d8f0c4a11")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Data = TypeVar("Data", bound=BaseModel)


class QueryData(QueryBody):
    """Data of slmfleet.query.received.v1: a question, and the signed token of the customer who asks."""

    token: str | None = Field(
        default=None,
        max_length=4_096,
        description="Customer token, as in the Authorization header over HTTP; never a bare customer id.",
    )

    def query(self) -> QueryBody:
        """The question alone, as it is posted over HTTP."""
        return QueryBody.model_construct(
            **{name: getattr(self, name) for name in self.model_fields_set - {"token"}}
        )


class KnowledgeChangedData(BaseModel):
    """Data of slmfleet.knowledge.changed.v1."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    domain: str = Field(min_length=1, max_length=64, examples=["returns"])


class OrderChangedData(BaseModel):
    """Data of slmfleet.order.changed.v1."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    order_id: str = Field(min_length=1, max_length=64, examples=["#W7678072"])


class EventReference(BaseModel):
    """Identifies an event."""

    source: str
    id: str


class AnswerData(BaseModel):
    """Data of slmfleet.query.answered.v1 and slmfleet.query.handed_off.v1."""

    in_reply_to: EventReference
    answer: AnswerBody


Reason = Literal[
    "unreadable",
    "invalid",
    "wrong_stream",
    "unauthenticated",
    "refused",
    "failed",
    "crashed",
    "undeliverable",
]


class DiedData(BaseModel):
    """Data of slmfleet.event.died.v1: an event that could not be handled, as it came, and why.

    `reason`: unreadable (no JSON object), invalid (an attribute or field is wrong), wrong_stream (its type
    does not belong there), unauthenticated (the token is forged or expired), refused (the gateway does not
    accept it), failed (every attempt failed), crashed (consumers ended while they had it), undeliverable (the
    broker gave up).
    """

    stream: str
    reason: Reason
    detail: str
    attempts: int
    body: str
    encoding: Literal["utf-8", "base64"]
    event: EventReference | None

    def raw(self) -> bytes:
        """The event as it came."""
        return self.body.encode() if self.encoding == "utf-8" else base64.b64decode(self.body)


_DATA: Final[Mapping[str, type[BaseModel]]] = {
    QUERY_RECEIVED: QueryData,
    KNOWLEDGE_CHANGED: KnowledgeChangedData,
    ORDER_CHANGED: OrderChangedData,
}


def read_event(body: bytes, stream: str | None = None) -> CloudEvent:
    """The event in `body`; where `stream` is given, its type must belong there.

    Raises EventFault naming what is wrong with it.
    """
    if stream != DEAD and len(body) > MAX_EVENT_BYTES:
        raise EventFault("invalid", f"an event may have at most {MAX_EVENT_BYTES:,} bytes")
    try:
        document = parse_object(body)
    except InvalidQuery as error:
        raise EventFault("unreadable", str(error).replace("the body", "the event", 1)) from None
    if "data_base64" in document:
        raise EventFault("invalid", "data_base64: send the data as JSON, in `data`")
    data = document.pop("data", None)
    for name in _REQUIRED:  # the library would generate what is missing, and a new id is another event
        if not isinstance(document.get(name), str) or not document[name]:
            raise EventFault("invalid", f"{name}: is required, as text")
    try:
        if isinstance(document.get("time"), str):
            document["time"] = datetime.fromisoformat(document["time"].upper())
        event = CloudEvent(document, data)
    except ValueError:
        raise EventFault("invalid", "time: must be a time such as 2026-06-15T12:00:00Z (RFC 3339)") from None
    except CloudEventValidationError as error:
        faults = "; ".join(f"{name}: {found[-1]}" for name, found in error.errors.items())
        raise EventFault("invalid", faults) from None
    if stream is not None and STREAM_OF.get(event.get_type()) != stream:
        known = " or ".join(kind for kind, place in STREAM_OF.items() if place == stream)
        raise EventFault("wrong_stream", f"type: {event.get_type()[:80]} is not for {stream}, {known} is")
    if not isinstance(data, dict):
        raise EventFault("invalid", "data: must be a JSON object")
    return event


def data_of(event: CloudEvent, kind: type[Data]) -> Data:
    """The event's data as `kind`. Raises EventFault naming each wrong field."""
    data = event.get_data()
    assert isinstance(data, dict)
    try:
        return validate(kind, data)
    except InvalidQuery as error:
        raise EventFault("invalid", f"data: {error}") from None


def check_data(event: CloudEvent) -> None:
    """Raises EventFault unless the data of a consumed event fit its type."""
    data_of(event, _DATA[event.get_type()])


def key_of(event: CloudEvent) -> str:
    """40 hex digits of source and id: the same for every delivery of an event, and for no other event."""
    return hashlib.sha256(orjson.dumps([event.get_source(), event.get_id()])).hexdigest()[:40]


def traceparent_of(event: CloudEvent) -> str | None:
    """The event's W3C trace context; None when it has none, or none that is valid."""
    given = event.get_extension("traceparent")
    return given if isinstance(given, str) and _TRACEPARENT.fullmatch(given) else None


def make_event(kind: str, data: BaseModel | Mapping[str, Any], **attributes: str) -> CloudEvent:
    """A new event of type `kind`; `attributes` replace the generated ones."""
    content = data.model_dump(mode="json", exclude_unset=True) if isinstance(data, BaseModel) else dict(data)
    given: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "source": SOURCE,
        "type": kind,
        "time": datetime.now(UTC),
        "datacontenttype": "application/json",
        **attributes,
    }
    return CloudEvent(given, content)


def answer_event(event: CloudEvent, answer: AnswerBody) -> CloudEvent:
    """The answer to a query event, with an id derived from the query's: readers can drop duplicates."""
    data = AnswerData(
        in_reply_to=EventReference(source=event.get_source(), id=event.get_id()),
        answer=answer,
    )
    kind = QUERY_HANDED_OFF if answer.status == "handed_off" else QUERY_ANSWERED
    trace = traceparent_of(event)
    attributes = {"id": str(uuid.uuid5(_IDS, key_of(event))), **({"traceparent": trace} if trace else {})}
    return make_event(kind, data.model_dump(mode="json", exclude_none=True), **attributes)


def dead_letter_event(
    body: bytes, stream: str, reason: Reason, detail: str, attempts: int, event: CloudEvent | None
) -> CloudEvent:
    """A dead letter about `body`, which came on `stream`. Its id is the same whenever the same body dies."""
    try:
        text, encoding = body.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(body).decode(), "base64"
    reference = EventReference(source=event.get_source(), id=event.get_id()) if event else None
    data = DiedData(
        stream=stream,
        reason=reason,
        detail=detail,
        attempts=attempts,
        body=text,
        encoding="utf-8" if encoding == "utf-8" else "base64",
        event=reference,
    )
    letter = hashlib.sha256(f"{stream}\0".encode() + body).hexdigest()
    return make_event(EVENT_DIED, data.model_dump(mode="json"), id=letter[:16])


def serialized(event: CloudEvent) -> bytes:
    """The event as JSON."""
    return JSONFormat().write(event)
