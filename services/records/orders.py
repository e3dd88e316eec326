"""Orders, customers and products: frozen dataclasses, and functions that parse them from rows.

A row is a line of the seed's orders.jsonl, customers.jsonl or products.jsonl as a mapping, or the same read
by services/records/store.py from its tables, with dates as `date`. Amounts are dollars, exact to the cent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal, cast

PaymentKind = Literal["credit_card", "paypal", "gift_card"]
_PAYMENT_KINDS = ("credit_card", "paypal", "gift_card")

#: Dates of an order besides `placed_on`; which are set depends on its status.
DATES = ("ships_by", "shipped_on", "expected_on", "delivered_on", "cancelled_on", "requested_on")


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; `address2` may be empty."""

    address1: str
    address2: str
    city: str
    state: str
    zip: str
    country: str


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """A payment method. `brand` and `last_four` are of a credit card, `balance` (dollars) of a gift card."""

    id: str
    kind: PaymentKind
    brand: str = ""
    last_four: str = ""
    balance: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment or refund in dollars. `method` is None when the customer has deleted it."""

    kind: Literal["payment", "refund"]
    amount: Decimal
    method: PaymentMethod | None


@dataclass(frozen=True, slots=True)
class Item:
    """An item of an order, with its (name, value) options in the shop's order."""

    item_id: str
    name: str
    price: Decimal
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """A customer's order. A date that is in the future, or was never recorded, is None.

    `return_item_ids` and `refund_method`: items of a requested return and where its refund goes; when empty
    it is the whole order, refunded to the method that paid.
    """

    order_id: str
    customer_id: str
    status: str
    items: tuple[Item, ...]
    address: Address
    payments: tuple[Payment, ...]
    tracking_ids: tuple[str, ...]
    placed_on: date
    ships_by: date | None = None
    shipped_on: date | None = None
    expected_on: date | None = None
    delivered_on: date | None = None
    cancelled_on: date | None = None
    requested_on: date | None = None
    return_item_ids: tuple[str, ...] = ()
    refund_method: PaymentMethod | None = None

    @property
    def total(self) -> Decimal:
        """Dollars paid for the order.

        With several payments it is their sum less refunds; when all was refunded, the price of the items,
        because a changed payment method makes the payments alone count twice.
        """
        paid = [payment.amount for payment in self.payments if payment.kind == "payment"]
        if len(paid) == 1:
            return paid[0]
        refunded = sum((payment.amount for payment in self.payments if payment.kind == "refund"), Decimal(0))
        net = sum(paid, Decimal(0)) - refunded
        return net if net > 0 else sum((item.price for item in self.items), Decimal(0))

    @property
    def paid_with(self) -> PaymentMethod | None:
        """The payment method with the largest net payment, or the last that paid when all was refunded."""
        net: dict[PaymentMethod, Decimal] = {}
        for payment in self.payments:
            if payment.method is not None:
                sign = 1 if payment.kind == "payment" else -1
                net[payment.method] = net.get(payment.method, Decimal(0)) + sign * payment.amount
        most = max(net, key=lambda method: net[method], default=None)
        if most is not None and net[most] > 0:
            return most
        paid = [payment.method for payment in self.payments if payment.kind == "payment"]
        return paid[-1] if paid else None


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer, and how many orders they have placed."""

    customer_id: str
    first_name: str
    last_name: str
    email: str
    address: Address
    payment_methods: tuple[PaymentMethod, ...]
    order_count: int


@dataclass(frozen=True, slots=True)
class Variant:
    """A product with one combination of options. `price` in dollars."""

    item_id: str
    price: Decimal
    available: bool
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue with its variants."""

    product_id: str
    name: str
    variants: tuple[Variant, ...]


def _address(row: Mapping[str, Any]) -> Address:
    return Address(
        row["address1"], row.get("address2", ""), row["city"], row["state"], row["zip"], row["country"]
    )


def _options(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in row.items())


def _dollars(value: Any) -> Decimal:
    # Through str, so that 47.84 is 47.84 and not the nearest binary fraction.
    amount = Decimal(str(value))
    if not amount.is_finite():
        raise ValueError(f"{value!r} is no amount of money")
    return amount


def _payment_methods(rows: Mapping[str, Any]) -> dict[str, PaymentMethod]:
    methods = {}
    for key, row in rows.items():
        if row["source"] not in _PAYMENT_KINDS:
            raise ValueError(f"payment method {key}: source should be one of {', '.join(_PAYMENT_KINDS)}")
        methods[key] = PaymentMethod(
            key,
            cast("PaymentKind", row["source"]),
            row.get("brand", ""),
            row.get("last_four", ""),
            _dollars(row.get("balance", 0)),
        )
    return methods


def _payments(rows: Iterable[Mapping[str, Any]], methods: Mapping[str, PaymentMethod]) -> tuple[Payment, ...]:
    for row in rows:
        if row["transaction_type"] not in ("payment", "refund"):
            raise ValueError(f"transaction_type should be payment or refund, not {row['transaction_type']!r}")
    return tuple(
        Payment(row["transaction_type"], _dollars(row["amount"]), methods.get(row["payment_method_id"]))
        for row in rows
    )


def order_from(row: Mapping[str, Any], wallet: Mapping[str, Any]) -> Order:
    """The order of `row`; `wallet` is the `payment_methods` of its customer's row.

    Raises KeyError naming a missing field, ValueError or TypeError for one that cannot be read.
    """
    methods = _payment_methods(wallet)
    if not row["items"]:
        raise ValueError("an order should have items")
    return Order(
        order_id=row["order_id"],
        customer_id=row["user_id"],
        status=row["status"],
        items=tuple(
            Item(item["item_id"], item["name"], _dollars(item["price"]), _options(item["options"]))
            for item in row["items"]
        ),
        address=_address(row["address"]),
        payments=_payments(row["payment_history"], methods),
        tracking_ids=tuple(number for parcel in row["fulfillments"] for number in parcel["tracking_id"]),
        placed_on=row["placed_on"],
        return_item_ids=tuple(row.get("return_items") or ()),
        refund_method=methods.get(row.get("return_payment_method_id") or ""),
        **{name: row.get(name) for name in DATES},
    )


def customer_from(row: Mapping[str, Any], order_count: int) -> Customer:
    """The customer of `row`. Raises as `order_from` does."""
    return Customer(
        customer_id=row["user_id"],
        first_name=row["name"]["first_name"],
        last_name=row["name"]["last_name"],
        email=row["email"],
        address=_address(row["address"]),
        payment_methods=tuple(_payment_methods(row["payment_methods"]).values()),
        order_count=order_count,
    )


def product_from(row: Mapping[str, Any]) -> Product:
    """The product of `row`. Raises as `order_from` does."""
    if not row["variants"]:
        raise ValueError("a product should have variants")
    return Product(
        product_id=row["product_id"],
        name=row["name"],
        variants=tuple(
            Variant(key, _dollars(variant["price"]), bool(variant["available"]), _options(variant["options"]))
            for key, variant in row["variants"].items()
        ),
    )
