"""`slmfleet publish`, `dead replay`: events onto the broker, and what became of a question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

from cloudevents.core.v1.event import CloudEvent
from redis.exceptions import RedisError

from slmfleet.models.errors import SlmfleetError, Unreachable
from slmfleet.services.events.cloudevents import (
    ANSWERS,
    HANDOFFS,
    STREAM_OF,
    AnswerData,
    EventReference,
    data_of,
    read_event,
)
from slmfleet.services.events.connection import Connection
from slmfleet.services.events.dead_letters import DeadLetter, DeadLetters
from slmfleet.services.events.transport import Transport

_POLL_DEAD_LETTERS_EVERY_S: Final = 0.5


async def publish(transport: Transport, event: CloudEvent) -> None:
    """Put `event` on the stream of its type. Raises Unreachable."""
    await transport.prepare()
    await transport.publish(STREAM_OF[event.get_type()], event)


async def ask(
    transport: Transport, dead: DeadLetters, event: CloudEvent, wait_s: float
) -> AnswerData | DeadLetter | None:
    """Publish a query event and wait for its answer or its dead letter; None when neither came in `wait_s`.

    Raises Unreachable, and Redis' own errors when the dead letters cannot be read at first.
    """
    await transport.prepare()
    newest = await dead.newest()
    async with transport.listen((ANSWERS, HANDOFFS)) as bodies:
        await transport.publish(STREAM_OF[event.get_type()], event)
        ended = asyncio.Event()
        answer = asyncio.create_task(_answer_to(event, bodies))
        letter = asyncio.create_task(_letter_about(event, dead, newest, ended))
        try:
            await asyncio.wait((answer, letter), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            return letter.result() if letter.done() else None
        finally:
            ended.set()  # redis-py loses a cancellation that comes while it reads a reply
            answer.cancel()
            letter.cancel()
            await asyncio.wait((answer, letter), timeout=1.0)


async def _answer_to(event: CloudEvent, bodies: AsyncIterator[bytes]) -> AnswerData:
    async for body in bodies:
        data = data_of(read_event(body), AnswerData)
        if data.in_reply_to == EventReference(source=event.get_source(), id=event.get_id()):
            return data
    raise Unreachable("the broker stopped delivering answers")


async def _letter_about(
    event: CloudEvent, dead: DeadLetters, after: bytes, ended: asyncio.Event
) -> DeadLetter | None:
    while not ended.is_set():
        await asyncio.sleep(_POLL_DEAD_LETTERS_EVERY_S)
        with suppress(RedisError):
            letter = await dead.find(event.get_source(), event.get_id(), after)
            if letter is not None:
                return letter
    return None


async def replay(
    connection: Connection, letter_ids: Sequence[str] | None
) -> tuple[list[str], dict[str, str]]:
    """Publish dead events again, as they came, and remove their letters; every one when no ids are given.

    Returns the ids of the letters replayed, and id -> why for those that were not: no such letter, or an
    event that would only die again. Raises Unreachable, and Redis' own errors.
    """
    if letter_ids is None:
        letter_ids = [letter.id for letter in await connection.dead.all()]
    replayed: list[str] = []
    refused: dict[str, str] = {}
    await connection.transport.prepare()
    for letter_id in letter_ids:
        try:
            letter = await connection.dead.get(letter_id)
            await connection.dead.replay(letter, connection.transport.publish, connection.ledger)
            replayed.append(letter.id)
        except Unreachable:
            raise
        except SlmfleetError as error:
            refused[letter_id] = str(error)
    return replayed, refused
