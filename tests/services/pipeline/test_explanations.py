"""An explanation is told only when asked, costs what it costs, and is readable in 80 columns."""

from __future__ import annotations

import io
from dataclasses import replace

from fakes.shop import ASK, BATCH, Shop, problem_of
from rich.console import Console

from slmfleet.models.contracts import (
    Answer,
    Explanation,
    Explanations,
    Flip,
    LabelScore,
    Neighbour,
    WordWeight,
)
from slmfleet.services.cli.render import highlight, render_explanations


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


TEXT = "how long do I have to return shoes"
BODY = Explanation(
    text=TEXT,
    label="returns",
    confidence=0.98,
    threshold=0.9,
    runner_up=LabelScore(label="shipping", confidence=0.01),
    words=(
        WordWeight(word="how", start=0, end=3, weight=-0.9),
        WordWeight(word="long", start=4, end=8, weight=0.05),
        WordWeight(word="return", start=22, end=28, weight=4.0),
    ),
    flip=Flip(removed=("return",), becomes="abstain", confidence=0.6),
    nearest=(Neighbour(text="how long can I return them " * 4, label="returns", similarity=0.93),),
)


def _lines(body: Explanations) -> list[str]:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(render_explanations(body))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_view_says_everything_in_80_columns() -> None:
    part = replace(BODY, flip=None, confidence=0.5).for_part("returns")
    lines = _lines(Explanations(route=BODY, parts=(part,)))
    assert max(map(len, lines)) <= 80
    told = "\n".join(lines)
    for said in (
        "router", TEXT, "decision  returns 0.98 (threshold 0.90)", "runner-up shipping 0.01", "return +4.00",
        "how -0.90", 'without "return": abstain 0.60', "nearest   0.93 returns", "nothing short flips it",
        "returns 0.50 (threshold 0.90, below it",
    ):  # fmt: skip
        assert said in told


def test_words_are_highlight_by_their_weight() -> None:
    told = highlight(TEXT, BODY.words)
    assert told.plain == TEXT
    assert [(span.start, span.end, span.style) for span in told.spans] == [
        (0, 3, "on dark_red"),
        (22, 28, "on green3"),
    ]
    assert highlight("", []).spans == []
