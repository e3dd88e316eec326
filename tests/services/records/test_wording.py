"""The facts of a reply: exactly those promised for the situation, worded for people, and never made up."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

import slmfleet.models
from slmfleet.models.fleet.reply_facts import (
    CUSTOMER_FACTS,
    ORDER_FACTS,
    ORDER_FALLBACK,
    PRODUCT_FACTS,
    placeholders,
)
from slmfleet.services.records.orders import DATES, Order, Payment, PaymentMethod, order_from
from slmfleet.services.records.store import Records, open_records
from slmfleet.services.records.wording import (
    business_days_after,
    customer_facts,
    order_facts,
    order_situation,
    product_facts,
    situation_template,
    spoken_list,
)

SHOP = Path(next(iter(slmfleet.models.__path__))) / "shop"
TODAY: date = YAML(typ="safe").load((SHOP / "fleet.yaml").read_text(encoding="utf-8"))["today"]
WINDOW = 30
VISA = PaymentMethod("credit_card_1", "credit_card", "visa", "9212")
PAYPAL = PaymentMethod("paypal_1", "paypal")
GIFT_CARD = PaymentMethod("gift_card_1", "gift_card", balance=Decimal("51.00"))
DELIVERED_DATES = {
    "shipped_on": date(2026, 6, 1),
    "expected_on": date(2026, 6, 8),
    "delivered_on": date(2026, 6, 5),
}
STATUSES = (
    "pending",
    "pending (items modified)",
    "pending (item modified)",
    "processed",
    "delivered",
    "cancelled",
    "return requested",
    "exchange requested",
    "lost at sea",
    "default",
    "",
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    path = tmp_path_factory.mktemp("shop") / "records.sqlite"
    records = open_records(f"sqlite:///{path}", SHOP / "records")
    # As an order system would, it marks what happened after delivery.
    with sqlite3.connect(path) as connection:
        for status, order_id in (("return requested", "W4817420"), ("exchange requested", "W6304490")):
            connection.execute(
                "UPDATE orders SET status = ?, requested_on = '2026-06-10' WHERE order_key = ?",
                (status, order_id),
            )
        connection.execute(
            "UPDATE orders SET status = 'pending (items modified)' WHERE order_key = 'W5918442'"
        )
    connection.close()
    yield records
    records.close()


@pytest.fixture(scope="module")
def orders(shop: Records) -> list[Order]:
    lines = (SHOP / "records" / "orders.jsonl").read_text(encoding="utf-8").splitlines()
    found = [shop.order(row["user_id"], row["order_id"]) for row in map(json.loads, lines)]
    return [order for order in found if order is not None]


def an_order(status: str, *payments: Payment, **changes: Any) -> Order:
    """Two items for $152.40 in all, placed on May 29, 2026, paid with a Visa card unless told otherwise."""
    row = {
        "order_id": "#W1",
        "user_id": "ann",
        "status": status,
        "items": [
            {
                "item_id": "1",
                "name": "Water Bottle",
                "price": 52.4,
                "options": {"capacity": "750ml", "material": "stainless steel", "color": "red"},
            },
            {
                "item_id": "2",
                "name": "Bookshelf",
                "price": 100,
                "options": {"material": "glass", "color": "black", "height": "5 ft"},
            },
        ],
        "address": {
            "address1": "215 River Road",
            "address2": "Suite 991",
            "city": "New York",
            "state": "NY",
            "zip": "10083",
            "country": "USA",
        },
        "payment_history": [],
        "fulfillments": [{"tracking_id": ["357962501027"], "item_ids": ["1", "2"]}],
        "placed_on": date(2026, 5, 29),
    }
    paid = payments or (Payment("payment", Decimal("152.40"), VISA),)
    return replace(order_from(row, {}), payments=paid, **changes)


# What is promised


def test_every_order_of_the_shop_gives_exactly_the_promised_facts(orders: list[Order]) -> None:
    assert len(orders) == 1_000
    situations: Counter[str] = Counter()
    for order in orders:
        situation = order_situation(order, TODAY, WINDOW)
        facts = order_facts(order, TODAY, WINDOW)
        assert tuple(facts) == ORDER_FACTS[situation]
        assert all(facts.values()), facts
        assert "None" not in " ".join(facts.values())
        situations[situation] += 1
    assert set(situations) == set(ORDER_FACTS) - {"default"}
    assert situations["pending_modified"] == situations["return_requested"] == 1


def test_situations_of_the_shops_orders_follow_from_their_status_and_dates(orders: list[Any]) -> None:
    for order in orders:
        situation = order_situation(order, TODAY, WINDOW)
        match order.status:
            case "processed":
                assert (situation == "processed_late") == (order.expected_on < TODAY)
            case "delivered":
                age = (TODAY - order.delivered_on).days
                assert (situation == "delivered_past_window") == (age > WINDOW)
            case "pending (items modified)":
                assert situation == "pending_modified"
            case status:
                assert situation == status.replace(" ", "_")


@given(
    status=st.sampled_from(STATUSES),
    days=st.fixed_dictionaries(
        {name: st.none() | st.dates(date(2026, 1, 1), date(2026, 12, 31)) for name in DATES}
    ),
    tracked=st.booleans(),
    today=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    method=st.sampled_from([VISA, PAYPAL, GIFT_CARD, None]),
    window=st.integers(0, 400),
)
def test_an_order_with_gaps_promises_no_more_than_is_recorded(
    status: str,
    days: dict[str, date | None],
    tracked: bool,
    today: date,
    method: PaymentMethod | None,
    window: int,
) -> None:
    order = an_order(status, Payment("payment", Decimal("152.40"), method), **days)
    order = order if tracked else replace(order, tracking_ids=())
    situation = order_situation(order, today, window)
    facts = order_facts(order, today, window)
    assert tuple(facts) == ORDER_FACTS[situation]
    assert "None" not in " ".join(facts.values())
    if situation != "default":
        assert situation.split("_")[0] == status.split(" ")[0]


@pytest.mark.parametrize("narrow", sorted(ORDER_FACTS))
def test_a_wider_template_finds_all_its_facts_in_every_narrower_situation(narrow: str) -> None:
    wider, widths = ORDER_FALLBACK.get(narrow), ["default"]
    while wider is not None:
        widths.append(wider)
        wider = ORDER_FALLBACK.get(wider)
    for wide in widths:
        assert set(ORDER_FACTS[wide]) <= set(ORDER_FACTS[narrow]), (narrow, wide)


def test_templates_with_all_facts_of_a_wider_situation_can_be_filled(orders: list[Order]) -> None:
    for wide in (*ORDER_FALLBACK.values(), "default"):
        template = " ".join(f"{{{fact}}}" for fact in ORDER_FACTS[wide])
        reply = {wide: template, "default": " ".join(f"{{{fact}}}" for fact in ORDER_FACTS["default"])}
        for order in orders:
            situation = order_situation(order, TODAY, WINDOW)
            assert situation_template(reply, situation).format(**order_facts(order, TODAY, WINDOW))


def test_every_record_template_of_the_shop_can_be_filled_for_every_record(
    shop: Records, orders: list[Order]
) -> None:
    by_situation = {order_situation(order, TODAY, WINDOW): order for order in orders}
    facts = [(s, order_facts(order, TODAY, WINDOW)) for s, order in by_situation.items()]
    facts.append(("default", order_facts(an_order("lost"), TODAY, WINDOW)))
    customer = shop.customer("james_li_5688")
    product = shop.product("T-Shirt")
    assert customer is not None
    assert product is not None
    others = {"customer": customer_facts(customer, []), "product": product_facts(product)}
    checked = 0
    for file in sorted(SHOP.glob("*/domain.yaml")):
        domain = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        rules = {name: rule["value"] for name, rule in domain.get("rules", {}).items()}
        for intent in domain["intents"].values():
            kind = intent.get("record", "none")
            known = facts if kind == "order" else [("default", others[kind])] if kind in others else []
            for situation, values in known:
                text = situation_template(intent["reply"], situation).format(**rules, **values)
                assert not placeholders(text)
                checked += 1
    assert checked


def test_a_reply_falls_back_to_the_wider_situation_and_then_to_default() -> None:
    reply = {"default": "d", "delivered": "a", "delivered_past_window": "p", "processed": "s"}
    assert situation_template(reply, "delivered_past_window") == "p"
    assert situation_template(reply, "return_requested") == "a"
    assert situation_template(reply, "processed_late") == "s"
    assert situation_template(reply, "pending_modified") == "d"
    assert situation_template(reply, "default") == "d"
    with pytest.raises(KeyError):
        situation_template({"processed": "s"}, "pending")


# How it is worded


def test_facts_are_worded_for_people() -> None:
    order = an_order("delivered", Payment("payment", Decimal("1380.79"), VISA), **DELIVERED_DATES)
    assert order_facts(order, TODAY, WINDOW) == {
        "order_id": "#W1",
        "status": "delivered",
        "items": "Water Bottle (750ml, stainless steel, red) and Bookshelf (glass, black, 5 ft)",
        "item_count": "2",
        "total": "$1,380.79",
        "placed_on": "May 29, 2026",
        "address": "215 River Road, Suite 991, New York, NY 10083",
        "payment_method": "Visa ending in 9212",
        "tracking_id": "357962501027",
        "shipped_on": "June 1, 2026",
        "expected_on": "June 8, 2026",
        "delivered_on": "June 5, 2026",
        "return_by": "July 5, 2026",
    }


def test_more_than_five_items_are_counted_and_bare_values_named() -> None:
    order = an_order("pending")
    bottle = replace(order.items[0], options=(("color", "red"), ("size", "10"), ("waterproof", "yes")))
    many = replace(order, items=(bottle,) * 7)
    one = "Water Bottle (red, size: 10, waterproof: yes)"
    facts = order_facts(many, TODAY, WINDOW)
    assert facts["items"] == ", ".join([one] * 5) + " and 2 more"
    assert facts["item_count"] == "7"
    plain = replace(order, items=(replace(bottle, options=()),))
    assert order_facts(plain, TODAY, WINDOW)["items"] == "Water Bottle"


def test_a_list_is_spoken() -> None:
    assert [spoken_list(list("abc")[:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert spoken_list(["S", "M", "L"], "or") == "S, M or L"


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_dates_are_spoken_as_the_calendar_has_them(day: date) -> None:
    spoken = order_facts(an_order("pending", placed_on=day), TODAY, WINDOW)["placed_on"]
    assert spoken == f"{day:%B} {day.day}, {day.year}"


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 40))
def test_business_days_are_counted_without_weekends(start: date, days: int) -> None:
    end = business_days_after(start, days)
    passed = [start + timedelta(days=n) for n in range(1, (end - start).days + 1)]
    assert sum(day.weekday() < 5 for day in passed) == days
    assert days == 0 or end.weekday() < 5


# The return window


@pytest.mark.parametrize(
    ("age", "situation"), [(0, "delivered"), (30, "delivered"), (31, "delivered_past_window")]
)
def test_the_last_day_of_the_window_still_counts(age: int, situation: str) -> None:
    day = TODAY - timedelta(days=age)
    order = an_order("delivered", **{**DELIVERED_DATES, "delivered_on": day})
    assert order_situation(order, TODAY, WINDOW) == situation


@pytest.mark.parametrize(("expected", "situation"), [(0, "processed"), (1, "processed_late")])
def test_an_order_is_late_the_day_after_it_was_expected(expected: int, situation: str) -> None:
    day = TODAY - timedelta(days=expected)
    order = an_order("processed", shipped_on=date(2026, 6, 1), expected_on=day)
    assert order_situation(order, TODAY, WINDOW) == situation


# Money back


def refund(order: Order) -> tuple[str, str, str]:
    facts = order_facts(order, TODAY, WINDOW)
    return facts["refund_amount"], facts["refund_to"], facts["refund_by"]


def paid(amount: str, method: PaymentMethod | None = VISA) -> Payment:
    return Payment("payment", Decimal(amount), method)


def back(amount: str, method: PaymentMethod | None = VISA) -> Payment:
    return Payment("refund", Decimal(amount), method)


def test_the_refund_of_a_cancelled_order() -> None:
    friday = date(2026, 5, 29)
    card = an_order("cancelled", paid("152.40"), back("152.40"), cancelled_on=friday)
    assert refund(card) == ("$152.40", "your Visa ending in 9212", "June 9, 2026")
    # A gift card is credited at once: "by May 29, 2026 at the latest" is right, and is a date.
    gift = an_order("cancelled", paid("152.40", GIFT_CARD), back("152.40", GIFT_CARD), cancelled_on=friday)
    assert refund(gift) == ("$152.40", "your gift card", "May 29, 2026")
    unknown = an_order("cancelled", paid("152.40", None), cancelled_on=friday)
    assert refund(unknown) == ("$152.40", "your original payment method", "June 9, 2026")


def test_a_changed_payment_method_does_not_double_the_money() -> None:
    changed = an_order("pending", paid("152.40"), paid("152.40", PAYPAL), back("152.40"))
    facts = order_facts(changed, TODAY, WINDOW)
    assert (facts["total"], facts["payment_method"]) == ("$152.40", "PayPal")
    cancelled = replace(
        changed,
        status="cancelled",
        cancelled_on=date(2026, 5, 29),
        payments=(*changed.payments, back("152.40", PAYPAL)),
    )
    assert refund(cancelled) == ("$152.40", "your PayPal", "June 9, 2026")


def test_the_total_is_what_was_paid_in_the_end() -> None:
    def total(*payments: Payment) -> Decimal:
        return replace(an_order("pending"), payments=payments).total

    assert total(paid("158.35")) == Decimal("158.35")
    # With shipping, which went back as well when it was cancelled.
    assert total(paid("158.35"), back("158.35")) == Decimal("158.35")
    assert total(paid("152.40"), paid("10.25", PAYPAL)) == Decimal("162.65")
    assert total(paid("152.40"), paid("9.00"), back("20.00")) == Decimal("141.40")
    # Without payments it is the price of the items, exact to the cent: 52.4 was read as 52.40.
    assert total() == Decimal("152.40")


def test_a_requested_return_refunds_what_comes_back() -> None:
    order = an_order("return requested", **DELIVERED_DATES, requested_on=date(2026, 6, 10))
    assert refund(order) == ("$152.40", "your Visa ending in 9212", "June 19, 2026")
    part = replace(order, return_item_ids=("1",), refund_method=GIFT_CARD)
    assert refund(part)[:2] == ("$52.40", "your gift card")
    twice = replace(part, items=(order.items[0], order.items[0], order.items[1]), return_item_ids=("1", "1"))
    assert refund(twice)[0] == "$104.80"
    assert refund(replace(twice, return_item_ids=("1",)))[0] == "$52.40"


# Customers and products


def test_customers_facts(shop: Records) -> None:
    customer = shop.customer("anya_garcia_3271")
    assert customer is not None
    recent = shop.recent_orders(customer.customer_id)
    facts = customer_facts(customer, recent)
    assert tuple(facts) == CUSTOMER_FACTS
    assert facts["full_name"] == "Anya Garcia"
    assert facts["payment_methods"] == "gift card and Visa ending in 8674"
    assert facts["gift_card_balance"] == "$51.00"
    assert facts["order_count"] == "3"
    assert re.findall(r"#W\d+", facts["recent_orders"]) == [order.order_id for order in recent]
    empty = customer_facts(replace(customer, payment_methods=(), order_count=0), [])
    assert (empty["payment_methods"], empty["gift_card_balance"], empty["recent_orders"]) == (
        "none",
        "$0.00",
        "none",
    )


def test_products_facts(shop: Records) -> None:
    shirt = shop.product("t-shirt")
    assert shirt is not None
    assert product_facts(shirt) == {
        "product": "T-Shirt",
        "price_from": "$46.66",
        "price_to": "$53.48",
        "variant_count": "12",
        "available_count": "10",
        "options": "color: black, blue, purple or red; size: S, M, L, XL or XXL; "
        "material: cotton or polyester; style: crew neck or v-neck",
    }
    for line in (SHOP / "records" / "products.jsonl").read_text(encoding="utf-8").splitlines():
        name = json.loads(line)["name"]
        product = shop.product(name)
        assert product is not None
        facts = product_facts(product)
        assert tuple(facts) == PRODUCT_FACTS
        assert all(facts.values())
    sold_out = replace(shirt, variants=tuple(replace(variant, available=False) for variant in shirt.variants))
    assert product_facts(sold_out)["price_to"] == "$54.84"
    assert product_facts(sold_out)["available_count"] == "0"
    laptop = shop.product("Laptop")
    assert laptop is not None
    assert (
        "ram: 8GB, 16GB or 32GB; storage: 256GB SSD, 512GB SSD or 1TB SSD" in product_facts(laptop)["options"]
    )
