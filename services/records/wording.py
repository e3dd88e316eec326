"""The facts of models/fleet/reply_facts.py about an order, customer or product, as text for a reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from slmfleet.models.fleet.reply_facts import CUSTOMER_FACTS, ORDER_FACTS, ORDER_FALLBACK, PRODUCT_FACTS
from slmfleet.services.records.orders import DATES, Address, Customer, Item, Order, PaymentMethod, Product

#: The longest a bank takes to show a refund, in business days.
REFUND_DAYS: Final = 7
_LISTED_ITEMS: Final = 5

# Not strftime's, which depend on the process's locale.
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_STATUS_WORDS: Final = {
    "pending_modified": "pending, with its items changed",
    "return_requested": "delivered, with a return requested",
    "exchange_requested": "delivered, with an exchange requested",
}
#: Values that need the option's name: `waterproof: yes`, `brightness: high`, `size: 10`.
_NEEDS_NAME: Final = re.compile(r"yes|no|none|low|medium|high|\d+", re.IGNORECASE)
_SIZES: Final = ("XXS", "XS", "S", "M", "L", "XL", "XXL", "small", "low", "medium", "large", "high")


def spoken_date(day: date) -> str:
    """`June 3, 2026`."""
    return f"{_MONTHS[day.month - 1]} {day.day}, {day.year}"


def spoken_money(dollars: Decimal) -> str:
    """`$1,380.79`."""
    return f"${dollars:,.2f}"


def spoken_list(words: Sequence[str], conjunction: str = "and") -> str:
    """`a, b and c`."""
    return f" {conjunction} ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def spoken_method(method: PaymentMethod | None) -> str:
    """`Visa ending in 9212`, `PayPal` or `gift card`."""
    if method is None:
        return "the original payment method"
    if method.kind == "credit_card":
        brand = method.brand.title() or "card"
        return f"{brand} ending in {method.last_four}" if method.last_four else brand
    return {"paypal": "PayPal", "gift_card": "gift card"}[method.kind]


def spoken_address(address: Address) -> str:
    """`215 River Road, Suite 991, New York, NY 10083`; the country only when it is abroad."""
    place = f"{address.state} {address.zip}".strip()
    country = "" if address.country in ("USA", "US") else address.country
    parts = (address.address1, address.address2, address.city, place, country)
    return ", ".join(part for part in parts if part)


def spoken_items(items: Sequence[Item]) -> str:
    """`Water Bottle (750ml, red) and Bookshelf (glass, 5 ft)`; five at most, then `and 2 more`."""
    words = [_spoken_item(item) for item in items[:_LISTED_ITEMS]]
    if len(items) > _LISTED_ITEMS:
        words.append(f"{len(items) - _LISTED_ITEMS} more")
    return spoken_list(words)


def spoken_orders(orders: Sequence[Order]) -> str:
    """`#W2611340 (placed June 11, 2026) and #W4817420 (placed May 1, 2026)`; `none` for none."""
    words = [f"{order.order_id} (placed {spoken_date(order.placed_on)})" for order in orders]
    return spoken_list(words) or "none"


def _spoken_item(item: Item) -> str:
    options = [f"{name}: {value}" if _NEEDS_NAME.fullmatch(value) else value for name, value in item.options]
    return f"{item.name} ({', '.join(options)})" if options else item.name


def business_days_after(start: date, days: int) -> date:
    """The day `days` business days (Monday to Friday, holidays included) after `start`."""
    day = start
    while days > 0:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day


def order_situation(order: Order, today: date, return_window_days: int) -> str:
    """The key of ORDER_FACTS for the state of `order` on `today`.

    `default` for an unknown status, and where a fact of the situation was never recorded: a reply then states
    less, but nothing invented.
    """
    situation = _recorded_situation(order, today, return_window_days)
    return situation if all(_known(order, fact) for fact in ORDER_FACTS[situation]) else "default"


def _recorded_situation(order: Order, today: date, return_window_days: int) -> str:
    status = order.status.strip().lower()
    if status.startswith("pending ("):
        return "pending_modified"
    if status == "processed" and order.expected_on is not None and order.expected_on < today:
        return "processed_late"
    if status == "delivered" and order.delivered_on is not None:
        return "delivered_past_window" if today > _return_by(order, return_window_days) else "delivered"
    situation = status.replace(" ", "_")
    return situation if situation in ORDER_FACTS else "default"


def _known(order: Order, fact: str) -> bool:
    if fact == "tracking_id":
        return bool(order.tracking_ids)
    if fact == "return_by":
        return order.delivered_on is not None
    return fact not in DATES or getattr(order, fact) is not None


def _return_by(order: Order, return_window_days: int) -> date:
    assert order.delivered_on is not None
    return order.delivered_on + timedelta(days=return_window_days)


def _status(order: Order) -> str:
    status = order.status.strip().lower()
    key = "pending_modified" if status.startswith("pending (") else status.replace(" ", "_")
    return _STATUS_WORDS.get(key, status)


def _returned(order: Order) -> list[Item]:
    """The items of a partial return; none when the whole order goes back."""
    wanted = list(order.return_item_ids)
    items = []
    for item in order.items:
        if item.item_id in wanted:
            wanted.remove(item.item_id)
            items.append(item)
    return items


def _refund_amount(order: Order) -> Decimal:
    items = _returned(order)
    if not items or len(items) == len(order.items) or order.cancelled_on is not None:
        return order.total
    return sum((item.price for item in items), Decimal(0))


def _refund_method(order: Order) -> PaymentMethod | None:
    refunded = (payment.method for payment in reversed(order.payments) if payment.kind == "refund")
    return order.refund_method or (next(refunded, None) if order.cancelled_on else None) or order.paid_with


def _refund_to(order: Order) -> str:
    # "your" is part of the fact, because "goes to gift card" would not be English.
    method = _refund_method(order)
    return f"your {spoken_method(method)}" if method is not None else "your original payment method"


def _refund_by(order: Order) -> date:
    method = _refund_method(order)
    if order.cancelled_on is not None:
        # A gift card is credited at once. A date all the same, because templates say "by {refund_by}".
        at_once = method is not None and method.kind == "gift_card"
        return business_days_after(order.cancelled_on, 0 if at_once else REFUND_DAYS)
    assert order.requested_on is not None
    return business_days_after(order.requested_on, REFUND_DAYS)


_ORDER: Final[dict[str, Callable[[Order], str]]] = {
    "order_id": lambda order: order.order_id,
    "status": _status,
    "items": lambda order: spoken_items(order.items),
    "item_count": lambda order: str(len(order.items)),
    "total": lambda order: spoken_money(order.total),
    "address": lambda order: spoken_address(order.address),
    "payment_method": lambda order: spoken_method(order.paid_with),
    "tracking_id": lambda order: spoken_list(order.tracking_ids),
    "refund_amount": lambda order: spoken_money(_refund_amount(order)),
    "refund_to": _refund_to,
    "refund_by": lambda order: spoken_date(_refund_by(order)),
}


def order_facts(order: Order, today: date, return_window_days: int) -> dict[str, str]:
    """Name -> text of exactly the facts that ORDER_FACTS lists for the situation of `order` on `today`.

    `return_by` is the last day of the window. `refund_by` is the latest day: for a card or PayPal seven
    business days after the cancellation or request, for a gift card the day of the cancellation itself.
    """
    facts = {}
    for name in ORDER_FACTS[order_situation(order, today, return_window_days)]:
        if name == "return_by":
            facts[name] = spoken_date(_return_by(order, return_window_days))
        elif name in _ORDER:
            facts[name] = _ORDER[name](order)
        else:
            facts[name] = spoken_date(getattr(order, name))
    return facts


def customer_facts(customer: Customer, recent_orders: Sequence[Order]) -> dict[str, str]:
    """Name -> text of exactly CUSTOMER_FACTS. The balance is the sum of all the customer's gift cards."""
    methods = [spoken_method(method) for method in customer.payment_methods]
    cards = [method.balance for method in customer.payment_methods if method.kind == "gift_card"]
    facts = {
        "first_name": customer.first_name,
        "full_name": f"{customer.first_name} {customer.last_name}",
        "email": customer.email,
        "address": spoken_address(customer.address),
        "payment_methods": spoken_list(methods) or "none",
        "gift_card_balance": spoken_money(sum(cards, Decimal(0))),
        "order_count": str(customer.order_count),
        "recent_orders": spoken_orders(recent_orders),
    }
    return {name: facts[name] for name in CUSTOMER_FACTS}


