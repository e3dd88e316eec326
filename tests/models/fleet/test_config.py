"""The shapes of fleet.yaml and domain.yaml: what agrees in itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fakes.fleet import FLEET, RETURNS
from pydantic import ValidationError

from slmfleet.models.fleet.config import DomainConfig, Intent
from slmfleet.models.fleet.loading import load_fleet

KNOWLEDGE = {"description": "how long", "cacheable": "shared", "passages": ["the-window"]}
ORDER = {
    "description": "where", "cacheable": "never", "record": "order", "record_use": "required",
    "reply": {"default": "It is {status}."},
}  # fmt: skip


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (ORDER, {"cacheable": "shared"}, "answered from order records cannot be cacheable: shared"),
        (KNOWLEDGE, {"reply": {"default": "x"}}, "reply is for intents with a record"),
        (ORDER, {"reply": {}}, "record: order needs a reply"),
        (KNOWLEDGE, {"passages": []}, "name the passages that answer, or set hand_off: true"),
        (ORDER, {"record_use": "when_named"}, "when_named needs passages"),
    ],
)
def test_an_intent_has_to_agree_in_itself(base: dict[str, Any], change: dict[str, Any], message: str) -> None:
    Intent.model_validate(base)
    with pytest.raises(ValidationError, match=message):
        Intent.model_validate(base | change)


def test_a_domain_of_one_intent_is_refused_in_our_words() -> None:
    with pytest.raises(ValidationError, match="a domain needs at least 2 intents, not 1: its model learns"):
        DomainConfig.model_validate({"domain": "gifts", "title": "Gifts", "intents": {"wrap": KNOWLEDGE}})


def test_a_domain_reads_on_the_fleets_day_and_in_its_currency(make_fleet: Callable[..., Path]) -> None:
    yaml = FLEET.replace("retailer:", "currency: CAD\nretailer:")
    fleet = load_fleet(make_fleet(**{"fleet.yaml": yaml}))
    assert fleet.domains["returns"].today() == fleet.today() == date(2026, 6, 15)
    assert fleet.domains["returns"].currency == "CAD"
    undated = load_fleet(make_fleet(**{"fleet.yaml": FLEET.replace("today: 2026-06-15\n", "")}))
    assert undated.domains["returns"].today() == undated.today() == date.today()


def test_the_return_window_is_a_rule_and_0_without_one(make_fleet: Callable[..., Path]) -> None:
    assert load_fleet(make_fleet()).return_window_days == 30
    renamed = RETURNS.replace("return_window_days", "days_to_return")
    assert load_fleet(make_fleet(**{"returns/domain.yaml": renamed})).return_window_days == 0


def test_the_digest_of_the_knowledge_changes_with_passages_and_with_intents(
    make_fleet: Callable[..., Path],
) -> None:
    def digest(**files: str) -> str:
        return load_fleet(make_fleet(**files)).domains["returns"].knowledge_digest

    before = digest()
    assert digest() == before
    assert digest(**{"returns/domain.yaml": RETURNS.replace("how long\n", "how many days\n")}) != before
