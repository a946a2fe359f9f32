"""Reading the bot's books."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import CompoundSelect, Connection, Select, Text, and_, cast, func, or_, select

from trueup.core.decimals import read_decimal
from trueup.core.errors import ConfigurationError
from trueup.core.orders import LedgerOrder, read_order, text_or_none
from trueup.core.reconcile.changes import DIFFERENCE_PREFIX, IMPORT_PREFIX, PARITY_PREFIX
from trueup.core.repair.slices import REPAIR_PREFIX
from trueup.core.tags import comparable, is_tagged
from trueup.ledger import schema, statuses
from trueup.ledger.attach import OrdersTable
from trueup.ledger.blanks import ID_COLUMNS, any_padded, in_lower_case
from trueup.ledger.ids import require_kept, require_read_as_written
from trueup.ledger.slices import living_rows, maybe_open
from trueup.ledger.statuses import among
from trueup.ledger.tables import Store, fits
from trueup.ports import Profile, Realized

_CHUNK = 5000
_T = TypeVar("_T")
_OURS = (REPAIR_PREFIX, DIFFERENCE_PREFIX, IMPORT_PREFIX, PARITY_PREFIX)
Query = Select[Any] | CompoundSelect[Any]


def chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield values in lists short enough for one statement."""
    source = iter(values)
    while part := list(islice(source, _CHUNK)):
        yield part


Known = dict[tuple[Any, ...], LedgerOrder]
"""Rows that were read already, by all of their raw values: what several queries find is read once."""


def read_rows(
    connection: Connection, table: OrdersTable, query: Query, known: Known | None = None
) -> list[LedgerOrder]:
    """Run a query of orders under our names and read its rows strictly."""
    known = {} if known is None else known
    found: list[LedgerOrder] = []
    for raw in connection.execute(query).mappings():
        key = tuple(raw.values())
        row = known.get(key)
        if row is None:
            row = known[key] = read_row(table, dict(raw))
        found.append(row)
    return found


def read_row(table: OrdersTable, raw: dict[str, object]) -> LedgerOrder:
    """Read one row under our names strictly."""
    require_read_as_written(raw)
    row = read_order(raw)
    return replace(row, cut=table.cut(row.qty)) if row.order_id.startswith(_OURS) else row


