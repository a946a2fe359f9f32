"""The orders table as trueup uses it: the native one, or somebody else's by a map of column names.

Nothing of a table that trueup did not create is ever altered; rows that it inserts follow the table's own types. Its
values are read raw, since a converting column type would turn floats into rounded decimals and fail on odd text.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
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
    LargeBinary,
    MetaData,
    Numeric,
    Select,
    String,
    Table,
    Text,
    Uuid,
    cast,
    inspect,
    literal,
    null,
    select,
)  # fmt: skip
from sqlalchemy.types import NullType, TypeEngine

from trueup.core.decimals import NOTHING, plain
from trueup.core.errors import ConfigurationError, nearest
from trueup.core.times import MICROSECONDS_FROM, NANOSECONDS_FROM, SECONDS_BELOW, iso, read_time, to_datetime
from trueup.ledger.blanks import ID_COLUMNS
from trueup.ledger.ids import require_ids
from trueup.ledger.numbers import EVERY_DECIMAL, NumberForm, number_form
from trueup.ledger.schema import ORDER_COLUMNS, REQUIRED_ORDER_COLUMNS, orders
from trueup.ledger.types import ExactDecimal

_QUANTITIES = ("qty", "quantity", "order_qty")
_NUMBERS = (*_QUANTITIES, "price")
_TIMES = ("filled_at", "created_at", "updated_at")
_SPELT = ("status", "side", "action")
_SAMPLED = 20
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
        dialect: str,
    ) -> None:
        self.table = table
        self._columns = dict(columns)
        self._kinds = dict(kinds)
        self._only_profile = only_profile
        self._dialect = dialect
        self._forms = {name: number_form(kinds[name], dialect) for name in _NUMBERS if name in kinds}
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

    def name_of(self, name: str) -> str:
        """Return what the table calls a column of ours."""
        return self._columns[name].name

    @property
    def depends_on_rows(self) -> bool:
        """Say whether a column of ids is untyped, so that what its rows hold decides whether it can be used."""
        kinds = (self._kinds.get(name) for name in ID_COLUMNS)
        return any(isinstance(kind, (NullType, LargeBinary)) for kind in kinds)

    def holds_integers(self, name: str) -> bool:
        """Say whether a column is of whole numbers."""
        return isinstance(self._kinds.get(name), Integer)

    def holds_numbers(self, name: str) -> bool:
        """Say whether the database lets a column hold numbers alone."""
        return isinstance(self._kinds.get(name), (ExactDecimal, Numeric, Integer))

    def holds_decimals(self, name: str) -> bool:
        """Say whether a column on Postgres holds exact numbers."""
        return self.holds_numbers(name) and not isinstance(self._kinds.get(name), Float)

    def form(self, name: str) -> NumberForm:
        """Return how a column of numbers holds them."""
        return self._forms.get(name, EVERY_DECIMAL)

    def cut(self, qty: Decimal) -> Decimal:
        """Return what the table's column may have cut from a quantity of ours, at most."""
        return max(self.form(name).cut(qty) for name in ("qty", "quantity"))

    def kind(self, name: str) -> TypeEngine[Any] | None:
        """Return a column's type as the database has it, None where the table lacks it."""
        return self._kinds.get(name)

    @cached_property
    def rows(self) -> Select[Any]:
        """Return the query for every row, with all columns under our names."""
        return select(*(self[name].label(name) for name in ORDER_COLUMNS))

    def to_theirs(self, row: Mapping[str, object], like: Mapping[str, object] = NOTHING_LIKE_IT) -> dict[str, object]:
        """Return a row by their column names and in their forms; `like` is a row as the table itself writes it."""
        return {
            column.name: self._quantity(name, row[name])
            if name in _QUANTITIES
            else _in_form(name, row.get(name), self._kinds[name], like)
            for name, column in self._columns.items()
            if row.get(name) is not None
        }

    def _quantity(self, name: str, value: object) -> object:
        """Return a quantity as its column holds it, never more than it is; refused where too much would be cut."""
        kind, form = self._kinds[name], self.form(name)
        if not isinstance(value, Decimal) or isinstance(kind, ExactDecimal):
            return value
        held = form.held(value)
        if held <= 0 or (form.places is not None and value - held > NOTHING):
            raise ConfigurationError(
                f"The column {self._columns[name].name!r} holds {form.places or 0} decimal places:"
                f" {plain(value)} cannot be written to it.",
                "Give the column as many places as the venue's quantities have.",
            )
        return float(held) if self._dialect == "sqlite" and form.bits is not None else plain(held)

    def theirs(self, name: str, value: object, like: Mapping[str, object] = NOTHING_LIKE_IT) -> dict[str, object]:
        """Return the assignment of one column, empty where the table lacks it."""
        return self.to_theirs({name: value}, like) if name in self._columns else {}


