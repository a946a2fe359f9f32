"""Reading what a comparison with the venue needs, and which trades changed: by index, without the ledger's history.

A bot may spell a status in any way, so that the statuses that a profile's rows have are listed first (an index walk
from one to the next), and each is classified as the core does it. Times come in several units and forms; the queries
ask for a superset of the recent rows, and the rows themselves decide.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    DateTime,
    Float,
    Integer,
    Numeric,
    Select,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
    union_all,
)

from trueup.core.orders import LedgerOrder, StatusClass, status_class, word
from trueup.core.times import MICROSECONDS_FROM, NANOSECONDS_FROM, SECONDS_BELOW, iso, read_time, to_datetime
from trueup.ledger.attach import OrdersTable
from trueup.ledger.reading import Known, read_rows, rows_booking
from trueup.ledger.tables import Store
from trueup.ledger.types import UtcTime
from trueup.ports import ChangedTrades

OVERLAP_MS = 120_000
"""How far a watermark stays behind: a row may be committed that long after the moment that it says."""

_PARTLY = "partially_filled"
_SAMPLED = 200
_TERMS = 400
"""SQLite takes 500 parts of a union."""

_ON_SQLITE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"


class Comparing:
    """What the Ledger port reads for a comparison."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def orders_to_compare(
        self,
        profile_ids: Sequence[str],
        since_ms: int,
        exchange_order_ids: Iterable[str],
        client_order_ids: Iterable[str],
        tag_prefix: str,
    ) -> list[LedgerOrder]:
        """Return the rows that a comparison with the venue is about, each once."""
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            known: Known = {}
            found = Counter(rows_booking(connection, table, exchange_order_ids, client_order_ids, tag_prefix, known))
            for part in batched(sorted(set(profile_ids))):
                spelt = statuses_of(connection, table, part)
                found |= Counter(read_rows(connection, table, unfinished(table, part, spelt), known))
                recent = recent_rows(table, part, spelt, since_ms, connection.dialect.name)
                rows = read_rows(connection, table, recent, known)
                found |= Counter(row for row in rows if _is_wanted(row, since_ms))
        return sorted(found.elements(), key=lambda row: (row.profile_id, row.order_id))

    def changed_trades(self, profile_ids: Sequence[str], since: str | None, now_ms: int) -> ChangedTrades:
        """Return the trades whose rows changed since a watermark, and the next watermark."""
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            if "updated_at" not in table:
                return ChangedTrades(None, None, "the orders table has no updated_at")
            return _changed(connection, table, sorted(set(profile_ids)), since, now_ms)


