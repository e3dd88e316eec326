"""Explanations say what the scores say: weights, and flips that hold when they are tried."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from slmfleet.models.contracts import ABSTAIN, Explanation, Flip, Neighbour, WordWeight
from slmfleet.models.errors import BundleFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.bundle import (
    MODEL_FILE,
    NEIGHBOURS_FILE,
    TOKENIZER_FILE,
    read_card,
    write_card,
)
from slmfleet.models.inference.encoder import Encoder
from slmfleet.models.inference.explain import (
    MAX_REMOVED,
    MAX_WORDS,
    ScoreBatch,
    explain,
    log_odds,
    without,
    word_spans,
)
from slmfleet.models.inference.neighbours import Neighbours
from slmfleet.models.inference.specialist import Specialist
from slmfleet.models.training.data import load_corpus
from slmfleet.router.classifier import Router
from slmfleet.services.settings import SHOP_DIR

LABELS = ("returns", "shipping", "other")
STRENGTH = {"return": (3, 0, 0), "refund": (2, 0, 0), "send": (1, 1.5, 0), "parcel": (0, 3, 0)}


def chances(texts: Sequence[str]) -> NDArray[np.float64]:
    """Adds up what each word says for each label; `other` says a little always."""
    logits = np.array(
        [np.sum([STRENGTH.get(w, (0, 0, 0)) for w in t.split()] or [(0, 0, 0)], axis=0) for t in texts]
    )
    powers = np.exp(logits + np.array([0, 0, 1]))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def score(texts: Sequence[str]) -> ScoreBatch:
    """Trusts each label as far as it is likely."""
    likely = chances(texts)
    return ScoreBatch(likely, likely.max(1))


def wary(texts: Sequence[str]) -> ScoreBatch:
    """Trusts only texts that say please."""
    return ScoreBatch(chances(texts), np.array([0.9 if "please" in text.split() else 0.2 for text in texts]))


def test_the_word_that_decides_weighs_most_and_one_against_weighs_less_than_nothing() -> None:
    told = explain(score, "please return my parcel refund", LABELS, 0.5)
    weights = {word.word: word.weight for word in told.words}
    assert told.label == "returns"
    assert told.runner_up[0] == "shipping"
    assert max(weights, key=lambda word: weights[word]) == "return"
    assert weights["parcel"] < 0
    assert weights["please"] == pytest.approx(0, abs=1e-9)
    before, after = log_odds(chances(["please return my parcel refund", "please my parcel refund"])[:, 0])
    assert weights["return"] == pytest.approx(before - after)


def test_the_likeliest_label_is_told_with_the_trust_in_it_and_the_trust_alone_makes_it_stand() -> None:
    told = explain(wary, "please return my stuff", LABELS, 0.5)
    likely = chances(["please return my stuff"])[0]
    assert (told.label, told.confidence) == ("returns", 0.9)
    assert told.runner_up == ("other", pytest.approx(0.1 * likely[2] / (1 - likely[0])))
    # "return" decides the label and would be the heaviest flip; "please" says nothing for any label.
    assert max(told.words, key=lambda word: word.weight).word == "return"
    assert told.flip == Flip(("return",), "other", 0.9)
    told = explain(wary, "return return return return please", LABELS, 0.5)
    assert told.flip == Flip(("please",), ABSTAIN, 0.2)
    assert explain(wary, "return it", LABELS, 0.5).confidence == 0.2
    assert explain(wary, "my stuff", LABELS, 0.5, always=["other"]).flip is None


def test_of_a_single_label_the_other_outcome_is_none() -> None:
    told = explain(
        lambda texts: ScoreBatch(np.ones((len(texts), 1)), np.full(len(texts), 0.8)), "it", ["all"], 0.5
    )
    assert (told.label, told.runner_up) == ("all", (ABSTAIN, pytest.approx(0.2)))


def test_a_label_that_always_stands_has_no_threshold() -> None:
    assert explain(score, "hm return", LABELS, 0.99).threshold == 0.99
    told = explain(score, "hm hm", LABELS, 0.99, always=["other"])
    assert (told.label, told.threshold) == ("other", 0.0)
    assert told.confidence < 0.99


@pytest.mark.parametrize(
    ("text", "removed", "becomes"),
    [
        ("return my stuff", ("return",), "other"),
        ("return and refund my stuff", ("return", "refund"), "other"),
        ("return return refund my stuff", ("return", "return", "refund"), "other"),
        ("parcel return refund refund", ("return", "refund"), "shipping"),
        ("return return return return my stuff", None, None),
        ("return", None, None),
        ("send this return", ("return",), ABSTAIN),
    ],
)
def test_a_flip_is_short_and_holds_when_it_is_tried(
    text: str, removed: tuple[str, ...] | None, becomes: str | None
) -> None:
    told = explain(score, text, LABELS, 0.55)
    assert (told.flip and told.flip.removed) == removed
    assert (told.flip and told.flip.becomes) == becomes


@given(st.lists(st.sampled_from([*STRENGTH, "my", "a"]), min_size=1, max_size=12), st.floats(0.3, 0.95))
def test_every_flip_is_another_outcome(words: list[str], threshold: float) -> None:
    def outcome(text: str) -> str:
        row = chances([text])[0]
        best = LABELS[int(row.argmax())]
        return best if row.max() >= threshold or best == "other" else ABSTAIN

    told = explain(score, " ".join(words), LABELS, threshold, always=["other"])
    if told.flip is not None:
        left = list(words)
        for word in told.flip.removed:
            left.remove(word)
        assert left
        assert len(told.flip.removed) <= MAX_REMOVED
        assert outcome(" ".join(left)) == told.flip.becomes != outcome(" ".join(words))
        assert told.flip.confidence == pytest.approx(chances([" ".join(left)])[0].max())


@given(st.text(max_size=300))
def test_words_are_where_they_say(text: str) -> None:
    told = explain(score, text, LABELS, 0.5)
    assert [text[word.start : word.end] for word in told.words] == [word.word for word in told.words]
    ends = [0, *(word.end for word in told.words)]
    assert all(before <= word.start < word.end for word, before in zip(told.words, ends, strict=False))


def test_a_long_text_is_weighed_in_groups_within_a_bound() -> None:
    asked: list[str] = []

    def counting(texts: Sequence[str]) -> ScoreBatch:
        asked.extend(texts)
        return score(texts)

    text = "my " * 300 + "return a parcel " + "it " * 200
    told = explain(counting, text.strip(), LABELS, 0.5)
    assert len(told.words) == MAX_WORDS
    assert "return" in max(told.words, key=lambda word: word.weight).word.split()
    assert len(asked) <= 60


def test_what_is_taken_out_leaves_no_gap() -> None:
    text = "where's my e-mail, please?"
    assert [text[start:end] for start, end in word_spans(text)] == ["where's", "my", "e-mail", "please"]
    assert without(text, [(8, 10)]) == "where's e-mail, please?"
    assert without("return", [(0, 6)]) == ""


def test_neighbours_are_told_as_given() -> None:
    nearest = (Neighbour("send it back", "returns", 0.9),)
    assert explain(score, "return", LABELS, 0.5, nearest).nearest == nearest
    assert explain(score, "return", LABELS, 0.5).nearest == ()


FLEET = load_fleet(SHOP_DIR)
OWN = [row for row in load_corpus(FLEET).test if row.source == "own" and len(word_spans(row.text)) >= 6]


Words = Sequence[WordWeight]


def _removed(text: str, words: Words) -> str:
    return without(text, [(word.start, word.end) for word in words])


def _replaced(text: str, words: Words) -> str:
    for word in sorted(words, key=lambda word: -word.start):
        text = f"{text[: word.start]}something{text[word.end :]}"
    return text


@cache
def _explained(name: str) -> tuple[Router | Specialist, list[tuple[str, Explanation]]]:
    """A bundle, and what it explains of texts that it was not taught."""
    rows = [row for row in OWN if name in ("router", row.domain)]
    rows = random.Random(3).sample(rows, 160 if name == "router" else 80)
    model: Router | Specialist = (
        Router.of(FLEET) if name == "router" else Specialist.load(FLEET.domains[name])
    )
    return model, [(row.text, model.explain(row.text)) for row in rows]


def _drops(name: str, count: int, changed: Callable[[str, Words], str]) -> NDArray[np.float64]:
    """(texts, 2): by how much the log-odds of the decision drop when the `count` weightiest words of a text
    are changed, and when as many random others are."""
    dice = random.Random(7)
    drops = []
    model, explained = _explained(name)
    for text, told in explained:
        words = sorted(told.words, key=lambda word: -word.weight)
        others = dice.sample(words[count:], count)
        texts = [text, changed(text, words[:count]), changed(text, others)]
        odds = log_odds(model._score(texts).probabilities[:, model.card.labels.index(told.label)])
        drops.append(odds[0] - odds[1:])
    return np.array(drops)


@pytest.mark.parametrize("name", ["router", "returns", "shipping"])
@pytest.mark.parametrize(
    ("count", "changed"), [(1, _removed), (1, _replaced), (3, _removed)], ids=["removed", "replaced", "three"]
)
def test_the_weightiest_words_are_what_the_bundles_decide_by(
    name: str, count: int, changed: Callable[[str, Words], str]
) -> None:
    """One word removed is how weights are made; one replaced, or three at once, is not."""
    top, others = _drops(name, count, changed).T
    majority = float((top > others).mean())
    print(
        f"\n{name}, {len(top)} texts, {count} {changed.__name__[1:]}: log-odds drop by {top.mean():.2f} for "
        f"the weightiest and by {others.mean():.2f} for others; more in {majority:.0%} of the texts"
    )
    assert top.mean() > 2 * max(0.2, others.mean())
    assert majority > 0.85


def test_a_bundle_without_neighbours_explains_all_the_same(tmp_path: Path) -> None:
    shutil.copytree(SHOP_DIR / "returns", tmp_path / "returns")
    folder = tmp_path / "returns" / "bundle"
    card = read_card(folder, "specialist")
    (folder / NEIGHBOURS_FILE).unlink(missing_ok=True)
    write_card(folder, card)
    specialist = Specialist.load(replace(FLEET.domains["returns"], folder=tmp_path / "returns"))
    text = "how long do i have to return shoes?"
    told, reading = specialist.explain(text), specialist.read(text)
    assert (told.label, told.confidence) == (reading.intent, reading.confidence)
    assert told.cpu_ms > reading.cpu_ms
    assert len(told.words) == 8
    assert told.nearest == ()


def test_neighbours_come_from_the_bundle_when_it_has_them_and_are_read_when_needed(tmp_path: Path) -> None:
    shutil.copytree(SHOP_DIR / "returns", tmp_path / "returns")
    folder = tmp_path / "returns" / "bundle"
    card = read_card(folder, "specialist")
    encoder = Encoder(folder / MODEL_FILE, folder / TOKENIZER_FILE)
    texts = ["how long can i send shoes back", "the box is torn", "money back when"]
    vectors = np.stack([encoder.encode(text).embedding for text in texts])
    Neighbours.build(texts, ["return_policy", "start_return", "track_refund"], vectors).save(
        folder / NEIGHBOURS_FILE
    )
    sealed = write_card(folder, card)
    assert NEIGHBOURS_FILE in sealed.files
    assert "stays under the licence of its source" in (folder / "CARD.md").read_text(encoding="utf-8")
    specialist = Specialist.load(replace(FLEET.domains["returns"], folder=tmp_path / "returns"))
    told = specialist.explain("how long do i have to send back shoes")
    assert (told.nearest[0].text, told.nearest[0].label) == (texts[0], "return_policy")
    (folder / NEIGHBOURS_FILE).write_bytes(b"damaged")
    with pytest.raises(BundleFault, match=NEIGHBOURS_FILE):
        Specialist.load(replace(FLEET.domains["returns"], folder=tmp_path / "returns"))