def _in_form(name: str, value: object, kind: TypeEngine[Any], like: Mapping[str, object]) -> object:
    """Return a value in the form that a column of the given type takes, and as the table's own row has it."""
    if name == "timestamp" and isinstance(value, int):
        return _timestamp(value, kind, like.get(name))
    if name in _TIMES and isinstance(kind, (DateTime, Integer, Numeric, Float)):
        numbers = (like[at] for at in (name, "timestamp") if isinstance(like.get(at), (int, float, Decimal)))
        return _timestamp(read_time(value), kind, next(numbers, None))
    if name in _TIMES and isinstance(like.get(name), str):
        return _timestamp(read_time(value), kind, like[name])
    own = like.get(name)
    if name in _SPELT and isinstance(value, str) and isinstance(own, str):
        return in_case_of(value, own)
    if name == "price" and isinstance(value, Decimal) and not isinstance(kind, ExactDecimal):
        return plain(value)
    return value


def _timestamp(ms: int, kind: TypeEngine[Any], like: object) -> object:
    if isinstance(kind, DateTime):
        moment = to_datetime(ms)
        return moment if kind.timezone else moment.replace(tzinfo=None)
    if isinstance(like, str) and not like.replace(".", "", 1).isdigit():
        return _text_like(ms, like.strip())
    if like is None:
        return ms
    unit = Decimal(str(like))
    if unit < SECONDS_BELOW and ms % 1000 and not isinstance(kind, Integer):
        return plain(Decimal(ms).scaleb(-3))
    value = _in_unit(ms, unit)
    return str(value) if isinstance(like, str) else value


def _in_unit(ms: int, like: Decimal) -> int:
    """Return a time in the unit of another one, which its size tells: seconds to nanoseconds."""
    if like < SECONDS_BELOW:
        return ms // 1000
    return ms * 10**6 if like >= NANOSECONDS_FROM else ms * 1000 if like >= MICROSECONDS_FROM else ms


_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)?")


def _text_like(ms: int, like: str) -> str:
    """Return a time in the table's own form of ISO 8601, with as many decimals as the milliseconds need."""
    form = _WRITTEN.fullmatch(like)
    if form is None:
        return iso(ms)
    between, fraction, zone = form[1], form[2] or "", form[3] or ""
    moment, exact = to_datetime(ms), f"{ms % 1000:03d}"
    digits = exact[: len(fraction)] if not exact[len(fraction) :].strip("0") else exact
    try:
        if zone not in ("", "Z"):
            moment = moment.astimezone(datetime.fromisoformat(like).tzinfo)
        decimals = f".{digits.ljust(len(fraction), '0')}" if digits else ""
        text = f"{moment:%Y-%m-%d}{between}{moment:%H:%M:%S}{decimals}{zone}"
        return text if read_time(text) == ms else iso(ms)
    except ValueError:
        return iso(ms)


def resolve(connection: Connection, wanted: OrdersMap) -> OrdersTable:
    """Find the orders table and its columns; ConfigurationError names what is missing and the nearest name."""
    found, dialect = inspect(connection), connection.dialect.name
    if not found.has_table(wanted.table):
        known = nearest(wanted.table, found.get_table_names())
        raise ConfigurationError(
            f"The database has no table {wanted.table!r}.", f"{known} Run `trueup init`, or set [ledger] orders_table."
        )
    if wanted.table == orders.name and not wanted.columns and _is_native(connection):
        native = {name: orders.c[name] for name in ORDER_COLUMNS}
        return OrdersTable(orders, native, {name: column.type for name, column in native.items()}, None, dialect)
    reflected = _reflected(connection, wanted.table)
    theirs = _columns(reflected, wanted)
    _require(theirs, reflected, wanted)
    raw = Table(wanted.table, MetaData(), *(Column(column.name, NullType()) for column in reflected.c))
    columns = {name: raw.c[column.name] for name, column in theirs.items()}
    kinds = {name: column.type for name, column in theirs.items()}
    require_ids(connection, columns, kinds)
    return OrdersTable(raw, columns, kinds, wanted.only_profile, dialect)