def batched(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield names in lists that one union may have."""
    for start in range(0, len(names), _TERMS):
        yield names[start : start + _TERMS]


def statuses_of(connection: Connection, table: OrdersTable, profile_ids: Sequence[str]) -> list[str]:
    """Return every status of profiles as it is spelt; on the native table by walking the index from one to the next."""
    if not table.is_native:
        query = select(table["status"]).where(table["profile_id"].in_(profile_ids), table["status"].is_not(None))
        return sorted(str(status) for status in connection.scalars(query.distinct()))
    orders = table.table
    given = union_all(*(select(literal(name).label("profile_id")) for name in profile_ids)).subquery("given")
    first = select(func.min(orders.c.status)).where(orders.c.profile_id == given.c.profile_id).scalar_subquery()
    walk = select(given.c.profile_id, first.label("status")).cte("walk", recursive=True)
    following = (
        select(func.min(orders.c.status))
        .where(orders.c.profile_id == walk.c.profile_id, orders.c.status > walk.c.status)
        .scalar_subquery()
    )
    walk = walk.union_all(select(walk.c.profile_id, following).where(walk.c.status.is_not(None)))
    query = select(walk.c.status).where(walk.c.status.is_not(None)).distinct()
    return sorted(str(status) for status in connection.scalars(query))


def unfinished(table: OrdersTable, profile_ids: Sequence[str], spelt: Iterable[str]) -> Select[Any]:
    """Return the query for the working and partially filled rows of profiles, however old they are."""
    wanted = [text for text in spelt if status_class(text) is StatusClass.WORKING or word(text) == _PARTLY]
    return table.rows.where(table["profile_id"].in_(profile_ids), _is_one_of(table, wanted))


def _is_one_of(table: OrdersTable, spelt: Sequence[str]) -> ColumnElement[bool]:
    return table["status"].in_(spelt) if spelt else false()


def recent_rows(
    table: OrdersTable, profile_ids: Sequence[str], spelt: Iterable[str], since_ms: int, dialect: str
) -> CompoundSelect[Any]:
    """Return the query for a superset of the profiles' filled and unreadable rows from a time on.

    Each stretch of times is a query of its own, so that an index of profile and time serves every one of them.
    """
    idle = [text for text in spelt if status_class(text) in (StatusClass.WORKING, StatusClass.DEAD)]
    theirs = and_(
        table["profile_id"].in_(profile_ids),
        or_(table["status"].is_(None), table["status"].not_in(idle)) if idle else true(),
    )
    stretches = _from(table, "timestamp", since_ms, dialect)
    stretches.append(and_(table["timestamp"].is_(None), _written_since(table, since_ms, dialect)))
    return union_all(*(table.rows.where(theirs, stretch) for stretch in stretches))


def _written_since(table: OrdersTable, since_ms: int, dialect: str) -> ColumnElement[bool]:
    """Return the condition that a row without a timestamp is recent by its other times, or has none."""
    others = [name for name in ("filled_at", "created_at") if name in table]
    recent = [stretch for name in others for stretch in _from(table, name, since_ms, dialect)]
    return or_(*recent, and_(*(table[name].is_(None) for name in others)) if others else true())


def _from(table: OrdersTable, name: str, since_ms: int, dialect: str) -> list[ColumnElement[bool]]:
    """Return conditions of which one holds where a column is at or after a time, or cannot be read as one."""
    kind, column = table.kind(name), table[name]
    if dialect == "postgresql" and isinstance(kind, (DateTime, UtcTime)):
        return [_at_or_after(table, name, since_ms)]
    if isinstance(kind, (Integer, Numeric, Float)):
        return _units(column, since_ms)
    if table.is_native:
        return _iso_texts(column, since_ms)
    return [_odd_text(column, since_ms, dialect)]


def _at_or_after(table: OrdersTable, name: str, since_ms: int) -> ColumnElement[bool]:
    kind, moment = table.kind(name), to_datetime(since_ms)
    naive = isinstance(kind, DateTime) and not kind.timezone
    at = literal(moment.replace(tzinfo=None) if naive else moment, DateTime(timezone=not naive))
    return type_coerce(table[name], DateTime(timezone=not naive)) >= at


def _units(column: ColumnElement[Any], since_ms: int) -> list[ColumnElement[bool]]:
    """Return the stretches of epoch seconds to nanoseconds, as the core tells them apart; text on SQLite is the last.

    Text in a column of numbers is greater than any number.
    """
    ends = (SECONDS_BELOW, MICROSECONDS_FROM, NANOSECONDS_FROM, None)
    starts = (since_ms // 1000, max(since_ms, SECONDS_BELOW), max(since_ms * 1000, MICROSECONDS_FROM),
              max(since_ms * 10**6, NANOSECONDS_FROM))  # fmt: skip
    return [
        column >= _whole(start) if end is None else and_(column >= _whole(start), column < _whole(end))
        for start, end in zip(starts, ends, strict=True)
    ]


def _whole(number: int) -> ColumnElement[int]:
    return literal(number, BigInteger)


def _iso_texts(column: ColumnElement[Any], since_ms: int) -> list[ColumnElement[bool]]:
    """Return the stretches of UTC times as text: with T between date and time, and with a blank."""
    text = iso(since_ms // 1000 * 1000)
    plain = type_coerce(column, Text)
    day = text[:10]
    return [plain >= text[:19], and_(plain >= f"{day} {text[11:19]}", plain < f"{day}T")]


def _odd_text(column: ColumnElement[Any], since_ms: int, dialect: str) -> ColumnElement[bool]:
    """Return the condition that text may be a time at or after another one; what is no time of a known form may be."""
    day = iso(since_ms - int(timedelta(days=1).total_seconds()) * 1000)[:10]
    text = cast(column, Text)
    if dialect == "sqlite":
        dated = text.op("GLOB", is_comparison=True)(_ON_SQLITE)
        digits = and_(text != "", ~text.op("GLOB", is_comparison=True)("*[^0-9.]*"))
    else:
        dated = text.op("~", is_comparison=True)(r"^\d{4}-\d\d-\d\d")
        digits = text.op("~", is_comparison=True)(r"^[0-9]+(\.[0-9]*)?$")
    later = func.substr(text, 1, 10) >= day
    moment = case((dated, later), (digits, or_(*_units(cast(text, Numeric), since_ms))), else_=true())
    return and_(column.is_not(None), moment)


def _is_wanted(row: LedgerOrder, since_ms: int) -> bool:
    """Say whether a row is recent, and filled with an id of the venue's or unreadable."""
    recent = row.order_ms is None or row.order_ms >= since_ms
    named_one = row.exchange_order_id is not None or row.client_order_id is not None
    return recent and (row.status is StatusClass.UNKNOWN or (row.status is StatusClass.FILLED and named_one))


def _changed(
    connection: Connection, table: OrdersTable, profile_ids: Sequence[str], since: str | None, now_ms: int
) -> ChangedTrades:
    """Return the changed trades, or why the table cannot tell them."""
    mine = table["profile_id"].in_(profile_ids)
    if since is None:
        doubt = _doubt(connection, table, profile_ids)
        if doubt:
            return ChangedTrades(None, None, doubt)
        return ChangedTrades(None, _watermark(connection, table, profile_ids, now_ms), "there is no watermark yet")
    since_ms, dialect = read_time(since), connection.dialect.name
    if _unmarked(connection, table, profile_ids, since_ms):
        return ChangedTrades(None, None, "rows were written without updated_at")
    parts = [
        select(table["profile_id"], table["trade_id"], table["updated_at"]).where(mine, stretch)
        for stretch in _from(table, "updated_at", since_ms, dialect)
    ]
    found: set[tuple[str, str]] = set()
    for profile, trade, at in connection.execute(union_all(*parts)):
        if trade is not None and _may_be_since(at, since_ms):
            found.add((str(profile), str(trade)))
    if any(trade != trade.strip() for _, trade in found):
        return ChangedTrades(None, None, "trade ids stand among blanks")
    return ChangedTrades(frozenset(found), _watermark(connection, table, profile_ids, now_ms))


def _may_be_since(value: object, since_ms: int) -> bool:
    try:
        return read_time(value) >= since_ms
    except ValueError:
        return True


def _unmarked(connection: Connection, table: OrdersTable, profile_ids: Sequence[str], since_ms: int) -> bool:
    """Say whether a row from a time on has no updated_at: then others may have changed without one, too."""
    empty = and_(table["profile_id"].in_(profile_ids), table["updated_at"].is_(None))
    dialect = connection.dialect.name
    recent = or_(
        *_from(table, "timestamp", since_ms, dialect),
        and_(table["timestamp"].is_(None), _written_since(table, since_ms, dialect)),
    )
    rows = read_rows(connection, table, table.rows.where(empty, recent).limit(_SAMPLED))
    return any(row.order_ms is None or row.order_ms >= since_ms for row in rows)


def _doubt(connection: Connection, table: OrdersTable, profile_ids: Sequence[str]) -> str:
    """Return why the newest rows of profiles show that updated_at does not follow every change; empty where it does."""
    names = ("updated_at", "filled_at")
    for profile in profile_ids:
        query = select(*(table[name].label(name) for name in names)).where(table["profile_id"] == profile)
        for updated, filled in connection.execute(query.order_by(table["timestamp"].desc()).limit(_SAMPLED)):
            if updated is None:
                return "rows were written without updated_at"
            try:
                if filled is not None and read_time(filled) > read_time(updated) + OVERLAP_MS:
                    return "rows were filled after their updated_at: it does not follow every change"
            except ValueError:
                return "rows have an updated_at or a filled_at that cannot be read"
    return ""


def _watermark(connection: Connection, table: OrdersTable, profile_ids: Sequence[str], now_ms: int) -> str | None:
    """Return the newest time of profiles' rows, not after now, less the overlap; None where it cannot be read."""
    groups = [[name] for name in profile_ids] if table.is_native else [list(profile_ids)]
    # Each profile's newest row is one step in the index; of all together it would be a walk over their past.
    each = [select(func.max(table["updated_at"])).where(table["profile_id"].in_(group)) for group in groups]
    newest = 0
    for start in range(0, len(each), _TERMS):
        for value in connection.scalars(union_all(*each[start : start + _TERMS])):
            try:
                newest = max(newest, read_time(value) if value is not None else 0)
            except ValueError:
                return None
    return iso(min(newest or now_ms, now_ms) - OVERLAP_MS)
