"""The orders table as trueup uses it: the native one, or somebody else's by a map of column names.

Nothing of a table that trueup did not create is ever altered; rows that it inserts follow the table's own types. Its
values are read raw, since a converting column type would turn floats into rounded decimals and fail on odd text.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Enum,
    Float,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    cast,
    inspect,
    literal,
    null,
    select,
)  # fmt: skip
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import NullType, TypeEngine

from trueup.core.decimals import plain
from trueup.core.errors import ConfigurationError, nearest
from trueup.core.times import SECONDS_BELOW, iso, read_time, to_datetime
from trueup.ledger.schema import ORDER_COLUMNS, REQUIRED_ORDER_COLUMNS, orders
from trueup.ledger.types import ExactDecimal

_NUMBERS = ("qty", "quantity", "price", "order_qty")
_TIMES = ("filled_at", "created_at", "updated_at")
_SPELT = ("status", "side", "action")
NOTHING_LIKE_IT: Mapping[str, object] = MappingProxyType({})
_WORDS = (Enum, Uuid)
"""Column types of Postgres that only compare with their own kind: they are compared as text."""


@dataclass(frozen=True, slots=True)
class OrdersMap:
    """How an orders table is attached: its name, ours = theirs, and the one profile of a table without profiles."""

    table: str = "orders"
    columns: Mapping[str, str] | None = None
    only_profile: str | None = None


class OrdersTable:
    """The orders table of one database: columns by our names, values in its own forms."""

    def __init__(
        self,
        table: Table,
        columns: Mapping[str, Column[Any]],
        kinds: Mapping[str, TypeEngine[Any]],
        only_profile: str | None,
    ) -> None:
        self.table = table
        self._columns = dict(columns)
        self._kinds = dict(kinds)
        self._only_profile = only_profile
        self.is_native = table is orders

    def __contains__(self, name: str) -> bool:
        """Say whether the table has a column of ours."""
        return name in self._columns

    def __getitem__(self, name: str) -> ColumnElement[Any]:
        """Return a column of ours, NULL where the table has none."""
        if name in self._columns:
            column = self._columns[name]
            return cast(column, Text) if isinstance(self._kinds[name], _WORDS) else column
        if name == "profile_id" and self._only_profile is not None:
            return literal(self._only_profile)
        return null()

    def holds_numbers(self, name: str) -> bool:
        """Say whether the database lets a column hold numbers alone."""
        return isinstance(self._kinds.get(name), (ExactDecimal, Numeric, Integer))

    def holds_decimals(self, name: str) -> bool:
        """Say whether a column on Postgres holds exact numbers."""
        return self.holds_numbers(name) and not isinstance(self._kinds.get(name), Float)

    def selected(self) -> list[ColumnElement[Any]]:
        """Return all columns under our names."""
        return [self[name].label(name) for name in ORDER_COLUMNS]

    def to_theirs(self, row: Mapping[str, object], like: Mapping[str, object] = NOTHING_LIKE_IT) -> dict[str, object]:
        """Return a row by their column names and in their forms; `like` is a row as the table itself writes it."""
        return {
            column.name: _in_form(name, row.get(name), self._kinds[name], like)
            for name, column in self._columns.items()
            if row.get(name) is not None
        }

    def theirs(self, name: str, value: object, like: Mapping[str, object] = NOTHING_LIKE_IT) -> dict[str, object]:
        """Return the assignment of one column, empty where the table lacks it."""
        return self.to_theirs({name: value}, like) if name in self._columns else {}


def _in_form(name: str, value: object, kind: TypeEngine[Any], like: Mapping[str, object]) -> object:
    """Return a value in the form that a column of the given type takes, and as the table's own row has it."""
    if name == "timestamp" and isinstance(value, int):
        return _timestamp(value, kind, like.get(name))
    if name in _SPELT:
        return _spelt_like(value, like.get(name))
    if name in _TIMES and isinstance(kind, (DateTime, Integer, Numeric)):
        return _moment(read_time(value), kind)
    if name in _NUMBERS and isinstance(value, Decimal) and not isinstance(kind, ExactDecimal):
        return plain(value)
    return value


def _moment(ms: int, kind: TypeEngine[Any]) -> object:
    """Return a time as a column of times or numbers takes it."""
    if not isinstance(kind, DateTime):
        return ms
    moment = to_datetime(ms)
    return moment if kind.timezone else moment.replace(tzinfo=None)


def _is_text(kind: TypeEngine[Any]) -> bool:
    return kind.python_type is str


def _timestamp(ms: int, kind: TypeEngine[Any], like: object) -> object:
    if isinstance(kind, DateTime):
        return _moment(ms, kind)
    if isinstance(like, str) and not like.replace(".", "", 1).isdigit():
        return iso(ms)
    seconds = like is not None and Decimal(str(like)) < SECONDS_BELOW
    value = ms // 1000 if seconds else ms
    return str(value) if isinstance(like, str) else value


