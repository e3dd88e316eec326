"""Nobody who asks a specialist is lost, mixed up or left waiting."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmfleet.models.errors import ModelBroken, Overloaded
from slmfleet.services.pipeline.microbatch import MicroBatcher


class Line:
    """A far end that records its calls, and answers each when it is let go (or at once)."""

    def __init__(self, *, held: bool = False) -> None:
        self.calls: list[list[str]] = []
        self.most_at_once = 0
        self._now = 0
        self._free = asyncio.Event()
        if not held:
            self._free.set()

    def let_go(self) -> None:
        self._free.set()

    async def __call__(self, texts: list[str]) -> list[str]:
        self.calls.append(texts)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await self._free.wait()
            await asyncio.sleep(0)
            if "raise" in texts:
                raise ModelBroken("told to")
            return [text.upper() for text in texts][: 1 if "short" in texts else None]
        finally:
            self._now -= 1


async def _settle(turns: int = 5) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_a_lone_text_leaves_at_once_and_alone() -> None:
    line = Line()
    assert await MicroBatcher(line).read("a") == "A"
    assert line.calls == [["a"]]


async def test_what_gathers_during_a_call_leaves_as_one_call() -> None:
    line = Line(held=True)
    collector = MicroBatcher(line)
    reads = [asyncio.create_task(collector.read(text)) for text in "abcde"]
    await _settle()
    assert line.calls == [["a"]]
    line.let_go()
    assert await asyncio.gather(*reads) == list("ABCDE")
    assert line.calls == [["a"], ["b", "c", "d", "e"]]


async def test_no_call_carries_more_than_the_cap() -> None:
    line = Line(held=True)
    collector = MicroBatcher(line, max_batch=4)
    reads = [asyncio.create_task(collector.read(str(number))) for number in range(10)]
    await _settle()
    line.let_go()
    await asyncio.gather(*reads)
    assert [len(call) for call in line.calls] == [1, 4, 4, 1]


async def test_a_call_that_raises_fails_everyone_in_it_and_nobody_else() -> None:
    line = Line(held=True)
    collector = MicroBatcher(line, max_batch=2)
    reads = [asyncio.create_task(collector.read(text)) for text in ("a", "raise", "b", "c", "d")]
    await _settle()
    line.let_go()
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert line.calls == [["a"], ["raise", "b"], ["c", "d"]]
    assert [type(result) for result in results] == [str, ModelBroken, ModelBroken, str, str]


async def test_a_call_of_the_wrong_length_fails_everyone_in_it() -> None:
    line = Line(held=True)
    collector = MicroBatcher(line)
    reads = [asyncio.create_task(collector.read(text)) for text in ("a", "short", "b")]
    await _settle()
    line.let_go()
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert results[0] == "A"
    assert all(isinstance(result, ModelBroken) for result in results[1:])
    assert "1 of 2" in str(results[1])


async def test_one_too_many_is_refused_and_the_gone_make_room() -> None:
    line = Line(held=True)
    collector = MicroBatcher(line, max_waiting=2)
    reads = [asyncio.create_task(collector.read(text)) for text in "abc"]  # a is in flight, b and c wait
    await _settle()
    with pytest.raises(Overloaded) as refusal:
        await collector.read("d")
    assert refusal.value.retry_after_s >= 1
    reads[1].cancel()
    await _settle()
    late = asyncio.create_task(collector.read("e"))
    await _settle()
    line.let_go()
    assert await asyncio.gather(reads[0], reads[2], late) == ["A", "C", "E"]
    assert line.calls == [["a"], ["c", "e"]]


async def test_a_cancelled_waiter_neither_travels_nor_harms_its_neighbours() -> None:
    line = Line(held=True)
    collector = MicroBatcher(line)
    reads = [asyncio.create_task(collector.read(text)) for text in "abc"]
    await _settle()
    reads[0].cancel()  # in flight
    reads[1].cancel()  # waiting
    await _settle()
    line.let_go()
    assert await reads[2] == "C"
    assert line.calls == [["a"], ["c"]]
    assert await collector.read("d") == "D"


async def test_one_that_leaves_in_flight_does_not_cost_its_companions_their_answer() -> None:
    line = Line(held=True)
    collector = MicroBatcher(line)
    first = asyncio.create_task(collector.read("first"))
    await _settle()
    reads = [asyncio.create_task(collector.read(text)) for text in "abc"]
    await _settle()
    line.let_go()
    await first
    await _settle(1)
    assert line.calls == [["first"], ["a", "b", "c"]]
    reads[0].cancel()
    assert await asyncio.wait_for(asyncio.gather(*reads[1:]), 1) == ["B", "C"]


async def test_lanes_let_as_many_calls_travel_at_once() -> None:
    line = Line(held=True)
    collector = MicroBatcher(line, max_calls=2)
    reads = [asyncio.create_task(collector.read(text)) for text in "abcd"]
    await _settle()
    assert line.calls == [["a"], ["b"]]
    line.let_go()
    assert await asyncio.gather(*reads) == list("ABCD")
    assert line.most_at_once == 2


async def test_a_call_that_is_cancelled_leaves_nobody_waiting() -> None:
    async def lost(texts: list[str]) -> list[str]:
        raise asyncio.CancelledError

    with pytest.raises(ModelBroken):
        await asyncio.wait_for(MicroBatcher(lost).read("a"), 1)


#: Someone asks (a text of a lottery of fates), leaves again, or the far end is given time.
_steps = st.lists(
    st.one_of(
        st.sampled_from(["ask", "ask", "ask", "raise", "short"]),
        st.integers(min_value=0, max_value=30).map(lambda who: ("leave", who)),
        st.just("wait"),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(steps=_steps, max_batch=st.integers(1, 5), max_calls=st.integers(1, 3), max_waiting=st.integers(1, 20))
def test_everyone_gets_their_own_answer_or_a_reason(
    steps: list[str | tuple[str, int]], max_batch: int, max_calls: int, max_waiting: int
) -> None:
    async def play() -> None:
        line = Line()
        collector = MicroBatcher(line, max_batch, max_waiting, max_calls)
        reads: list[tuple[str, asyncio.Task[str]]] = []
        for number, step in enumerate(steps):
            if step == "wait":
                await _settle(2)
            elif isinstance(step, tuple):
                if step[1] < len(reads):
                    reads[step[1]][1].cancel()
            else:
                text = f"t{number}" if step == "ask" else str(step)
                reads.append((text, asyncio.create_task(collector.read(text))))
        outcomes = await asyncio.wait_for(
            asyncio.gather(*(read for _, read in reads), return_exceptions=True), timeout=5
        )
        for (text, _), outcome in zip(reads, outcomes, strict=True):
            if isinstance(outcome, str):
                assert outcome == text.upper()
            else:
                assert isinstance(outcome, ModelBroken | Overloaded | asyncio.CancelledError)
        sent = [text for call in line.calls for text in call]
        asked = [text for text, _ in reads]
        assert [text for text in asked if text in sent and text.startswith("t")] == [
            text for text in sent if text.startswith("t")
        ]
        assert all(1 <= len(call) <= max_batch for call in line.calls)
        assert line.most_at_once <= max_calls
        assert await asyncio.wait_for(collector.read("after"), 1) == "AFTER"

    asyncio.run(play())
