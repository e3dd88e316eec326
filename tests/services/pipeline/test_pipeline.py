"""Questions with several requests, follow-ups, batches and explanations, through the whole pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.serving import WordParts
from fakes.shop import ASK, BATCH, Shop, problem_of

from slmfleet.models.contracts import (
    Answer,
    Decision,
    Flip,
    ModelVersion,
    Reading,
    Route,
    Slot,
)
from slmfleet.models.question import Query, Question
from slmfleet.services.events.answerer import GatewayClient, PipelineClient, Request
from slmfleet.services.events.cloudevents import QueryData

ALICE = {"authorization": "Bearer token-of-alice"}


BOB = {"authorization": "Bearer token-of-bob"}


async def domain_of(shop: Shop, text: str, headers: dict[str, str] | None = None, **more: Any) -> str:
    response = await shop.client.post(ASK, json={"text": text, **more}, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.json()["route"]["domain"])


async def test_each_request_is_a_part_of_one_answer(shop: Shop) -> None:
    answer = (await shop.ask("where is my parcel and how can i return it")).json()
    assert [(part["domain"], part["intent"]) for part in answer["parts"]] == [
        ("shipping", "track"),
        ("returns", "how"),
    ]
    assert answer["text"] == "About track, stranger. About how, stranger."


async def test_the_same_request_twice_is_answered_once(shop: Shop) -> None:
    answer = (await shop.ask("where is my parcel and track it")).json()
    assert [part["intent"] for part in answer["parts"]] == ["track"]


async def test_slots_are_told_where_they_stand_in_the_whole_text(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "where is my parcel and how can i return lamps"
    read = shop.loaded.placement.read

    async def with_last_word(domain: str, part: str, explain: bool) -> Reading:
        reading = await read(domain, part, explain)
        start = part.rindex(" ") + 1
        return Reading(
            reading.domain, reading.intent, reading.confidence,
            (Slot("word", part[start:], start, len(part)),), reading.passages, reading.model, True, True,
        )  # fmt: skip

    monkeypatch.setattr(shop.loaded.placement, "read", with_last_word)
    parts = (await shop.ask(text)).json()["parts"]
    slots = [slot for part in parts for slot in part["slots"]]
    assert [slot["value"] for slot in slots] == ["parcel", "lamps"]
    assert [text[slot["start"] : slot["end"]] for slot in slots] == ["parcel", "lamps"]


@pytest.mark.parametrize(("confidence", "read"), [(0.6, ["returns"]), (0.5, ["returns"]), (0.4, [])])
async def test_of_what_the_router_is_unsure_the_likely_is_read_to_offer_passages(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, confidence: float, read: list[str]
) -> None:
    asked: list[str] = []
    inner = shop.loaded.placement.read

    async def counted(domain: str, text: str, explain: bool) -> Reading:
        asked.append(domain)
        return await inner(domain, text, explain)

    def unsure(text: str) -> Decision:
        model = ModelVersion("router", "1")
        return Decision((Route("returns", confidence, text),), 0.8, ("shipping", 0.1), True, model)

    monkeypatch.setattr(shop.loaded.placement, "read", counted)
    monkeypatch.setattr(shop.loaded.pipeline._router, "route", unsure)
    assert (await shop.ask("hm")).json()["route"]["abstained"]
    assert asked == read


async def test_a_follow_up_is_understood_in_its_session_alone(shop: Shop) -> None:
    assert await domain_of(shop, "how long") == "returns"
    assert await domain_of(shop, "where is my parcel", ALICE, session_id="s") == "shipping"
    assert await domain_of(shop, "how long", ALICE, session_id="s") == "shipping"
    assert await domain_of(shop, "how long", ALICE, session_id="t") == "returns"
    assert await domain_of(shop, "how long", ALICE) == "returns"


async def test_no_one_else_shares_a_customers_session(shop: Shop) -> None:
    assert await domain_of(shop, "where is my parcel", ALICE, session_id="s") == "shipping"
    for other in (BOB, None):
        assert await domain_of(shop, "how long", other, session_id="s") == "returns"
    assert await domain_of(shop, "where is my parcel", None, session_id="u") == "shipping"
    assert await domain_of(shop, "how long", ALICE, session_id="u") == "returns"


async def test_history_stands_for_the_session(shop: Shop) -> None:
    said = ["where is my parcel", "what about lamps?"]
    assert await domain_of(shop, "how long", history=said) == "shipping"
    await domain_of(shop, "where is my parcel", session_id="s")
    assert await domain_of(shop, "how long", session_id="s", history=["can i return back"]) == "returns"
    assert await domain_of(shop, "how long", history=[]) == "returns"


async def test_a_batch_is_answered_as_its_queries_would_be_one_by_one(shop: Shop, tmp_path: Path) -> None:
    queries: list[dict[str, Any]] = [
        {"text": "where is my parcel", "session_id": "s"},
        {"text": "how long"},
        {"text": "how long", "session_id": "s"},
        {"text": "where is it and can i return it"},
        {"text": "how long", "history": ["where is my parcel"]},
    ]
    batch = (await shop.client.post(BATCH, json={"queries": queries}, headers=ALICE)).json()["answers"]
    again = Shop(tmp_path / "again")
    singles = [(await again.client.post(ASK, json=query, headers=ALICE)).json() for query in queries]
    for answer in batch + singles:
        del answer["id"], answer["cost"]
    assert batch == singles
    assert [answer["route"]["domain"] for answer in batch] == [
        "shipping",
        "returns",
        "shipping",
        "shipping",
        "shipping",
    ]
    again.executor.shutdown()


async def _explained(shop: Shop, text: str) -> Answer:
    response = await shop.client.post(ASK, json={"text": text, "explain": True})
    assert response.status_code == 200, response.text
    return Answer.model_validate_json(response.content)


async def test_nothing_is_explained_unless_asked(shop: Shop) -> None:
    for body in ({}, {"explain": False}):
        answer = await shop.client.post(ASK, json={"text": "where is my parcel", **body})
        assert answer.json()["explanation"] is None
    wrong = await shop.client.post(ASK, json={"text": "where", "explain": "yes"})
    assert problem_of(wrong, 422, "invalid-field")["field"] == "explain"


async def test_router_and_specialist_explain_their_own_labels(shop: Shop) -> None:
    told = (await _explained(shop, "where is my parcel")).explanation
    assert told is not None
    assert (told.route.label, told.route.runner_up.label) == ("shipping", "returns")
    assert told.route.text == "where is my parcel"
    assert [(part.domain, part.label) for part in told.parts] == [("shipping", "track")]
    weights = {word.word: word.weight for word in told.parts[0].words}
    assert weights["parcel"] > 0 == weights["my"]
    assert [told.parts[0].text[word.start : word.end] for word in told.parts[0].words] == list(weights)
    assert told.parts[0].nearest[0].text == "a row about track"
    assert told.parts[0].flip is None


async def test_what_would_flip_it_is_told(shop: Shop) -> None:
    told = (await _explained(shop, "track it fast")).explanation
    assert told is not None
    assert told.parts[0].label == "track"
    assert told.parts[0].flip == Flip(removed=("track",), becomes="speed", confidence=0.8)


async def test_an_explanation_changes_nothing_else_and_its_cost_is_told(shop: Shop) -> None:
    text = "where is my parcel " + "please " * 30
    plain = Answer.model_validate_json((await shop.ask(text)).content)
    explained = await _explained(shop, text)
    left_out = {"id", "cost", "explanation"}
    assert explained.model_dump(exclude=left_out) == plain.model_dump(exclude=left_out)
    assert explained.cost.cpu_ms > 2 * plain.cost.cpu_ms
    assert explained.cost.energy_mj > plain.cost.energy_mj
    assert explained.cache == "bypass"


async def test_who_is_handed_over_learns_why(shop: Shop) -> None:
    answer = await _explained(shop, "blah blah")
    assert answer.status == "handed_off"
    assert answer.explanation is not None
    assert answer.explanation.parts == ()


async def test_of_several_requests_the_first_is_explained_and_each_part(shop: Shop) -> None:
    text = "where is my parcel and how can i return it"
    told = (await _explained(shop, text)).explanation
    assert told is not None
    assert (told.route.label, told.route.text) == ("shipping", "where is my parcel")
    assert [(part.domain, part.label, part.text) for part in told.parts] == [
        ("shipping", "track", "where is my parcel"),
        ("returns", "how", "how can i return it"),
    ]
    for one in (told.route, *told.parts):
        assert [one.text[word.start : word.end] for word in one.words] == [word.word for word in one.words]


async def test_a_part_that_is_said_twice_is_explained_once(shop: Shop) -> None:
    told = (await _explained(shop, "where is my parcel and track it")).explanation
    assert told is not None
    assert [(part.domain, part.label) for part in told.parts] == [("shipping", "track")]


async def test_a_follow_up_is_explained_with_what_it_was_read_with(shop: Shop) -> None:
    body = {"text": "how long", "explain": True, "history": ["where is my parcel"]}
    answer = Answer.model_validate_json((await shop.client.post(ASK, json=body)).content)
    assert answer.explanation is not None
    assert answer.explanation.route.label == answer.route.domain == "shipping"
    assert answer.explanation.route.text == "where is my parcel how long"
    assert answer.explanation.parts[0].text == "where is my parcel how long"


async def test_each_query_of_a_batch_says_for_itself(shop: Shop) -> None:
    queries = [{"text": "where", "explain": True}, {"text": "where"}]
    answers = (await shop.client.post(BATCH, json={"queries": queries})).json()["answers"]
    assert [answer["explanation"] is None for answer in answers] == [False, True]


async def test_a_model_that_cannot_explain_is_broken(shop: Shop) -> None:
    assert (await shop.ask("where is the opaque parcel")).status_code == 200
    broken = await shop.client.post(ASK, json={"text": "where is the opaque parcel", "explain": True})
    problem_of(broken, 503, "model-broken")


WHOLE = {"text": "how long", "session_id": "s-1", "locale": "de-DE", "history": ["where"], "explain": True}


@pytest.mark.parametrize("channel", ["http", "http-batch", "events-in-process", "events-by-http"])
async def test_every_channel_passes_on_every_field_of_a_question(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    assert set(WHOLE) == set(Question.model_fields), "give the new field a value that is not its default"
    queries: list[Query] = []
    compute = shop.loaded.pipeline.get_or_compute

    async def recorded(query: Query) -> Answer:
        queries.append(query)
        return await compute(query)

    monkeypatch.setattr(shop.loaded.pipeline, "get_or_compute", recorded)
    request = Request(QueryData.model_validate({**WHOLE, "token": "token-of-alice"}))
    if channel == "http":
        await shop.client.post(ASK, json=WHOLE, headers=ALICE)
    elif channel == "http-batch":
        await shop.client.post(BATCH, json={"queries": [WHOLE]}, headers=ALICE)
    elif channel == "events-in-process":
        customer_of = WordParts().customer_of(shop.settings)
        await PipelineClient(lambda: shop.loaded, customer_of).answer_all([request])
    else:
        await GatewayClient("http://shop", None, httpx.ASGITransport(shop.app)).answer_all([request])
    assert [query.model_dump(include=set(WHOLE)) for query in queries] == [WHOLE]
    assert queries[0].customer == "alice"
