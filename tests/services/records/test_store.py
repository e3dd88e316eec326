"""The records: only the customer's own, seeded once and whole, quick to read, the shop's dates in order."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from fakes.databases import postgresql
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

import slmfleet.models
from slmfleet.models.errors import FleetFault, SettingsFault
from slmfleet.models.shop.records.make_records import dated
from slmfleet.services.records.orders import DATES
from slmfleet.services.records.seed import Seed
from slmfleet.services.records.store import Records, open_records

SHOP = Path(next(iter(slmfleet.models.__path__))) / "shop"
SEED = SHOP / "records"
TODAY: date = YAML(typ="safe").load((SHOP / "fleet.yaml").read_text(encoding="utf-8"))["today"]
ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (SEED / "orders.jsonl").read_text(encoding="utf-8").splitlines()
]
PRODUCTS: list[str] = [
    json.loads(line)["name"] for line in (SEED / "products.jsonl").read_text(encoding="utf-8").splitlines()
]
CUSTOMERS = sorted({row["user_id"] for row in ROWS})
RETURN_WINDOW = timedelta(days=30)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    records = open_records(f"sqlite:///{tmp_path_factory.mktemp('shop') / 'records.sqlite'}", SEED)
    yield records
    records.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'records.sqlite'}"


def small_seed(folder: Path, orders: int = 3) -> Path:
    """A seed of the shop's first orders, with their customers and every product."""
    folder.mkdir(exist_ok=True)
    wanted = {row["user_id"] for row in ROWS[:orders]}
    lines = (SEED / "customers.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["user_id"] in wanted]
    (folder / "customers.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    (folder / "orders.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:orders]), "utf-8")
    (folder / "products.jsonl").write_bytes((SEED / "products.jsonl").read_bytes())
    return folder