def resolve(connection: Connection, wanted: OrdersMap) -> OrdersTable:
    """Find the orders table and its columns; ConfigurationError names what is missing and the nearest name."""
    found = inspect(connection)
    if not found.has_table(wanted.table):
        known = nearest(wanted.table, found.get_table_names())
        raise ConfigurationError(
            f"The database has no table {wanted.table!r}.", f"{known} Run `trueup init`, or set [ledger] orders_table."
        )
    if wanted.table == orders.name and not wanted.columns and _is_native(connection):
        native = {name: orders.c[name] for name in ORDER_COLUMNS}
        return OrdersTable(orders, native, {name: column.type for name, column in native.items()}, None)
    reflected = _reflected(connection, wanted)
    theirs = _columns(reflected, wanted)
    _require(theirs, reflected, wanted)
    raw = Table(wanted.table, MetaData(), *(Column(column.name, NullType()) for column in reflected.c))
    columns = {name: raw.c[column.name] for name, column in theirs.items()}
    return OrdersTable(raw, columns, {name: column.type for name, column in theirs.items()}, wanted.only_profile)


def _reflected(connection: Connection, wanted: OrdersMap) -> Table:
    """Return the table as the database describes it; SQLAlchemy's remark that it skips some indexes is no news here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index", SAWarning)
        return Table(wanted.table, MetaData(), autoload_with=connection, resolve_fks=False)


def _is_native(connection: Connection) -> bool:
    """Say whether the table has our columns with types that hold decimals exactly."""
    found = {column["name"]: column["type"] for column in inspect(connection).get_columns(orders.name)}
    if set(ORDER_COLUMNS) - set(found):
        return False
    if connection.dialect.name == "postgresql":
        exact = all(isinstance(found[name], Numeric) and not isinstance(found[name], Float) for name in _NUMBERS)
        times = all(isinstance(found[name], DateTime) and getattr(found[name], "timezone", False) for name in _TIMES)
        return exact and times and isinstance(found["timestamp"], Integer)
    return all(_is_text(found[name]) for name in _NUMBERS + _TIMES) and isinstance(found["timestamp"], Integer)


def _columns(table: Table, wanted: OrdersMap) -> dict[str, Column[Any]]:
    columns: dict[str, Column[Any]] = {}
    for name in ORDER_COLUMNS:
        theirs = (wanted.columns or {}).get(name, name)
        if theirs in table.c:
            columns[name] = table.c[theirs]
        elif name in (wanted.columns or {}):
            raise ConfigurationError(
                f"The table {table.name!r} has no column {theirs!r}, which [ledger.columns] names for {name}.",
                nearest(theirs, table.c.keys()),
            )
    return columns


def _require(columns: Mapping[str, Column[Any]], table: Table, wanted: OrdersMap) -> None:
    missing = [name for name in REQUIRED_ORDER_COLUMNS if name not in columns]
    if not {"qty", "quantity"} & columns.keys():
        missing.append("qty (or quantity)")
    if "profile_id" not in columns and wanted.only_profile is None:
        missing.append("profile_id (only a database of one profile may lack it)")
    if missing:
        raise ConfigurationError(
            f"The table {table.name!r} lacks {', '.join(missing)}.",
            f'Map them in trueup.toml: [ledger.columns] ours = "theirs". It has: {", ".join(table.c.keys())}.',
        )


def require_insertable(connection: Connection, wanted: OrdersMap) -> None:
    """Refuse a table that cannot take trueup's rows: text ids, and no other column that demands a value."""
    table = _reflected(connection, wanted)
    columns = _columns(table, wanted)
    if isinstance(columns["order_id"].type, Integer):
        raise ConfigurationError(
            f"The column {columns['order_id'].name!r} of {table.name!r} is an integer; trueup's rows have text ids"
            " (BFILL-…), so no repair can be written.",
            "Map order_id to a text column of the table, or give it one.",
        )
    mapped = {column.name for column in columns.values()}
    demanding = [
        column.name
        for column in table.c
        if not column.nullable and column.server_default is None and column.name not in mapped
    ]
    if demanding:
        raise ConfigurationError(
            f"The table {table.name!r} demands values that trueup's rows do not have: {', '.join(demanding)}.",
            "Give these columns a default, or allow NULL.",
        )


def sample_row(connection: Connection, table: OrdersTable, profile_id: str, trade_id: str) -> Mapping[str, object]:
    """Return a trade's row as the table itself writes it: its timestamp and its spelling of status, side and action."""
    where = (table["profile_id"] == profile_id) & (table["trade_id"] == trade_id)
    wanted = [table[name].label(name) for name in ("timestamp", "status", "side", "action")]
    found = connection.execute(select(*wanted).where(where).limit(1)).mappings().first()
    return dict(found) if found is not None else {}


def _spelt_like(value: object, like: object) -> object:
    """Return a word in upper, title or lower case, as the table's own word is."""
    if not isinstance(value, str) or not isinstance(like, str):
        return value
    return value.upper() if like.isupper() else value.capitalize() if like.istitle() else value.lower()