def product_facts(product: Product) -> dict[str, str]:
    """Name -> text of exactly PRODUCT_FACTS. Prices and options are of available variants, else of all."""
    available = [variant for variant in product.variants if variant.available]
    offered = available or product.variants
    options: dict[str, set[str]] = {}
    for variant in offered:
        for name, value in variant.options:
            options.setdefault(name, set()).add(value)
    choices = [f"{name}: {spoken_list(_in_order(values), 'or')}" for name, values in options.items()]
    facts = {
        "product": product.name,
        "price_from": spoken_money(min(variant.price for variant in offered)),
        "price_to": spoken_money(max(variant.price for variant in offered)),
        "variant_count": str(len(product.variants)),
        "available_count": str(len(available)),
        "options": "; ".join(choices),
    }
    return {name: facts[name] for name in PRODUCT_FACTS}


def _in_order(values: Iterable[str]) -> list[str]:
    """The values sorted: sizes from small to large, quantities by number, the rest alphabetically."""

    def rank(value: str) -> tuple[int, float, str]:
        if value in _SIZES:
            return 0, _SIZES.index(value), value
        number = re.match(r"(\d+(?:\.\d+)?)\s*(TB)?", value)
        if number:
            return 1, float(number[1]) * (1000 if number[2] else 1), value
        return 2, 0, value.lower()

    return sorted(values, key=rank)


def situation_template(reply: Mapping[str, str], situation: str) -> str:
    """The template of `reply` for `situation`, else for the next wider situation, else `default`.

    Raises KeyError when there is none of them.
    """
    key: str | None = situation
    while key is not None:
        if key in reply:
            return reply[key]
        key = ORDER_FALLBACK.get(key)
    return reply["default"]