def order_count(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        count: int = connection.execute("SELECT count(*) FROM orders").fetchone()[0]
    connection.close()
    return count


def product_count(url: str) -> int:
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        count: int = connection.execute(sqlalchemy.text("SELECT count(*) FROM products")).scalar_one()
    engine.dispose()
    return count


# What is read


def test_every_order_is_its_customers_and_nobody_elses(shop: Records) -> None:
    for number, row in enumerate(ROWS):
        order = shop.order(row["user_id"], row["order_id"])
        assert order is not None
        assert (order.order_id, order.customer_id) == (row["order_id"], row["user_id"])
        other = CUSTOMERS[(CUSTOMERS.index(row["user_id"]) + 1 + number) % len(CUSTOMERS)]
        if other != row["user_id"]:
            assert shop.order(other, row["order_id"]) is None


@given(customer=st.sampled_from(CUSTOMERS), row=st.sampled_from(ROWS))
def test_an_order_comes_only_to_its_own_customer(shop: Records, customer: str, row: dict[str, Any]) -> None:
    order = shop.order(customer, row["order_id"])
    assert (order is not None) == (customer == row["user_id"])


@given(
    customer=st.one_of(st.sampled_from(CUSTOMERS), st.text(), st.just("' OR '1'='1"), st.just("%")),
    order_id=st.one_of(st.text(), st.just("' OR user_id <> '"), st.just("%"), st.just("#W_______")),
)
def test_no_text_brings_an_order_that_is_not_the_customers(
    shop: Records, customer: str, order_id: str
) -> None:
    assert shop.order(customer, order_id) is None
    assert {order.customer_id for order in shop.recent_orders(customer)} <= {customer}


@pytest.mark.parametrize("hostile", ["", "#", "\0", "#W2611340\0", "\ud800", "W" * 10_000, "#W2611340' --"])
def test_what_a_database_cannot_hold_is_an_unknown_order(shop: Records, hostile: str) -> None:
    assert shop.order("james_li_5688", hostile) is None
    assert shop.order(hostile, "#W2611340") is None
    assert shop.recent_orders(hostile) == []
    assert shop.customer(hostile) is None
    assert shop.product(hostile) is None


@pytest.mark.parametrize("written", ["#W2611340", "W2611340", "w2611340", "#w2611340", " # w2611340 "])
def test_an_order_number_is_found_however_it_is_written(shop: Records, written: str) -> None:
    order = shop.order("james_li_5688", written)
    assert order is not None
    assert order.order_id == "#W2611340"


def test_recent_orders_are_the_newest_of_the_customer(shop: Records) -> None:
    busiest, count = Counter(row["user_id"] for row in ROWS).most_common(1)[0]
    everything = shop.recent_orders(busiest, limit=1_000)
    assert len(everything) == count
    assert everything == sorted(everything, key=lambda order: (-order.placed_on.toordinal(), order.order_id))
    assert shop.recent_orders(busiest) == everything[:3]
    assert shop.recent_orders(busiest, limit=0) == shop.recent_orders(busiest, limit=-1) == []
    assert {order.customer_id for order in everything} == {busiest}


def test_all_customers_come_with_the_number_of_their_orders(shop: Records) -> None:
    rows = [json.loads(line) for line in (SEED / "customers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 500
    for row in rows:
        customer = shop.customer(row["user_id"])
        assert customer is not None
        assert customer.email == row["email"]
        assert customer.order_count == len(row["orders"])
        assert len(customer.payment_methods) == len(row["payment_methods"])
    assert shop.customer("nobody_0000") is None


def test_all_products_are_found_by_name_and_plural(shop: Records) -> None:
    assert len(PRODUCTS) == 50
    for name in PRODUCTS:
        for written in (name, name.upper(), f" {name.lower()} ", f"{name}s"):
            product = shop.product(written)
            assert product is not None, written
            assert product.name == name
    for written, expected in (
        ("bookshelves", "Bookshelf"),
        ("smart watches", "Smart Watch"),
        ("tooth brush", None),
        ("headphone", "Headphones"),
        ("Water  Bottles", "Water Bottle"),
        ("s", None),
        ("", None),
    ):
        found = shop.product(written)
        assert (found.name if found else None) == expected, written


def test_a_read_takes_well_under_a_millisecond(shop: Records) -> None:
    for read in (
        lambda: shop.order("james_li_5688", "#W2611340"),
        lambda: shop.customer("james_li_5688"),
        lambda: shop.product("Water Bottle"),
    ):
        times = []
        for _ in range(200):
            started = time.perf_counter()
            read()
            times.append(time.perf_counter() - started)
        # The best tenth, because the machine may be busy with other things.
        assert statistics.quantiles(times, n=10)[0] < 0.001


def test_threads_share_the_records(shop: Records) -> None:
    def read(row: dict[str, Any]) -> bool:
        return shop.order(row["user_id"], row["order_id"]) is not None

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(read, ROWS[:300]))


# The shop's data


def test_the_seed_holds_taus_rows_with_the_dates_that_the_script_makes() -> None:
    assert Counter(row["status"] for row in ROWS) == {
        "pending": 423,
        "delivered": 373,
        "processed": 102,
        "cancelled": 102,
    }
    added = {"placed_on", *DATES}
    lines = (SEED / "orders.jsonl").read_text(encoding="utf-8").splitlines()
    for line, row in zip(lines, ROWS, strict=True):
        assert dated({name: value for name, value in row.items() if name not in added}, TODAY) == line


def test_the_dates_of_all_orders_agree(shop: Records) -> None:
    # Any, because the type cannot say which dates a status has: that is what is asserted here.
    orders: list[Any] = [shop.order(row["user_id"], row["order_id"]) for row in ROWS]
    by_status: dict[str, list[Any]] = {}
    for order in orders:
        assert order is not None
        by_status.setdefault(order.status, []).append(order)
        known = {name for name in DATES if getattr(order, name) is not None}
        assert order.placed_on <= TODAY
        match order.status:
            case "pending":
                assert known == {"ships_by", "expected_on"}
                assert TODAY - order.placed_on <= timedelta(days=1)
                assert order.placed_on < order.ships_by < order.expected_on
                assert order.ships_by >= TODAY
            case "processed":
                assert known == {"shipped_on", "expected_on"}
                assert order.placed_on < order.shipped_on < order.expected_on
                assert timedelta(days=1) <= TODAY - order.shipped_on <= timedelta(days=6)
            case "delivered":
                assert known == {"shipped_on", "expected_on", "delivered_on"}
                assert order.placed_on < order.shipped_on < order.delivered_on <= order.expected_on
                assert timedelta(days=1) <= TODAY - order.delivered_on <= timedelta(days=90)
            case "cancelled":
                assert known == {"cancelled_on"}
                assert timedelta(0) <= order.cancelled_on - order.placed_on <= timedelta(days=1)
                assert timedelta(days=3) <= TODAY - order.placed_on <= timedelta(days=60)
        for name in ("ships_by", "shipped_on", "expected_on", "delivered_on"):
            day = getattr(order, name)
            assert day is None or day.weekday() < 5
    late = [order for order in by_status["processed"] if order.expected_on < TODAY]
    assert 0.05 < len(late) / len(by_status["processed"]) < 0.2
    returnable = [order for order in by_status["delivered"] if order.delivered_on + RETURN_WINDOW >= TODAY]
    assert 0.6 < len(returnable) / len(by_status["delivered"]) < 0.73


# Opening and seeding


def test_without_a_seed_there_are_tables_and_nothing_in_them(url: str) -> None:
    records = open_records(url, None)
    assert product_count(url) == 0
    assert records.order("james_li_5688", "#W2611340") is None
    records.close()


def test_opening_again_keeps_the_file(tmp_path: Path, url: str) -> None:
    open_records(url, SEED).close()
    inode = (tmp_path / "records.sqlite").stat().st_ino
    open_records(url, SEED).close()
    assert (tmp_path / "records.sqlite").stat().st_ino == inode
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".records.sqlite")] == []


