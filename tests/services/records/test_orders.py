"""Rows become orders, customers and products, exact to the cent, or name what is wrong with them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from slmfleet.services.records.orders import customer_from, order_from, product_from

ADDRESS = {"address1": "1 Road", "city": "Town", "state": "NY", "zip": "10083", "country": "USA"}
WALLET: dict[str, Any] = {
    "card": {"source": "credit_card", "brand": "visa", "last_four": "9212"},
    "gift": {"source": "gift_card", "balance": 51.1},
}


def payment(amount: float, method: str = "card", kind: str = "payment") -> dict[str, Any]:
    return {"transaction_type": kind, "amount": amount, "payment_method_id": method}


def row(*payments: dict[str, Any], **more: Any) -> dict[str, Any]:
    items = [{"item_id": "1", "name": "Bottle", "price": 47.84, "options": {"size": "500ml"}}]
    return {
        "order_id": "#W1", "user_id": "ann", "status": "delivered", "items": items, "address": ADDRESS,
        "payment_history": [*payments], "fulfillments": [{"tracking_id": ["7", "8"]}],
        "placed_on": date(2026, 6, 1), **more,
    }  # fmt: skip


def test_an_order_has_what_its_row_says() -> None:
    order = order_from(row(payment(47.84), return_items=["1"], delivered_on=date(2026, 6, 5)), WALLET)
    assert (order.total, order.items[0].price) == (Decimal("47.84"), Decimal("47.84"))
    assert order.items[0].options == (("size", "500ml"),)
    assert order.tracking_ids == ("7", "8")
    assert order.paid_with is not None
    assert (order.paid_with.id, order.paid_with.last_four) == ("card", "9212")
    assert (order.delivered_on, order.shipped_on) == (date(2026, 6, 5), None)
    assert order.return_item_ids == ("1",)


@pytest.mark.parametrize(
    ("payments", "total", "method"),
    [
        ([payment(47.84), payment(47.84, "gift"), payment(47.84, kind="refund")], "47.84", "gift"),
        ([payment(30), payment(17.84, "gift")], "47.84", "card"),
        ([payment(47.84), payment(47.84, kind="refund")], "47.84", "card"),
        ([], "47.84", None),
        ([payment(47.84, "deleted")], "47.84", None),
    ],
)
def test_the_total_and_its_method_survive_refunds(
    payments: list[dict[str, Any]], total: str, method: str | None
) -> None:
    order = order_from(row(*payments), WALLET)
    assert order.total == Decimal(total)
    assert (None if order.paid_with is None else order.paid_with.id) == method


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"items": []}, "an order should have items"),
        ({"payment_history": [payment(1, kind="gift")]}, "should be payment or refund, not 'gift'"),
        ({"payment_history": [payment(float("nan"))]}, "is no amount of money"),
    ],
)
def test_what_is_wrong_with_an_order_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        order_from(row(**changed), WALLET)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(KeyError, match="status"):
        order_from({name: value for name, value in row().items() if name != "status"}, WALLET)


def test_a_customer_has_payment_methods_of_known_kinds() -> None:
    fields: dict[str, Any] = {
        "user_id": "ann", "name": {"first_name": "Ann", "last_name": "Lee"}, "email": "a@b.c",
        "address": ADDRESS, "payment_methods": WALLET,
    }  # fmt: skip
    customer = customer_from(fields, 3)
    assert [method.balance for method in customer.payment_methods] == [Decimal(0), Decimal("51.1")]
    assert (customer.order_count, customer.address.address2) == (3, "")
    with pytest.raises(ValueError, match="payment method x: source should be one of credit_card, paypal"):
        customer_from({**fields, "payment_methods": {"x": {"source": "cash"}}}, 0)


def test_a_product_has_variants() -> None:
    variants = {"9": {"price": 0.1, "available": True, "options": {"size": 5}}}
    product = product_from({"product_id": "p", "name": "Bottle", "variants": variants})
    assert (product.variants[0].price, product.variants[0].options) == (Decimal("0.1"), (("size", "5"),))
    with pytest.raises(ValueError, match="a product should have variants"):
        product_from({"product_id": "p", "name": "Bottle", "variants": {}})
