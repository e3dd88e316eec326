"""The facts a reply template may name, and when each is known.

A template that names a fact which its situation cannot supply would fail in front of a customer, so
`slmfleet check` refuses it from these tables. services/records/store.py computes the values.
"""

from __future__ import annotations

import string
from typing import Final

_PLACED = ("order_id", "status", "items", "item_count", "total", "placed_on", "address", "payment_method")
_SHIPPED = (*_PLACED, "tracking_id", "shipped_on", "expected_on")
_DELIVERED = (*_SHIPPED, "delivered_on", "return_by")
_REFUNDED = ("refund_amount", "refund_to", "refund_by")

#: Situation of an order -> facts known in it. A reply for a situation also serves those that narrow it
#: (`delivered` serves `delivered_late_return` when that has no reply of its own): see `ORDER_FALLBACK`.
ORDER_FACTS: Final[dict[str, tuple[str, ...]]] = {
    "pending": (*_PLACED, "ships_by", "expected_on"),
    "pending_modified": (*_PLACED, "ships_by", "expected_on"),
    "processed": _SHIPPED,
    "processed_late": _SHIPPED,
    "delivered": _DELIVERED,
    "delivered_past_window": _DELIVERED,
    "cancelled": (*_PLACED, "cancelled_on", *_REFUNDED),
    "return_requested": (*_DELIVERED, "requested_on", *_REFUNDED),
    "exchange_requested": (*_DELIVERED, "requested_on"),
    "default": _PLACED,
}

#: Narrow situation -> the wider one whose reply serves when it has none of its own.
ORDER_FALLBACK: Final[dict[str, str]] = {
    "pending_modified": "pending",
    "processed_late": "processed",
    "delivered_past_window": "delivered",
    "return_requested": "delivered",
    "exchange_requested": "delivered",
}

CUSTOMER_FACTS: Final[tuple[str, ...]] = (
    "first_name",
    "full_name",
    "email",
    "address",
    "payment_methods",
    "gift_card_balance",
    "order_count",
    "recent_orders",
)

PRODUCT_FACTS: Final[tuple[str, ...]] = (
    "product",
    "price_from",
    "price_to",
    "variant_count",
    "available_count",
    "options",
)


def placeholders(template: str) -> set[str]:
    """Names between braces in `template`. Raises ValueError for a template that cannot be parsed."""
    names = set()
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            raise ValueError(
                f"write {{name}} with a fact's name only, not {{{name}{':' if spec else ''}{spec or ''}}}"
            )
        names.add(name)
    return names