def test_a_changed_seed_is_read_anew(tmp_path: Path, url: str) -> None:
    seed = small_seed(tmp_path / "seed", orders=3)
    open_records(url, seed).close()
    assert order_count(tmp_path / "records.sqlite") == 3
    small_seed(seed, orders=2)
    records = open_records(url, seed)
    assert order_count(tmp_path / "records.sqlite") == 2
    assert records.order(ROWS[1]["user_id"], ROWS[1]["order_id"]) is not None
    assert records.order(ROWS[2]["user_id"], ROWS[2]["order_id"]) is None
    records.close()


def test_readers_of_the_old_records_are_not_disturbed_by_the_new(tmp_path: Path, url: str) -> None:
    seed = small_seed(tmp_path / "seed", orders=3)
    old = open_records(url, seed)
    assert old.order(ROWS[2]["user_id"], ROWS[2]["order_id"]) is not None
    open_records(url, small_seed(seed, orders=2)).close()
    assert old.order(ROWS[0]["user_id"], ROWS[0]["order_id"]) is not None
    old.close()


def test_a_retailers_own_orders_are_never_replaced(tmp_path: Path, url: str) -> None:
    open_records(url, None).close()
    with sqlite3.connect(tmp_path / "records.sqlite") as connection:
        connection.execute(
            "INSERT INTO orders (order_key, order_id, user_id, status, placed_on, items, address,"
            " payment_history, fulfillments) VALUES ('A1', 'A1', 'ann', 'pending', '2026-06-01', '[]', '{}',"
            " '[]', '[]')"
        )
    connection.close()
    for _ in range(2):
        open_records(url, SEED).close()
        assert order_count(tmp_path / "records.sqlite") == 1


