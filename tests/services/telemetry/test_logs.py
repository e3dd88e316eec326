"""One JSON object a line, and nobody's numbers in it."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.shop import Shop
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.services.telemetry.logs import JsonFormatter, log_json, masked

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
digits = st.text("0123456789", min_size=1, max_size=1)


def _spaced(number: str, separator: str, every: int) -> str:
    return separator.join(number[n : n + every] for n in range(0, len(number), every))


orders = st.builds(
    lambda mark, letters, number: f"{mark}{letters}{number}",
    st.sampled_from(["", "#"]),
    st.text(LETTERS, max_size=3),
    st.text("0123456789", min_size=4, max_size=15),
)
cards = st.builds(
    _spaced, st.text("0123456789", min_size=13, max_size=19), st.sampled_from(["", " ", "-"]), st.just(4)
)
emails = st.builds(
    lambda name, host: f"{name}@{host}.example",
    st.text(LETTERS + "0123456789._+-", min_size=1, max_size=20),
    st.text(LETTERS + "0123456789-", min_size=1, max_size=20),
)
words = st.lists(st.text(LETTERS, min_size=1, max_size=9), max_size=6).map(" ".join)


@given(before=words, secret=st.one_of(orders, cards, emails), after=words)
def test_order_numbers_cards_and_addresses_are_masked_wherever_they_stand(
    before: str, secret: str, after: str
) -> None:
    told = masked(f"{before} {secret} {after}")
    assert secret not in told
    assert not re.search(r"\d{4}", told)
    assert not re.search(r"\d[ -]\d", told)
    assert "@" not in told
    assert told.startswith(before)
    assert told.endswith(after)


@given(st.text(max_size=200))
def test_any_text_is_masked_without_fail_and_masked_once(text: str) -> None:
    once = masked(text)
    assert masked(once) == once
    assert not re.search(r"[0-9]{4}", re.sub(r"(?<!\w)(?:[0-9a-f]{32}|[0-9a-f]{12})(?!\w)", "", once))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("where is #W7678072?", "where is [number]?"),
        ("my card 4111 1111 1111 1111 was charged", "my card [card] was charged"),
        ("write to noah.brown@mail.example, please", "write to [email], please"),
        ("call 1-800-555-0142", "call [number]"),
        ("I am noah_brown_6181", "I am [number]"),
        ("2 pairs for $236.57 within 30 days", "2 pairs for $236.57 within 30 days"),
        (
            "request 4bf92f3577b34da6a3ce929d0e0e4736 failed",
            "request 4bf92f3577b34da6a3ce929d0e0e4736 failed",
        ),
        ("order 123456789012 please", "order [number] please"),
    ],
)
def test_what_is_masked_reads_well(text: str, told: str) -> None:
    assert masked(text) == told


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    ours, stream = logging.getLogger("slmfleet"), io.StringIO()
    kept = (ours.handlers[:], ours.level, ours.propagate)
    ours.handlers.clear()
    log_json("info", stream)
    yield stream
    ours.handlers[:], ours.level, ours.propagate = kept


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_an_answer_is_logged_with_its_request_and_without_the_customer(
    shop: Shop, logged: io.StringIO
) -> None:
    await shop.ask(
        "where is my parcel #W7678072",
        headers={"authorization": "Bearer token-of-alice", "x-request-id": "r-1"},
    )
    [line] = _lines(logged)
    assert (line["message"], line["request_id"], line["level"]) == ("answered", "r-1", "info")
    assert (line["status"], line["domain"], line["intents"]) == ("answered", "shipping", ["track"])
    assert line["latency_ms"] > 0
    assert not re.search("W7678072|parcel|alice", logged.getvalue())


async def test_words_are_logged_when_switched_on_and_masked_then_too(shop: Shop, logged: io.StringIO) -> None:
    shop.settings.__dict__["log_queries"] = True
    await shop.ask("where is my parcel #W7678072")
    assert _lines(logged)[0]["text"] == "where is my parcel [number]"


async def test_a_fault_is_one_line_with_its_request_and_a_masked_traceback(
    shop: Shop, logged: io.StringIO
) -> None:
    await shop.ask("explode where", headers={"x-request-id": "r-2"})
    [line] = _lines(logged)
    assert (line["level"], line["request_id"]) == ("error", "r-2")
    assert "Traceback" in line["error"]
    assert re.search(r"line \d+, in", line["error"])


def test_masking_covers_what_an_exception_says(logged: io.StringIO) -> None:
    try:
        raise ValueError("no order #W7678072 of a@b.example")
    except ValueError:
        logging.getLogger("slmfleet.somewhere").exception("failed for %s", "b@c.example")
    [line] = _lines(logged)
    assert line["message"] == "failed for [email]"
    assert "no order [number] of [email]" in line["error"]


def test_a_process_logs_each_line_once(logged: io.StringIO) -> None:
    log_json("info", logged)
    logging.getLogger("slmfleet.somewhere").warning("once")
    assert len(_lines(logged)) == 1
    assert isinstance(logging.getLogger("slmfleet").handlers[0].formatter, JsonFormatter)
