"""Several questions at once, and one after another, as a client of the HTTP interface meets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.shop import ASK, BATCH, Shop, problem_of

from slmfleet.models.contracts import Decision, ModelVersion, Reading, Route, Slot
from slmfleet.services.pipeline.assembly import load_pipeline

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


async def test_sessions_survive_a_reload_that_keeps_them(shop: Shop) -> None:
    from fakes.serving import WordParts

    from slmfleet.services.state.shared_state import SharedState

    kept = SharedState(shop.settings)
    shop.loaded = load_pipeline(shop.settings, WordParts(), shop.executor, shared=kept)
    await domain_of(shop, "where is my parcel", session_id="s")
    shop.loaded = load_pipeline(shop.settings, WordParts(), shop.executor, shared=kept)
    assert await domain_of(shop, "how long", session_id="s") == "shipping"
    shop.loaded = load_pipeline(shop.settings, WordParts(), shop.executor)
    assert await domain_of(shop, "how long", session_id="s") == "returns"


async def test_how_long_and_how_many_sessions_are_kept_is_set(tmp_path: Path) -> None:
    shop = Shop(tmp_path, sessions_max=1)
    for name in ("s", "t"):
        await domain_of(shop, "where is my parcel", session_id=name)
    assert await domain_of(shop, "how long", session_id="t") == "shipping"
    assert await domain_of(shop, "how long", session_id="s") == "returns"
    shop.executor.shutdown()


@pytest.mark.parametrize(
    ("history", "field", "detail"),
    [
        (["a"] * 11, "history", "at most 10"),
        (["a", ""], "history.1", "at least 1 character"),
        ([" "], "history.0", "white space"),
        (["a\x00"], "history.0", "NUL"),
        (["w" * 2_001], "history.0", "at most 2000 characters"),
        ([7], "history.0", "valid string"),
        ("where", "history", "valid list"),
        (None, "history", "valid list"),
        ({}, "history", "valid list"),
    ],
)
async def test_a_wrong_history_is_named(shop: Shop, history: object, field: str, detail: str) -> None:
    found = problem_of(
        await shop.client.post(ASK, json={"text": "a", "history": history}), 422, "invalid-field"
    )
    assert found["field"] == field
    assert detail in found["detail"]
    batch = await shop.client.post(BATCH, json={"queries": [{"text": "a", "history": history}]})
    assert problem_of(batch, 422, "invalid-field")["field"] == f"queries.0.{field}"


async def test_history_is_documented(shop: Shop) -> None:
    document = (await shop.client.get("/openapi.json")).json()
    history = document["components"]["schemas"]["QueryBody"]["properties"]["history"]
    assert (history["maxItems"], history["items"]["maxLength"]) == (10, 2_000)
