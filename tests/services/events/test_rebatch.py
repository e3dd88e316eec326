"""Single deliveries put into batches, and acknowledged one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from slmfleet.services.events.rebatch import Rebatcher
from slmfleet.services.events.transport import Delivery


class Broker:
    """Counts what was acknowledged and what was returned."""

    def __init__(self) -> None:
        self.acked = self.returned = 0

    async def ack(self) -> None:
        self.acked += 1

    async def nack(self) -> None:
        self.returned += 1


async def test_deliveries_that_arrive_together_are_one_batch_of_bounded_size() -> None:
    sizes: list[int] = []

    async def handle_all(deliveries: Sequence[Delivery]) -> list[bool]:
        sizes.append(len(deliveries))
        await asyncio.sleep(0.05)
        return [True] * len(deliveries)

    broker, rebatcher = Broker(), Rebatcher(handle_all, max_batch=4, retry_s=0)
    await asyncio.gather(
        *(rebatcher.handle(Delivery(str(n).encode()), broker.ack, broker.nack) for n in range(9))
    )
    assert (broker.acked, broker.returned) == (9, 0)
    assert sum(sizes) == 9
    assert max(sizes) == 4


async def test_what_is_not_handled_is_returned_after_the_retry_time() -> None:
    async def handle_all(deliveries: Sequence[Delivery]) -> list[bool]:
        return [delivery.body == b"good" for delivery in deliveries]

    good, bad, rebatcher = Broker(), Broker(), Rebatcher(handle_all, 4, retry_s=0.2)
    started = time.monotonic()
    await asyncio.gather(
        rebatcher.handle(Delivery(b"good"), good.ack, good.nack),
        rebatcher.handle(Delivery(b"bad"), bad.ack, bad.nack),
    )
    assert (good.acked, good.returned, bad.acked, bad.returned) == (1, 0, 0, 1)
    assert time.monotonic() - started >= 0.2


async def test_a_handler_that_fails_returns_its_deliveries() -> None:
    async def handle_all(deliveries: Sequence[Delivery]) -> list[bool]:
        raise RuntimeError("a bug")

    broker = Broker()
    await Rebatcher(handle_all, 4, retry_s=0).handle(Delivery(b"x"), broker.ack, broker.nack)
    assert (broker.acked, broker.returned) == (0, 1)
