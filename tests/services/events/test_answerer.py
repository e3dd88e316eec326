"""The clients that answer the queue's queries, over the word shop's gateway."""

from __future__ import annotations

import httpx
import pytest
from fakes.events import gateway
from fakes.serving import WordParts
from fakes.shop import Shop

from slmfleet.services.events.answerer import (
    Failed,
    GatewayClient,
    PipelineClient,
    Rejected,
    Request,
    Unavailable,
)
from slmfleet.services.events.cloudevents import QueryData
from slmfleet.services.schemas import AnswerBody

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def request(text: str, **data: str) -> Request:
    return Request(QueryData.model_validate({"text": text, **data}))


async def test_a_traced_question_keeps_its_place_in_its_session(shop: Shop) -> None:
    posted: list[str] = []

    class Listening(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                posted.append((await request.aread()).decode())
            return await super().handle_async_request(request)

    answerer = GatewayClient("http://shop", None, Listening(shop.app))
    texts = ("where is parcel one", "where is parcel two", "where is parcel three")
    asked = [
        Request(QueryData(text=text, session_id="s1"), TRACE if text == texts[1] else None) for text in texts
    ]
    await answerer.answer_all(asked)
    said = " ".join(posted)
    assert [said.index(text) for text in texts] == sorted(said.index(text) for text in texts)


async def test_each_request_gets_its_own_outcome_in_order(shop: Shop) -> None:
    client = gateway(shop)
    outcomes = await client.answer_all(
        [
            request("where is my parcel", token="token-of-alice"),
            request("hi", token="forged"),
            request("please explode parcel", token="token-of-alice"),
            request("can i return shoes", token="token-of-bob"),
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [AnswerBody, Rejected, Failed, AnswerBody]
    assert outcomes[3].text == "About how, bob."  # type: ignore[union-attr]
    assert outcomes[1].reason == "unauthenticated"  # type: ignore[union-attr]
    await client.close()


async def test_a_gateway_that_is_away_is_unavailable() -> None:
    client = GatewayClient("http://127.0.0.1:1")
    (outcome,) = await client.answer_all([request("hi")])
    assert isinstance(outcome, Unavailable)
    assert "http://127.0.0.1:1 cannot be reached" in outcome.detail
    assert "cannot be reached" in (await client.unready() or "")
    await client.close()


@pytest.mark.parametrize("after", ["7", "soon", "1000"])
async def test_a_busy_gateway_says_how_long_to_wait(after: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200)
        return httpx.Response(429, json={"detail": "busy"}, headers={"retry-after": after})

    client = GatewayClient("http://shop", None, httpx.MockTransport(answer))
    (outcome,) = await client.answer_all([request("hi")])
    assert outcome == Unavailable("the gateway is busy: busy", {"7": 7.0, "soon": 0.0, "1000": 30.0}[after])
    await client.close()


async def test_the_pipeline_in_the_process_gives_the_same_outcomes(shop: Shop) -> None:
    client = PipelineClient(lambda: shop.loaded, WordParts().customer_of(shop.settings))
    outcomes = await client.answer_all(
        [request("where is my parcel"), request("hi", token="forged"), request("please explode parcel")]
    )
    assert [type(outcome) for outcome in outcomes] == [AnswerBody, Rejected, Failed]
