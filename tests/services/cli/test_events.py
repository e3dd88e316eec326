"""`slmfleet publish` and `slmfleet dead` as they are typed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import redis
from fakes.events import Desk, delivered, gateway, query
from fakes.shop import Shop
from typer.testing import CliRunner, Result

from slmfleet.services.cli.main import app
from slmfleet.services.events.brokers.redis import FIELD
from slmfleet.services.events.cloudevents import CHANGES, QUERIES, dead_letter_event

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def at_broker(broker: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SLMFLEET_BROKER_URL", broker)
    return broker


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def entries(url: str, stream: str) -> list[dict[str, Any]]:
    with redis.Redis.from_url(url) as client:
        found: Any = client.xrange(stream)
    return [json.loads(fields[FIELD.encode()]) for _, fields in found]


def test_a_question_and_news_of_changes_are_published(broker: str) -> None:
    asked = run(
        "publish", "how long?", "--id", "q1", "--source", "shop", "--traceparent", TRACE, "--token", "t"
    )
    assert asked.exit_code == 0, asked.output
    assert "q1 is on slmfleet.queries" in asked.output
    (event,) = entries(broker, QUERIES)
    assert (event["id"], event["source"], event["traceparent"]) == ("q1", "shop", TRACE)
    assert event["data"] == {"text": "how long?", "token": "t"}
    assert json.loads(run("publish", "--knowledge", "returns", "--json").output)["stream"] == CHANGES
    assert run("publish", "--order", "#W1").exit_code == 0
    assert [event["data"] for event in entries(broker, CHANGES)] == [
        {"domain": "returns"},
        {"order_id": "#W1"},
    ]


@pytest.mark.parametrize("arguments", [[], ["hi", "--order", "#W1"], [" "], ["--knowledge", ""]])
def test_what_cannot_be_published_is_told_of(arguments: list[str], broker: str) -> None:
    result = run("publish", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert entries(broker, QUERIES) == entries(broker, CHANGES) == []


def test_the_answer_is_waited_for(broker: str, shop: Shop) -> None:
    """A consumer beside: what it publishes about this question ends the waiting, an older answer does not."""
    import threading

    async def consume() -> None:
        desk = Desk(broker, gateway(shop))
        await desk.handle(query("where is my parcel", "older"))
        while True:
            found: Any = await desk.client.xrange(QUERIES)
            if found:
                await asyncio.sleep(0.3)
                await desk.handler.handle_all(delivered(found[0][1][FIELD.encode()]))
                break
            await asyncio.sleep(0.05)
        await desk.client.aclose()

    beside = threading.Thread(target=lambda: asyncio.run(consume()))
    beside.start()
    result = run("publish", "can i return shoes", "--wait", "--json")
    beside.join()
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["answer"]["parts"][0]["domain"] == "returns"


def test_no_answer_in_time_says_what_may_be_missing() -> None:
    result = run("publish", "hi", "--wait", "--timeout", "0.3")
    assert result.exit_code == 1
    assert "is `slmfleet consume` running?" in result.stderr


def bury(broker: str, shop: Shop, *bodies: bytes) -> None:
    async def handle() -> None:
        desk = Desk(broker, gateway(shop))
        await desk.handle(*bodies)
        await desk.handle(*bodies)  # a letter that is kept twice is told of once
        await desk.client.aclose()

    asyncio.run(handle())


def test_dead_letters_are_listed_shown_and_replayed(broker: str, shop: Shop) -> None:
    assert run("dead", "list").output == "no dead letters\n"
    forged = query("where is my parcel", "7", token="forged")
    bury(broker, shop, forged, b"\xff\xfe", query("", "8"))
    listed = run("dead", "list").output
    assert all(len(line) <= 80 for line in listed.splitlines())
    for reason in ("unauthenticated", "unreadable", "invalid"):
        assert reason in listed
    letters = json.loads(run("dead", "list", "--json").output)
    assert len(letters) == 3
    dead = {letter["died"]["reason"]: letter["id"] for letter in letters}
    shown = run("dead", "show", dead["unauthenticated"][:6]).output
    assert "unauthenticated: the customer's token is forged" in shown
    assert '"where is my parcel"' in shown
    assert '"token": "..."' in shown
    assert run("dead", "show", "nothing").exit_code == 2

    replayed = run("dead", "replay", dead["unauthenticated"])
    assert (replayed.exit_code, replayed.output) == (0, "1 replayed\n")
    (event,) = entries(broker, QUERIES)
    assert event == json.loads(forged)
    assert len(json.loads(run("dead", "list", "--json").output)) == 2
    again = run("dead", "replay", "--all")
    assert again.exit_code == 1
    assert "would only die again" in again.stderr
    assert len(json.loads(run("dead", "list", "--json").output)) == 2
    assert run("dead", "replay").exit_code == 2


def test_a_replayed_event_that_was_answered_gets_the_same_answer(broker: str, shop: Shop) -> None:
    async def both() -> int:
        desk = Desk(broker, gateway(shop))
        body = query("where is my parcel", "9")
        await desk.handle(body)
        await desk.dead.add(dead_letter_event(body, QUERIES, "undeliverable", "by hand", 0, None))
        letter = (await desk.dead.all())[0]
        await desk.dead.replay(letter, desk.streams.publish, desk.ledger)
        await desk.dead.replay(letter, desk.streams.publish, desk.ledger)  # broken off and done again
        found: Any = await desk.client.xrange(QUERIES)
        await desk.handle(*(fields[FIELD.encode()] for _, fields in found))
        said = await desk.published()
        await desk.client.aclose()
        assert len(said) == 3
        return len(set(said))

    assert asyncio.run(both()) == 1


def test_a_broker_that_is_not_there_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMFLEET_BROKER_URL", "redis://:secret@127.0.0.1:1")
    result = run("dead", "list")
    assert result.exit_code == 2
    assert "cannot be reached" in result.stderr
    assert "secret" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://127.0.0.1", "a broker's URL starts with redis://"),
        ("amqp://127.0.0.1", "SLMFLEET_LEDGER_URL"),
        (None, "there is no broker: start `slmfleet up`"),
    ],
)
def test_a_wrong_setting_is_told_of(
    url: str | None, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLMFLEET_STATE_DIR", str(tmp_path))
    if url is None:
        monkeypatch.delenv("SLMFLEET_BROKER_URL")
    else:
        monkeypatch.setenv("SLMFLEET_BROKER_URL", url)
    result = run("consume")
    assert result.exit_code == 2
    assert says in result.stderr
