"""`slmfleet publish`: one event onto the broker, and what became of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from cloudevents.core.v1.event import CloudEvent
from redis.exceptions import RedisError

from slmfleet.models.errors import Unreachable
from slmfleet.services.events.cloudevents import (
    ANSWERS,
    HANDOFFS,
    STREAM_OF,
    AnswerData,
    EventReference,
    data_of,
    read_event,
)
from slmfleet.services.events.dead_letters import DeadLetter, DeadLetters
from slmfleet.services.events.transport import Transport

_LOOK_FOR_DEATH_EVERY_S = 0.5


async def publish(transport: Transport, event: CloudEvent) -> None:
    """Put `event` on the stream of its type. Raises Unreachable."""
    await transport.prepare()
    await transport.publish(STREAM_OF[event.get_type()], event)


async def ask(
    transport: Transport,
    dead: DeadLetters,
    event: CloudEvent,
    wait_s: float,
) -> AnswerData | DeadLetter | None:
    """Publish a query event and wait for its answer, or its death; None when neither came in `wait_s`.

    Raises Unreachable.
    """
    await transport.prepare()
    async with transport.listening((ANSWERS, HANDOFFS)) as heard:
        await transport.publish(STREAM_OF[event.get_type()], event)

        over = asyncio.Event()

        async def answer() -> AnswerData:
            async for body in heard:
                told = data_of(read_event(body), AnswerData)
                if _same(event, told.in_reply_to):
                    return told
            raise Unreachable("the broker stopped telling of answers")

        async def death() -> DeadLetter | None:
            while not over.is_set():
                await asyncio.sleep(_LOOK_FOR_DEATH_EVERY_S)
                with suppress(RedisError):
                    for letter in await dead.all():
                        about = letter.died.event
                        if about is not None and _same(event, about):
                            return letter
            return None

        answering, dying = asyncio.create_task(answer()), asyncio.create_task(death())
        try:
            await asyncio.wait((answering, dying), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                return answering.result()
            return dying.result() if dying.done() else None
        finally:
            over.set()  # redis-py loses a cancellation that comes while it reads an answer
            answering.cancel()
            dying.cancel()
            await asyncio.wait((answering, dying), timeout=1.0)


def _same(event: CloudEvent, reference: EventReference) -> bool:
    return (event.get_source(), event.get_id()) == (reference.source, reference.id)
