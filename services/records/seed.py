"""The seed of the records: a folder with orders.jsonl, customers.jsonl and products.jsonl, a row a line.

Every line is parsed into an order, customer or product before any is stored, so that a wrong one is found
when the records are opened and not when a customer asks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from slmfleet.models.errors import Fault, FleetFault
from slmfleet.services.records.orders import DATES, customer_from, order_from, product_from

#: Raised when the tables change, so that those of an older format are filled again.
_FORMAT: Final = b"1"
_FILES: Final = ("orders.jsonl", "customers.jsonl", "products.jsonl")

Row = dict[str, Any]


@dataclass(frozen=True)
class Seed:
    """The content of a seed folder's files, by name."""

    folder: Path
    files: dict[str, bytes]

    def digest(self) -> str:
        """SHA-256 of all files and the format of the tables, in hexadecimal digits."""
        parts = [hashlib.sha256(self.files[name]).digest() for name in _FILES]
        return hashlib.sha256(b"".join([_FORMAT, *parts])).hexdigest()

    def rows(self) -> dict[str, list[Row]]:
        """Name of a table -> its rows, with keys and dates added. Raises FleetFault with every wrong line."""
        faults: list[Fault] = []
        rows = {
            "customers": self._read("customers.jsonl", _customer, "user_id", faults),
            "products": self._read("products.jsonl", _product, "name_key", faults),
            "orders": self._read("orders.jsonl", _order, "order_key", faults),
        }
        if faults:
            raise FleetFault(faults)
        return rows

    def _read(self, name: str, parse: Callable[[Row], Row], key: str, faults: list[Fault]) -> list[Row]:
        rows: dict[str, Row] = {}
        for number, line in enumerate(self.files[name].splitlines(), start=1):
            try:
                row = parse(json.loads(line))
                if row[key] in rows:
                    raise ValueError(f"{row[key]} occurs twice")
                rows[row[key]] = row
            except KeyError as error:
                faults.append(Fault(self.folder / name, number, f"{error.args[0]} is missing"))
            except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
                faults.append(Fault(self.folder / name, number, f"cannot be read: {error}"))
        return list(rows.values())


def read_seed(folder: Path) -> Seed:
    """The seed in `folder`. Raises FleetFault when a file is missing."""
    files = {}
    for name in _FILES:
        try:
            files[name] = (folder / name).read_bytes()
        except OSError as error:
            raise FleetFault([Fault(folder / name, 1, error.strerror or "cannot be read")]) from None
    return Seed(folder, files)


def order_key(order_id: str) -> str:
    """The normalised order number: `#w2611340` and `W2611340` have the same key."""
    return order_id.replace("#", "").strip().upper()


def name_key(name: str) -> str:
    """The normalised product name: names that differ in case or spacing have the same key."""
    return " ".join(name.lower().split())


def _order(row: Row) -> Row:
    days = {name: date.fromisoformat(row[name]) for name in ("placed_on", *DATES) if row.get(name)}
    row = {**row, **dict.fromkeys(DATES), **days, "order_key": order_key(row["order_id"])}
    order_from(row, {})
    return row


def _customer(row: Row) -> Row:
    customer_from(row, 0)
    return row


def _product(row: Row) -> Row:
    product_from(row)
    return {**row, "name_key": name_key(row["name"])}