class Reader:
    """What the Ledger port reads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def profiles(self) -> list[Profile]:
        """Return all profiles, disabled ones included, by id."""
        with self._store.state.reading() as connection:
            if not fits(connection, schema.profiles):
                raise ConfigurationError(
                    f"The database {self._store.state.name} has no table of profiles that trueup can read.",
                    "Name the profiles in trueup.toml ([[profiles]]) and run `trueup init`.",
                )
            table = schema.profiles
            return [_profile(*row) for row in connection.execute(select(*_PROFILE).order_by(table.c.profile_id))]

    def open_trade_rows(self, profile_ids: Sequence[str]) -> list[LedgerOrder]:
        """Return the filled and working rows of every trade that may be open or cannot be read."""
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            return open_rows(connection, table, profile_ids)

    def trade_rows(self, trade_id: str, profile_ids: Sequence[str] | None = None) -> list[LedgerOrder]:
        """Return all rows of a trade, dead ones included, oldest first."""
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            query = table.rows.where(table["trade_id"] == trade_id)
            if profile_ids is not None:
                query = query.where(table["profile_id"].in_(profile_ids))
            rows = read_rows(connection, table, query)
        return sorted(rows, key=lambda row: (row.time_ms or (row.said and row.said.time_ms) or 0, row.order_id))

    def rows_without_trade(self, profile_ids: Sequence[str]) -> int:
        """Return how many filled rows of profiles have no trade id, so that no trade counts them."""
        with self._store.books.reading() as connection:
            return rows_without_trade(connection, self._store.orders(connection), profile_ids)

    def rows_booking(
        self, exchange_order_ids: Iterable[str], client_order_ids: Iterable[str], tag_prefix: str
    ) -> list[LedgerOrder]:
        """Return the rows whose order id, exchange order id or client order id is among those given."""
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            return rows_booking(connection, table, exchange_order_ids, client_order_ids, tag_prefix)

    def trades_spelt(self, profile_ids: Sequence[str], names: Iterable[str]) -> frozenset[tuple[str, str]]:
        """Return which of the lower-case names are whole ids of trades: profile id and name, open trades or not."""
        found: set[tuple[str, str]] = set()
        wanted, mine = sorted(names), frozenset(profile_ids)
        if not wanted:
            return frozenset()
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            spelt = in_lower_case(table["trade_id"], connection.dialect.name)
            for part in chunks(wanted):
                # A condition on the profile would let SQLite walk the profile's whole past instead of the names' index.
                query = select(table["profile_id"], spelt).where(spelt.in_(part))
                found |= {(str(profile), str(name)) for profile, name in connection.execute(query.distinct())}
        return frozenset(key for key in found if key[0] in mine)

    def rows_spelt(self, profile_ids: Sequence[str], names: Iterable[str]) -> list[LedgerOrder]:
        """Return all rows of the trades whose whole ids are among the lower-case names, dead ones included."""
        mine = frozenset(profile_ids)
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            spelt = in_lower_case(table["trade_id"], connection.dialect.name)
            return [
                row
                for part in chunks(sorted(set(names)))
                for row in read_rows(connection, table, table.rows.where(spelt.in_(part)))
                if row.profile_id in mine
            ]

    def rows_of_trades(self, trades: Sequence[tuple[str, str]]) -> list[LedgerOrder]:
        """Return the filled, working and unreadable rows of trades, by profile and trade id."""
        wanted = set(trades)
        profiles = sorted({profile for profile, _ in wanted})
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            return [
                row
                for part in chunks(sorted({trade for _, trade in wanted}))
                for row in read_rows(connection, table, living_rows(table, profiles, part))
                if (row.profile_id, row.trade_id) in wanted
            ]

    def realized(self, profile_ids: Sequence[str], after: str | None = None) -> Realized:
        """Return the realized profit of the trades that closed after a time, of all without one."""
        with self._store.books.reading() as connection:
            return realized(connection, profile_ids, after)

    def existing_ids(self, order_ids: Iterable[str]) -> frozenset[str]:
        """Return which of the order ids the ledger has already."""
        with self._store.books.reading() as connection:
            return existing_ids(connection, self._store.orders(connection), order_ids)


def open_rows(connection: Connection, table: OrdersTable, profile_ids: Sequence[str]) -> list[LedgerOrder]:
    """Return the filled, working and unreadable rows of the trades that may be open."""
    if not profile_ids:
        return []
    trades = connection.scalars(maybe_open(connection, table, profile_ids)).all()
    return [
        row for part in chunks(trades) for row in read_rows(connection, table, living_rows(table, profile_ids, part))
    ]


def realized(connection: Connection, profile_ids: Sequence[str], after: str | None) -> Realized:
    """Return the realized profit in the trade history; unknown where there is none that trueup can read."""
    table = schema.trade_history
    if not fits(connection, table):
        return Realized(None)
    closed = table.c.closed_at.is_not(None) if after is None else table.c.closed_at > after
    mine = and_(table.c.profile_id.in_(profile_ids), closed)
    newest = connection.scalar(select(func.max(table.c.closed_at)).where(mine))
    if newest is None:
        return Realized(newest=after)
    if connection.scalar(select(table.c.id).where(mine, table.c.realized_pnl.is_(None)).limit(1)) is not None:
        return Realized(None, newest)
    if connection.dialect.name == "postgresql":
        return Realized(read_decimal(connection.scalar(select(func.sum(table.c.realized_pnl)).where(mine))), newest)
    found = connection.execute(select(table.c.realized_pnl).where(mine))
    return Realized(sum((read_decimal(pnl) for (pnl,) in found), Decimal(0)), newest)


def rows_without_trade(connection: Connection, table: OrdersTable, profile_ids: Sequence[str]) -> int:
    """Return how many filled rows of profiles have no trade id, so that no trade counts them."""
    blank = or_(table["trade_id"].is_(None), func.trim(cast(table["trade_id"], Text)) == "")
    filled = among(table["status"], statuses.FILLED)
    query = select(func.count()).select_from(table.table).where(blank, filled, table["profile_id"].in_(profile_ids))
    return int(connection.scalar(query) or 0)


def rows_booking(
    connection: Connection,
    table: OrdersTable,
    exchange_order_ids: Iterable[str],
    client_order_ids: Iterable[str],
    tag_prefix: str,
    known: Known | None = None,
) -> list[LedgerOrder]:
    """Return the rows that name one of the exchange orders, each once, whatever blanks stand around the ids.

    Client order ids with the tag prefix are found in any case, as tags are compared.
    """
    orders, clients = frozenset(exchange_order_ids), frozenset(client_order_ids)
    if not orders and not clients:
        return []
    wanted = {"order_id": orders, "exchange_order_id": orders, "client_order_id": clients}
    for name, values in wanted.items():
        require_kept(table.kind(name), name, values)
    spelt = _padded_spellings(connection, table, wanted, tag_prefix)
    asked = [(table[name], values | spelt[name]) for name, values in wanted.items() if name in table]
    tags = frozenset(comparable(tag_prefix, name) for name in clients if is_tagged(tag_prefix, name))
    if tags and "client_order_id" in table:
        asked.append((in_lower_case(table["client_order_id"], connection.dialect.name), tags))
    found: Counter[LedgerOrder] = Counter()
    known = {} if known is None else known
    for column, values in asked:
        named: Counter[LedgerOrder] = Counter()
        for part in chunks(sorted(values)):
            named.update(read_rows(connection, table, table.rows.where(column.in_(part)), known))
        found |= named
    return list(found.elements())


def _padded_spellings(
    connection: Connection, table: OrdersTable, wanted: Mapping[str, frozenset[str]], tag_prefix: str
) -> Mapping[str, set[str]]:
    """Return by column how the table spells the wanted ids with blanks around them."""
    tags = {comparable(tag_prefix, name) for name in wanted["client_order_id"]}
    names = [name for name in ID_COLUMNS if name in table]
    dialect = connection.dialect.name
    # Postgres compares patterns with text alone; on a text column the cast is none, and the index still serves.
    columns = [cast(table[name], Text) if dialect == "postgresql" else table[name] for name in names]
    query = select(*columns).where(any_padded(columns, dialect))
    found: dict[str, set[str]] = {name: set() for name in ID_COLUMNS}
    # One by one: where a bot pads every id, all of them come along.
    with connection.execute(query.execution_options(yield_per=2000)) as result:
        for row in result:
            for name, value in zip(names, row, strict=True):
                bare = value.strip() if isinstance(value, str) else value
                if bare != value and (bare in wanted[name] or comparable(tag_prefix, bare) in tags):
                    found[name].add(value)
    return found


def padded_order_ids(connection: Connection, table: OrdersTable, order_ids: frozenset[str]) -> set[str]:
    """Return how the table spells order ids with blanks around them."""
    nothing: frozenset[str] = frozenset()
    wanted = {"order_id": order_ids, "exchange_order_id": nothing, "client_order_id": nothing}
    return _padded_spellings(connection, table, wanted, "")["order_id"]


def existing_ids(connection: Connection, table: OrdersTable, order_ids: Iterable[str]) -> frozenset[str]:
    """Return which of the order ids the table has."""
    found: set[str] = set()
    for part in chunks(order_ids):
        found |= {str(raw) for raw in connection.scalars(select(table["order_id"]).where(table["order_id"].in_(part)))}
    return frozenset(found)


_PROFILE = tuple(
    schema.profiles.c[name]
    for name in ("profile_id", "account", "user_id", "managed_symbols", "allocated_capital", "enabled")
)


@lru_cache(maxsize=20_000)
def _profile(
    profile_id: object, account: object, user_id: object, symbols: object, capital: object, enabled: object
) -> Profile:
    """Read a row of profiles; a fleet's rows are read in every cycle, and they hardly ever change."""
    try:
        allocated = read_decimal(capital) if capital is not None else None
    except ValueError as error:
        raise ConfigurationError(f"profiles: allocated_capital of {profile_id}: {error}.") from None
    return Profile(
        profile_id=str(profile_id),
        account=text_or_none(account),
        user_id=text_or_none(user_id),
        managed_symbols=managed_symbols(symbols, str(profile_id)),
        allocated_capital=allocated,
        enabled=bool(enabled),
    )


def managed_symbols(text: object, profile_id: str) -> tuple[str, ...] | None:
    """Read a profile's managed symbols: a JSON list or text with commas; None where it names none."""
    raw = text_or_none(text)
    if raw is None:
        return None
    if raw.startswith("["):
        try:
            listed = json.loads(raw)
        except ValueError:
            listed = None
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise ConfigurationError(
                f"profiles: managed_symbols of {profile_id} is {raw!r}.", "Write a JSON list of symbols, or commas."
            )
    else:
        listed = raw.split(",")
    return tuple(item.strip() for item in listed if item.strip()) or None