def _reflected(connection: Connection, name: str) -> Table:
    """Return a table as the database has it; indexes do not count, and some are of a kind that SQLAlchemy warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
        # SQLAlchemy reads that a CHECK is NOT VALID (as `integrity apply` adds them), and warns of its own word for it.
        warnings.filterwarnings("ignore", "Can't validate argument 'dialect_options'")
        return Table(name, MetaData(), autoload_with=connection, resolve_fks=False)


def _is_native(connection: Connection) -> bool:
    """Say whether the table has our columns with types that hold ids and decimals exactly."""
    found = {column["name"]: column["type"] for column in inspect(connection).get_columns(orders.name)}
    if set(ORDER_COLUMNS) - set(found) or not all(isinstance(found[name], String) for name in ID_COLUMNS):
        return False
    if connection.dialect.name == "postgresql":
        exact = all(isinstance(found[name], Numeric) and not isinstance(found[name], Float) for name in _NUMBERS)
        times = all(isinstance(found[name], DateTime) and getattr(found[name], "timezone", False) for name in _TIMES)
        return exact and times and isinstance(found["timestamp"], Integer)
    return all(isinstance(found[name], String) for name in _NUMBERS + _TIMES) and isinstance(
        found["timestamp"], Integer
    )


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
        missing.append(
            "profile_id (only where trueup.toml names exactly one profile, under [[profiles]], may it lack that)"
        )
    if missing:
        raise ConfigurationError(
            f"The table {table.name!r} lacks {', '.join(missing)}.",
            f'Map them in trueup.toml: [ledger.columns] ours = "theirs". It has: {", ".join(table.c.keys())}.',
        )


def require_text_ids(table: OrdersTable) -> None:
    """Refuse a table whose order ids are numbers: it cannot take trueup's rows."""
    name, column = table.table.name, table.name_of("order_id")
    if table.holds_integers("order_id"):
        raise ConfigurationError(
            f"The column {column!r} of {name!r} is an integer, and trueup's rows have text ids (BFILL-…), so that no"
            " repair could be written.",
            "Map order_id to a text column. Where there is none, add one, fill it for the old rows too (with"
            f" CAST({column} AS TEXT), say), and let the bot fill it from now on. Or attach the ledger read-only, with"
            " [ledger] state_url: that is enough for checks and dry runs.",
        )


def require_insertable(connection: Connection, attached: OrdersTable, wanted: OrdersMap) -> None:
    """Refuse a table that cannot take trueup's rows: text ids, and no other column that demands a value."""
    require_text_ids(attached)
    table = _reflected(connection, wanted.table)
    columns = _columns(table, wanted)
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


def sample_row(
    connection: Connection, table: OrdersTable, profile_id: str, trade_id: str | None
) -> Mapping[str, object]:
    """Return how the table itself writes a trade's rows, or a profile's where no trade is named.

    These are their times, and their spelling of status, side and action.
    """
    mine = table["profile_id"] == profile_id
    names = ("timestamp", *_TIMES, *_SPELT)
    query = select(*(table[name].label(name) for name in names))
    # Any rows of the profile will do, and to sort them all would be dear.
    query = query.where(mine) if trade_id is None else _of_trade(query, table, mine, trade_id)
    rows = connection.execute(query.limit(_SAMPLED)).mappings().all()
    return {name: next((row[name] for row in rows if row[name] is not None), None) for name in names}


def _of_trade(query: Select[Any], table: OrdersTable, mine: ColumnElement[bool], trade_id: str) -> Select[Any]:
    return query.where(mine & (table["trade_id"] == trade_id)).order_by(table["order_id"])


def in_case_of(value: str, like: str) -> str:
    """Return a word in upper, title or lower case, as another one is."""
    return value.upper() if like.isupper() else value.capitalize() if like.istitle() else value.lower()
