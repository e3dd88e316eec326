"""Fields that are wrong are named, in the words of a person."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.shop import ASK, BATCH, Shop, problem_of


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        ({}, "text", "text: is required"),
        ({"text": ""}, "text", "at least 1 character"),
        ({"text": " \n\t"}, "text", "white space"),
        ({"text": "a\x00b"}, "text", "NUL"),
        ({"text": "w" * 2_001}, "text", "at most 2000 characters"),
        ({"text": "\N{DEVANAGARI LETTER QA}" * 2_000}, "text", "at most 2000 characters"),  # NFC doubles it
        ({"text": 7}, "text", "valid string"),
        ({"text": None}, "text", "valid string"),
        ({"text": ["a"]}, "text", "valid string"),
        ({"text": "a", "texts": "b"}, "texts", "is not a field known here"),
        ({"text": "a", "session_id": "a b"}, "session_id", "pattern"),
        ({"text": "a", "session_id": "x" * 65}, "session_id", "pattern"),
        ({"text": "a", "session_id": "a\n"}, "session_id", "pattern"),
        ({"text": "a", "locale": "english"}, "locale", "pattern"),
        ({f"field{n}": n for n in range(200)}, "body", "200 fields"),
    ],
)
async def test_a_wrong_field_is_named(shop: Shop, body: dict[str, Any], field: str, detail: str) -> None:
    found = problem_of(await shop.client.post(ASK, json=body), 422, "invalid-field")
    assert found["field"] == field
    assert detail in found["detail"]


async def test_every_wrong_field_is_in_the_detail(shop: Shop) -> None:
    found = problem_of(
        await shop.client.post(ASK, json={"text": "", "locale": "x", "session_id": 1, "zz": 1}),
        422,
        "invalid-field",
    )
    assert all(name in found["detail"] for name in ("text:", "locale:", "session_id:", "zz:"))
    batch = {"queries": [{"text": "a"}, {"text": ""}, {"text": "b", "locale": 5}]}
    found = problem_of(await shop.client.post(BATCH, json=batch), 422, "invalid-field")
    assert found["field"] == "queries.1.text"
    assert "queries.2.locale:" in found["detail"]
    many = {"queries": [{"text": "", "a": 1, "b": 2}] * 8}
    assert "and 14 more" in (await shop.client.post(BATCH, json=many)).json()["detail"]


@pytest.mark.parametrize("queries", [None, [], {}, "a", [1], [[]], [None]])
async def test_a_batch_of_anything_else_is_422(shop: Shop, queries: object) -> None:
    found = problem_of(await shop.client.post(BATCH, json={"queries": queries}), 422, "invalid-field")
    assert found["field"].startswith("queries")


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
