"""Make the demonstration shop's records from tau-bench's retail database, adding the dates that it lacks.

    python models/shop/records/make_records.py TAU_RETAIL_FOLDER

Rows are kept as they are; an order gains the dates that its status implies, seen from fleet.yaml's `today`.
They are drawn from a hash of the order's number, so a second run writes the same bytes. Business days are
Monday to Friday.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML

HERE = Path(__file__).parent

_PACKING = 1
_STANDARD = 5
_EXPRESS = 2

_Choice = TypeVar("_Choice")


def business_days_after(start: date, days: int) -> date:
    """The business day that is `days` business days after `start` (before it when negative)."""
    step = 1 if days > 0 else -1
    day = start
    while days:
        day += timedelta(days=step)
        if day.weekday() < 5:
            days -= step
    return day


def dates(order_id: str, status: str, today: date) -> dict[str, date]:
    """The dates of an order of this status. Raises ValueError for a status that tau's data does not have."""

    def pick(purpose: str, choices: Sequence[_Choice]) -> _Choice:
        digest = hashlib.sha256(f"{purpose}:{order_id}".encode()).digest()
        return choices[int.from_bytes(digest[:8], "big") % len(choices)]

    def working_days_ago(nearest: int, farthest: int) -> list[date]:
        days = (today - timedelta(days=ago) for ago in range(nearest, farthest + 1))
        return [day for day in days if day.weekday() < 5]

    def placed_before(shipped: date) -> date:
        days = [shipped - timedelta(days=ago) for ago in range(1, 4)]
        return pick("placed", [day for day in days if business_days_after(day, _PACKING) == shipped])

    if status == "pending":
        placed = today - timedelta(days=pick("placed", (0, 1)))
        ships = business_days_after(placed, _PACKING)
        return {"placed_on": placed, "ships_by": ships, "expected_on": business_days_after(ships, _STANDARD)}
    if status == "processed":
        journeys = [
            (day, business_days_after(day, speed))
            for day in working_days_ago(1, 6)
            for speed in (_EXPRESS, _STANDARD)
        ]
        late = [journey for journey in journeys if journey[1] < today]
        timely = [journey for journey in journeys if journey[1] >= today]
        shipped, expected = pick("journey", late if pick("late", range(10)) == 0 else timely)
        return {"placed_on": placed_before(shipped), "shipped_on": shipped, "expected_on": expected}
    if status == "delivered":
        # Two thirds can still be returned: the window is 30 days.
        nearest, farthest = pick("window", ((1, 30), (1, 30), (31, 90)))
        delivered = pick("delivered", working_days_ago(nearest, farthest))
        transit = pick("transit", (_EXPRESS, 3, 4, _STANDARD))
        shipped = business_days_after(delivered, -transit)
        return {
            "placed_on": placed_before(shipped),
            "shipped_on": shipped,
            "expected_on": business_days_after(shipped, _EXPRESS if transit == _EXPRESS else _STANDARD),
            "delivered_on": delivered,
        }
    if status == "cancelled":
        placed = today - timedelta(days=pick("placed", range(3, 61)))
        return {"placed_on": placed, "cancelled_on": placed + timedelta(days=pick("cancelled", (0, 1)))}
    raise ValueError(f"order {order_id} is '{status}'")


def dated(order: dict[str, Any], today: date) -> str:
    """The line of orders.jsonl for tau's row `order`, without its line end."""
    days = dates(order["order_id"], order["status"], today)
    row = {**order, **{name: day.isoformat() for name, day in days.items()}}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def main(source: Path) -> None:
    """Write orders.jsonl, customers.jsonl, products.jsonl and LICENSE beside this script."""
    today = YAML(typ="safe").load((HERE.parent / "fleet.yaml").read_text(encoding="utf-8"))["today"]
    lines = (source / "db_orders.jsonl").read_text(encoding="utf-8").splitlines()
    orders = "".join(dated(json.loads(line), today) + "\n" for line in lines)
    (HERE / "orders.jsonl").write_text(orders, encoding="utf-8")
    kept = {"customers.jsonl": "db_users.jsonl", "products.jsonl": "db_products.jsonl", "LICENSE": "LICENSE"}
    for name, original in kept.items():
        (HERE / name).write_bytes((source / original).read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
