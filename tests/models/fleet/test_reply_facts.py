from __future__ import annotations

import pytest

from slmfleet.models.fleet.reply_facts import ORDER_FACTS, ORDER_FALLBACK, placeholders


def test_placeholders_are_the_names_in_braces() -> None:
    assert placeholders("Order {order_id} is {status}; {{not}} {order_id}") == {"order_id", "status"}
    assert placeholders("nothing") == set()


@pytest.mark.parametrize("template", ["{order.id}", "{0}", "{}", "{a!r}", "{a:>9}", "{a", "a}"])
def test_a_template_that_formats_or_reaches_in_is_refused(template: str) -> None:
    with pytest.raises(ValueError):
        placeholders(template)


@pytest.mark.parametrize(("narrow", "wide"), ORDER_FALLBACK.items())
def test_what_a_wider_reply_names_is_known_in_the_narrower_situation(narrow: str, wide: str) -> None:
    assert set(ORDER_FACTS[wide]) <= set(ORDER_FACTS[narrow])
    assert set(ORDER_FACTS["default"]) <= set(ORDER_FACTS[narrow])
