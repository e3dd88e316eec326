"""Events of a test, and handlers over the word shop's gateway and a real Valkey."""

from __future__ import annotations

from typing import Any

import httpx
from fakes.shop import Shop
from redis.asyncio import Redis

from slmfleet.services.events.answerer import GatewayClient, QueryClient
from slmfleet.services.events.brokers.redis import FIELD, RedisStreams
from slmfleet.services.events.cloudevents import (
    ANSWERS,
    HANDOFFS,
    QUERY_RECEIVED,
    make_event,
    read_event,
    serialized,
)
from slmfleet.services.events.counts import EventCounts
from slmfleet.services.events.dead_letters import DeadLetters
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.query_handler import QueryHandler
from slmfleet.services.events.transport import Delivery


def query(text: str, event_id: str = "1", **data: Any) -> bytes:
    """A query event."""
    return serialized(make_event(QUERY_RECEIVED, {"text": text, **data}, id=event_id, source="test"))


def delivered(*bodies: bytes) -> list[Delivery]:
    """As a broker delivers them."""
    return [Delivery(body) for body in bodies]


def gateway(shop: Shop, api_key: str | None = None) -> GatewayClient:
    """The shop's gateway without a network."""
    return GatewayClient("http://shop", api_key, httpx.ASGITransport(shop.app))


class Desk:
    """A query handler as a consumer has it, on a Valkey of the test's."""

    def __init__(self, url: str, answerer: QueryClient, lease_s: float = 5.0, attempts: int = 3) -> None:
        self.streams = RedisStreams(url, 8, lease_s, 3_600)
        self.client: Redis = self.streams.client
        self.ledger = Ledger(self.client, 3_600, lease_s, attempts)
        self.dead = DeadLetters(self.client)
        self.counts = EventCounts()
        self.handler = QueryHandler(answerer, self.ledger, self.dead, self.streams.publish, self.counts)

    async def handle(self, *bodies: bytes) -> list[bool]:
        return await self.handler.handle_all(delivered(*bodies))

    async def published(self, stream: str = ANSWERS) -> list[bytes]:
        """The events on `stream`."""
        entries: Any = await self.client.xrange(stream)
        return [fields[FIELD.encode()] for _, fields in entries]

    async def texts(self) -> dict[str, str]:
        """Query id -> what was answered, on either stream."""
        found = {}
        for body in [*await self.published(ANSWERS), *await self.published(HANDOFFS)]:
            data: Any = read_event(body).get_data()
            found[data["in_reply_to"]["id"]] = data["answer"]["text"]
        return found

    async def reasons(self) -> list[str]:
        return [letter.died.reason for letter in await self.dead.all()]
