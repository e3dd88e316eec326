"""The same question by HTTP, by event and on the command line: the same decision, in the same words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.events import Desk, query

from slmfleet.services.cli.ask import ask_locally
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.events.answerer import GatewayClient, PipelineClient, QueryClient
from slmfleet.services.events.cloudevents import ANSWERS, HANDOFFS, read_event
from slmfleet.services.gateway.app import Gateway
from slmfleet.services.pipeline.assembly import LoadedFleet, load_pipeline
from slmfleet.services.pipeline.default_parts import DefaultFactory
from slmfleet.services.pipeline.pipeline import Query
from slmfleet.services.settings import Settings, load_settings

QUESTIONS: list[dict[str, str]] = json.loads(
    (Path(__file__).parent / "questions.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(state_dir=tmp_path_factory.mktemp("parity"))


@pytest.fixture(scope="module")
def loaded(settings: Settings) -> Iterator[LoadedFleet]:
    with ThreadPoolExecutor(1) as executor:
        yield load_pipeline(settings, DefaultFactory(), executor)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedValkey("broker", tmp_path_factory.mktemp("valkey"))
    yield server.start()
    server.stop()


def decision(answer: dict[str, Any]) -> dict[str, Any]:
    """What must be equal on every channel: all but the id, the cost and where it was kept."""
    left_out = ("id", "cost", "cache")
    return {name: value for name, value in answer.items() if name not in left_out and value is not None}


async def test_every_channel_gives_the_same_answer(
    settings: Settings, loaded: LoadedFleet, valkey: str
) -> None:
    parts = DefaultFactory()
    gateway = Gateway(settings, lambda: loaded, parts.customer_of(settings))
    transport = httpx.ASGITransport(gateway)
    tokens = {name: parts.token_for(settings, name) for name in _customers()}
    by_http: dict[str, dict[str, Any]] = {}
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for question in QUESTIONS:
            token = tokens.get(question.get("customer", ""))
            headers = {"authorization": f"Bearer {token}"} if token else {}
            reply = await client.post("/v1/queries", json={"text": question["text"]}, headers=headers)
            by_http[_id(question)] = decision(reply.json())
    answerers: dict[str, QueryClient] = {
        "gateway": GatewayClient("http://shop", None, transport),
        "process": PipelineClient(lambda: loaded, parts.customer_of(settings)),
    }
    for name, answerer in answerers.items():
        desk = Desk(valkey, answerer)
        await desk.client.flushall()
        bodies = []
        for question in QUESTIONS:
            token = tokens.get(question.get("customer", ""))
            bodies.append(query(question["text"], _id(question), **({"token": token} if token else {})))
        assert all(await desk.handle(*bodies)), name
        by_event = {}
        for body in [*await desk.published(ANSWERS), *await desk.published(HANDOFFS)]:
            data: Any = read_event(body).get_data()
            by_event[data["in_reply_to"]["id"]] = decision(data["answer"])
        assert by_event == by_http, name
        await desk.client.aclose()


def test_the_command_line_gives_the_same_answer(settings: Settings, loaded: LoadedFleet) -> None:
    parts = DefaultFactory()
    for question in QUESTIONS[:2] + [each for each in QUESTIONS if "customer" in each]:
        customer = question.get("customer")
        token = parts.token_for(settings, customer) if customer else None
        typed = ask_locally(settings, question["text"], token).model_dump(mode="json")
        asked = asyncio.run(loaded.pipeline.answer(Query(question["text"], customer)))
        assert decision(typed) == decision(asked.model_dump(mode="json"))


def _customers() -> set[str]:
    return {question["customer"] for question in QUESTIONS if "customer" in question}


def _id(question: dict[str, str]) -> str:
    return f"{question['text']} {question.get('customer', '')}"
