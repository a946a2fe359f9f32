"""Reading lifecycles in one moment of the ledger: suspicious trades in pages, everything large in a stream."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    type_coerce,
)
from sqlalchemy.types import NullType

from trueup.core.integrity.kinds import MOST_ROWS
from trueup.core.integrity.naming import ToldAlone
from trueup.core.integrity.rows import HISTORY, ORDERS, POSITIONS, HistoryRow, PositionRow, read_history, read_position
from trueup.core.integrity.rules import RULES, is_well_formed
from trueup.core.orders import LedgerOrder, StatusClass, time_of
from trueup.core.times import read_time
from trueup.ledger import schema, statuses
from trueup.ledger.attach import OrdersTable
from trueup.ledger.derived import told_of_none
from trueup.ledger.integrity.suspects import history_alone, suspicious, times_of_trades
from trueup.ledger.integrity.things import rule_sql
from trueup.ledger.reading import Query, read_row, read_rows
from trueup.ledger.statuses import among
from trueup.ledger.tables import Store, fits
from trueup.ports.lifecycle import IllNamed, TradeRows, TradeTimes

_PAGE = 500
_MOST = 20_000
"""So many rows are read of one trade, or of one page of trades, at most."""

_STREAM = 2000
_FILES_MB = 64


class Walking:
    """What the LifecycleBook port reads for the report."""

    _store: Store

    @contextmanager
    def reading(self, profiles: Sequence[str] | None) -> Iterator["Moment"]:
        """Open one moment of the ledger, of some profiles or of all rows whatever their profile."""
        with self._store.books.reading() as connection:
            if connection.dialect.name != "sqlite":
                # A cursor is planned for its first rows, unless the server is told that all of them are wanted.
                connection.execute(text("SET LOCAL cursor_tuple_fraction = 1.0"))
                connection.execute(text(f"SET LOCAL work_mem = '{_FILES_MB}MB'"))
            yield Moment(connection, self._store.orders(connection), profiles)


class Moment:
    """The LifecycleReading port: one moment of the ledger."""

    def __init__(self, connection: Connection, table: OrdersTable, profiles: Sequence[str] | None) -> None:
        self._connection, self._table, self._profiles = connection, table, profiles
        known = (schema.trade_history, schema.positions)
        self.parts = frozenset(part.name for part in known if fits(connection, part))
        self.source_kept = "source" in table

    def suspects(self) -> Iterator[TradeRows]:
        """Yield the rows of every trade that may be open or wrong."""
        history = HISTORY in self.parts
        yield from self._trades(suspicious(self._connection, self._table, self._profiles, history=history))
        if history:
            yield from self._trades(history_alone(self._table, self._profiles))

    def trades(self, names: Sequence[str]) -> Iterator[TradeRows]:
        """Yield all rows of some trades, of whatever profile."""
        yield from self._read(names)

    def _trades(self, query: Query) -> Iterator[TradeRows]:
        for page in self._pages(query):
            ill = [name for name in page if not is_well_formed(name)]
            for name in ill:
                yield TradeRows(str(name), ill=tuple(self._ill(name)))
            yield from self._whole([name for name in page if str(name).strip()])

    def _whole(self, page: Sequence[Any]) -> Iterator[TradeRows]:
        """Yield the rows of trades, so many trades at once as have not too many rows."""
        counted = self._count(page)
        few: list[Any] = []
        rows = 0
        for name in page:
            number = counted.get(name, 0)
            if number > _MOST:
                yield TradeRows(str(name), too_many=number)
                continue
            if few and rows + number > _MOST:
                yield from self._read(few)
                few, rows = [], 0
            few.append(name)
            rows += number
        if few:
            yield from self._read(few)

    def _pages(self, query: Query) -> Iterator[Sequence[Any]]:
        with self._connection.execute(query.execution_options(yield_per=_STREAM)) as result:
            yield from result.scalars().partitions(_PAGE)

    def _count(self, page: Sequence[Any]) -> dict[Any, int]:
        column = self._table["trade_id"]
        query = select(column, func.count()).where(column.in_(page)).group_by(column)
        return {name: int(number) for name, number in self._connection.execute(query)}

    def _read(self, names: Sequence[Any]) -> Iterator[TradeRows]:
        query = self._table.rows.where(self._table["trade_id"].in_(names))
        orders: dict[str, list[LedgerOrder]] = defaultdict(list)
        for row in read_rows(self._connection, self._table, query):
            orders[row.trade_id or ""].append(row)
        history: dict[str, list[HistoryRow]] = defaultdict(list)
        if HISTORY in self.parts:
            told = schema.trade_history
            asked = select(*_raw(told, self._connection)).where(told.c.trade_id.in_([str(name) for name in names]))
            for raw in self._connection.execute(asked).mappings():
                history[str(raw["trade_id"])].append(read_history(dict(raw)))
        for name in map(str, names):
            yield TradeRows(name, tuple(orders.get(name, ())), tuple(history.get(name, ())))

    def _ill(self, name: Any) -> Iterator[IllNamed]:
        """Yield the rows that have an id which is blank or malformed, dead ones included, by table and profile."""
        table, told = self._table, schema.trade_history
        columns = (table["profile_id"], table["symbol"], table["trade_id"], table["order_id"])
        places = [(ORDERS, table.table, columns)]
        if HISTORY in self.parts:
            places.append((HISTORY, told, (told.c.profile_id, told.c.symbol, told.c.trade_id, told.c.id)))
        for ours, source, (profile, symbol, trade, key) in places:
            query = select(profile, symbol, key).select_from(source).where(trade == name)
            if self._profiles is not None:
                query = query.where(profile.in_(self._profiles))
            found: dict[str | None, tuple[str | None, int, list[str]]] = {}
            with self._connection.execute(query.execution_options(yield_per=_STREAM)) as result:
                for owner, spelt, row_id in result:
                    known, number, ids = found.get(_text(owner), (_text(spelt), 0, []))
                    if number < MOST_ROWS:
                        ids.append(str(row_id))
                    found[_text(owner)] = (known, number + 1, ids)
            for owner, (spelt, number, ids) in sorted(found.items(), key=lambda item: item[0] or ""):
                yield IllNamed(ours, owner, spelt, str(name), number, tuple(sorted(ids)))

    def unnamed(self, *, blank: bool = False) -> Iterator[LedgerOrder]:
        """Yield the living rows without a trade id, with those of blank ids too."""
        table = self._table
        nameless: ColumnElement[bool] = table["trade_id"].is_(None)
        if blank:
            nameless = or_(nameless, is_blank_sql(self._connection, table))
        query = table.rows.where(nameless, not_(among(table["status"], statuses.DEAD)))
        if self._profiles is not None:
            query = query.where(table["profile_id"].in_(self._profiles))
        with self._connection.execute(query.execution_options(yield_per=_STREAM)) as result:
            for raw in result.mappings():
                row = read_row(table, dict(raw))
                if row.status is not StatusClass.DEAD:
                    yield row

    def times_of_trades(self) -> Iterator[TradeTimes]:
        """Yield when the living rows of each trade id stand, by symbol as it is spelt."""
        query, told = times_of_trades(self._connection, self._table, self._profiles)
        with self._connection.execute(query.execution_options(yield_per=_STREAM)) as result:
            if told:
                for trade, symbol, first, last, untold in result:
                    times = (None, None) if untold else (_time(first), _time(last))
                    yield TradeTimes(str(trade), str(symbol), *times)
                return
            for (trade, symbol), rows in groupby(result.mappings(), key=lambda raw: (raw["trade_id"], raw["symbol"])):
                found = [time_of(dict(raw)) for raw in rows]
                known = [at for at in found if at is not None]
                whole = len(known) == len(found)
                yield TradeTimes(str(trade), str(symbol), *((min(known), max(known)) if whole else (None, None)))

    def told_alone(self) -> Iterator[ToldAlone]:
        """Yield the history rows of trades that no order has; one that tells of nothing is what was taken back."""
        if HISTORY not in self.parts:
            return
        told = schema.trade_history
        query = select(*_raw(told, self._connection))
        query = query.where(told.c.trade_id.in_(history_alone(self._table, self._profiles)))
        if self._profiles is not None:
            query = query.where(told.c.profile_id.in_(self._profiles))
        with self._connection.execute(query.execution_options(yield_per=_STREAM)) as result:
            for raw in result.mappings():
                row = read_history(dict(raw))
                if row.trade_id.strip() and not row.is_empty:
                    yield ToldAlone(row.trade_id, row.symbol, _time(raw["opened_at"]), _time(raw["closed_at"]))

    def told_of_none(self) -> list[str | None]:
        """Return the symbols of the history rows that name no trade, as they are spelt; None where one says none."""
        return told_of_none(self._connection, self._profiles) if HISTORY in self.parts else []

    def positions(self) -> Iterator[PositionRow]:
        """Yield the rows of positions."""
        if POSITIONS not in self.parts:
            return
        table = schema.positions
        query = select(*_raw(table, self._connection))
        if self._profiles is not None:
            query = query.where(table.c.profile_id.in_(self._profiles))
        with self._connection.execute(query.execution_options(yield_per=_STREAM)) as result:
            for raw in result.mappings():
                yield read_position(dict(raw))

    def history_without_id(self) -> int:
        """Return how many history rows name no trade."""
        if HISTORY not in self.parts:
            return 0
        told = schema.trade_history
        query = select(func.count()).select_from(told).where(told.c.trade_id.is_(None))
        if self._profiles is not None:
            query = query.where(told.c.profile_id.in_(self._profiles))
        return int(self._connection.scalar(query) or 0)


def is_blank_sql(connection: Connection, table: OrdersTable) -> ColumnElement[bool]:
    """Return the condition that a row of orders has a trade id of white space alone."""
    quoted = connection.dialect.identifier_preparer.quote(table.name_of("trade_id"))
    rule = next(rule for rule in RULES if rule.name == "chk_orders_trade_id_not_blank")
    return not_(literal_column(rule_sql(connection, rule, quoted)))


def _time(value: object) -> int | None:
    try:
        return read_time(value)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return str(value) if value is not None else None


def _raw(table: Any, connection: Connection) -> list[ColumnElement[Any]]:
    """Return the columns as the database has them."""
    if connection.dialect.name != "sqlite":
        return list(table.c)
    return [type_coerce(column, NullType()).label(column.name) for column in table.c]
