"""The records in a database: orders, customers and products, in SQLite by default or at any SQLAlchemy URL.

Every statement on orders and customers filters by the customer's id, so that no caller can read another
customer's order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import StaticPool

from slmfleet.models.atomic_file import atomic_write
from slmfleet.models.errors import SettingsFault
from slmfleet.services.records.orders import (
    DATES,
    Customer,
    Order,
    Product,
    customer_from,
    order_from,
    product_from,
)
from slmfleet.services.records.seed import Seed, name_key, order_key, read_seed
from slmfleet.services.telemetry import tracing

_LOCK_WAIT_S: Final = 60

_METADATA: Final = sa.MetaData()
_ORDERS: Final = sa.Table(
    "orders",
    _METADATA,
    sa.Column("order_key", sa.String(64), primary_key=True),
    sa.Column("order_id", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(128), nullable=False),
    sa.Column("status", sa.String(64), nullable=False),
    sa.Column("placed_on", sa.Date, nullable=False),
    *(sa.Column(name, sa.Date) for name in DATES),
    sa.Column("items", sa.JSON, nullable=False),
    sa.Column("address", sa.JSON, nullable=False),
    sa.Column("payment_history", sa.JSON, nullable=False),
    sa.Column("fulfillments", sa.JSON, nullable=False),
    sa.Column("return_items", sa.JSON(none_as_null=True)),
    sa.Column("return_payment_method_id", sa.String(128)),
    sa.Index("orders_of_customer", "user_id", "placed_on"),
)
_CUSTOMERS: Final = sa.Table(
    "customers",
    _METADATA,
    sa.Column("user_id", sa.String(128), primary_key=True),
    sa.Column("name", sa.JSON, nullable=False),
    sa.Column("email", sa.String(320), nullable=False),
    sa.Column("address", sa.JSON, nullable=False),
    sa.Column("payment_methods", sa.JSON, nullable=False),
)
_PRODUCTS: Final = sa.Table(
    "products",
    _METADATA,
    sa.Column("name_key", sa.String(128), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("product_id", sa.String(64), nullable=False),
    sa.Column("variants", sa.JSON, nullable=False),
)
#: One row: the digest of the seed that the tables were filled from; empty before that.
_SEED: Final = sa.Table(
    "seed", _METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("digest", sa.String(64))
)

# Built once, so that SQLAlchemy caches their compiled form.
_OF_CUSTOMER: Final = (
    sa.select(_ORDERS, _CUSTOMERS.c.payment_methods)
    .join_from(_ORDERS, _CUSTOMERS, _ORDERS.c.user_id == _CUSTOMERS.c.user_id, isouter=True)
    .where(_ORDERS.c.user_id == sa.bindparam("customer"))
)
_ONE_ORDER: Final = _OF_CUSTOMER.where(_ORDERS.c.order_key == sa.bindparam("key"))
_RECENT_ORDERS: Final = _OF_CUSTOMER.order_by(_ORDERS.c.placed_on.desc(), _ORDERS.c.order_key).limit(
    sa.bindparam("count", type_=sa.Integer)
)
_ORDER_COUNT: Final = (
    sa.select(sa.func.count()).where(_ORDERS.c.user_id == _CUSTOMERS.c.user_id).scalar_subquery()
)
_ONE_CUSTOMER: Final = sa.select(_CUSTOMERS, _ORDER_COUNT.label("order_count")).where(
    _CUSTOMERS.c.user_id == sa.bindparam("customer")
)
_NAMED_PRODUCTS: Final = sa.select(_PRODUCTS).where(
    _PRODUCTS.c.name_key.in_(sa.bindparam("keys", expanding=True))
)
_DIGEST: Final = sa.select(_SEED.c.digest).where(_SEED.c.id == 1)


class Records:
    """Reads orders, customers and products. Safe to share between threads.

    Every method raises sqlalchemy.exc.SQLAlchemyError when the database cannot be read.
    """

    def __init__(self, engine: sa.Engine) -> None:
        # Single reads need no transaction, and without one no BEGIN and ROLLBACK are sent.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def order(self, customer_id: str, order_id: str) -> Order | None:
        """The customer's order of this number, written with or without `#` and in any case.

        None when there is none, or when it is another customer's.
        """
        key = order_key(order_id)
        if not (_storable(key) and _storable(customer_id)):
            return None
        rows = self._read(_ONE_ORDER, {"customer": customer_id, "key": key})
        return order_from(rows[0], rows[0]["payment_methods"] or {}) if rows else None

    def recent_orders(self, customer_id: str, limit: int = 3) -> list[Order]:
        """The customer's orders, newest first, `limit` at most."""
        if limit < 1 or not _storable(customer_id):
            return []
        rows = self._read(_RECENT_ORDERS, {"customer": customer_id, "count": limit})
        return [order_from(row, row["payment_methods"] or {}) for row in rows]

    def customer(self, customer_id: str) -> Customer | None:
        """The customer, or None."""
        rows = self._read(_ONE_CUSTOMER, {"customer": customer_id}) if _storable(customer_id) else ()
        return customer_from(rows[0], rows[0]["order_count"]) if rows else None

    def product(self, name: str) -> Product | None:
        """The product of this name in the catalogue, in any case, singular or plural; or None."""
        keys = [key for key in _product_keys(name) if _storable(key)]
        rows = self._read(_NAMED_PRODUCTS, {"keys": keys}) if keys else ()
        found = {row["name_key"]: row for row in rows}
        return next((product_from(found[key]) for key in keys if key in found), None)

    def close(self) -> None:
        """Close every connection; the records cannot be read afterwards."""
        self._engine.dispose()

    def _read(self, statement: sa.Select[Any], values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        with tracing.span("records"), self._engine.connect() as connection:
            rows = connection.execute(statement, values).mappings().all()
        return cast("Sequence[Mapping[str, Any]]", rows)


def _product_keys(name: str) -> list[str]:
    """Keys of the name as written, then of its possible singulars and its plural."""
    key = name_key(name)
    endings = (("ies", "y"), ("ves", "f"), ("es", ""), ("s", ""), ("", "s"))
    return [key, *(key.removesuffix(end) + start for end, start in endings if key and key.endswith(end))]


def _storable(key: str) -> bool:
    # Databases refuse NUL and lone surrogates; nothing stored has them, nor is longer.
    return 0 < len(key) <= 128 and key.isprintable()


def open_records(url: str, seed: Path | None) -> Records:
    """The records at SQLAlchemy `url`; creates the tables, and fills them from `seed` where needed.

    `seed` is a folder with orders.jsonl, customers.jsonl and products.jsonl. When its content has changed
    since, the tables are filled again, and what others wrote to them is lost. Tables with orders that did not
    come from a seed are the retailer's own and are left unchanged.

    Raises SettingsFault when the database cannot be opened, FleetFault naming each wrong line of the seed.
    """
    wanted = None if seed is None else read_seed(seed)
    try:
        address = sa.make_url(url)
        engine = _engine(address)
    except ImportError as error:
        raise SettingsFault(f"records_url: its driver is not installed: {error}") from None
    except (ArgumentError, ValueError):
        raise SettingsFault("records_url: not a database URL that SQLAlchemy knows") from None
    try:
        path = _sqlite_path(address)
        if path is None:
            _prepare(engine, wanted)
        elif not _is_current(engine, path, wanted):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _exclusive(path):
                _prepare_file(engine, path, wanted)
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        shown = address.render_as_string(hide_password=True)
        raise SettingsFault(f"records_url: {shown} cannot be opened: {cause}") from None
    return Records(engine)


def _sqlite_path(address: sa.URL) -> Path | None:
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        return None
    return Path(str(address.database))


def _engine(address: sa.URL) -> sa.Engine:
    if address.get_backend_name() != "sqlite":
        # A restarted database leaves dead connections in the pool.
        return sa.create_engine(address, pool_pre_ping=True)
    if _sqlite_path(address) is None:
        # One connection for all threads: each would otherwise have an empty database of its own.
        return sa.create_engine(address, poolclass=StaticPool, connect_args={"check_same_thread": False})
    return sa.create_engine(address)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Lock the file at `path` against other processes. The lock is SQLite's: it ends with its process."""
    with closing(sqlite3.connect(f"{path}.lock", timeout=_LOCK_WAIT_S, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield


def _is_current(engine: sa.Engine, path: Path, seed: Seed | None) -> bool:
    digest = _digest_of(engine) if path.exists() else None
    return digest is not None and (seed is None or digest == seed.digest())


def _digest_of(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(_SEED.name):
            return None
        return connection.execute(_DIGEST).scalar_one_or_none()


def _prepare_file(engine: sa.Engine, path: Path, seed: Seed | None) -> None:
    """Fill the SQLite file at `path`, unless another process did while this one waited for the lock."""
    if _is_current(engine, path, seed):
        return
    if seed is None or (path.exists() and not _digest_of(engine)):
        _prepare(engine, seed)
        return
    # Filled in a temporary file and renamed: a reader sees the old records or the new, never half of them.
    engine.dispose()
    with atomic_write(path) as fresh:
        filler = _engine(engine.url.set(database=str(fresh)))
        try:
            _prepare(filler, seed)
        finally:
            filler.dispose()


def _prepare(engine: sa.Engine, seed: Seed | None) -> None:
    """Create the tables and fill them, in one transaction; other processes wait for its end."""
    _create_tables(engine)
    if seed is None:
        return
    with suppress(IntegrityError), engine.begin() as connection:
        connection.execute(_SEED.insert().values(id=1, digest=""))
    with engine.begin() as connection:
        digest = connection.execute(_DIGEST.with_for_update()).scalar_one()
        not_seeded = not digest and connection.execute(sa.select(_ORDERS.c.order_key).limit(1)).first()
        if digest == seed.digest() or not_seeded:
            return
        for name, rows in seed.rows().items():
            table = _METADATA.tables[name]
            connection.execute(table.delete())
            if rows:
                fields = [column.name for column in table.columns]
                values = [{field: row.get(field) for field in fields} for row in rows]
                connection.execute(table.insert(), values)
        connection.execute(_SEED.update().values(digest=seed.digest()))


def _create_tables(engine: sa.Engine, attempts: int = 3) -> None:
    for attempt in range(1, attempts + 1):
        try:
            _METADATA.create_all(engine)
        except DBAPIError:
            # Another process may have created them since SQLAlchemy checked: try again.
            if attempt == attempts:
                raise
        else:
            return
