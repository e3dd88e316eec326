"""Pairs of questions that a cache must distinguish, and paraphrases, made from the fleet's rows."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from slmfleet.models.fleet.config import Fleet
from slmfleet.models.training.data import Corpus, Row

Kind = Literal["number", "date", "negation", "product", "customer", "paraphrase"]
KINDS: Final[tuple[Kind, ...]] = ("number", "date", "negation", "product", "customer", "paraphrase")

_DIGITS: Final = re.compile(r"\d+")
_ENDINGS: Final = (
    " within {} days",
    " for {} items",
    " after {} weeks",
    " over ${}",
    " for order #W76780{}",
    " in {} hours",
)
_DATES: Final = (
    " on June {}",
    " by the {}th of May",
    " before 2026-05-{}",
    " since March {}",
    " until 6/{}/26",
)
_HELPERS: Final = re.compile(r"\b(do|can|could|will|would|should|is|are|does|did)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions, and who asks each."""

    kind: Kind
    first: str
    second: str
    customers: tuple[str | None, str | None] = (None, None)


def pairs(fleet: Fleet, corpus: Corpus, customers: Sequence[str], count: int, seed: int = 7) -> list[Pair]:
    """`count` pairs, as many of each kind, from the fleet's own rows. The same for the same `seed`.

    In a trap one thing differs: a number, a date, a negation, a product, or only who asks. A paraphrase is
    two Bitext rows of one intent.
    """
    pick = random.Random(seed)  # noqa: S311 - a sample
    rows = [row for row in (*corpus.train, *corpus.test) if row.domain in fleet.domains]
    plain = [row.text.rstrip(" ?.!") for row in rows]
    products = sorted({name for phrases in fleet.gazetteers.values() for name in phrases.values()})
    makers: dict[Kind, Callable[[], Iterator[Pair]]] = {
        "number": lambda: _numbers(pick, plain),
        "date": lambda: _dates(pick, plain),
        "negation": lambda: _negations(pick, plain),
        "product": lambda: _products(pick, plain, products),
        "customer": lambda: _customers(pick, plain, customers),
        "paraphrase": lambda: _paraphrases(pick, rows),
    }
    kinds = [
        kind
        for kind in KINDS
        if (kind != "product" or len(products) > 1) and (kind != "customer" or len(customers) > 1)
    ]
    made: list[Pair] = []
    for index, kind in enumerate(kinds):
        share = count // len(kinds) + (index < count % len(kinds))
        maker = makers[kind]()
        made += [pair for _, pair in zip(range(share), maker, strict=False)]
    return made


def _two(pick: random.Random, low: int, high: int) -> tuple[int, int]:
    first, second = pick.sample(range(low, high), 2)
    return first, second


def _numbers(pick: random.Random, texts: Sequence[str]) -> Iterator[Pair]:
    while True:
        text = pick.choice(texts)
        found = _DIGITS.search(text)
        if found is None:
            ending = pick.choice(_ENDINGS)
            first, second = _two(pick, 10, 99)
            yield Pair("number", text + ending.format(first), text + ending.format(second))
        else:
            other = str(int(found[0]) + pick.choice((1, 2, 10)))
            yield Pair("number", text, text[: found.start()] + other + text[found.end() :])


def _dates(pick: random.Random, texts: Sequence[str]) -> Iterator[Pair]:
    while True:
        text, ending = pick.choice(texts), pick.choice(_DATES)
        first, second = _two(pick, 10, 29)
        yield Pair("date", text + ending.format(first), text + ending.format(second))


def _negations(pick: random.Random, texts: Sequence[str]) -> Iterator[Pair]:
    while True:
        text = pick.choice(texts)
        negated, count = _HELPERS.subn(r"\1 not", text, count=1)
        yield Pair("negation", text, negated if count else f"not {text}")


def _products(pick: random.Random, texts: Sequence[str], products: Sequence[str]) -> Iterator[Pair]:
    while True:
        text = pick.choice(texts)
        first, second = pick.sample(products, 2)
        yield Pair("product", f"{text} for the {first}", f"{text} for the {second}")


def _customers(pick: random.Random, texts: Sequence[str], customers: Sequence[str]) -> Iterator[Pair]:
    while True:
        text = pick.choice(texts)
        first, second = pick.sample([*customers, None], 2)
        yield Pair("customer", text, text, (first, second))


def _paraphrases(pick: random.Random, rows: Sequence[Row]) -> Iterator[Pair]:
    by_intent: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.source == "bitext" and row.intent is not None:
            by_intent.setdefault((row.domain, row.intent), []).append(row.text)
    groups = [sorted(set(texts)) for texts in by_intent.values()]
    for group in groups:
        pick.shuffle(group)
    # Each text once: what an earlier pair left must not be taken for a paraphrase that was found.
    while groups := [group for group in groups if len(group) > 1]:
        group = pick.choice(groups)
        yield Pair("paraphrase", group.pop(), group.pop())
