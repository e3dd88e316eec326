"""The AsyncAPI 3 document: which events are consumed and published, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any, Literal

from faststream.asgi import AsgiFastStream
from faststream.specification import AsyncAPI
from pydantic import BaseModel, Field

from slmfleet.services.events.cloudevents import (
    ANSWERS,
    CHANGES,
    CONTENT_TYPE,
    HANDOFFS,
    QUERIES,
    AnswerData,
    KnowledgeChangedData,
    OrderChangedData,
    QueryData,
)
from slmfleet.services.events.transport import Delivery, HandleAll, Transport


class Envelope(BaseModel):
    """The attributes of every event, for the AsyncAPI document; `CloudEvent` checks them."""

    specversion: Literal["1.0"]
    id: str
    source: str
    time: datetime | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | None = Field(default=None, description="W3C trace context, carried to the answer.")


class QueryReceived(Envelope):
    """A question for the fleet."""

    type: Literal["slmfleet.query.received.v1"]
    data: QueryData


class QueryAnswered(Envelope):
    """What the fleet answered."""

    type: Literal["slmfleet.query.answered.v1"]
    data: AnswerData


class QueryHandedOff(Envelope):
    """A question that a person has to answer."""

    type: Literal["slmfleet.query.handed_off.v1"]
    data: AnswerData


class KnowledgeChanged(Envelope):
    """The policy text of a domain has changed."""

    type: Literal["slmfleet.knowledge.changed.v1"]
    data: KnowledgeChangedData


class OrderChanged(Envelope):
    """The record of an order has changed."""

    type: Literal["slmfleet.order.changed.v1"]
    data: OrderChangedData


Changed = KnowledgeChanged | OrderChanged


def declare(transport: Transport, handlers: dict[str, HandleAll]) -> None:
    """Subscribe `handlers` (stream -> handler) and declare the streams that answers are published to."""
    kinds: dict[str, Any] = {QUERIES: QueryReceived, CHANGES: Changed}
    for stream, handle_all in handlers.items():
        transport.consume(stream, kinds[stream], handle_all)
    transport.announce(ANSWERS, QueryAnswered)
    transport.announce(HANDOFFS, QueryHandedOff)


def asyncapi(transport: Transport) -> dict[str, Any]:
    """The AsyncAPI 3 document of what is consumed from `transport` and published to it."""

    async def nothing(deliveries: Sequence[Delivery]) -> list[bool]:
        return [False] * len(deliveries)

    declare(transport, {QUERIES: nothing, CHANGES: nothing})
    return document_of(AsgiFastStream(transport.broker, specification=specification()))


def document_of(app: AsgiFastStream) -> dict[str, Any]:
    """The AsyncAPI document of `app` as JSON."""
    document: dict[str, Any] = app.schema.to_specification().to_jsonable()
    document["defaultContentType"] = CONTENT_TYPE
    for message in document["components"]["messages"].values():
        message.pop("correlationId", None)  # FastStream's own header; the field here is `in_reply_to`
    return document


def specification() -> AsyncAPI:
    """Title, version and description of the document."""
    return AsyncAPI(
        title="slmfleet",
        version=version("slmfleet"),
        description="A retailer's customers ask, and the fleet answers: CloudEvents 1.0 in structured JSON.",
    )