def test_a_failed_seeding_leaves_what_was_there(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = small_seed(tmp_path / "seed", orders=3)
    full = Seed.rows

    def breaks_off(self: Seed) -> dict[str, Any]:
        rows = full(self)
        # A row that the database refuses, after others were taken.
        return {**rows, "orders": [*rows["orders"], {**rows["orders"][0], "order_key": "X", "status": None}]}

    monkeypatch.setattr(Seed, "rows", breaks_off)
    with pytest.raises(SettingsFault, match="NOT NULL"):
        open_records(url, seed)
    assert not (tmp_path / "records.sqlite").exists()

    monkeypatch.undo()
    open_records(url, seed).close()
    small_seed(seed, orders=2)
    monkeypatch.setattr(Seed, "rows", breaks_off)
    with pytest.raises(SettingsFault):
        open_records(url, seed)
    assert order_count(tmp_path / "records.sqlite") == 3


_STARTER = """
import sys, time
from pathlib import Path
import sqlalchemy
from slmfleet.services.records.store import open_records
print("ready", flush=True)
sys.stdin.readline()
records = open_records(sys.argv[1], Path(sys.argv[2]))
orders = sum(len(records.recent_orders(customer, 1000)) for customer in sys.argv[3].split())
with sqlalchemy.create_engine(sys.argv[1]).connect() as connection:
    products = connection.execute(sqlalchemy.text("SELECT count(*) FROM products")).scalar()
print(orders, products, flush=True)
"""


def start_together(url: str, seed: Path, processes: int) -> list[str]:
    """What each of several processes found that opened the records at the same moment."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", _STARTER, url, str(seed), " ".join(CUSTOMERS)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    found = [process.communicate(timeout=60)[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * processes
    return found


def test_processes_that_start_at_once_all_find_every_order_in_one_file(tmp_path: Path, url: str) -> None:
    assert start_together(url, SEED, 3) == ["1000 50"] * 3
    # The same when all of them find old records.
    open_records(url, small_seed(tmp_path / "seed")).close()
    assert start_together(url, SEED, 3) == ["1000 50"] * 3
    assert order_count(tmp_path / "records.sqlite") == 1000


def test_only_one_of_them_fills_the_file(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filled = []
    full = Seed.rows

    def counted(self: Seed) -> dict[str, Any]:
        filled.append(1)
        return full(self)

    monkeypatch.setattr(Seed, "rows", counted)
    with ThreadPoolExecutor(4) as pool:
        for records in pool.map(lambda _: open_records(url, SEED), range(4)):
            assert records.order("james_li_5688", "#W2611340") is not None
            records.close()
    assert len(filled) == 1


def test_records_in_memory_are_seen_by_every_thread() -> None:
    records = open_records("sqlite://", SEED)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: records.order("james_li_5688", "#W2611340"), range(20)))
    records.close()


def test_every_wrong_line_of_a_seed_is_named(tmp_path: Path, url: str) -> None:
    seed = small_seed(tmp_path / "seed", orders=3)
    good = dict(ROWS[0])
    wrong = [
        "not json",
        json.dumps({**good, "order_id": "#A1", "placed_on": "soon"}),
        json.dumps({name: value for name, value in good.items() if name != "placed_on"}),
        json.dumps({**good, "order_id": "#A2", "items": []}),
        json.dumps(good),
        "[]",
    ]
    with (seed / "orders.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n".join(wrong) + "\n")
    with pytest.raises(FleetFault) as caught:
        open_records(url, seed)
    assert [fault.line for fault in caught.value.faults] == [4, 5, 6, 7, 8, 9]
    assert "placed_on is missing" in str(caught.value)
    assert "W2611340 occurs twice" in str(caught.value)
    assert not (tmp_path / "records.sqlite").exists()
    (seed / "orders.jsonl").unlink()
    with pytest.raises(FleetFault, match=r"orders\.jsonl"):
        open_records(url, seed)


def test_a_database_that_cannot_be_opened_is_a_setting_at_fault(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, but a text that is long enough to be read as one")
    for url, words in (
        (f"sqlite:///{tmp_path / 'text'}", "not a database"),
        (f"sqlite:///{tmp_path / 'text' / 'below'}", "cannot be opened"),
        ("nonsense", "database URL"),
        ("nosuch://user:secret@host/db", "database URL"),
    ):
        with pytest.raises(SettingsFault, match=words) as caught:
            open_records(url, SEED)
        assert "secret" not in str(caught.value)


# Another database


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.mark.connected
def test_postgresql_gives_the_same(postgresql_url: str, shop: Records, tmp_path: Path) -> None:
    # Eight create the same tables at one moment: a database answers that with an error to seven of them.
    with ThreadPoolExecutor(8) as pool:
        for records in pool.map(lambda _: open_records(postgresql_url, None), range(8)):
            records.close()
    assert start_together(postgresql_url, SEED, 3) == ["1000 50"] * 3
    open_records(postgresql_url, small_seed(tmp_path / "seed")).close()
    assert start_together(postgresql_url, SEED, 3) == ["1000 50"] * 3
    records = open_records(postgresql_url, SEED)
    for row in ROWS:
        assert records.order(row["user_id"], row["order_id"]) == shop.order(row["user_id"], row["order_id"])
        assert records.order("nobody_0000", row["order_id"]) is None
    for customer in CUSTOMERS:
        assert records.recent_orders(customer) == shop.recent_orders(customer)
        assert records.customer(customer) == shop.customer(customer)
    for hostile in ("\0", "\ud800", "' OR '1'='1"):
        assert records.order("james_li_5688", hostile) is None
    assert product_count(postgresql_url) == len(PRODUCTS)
    for name in PRODUCTS:
        assert records.product(name) == shop.product(name)
    assert records.product("bookshelves") == shop.product("bookshelves")
    records.close()
