"""The seed folder: read whole, every wrong line named, keys that forgive how a name is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmfleet.models.errors import FleetFault
from slmfleet.services.records.seed import name_key, order_key, read_seed
from slmfleet.services.settings import SHOP_DIR

SHOP = SHOP_DIR / "records"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The first two lines of each of the shop's files."""
    for path in SHOP.glob("*.jsonl"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / path.name).write_text("".join(lines[:2]), encoding="utf-8")
    return tmp_path


def test_rows_have_keys_and_dates(folder: Path) -> None:
    rows = read_seed(folder).rows()
    assert {name: len(table) for name, table in rows.items()} == {"customers": 2, "products": 2, "orders": 2}
    for order in rows["orders"]:
        assert order["order_key"] == order_key(order["order_id"])
        assert order["placed_on"].year == 2026
    assert all(product["name_key"] == name_key(product["name"]) for product in rows["products"])


def test_the_digest_changes_with_any_file(folder: Path) -> None:
    digests = {read_seed(folder).digest()}
    for path in sorted(folder.iterdir()):
        path.write_bytes(path.read_bytes() + b"\n")
        digests.add(read_seed(folder).digest())
    assert len(digests) == 4


def test_every_wrong_line_is_named_at_once(folder: Path) -> None:
    orders = folder / "orders.jsonl"
    first = orders.read_text(encoding="utf-8").splitlines()[0]
    orders.write_text(f'{first}\n{{"order_id": "#W1"}}\n{first}\n', encoding="utf-8")
    (folder / "products.jsonl").write_text("not json\n", encoding="utf-8")
    with pytest.raises(FleetFault) as raised:
        read_seed(folder).rows()
    faults = {(fault.file.name, fault.line): str(fault) for fault in raised.value.faults}
    assert set(faults) == {("products.jsonl", 1), ("orders.jsonl", 2), ("orders.jsonl", 3)}
    assert "is missing" in faults["orders.jsonl", 2]
    assert "occurs twice" in faults["orders.jsonl", 3]


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "customers.jsonl").unlink()
    with pytest.raises(FleetFault, match=r"customers\.jsonl"):
        read_seed(folder)


def test_keys_forgive_case_spacing_and_the_hash() -> None:
    assert order_key(" #w2611340 ") == order_key("W2611340") == "W2611340"
    assert name_key("  Water   Bottle ") == name_key("water bottle") == "water bottle"
