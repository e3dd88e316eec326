"""The AsyncAPI document, as every broker gives it."""

from __future__ import annotations

import json

import pytest

from slmfleet.services.events.asyncapi import asyncapi
from slmfleet.services.events.brokers.redis import RedisStreams
from slmfleet.services.events.brokers.registry import transport_for
from slmfleet.services.settings import Settings


def test_the_asyncapi_document_names_every_stream_and_its_events() -> None:
    document = asyncapi(RedisStreams("redis://:secret@127.0.0.1:1", 1, 1.0, 60))
    assert "secret" not in json.dumps(document)
    assert document["asyncapi"] == "3.0.0"
    assert document["defaultContentType"] == "application/cloudevents+json"
    actions = {name: operation["action"] for name, operation in document["operations"].items()}
    assert actions == {
        "slmfleet.queries": "receive", "slmfleet.changes": "receive",
        "slmfleet.answers": "send", "slmfleet.handoffs": "send",
    }  # fmt: skip
    schemas = document["components"]["schemas"]
    assert schemas["QueryReceived"]["properties"]["type"]["const"] == "slmfleet.query.received.v1"
    assert set(schemas["QueryReceived"]["required"]) == {"specversion", "id", "source", "type", "data"}
    assert "token" in schemas["QueryData"]["properties"]


@pytest.mark.parametrize("url", ["amqp://guest:secret@127.0.0.1:1", "nats://127.0.0.1:1"])
def test_every_broker_has_the_same_events(url: str) -> None:
    document = asyncapi(transport_for(url, Settings()))
    assert "secret" not in json.dumps(document)
    expected = asyncapi(RedisStreams("redis://127.0.0.1:1", 1, 1.0, 60))
    assert set(document["operations"]) == set(expected["operations"])
    assert document["components"]["schemas"] == expected["components"]["schemas"]
