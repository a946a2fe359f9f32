"""Finding suspicious trades in the database: what may be open or wrong is read row by row, and nothing else is.

One query adds up every trade and holds it against its history. A trade that it lets pass is closed, in order, of one
side and symbol, and told of by one agreeing history row; whatever it cannot add up, it does not let pass. Sums in
binary floating point have a margin wider than their rounding. The core names what is wrong from the exact rows.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    DateTime,
    Float,
    Integer,
    Numeric,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    not_,
    or_,
    select,
    type_coerce,
)

from trueup.core.orders import TIME_COLUMNS
from trueup.core.times import MICROSECONDS_FROM, NANOSECONDS_FROM, SECONDS_BELOW
from trueup.ledger import schema, statuses
from trueup.ledger.attach import OrdersTable
from trueup.ledger.slices import MARGIN, NEARLY_NOTHING, LedgerForm, form_of, quantity_of
from trueup.ledger.statuses import among, spelt

_ODD: ColumnElement[Any] = literal_column("1000000000")
"""What one row counts that needs a closer look: more than a trade can have rows."""

_ZERO: ColumnElement[Any] = literal_column("0")
_ONE: ColumnElement[Any] = literal_column("1")

_LONG, _SHORT = ["long", *statuses.BUYS], ["short", *statuses.SELLS]
"""How a history row spells its side, the likeliest first."""

_DIGITS: ColumnElement[Any] = literal_column("'0123456789abcdef-'")

_NO_DIGITS: ColumnElement[Any] = literal_column("'*[^0-9.]*'")
_TWO_POINTS: ColumnElement[Any] = literal_column("'*.*.*'")
"""What a number's text is like that the database may read as another: it needs a closer look."""

_UNITS = (1, SECONDS_BELOW, MICROSECONDS_FROM, NANOSECONDS_FROM, 10**21)
"""Where the units of a time begin, by its size: seconds, milliseconds, microseconds, nanoseconds."""


def suspicious(
    connection: Connection, table: OrdersTable, profiles: Sequence[str] | None, *, history: bool
) -> Select[Any] | CompoundSelect[Any]:
    """Return the query for the ids of the trades that may be open or wrong, or are ill-formed, each once."""
    form = form_of(connection, table)
    totals = _totals(connection, table, form, profiles)
    ill = _ill_formed(totals.c.trade_id, form.dialect)
    if not history:
        return select(totals.c.trade_id).where(or_(ill, _not_plainly_closed(totals, form))).distinct()
    told = schema.trade_history
    wrong = or_(_not_plainly_closed(totals, form, told), _told_otherwise(totals, form, told))
    nothing = and_(totals.c.filled == 0, totals.c.code == 0, told.c.id.is_(None))
    joined = totals.outerjoin(told, told.c.trade_id == totals.c.trade_id)
    query = select(totals.c.trade_id).select_from(joined).where(or_(ill, and_(wrong, not_(nothing))))
    several = select(told.c.trade_id).where(told.c.trade_id.is_not(None))
    several = several.group_by(told.c.trade_id).having(func.count() > 1)
    doubled = several.subquery("doubled")
    # Of trades that no order has, the other query tells; so here they are left out.
    there = select(_ONE).select_from(table.table).where(table["trade_id"] == doubled.c.trade_id)
    if profiles is not None:
        there = there.where(table["profile_id"].in_(profiles))
    return query.union(select(doubled.c.trade_id).where(there.exists()))


def _ill_formed(column: ColumnElement[Any], dialect: str) -> ColumnElement[bool]:
    """Return the condition that an id may not be of the form; the core decides, and what it takes passes here."""
    short = func.length(column) <= literal_column("124")
    if dialect == "sqlite":
        whole = func.instr(column, func.char(literal_column("0"))) == _ZERO
        begins = column.op("GLOB", is_comparison=True)(literal_column("'TRD-?*'"))
        # Most ids end in digits alone, which is told sooner than that no other character is in them.
        number: ColumnElement[bool] = func.rtrim(func.substr(column, literal_column("5")), _DIGITS) == literal_column(
            "''"
        )
        other = column.op("GLOB", is_comparison=True)(literal_column("'*[^A-Za-z0-9._:-]*'"))
        return not_(and_(begins, short, whole, or_(number, not_(other))))
    pattern: ColumnElement[Any] = literal_column("'^TRD-[A-Za-z0-9._:-]+$'")
    return not_(and_(cast(column, Text).op("~", is_comparison=True)(pattern), short))


def history_alone(table: OrdersTable, profiles: Sequence[str] | None) -> Select[Any]:
    """Return the query for the trades that the history names and the orders do not have at all."""
    told = schema.trade_history
    there = select(_ONE).select_from(table.table).where(table["trade_id"] == told.c.trade_id)
    query = select(told.c.trade_id).where(told.c.trade_id.is_not(None), not_(there.exists()))
    return (query if profiles is None else query.where(told.c.profile_id.in_(profiles))).distinct()


def _totals(connection: Connection, table: OrdersTable, form: LedgerForm, profiles: Sequence[str] | None) -> Subquery:
    """Return the sums of each trade, by profile and symbol; rows that are dead count nothing.

    `code` is 0 where all rows are of a long trade, as many as are filled where all are of a short one, and odd else.
    """
    qty, countable = quantity_of(table, form)
    moment, timed = moment_of(connection, table)
    filled = spelt(table["status"], [form.usual_status])
    entry, leaving = spelt(table["action"], statuses.ENTRIES), spelt(table["action"], statuses.EXITS)
    buy, sell = spelt(table["side"], statuses.BUYS), spelt(table["side"], statuses.SELLS)
    way = case(
        (entry, case((buy, _ZERO), (sell, _ONE), else_=_ODD)),
        (leaving, case((sell, _ZERO), (buy, _ONE), else_=_ODD)),
        else_=_ODD,
    )
    regular = and_(countable, timed, table["symbol"] != literal_column("''"))
    code = case((filled, case((regular, way), else_=_ODD)), (among(table["status"], statuses.DEAD), _ZERO), else_=_ODD)
    grouped = [table["trade_id"], table["symbol"]]
    named = [table["trade_id"].label("trade_id"), table["symbol"].label("symbol")]
    if "profile_id" in table:
        grouped.insert(0, table["profile_id"])
    query = select(
        table["profile_id"].label("profile_id"),
        *named,
        func.sum(case((and_(filled, entry), qty))).label("entered"),
        func.sum(case((and_(filled, leaving), qty))).label("left"),
        func.sum(code).label("code"),
        func.sum(case((filled, _ONE), else_=_ZERO)).label("filled"),
        func.max(case((and_(filled, entry), moment))).label("last_entry"),
        func.min(case((and_(filled, leaving), moment))).label("first_exit"),
    ).where(table["trade_id"].is_not(None))
    if profiles is not None:
        query = query.where(table["profile_id"].in_(profiles))
    return query.group_by(*grouped).subquery("totals")


def _not_plainly_closed(totals: Subquery, form: LedgerForm, told: Table | None = None) -> ColumnElement[bool]:
    """Return the condition that a trade's rows are not, beyond doubt, those of one closed lifecycle in order."""
    wrong = [
        and_(totals.c.code != _ZERO, totals.c.code != totals.c.filled),
        totals.c.entered.is_(None),
        totals.c.left.is_(None),
        _differ(totals.c.entered, totals.c.left, form, totals),
        totals.c.last_entry > totals.c.first_exit,
        totals.c.symbol.is_(None),
    ]
    some = or_(totals.c.filled > 0, totals.c.code != 0)
    return and_(some, or_(*wrong)) if told is None else or_(*wrong)


def _told_otherwise(totals: Subquery, form: LedgerForm, told: Table) -> ColumnElement[bool]:
    """Return the condition that a closed trade's history is missing or may not agree with its orders."""
    wrong: list[ColumnElement[bool]] = [
        told.c.id.is_(None),
        told.c.profile_id.is_distinct_from(totals.c.profile_id),
        told.c.symbol != totals.c.symbol,
        and_(totals.c.code == 0, not_(spelt(told.c.side, _LONG))),
        and_(totals.c.code != 0, not_(spelt(told.c.side, _SHORT))),
    ]
    left_wrongly = _unlike(told.c.exit_qty, totals.c.left, form, totals)
    if not form.exact:
        # What left is told as what entered, as a rule. That agrees: the two sums differ by half of nothing at most.
        left_wrongly = or_(told.c.exit_qty.is_(None), and_(told.c.exit_qty != told.c.entry_qty, left_wrongly))
    wrong += [_unlike(told.c.entry_qty, totals.c.entered, form, totals), left_wrongly]
    return or_(*wrong)


def _unlike(
    said: ColumnElement[Any], is_so: ColumnElement[Any], form: LedgerForm, totals: Subquery
) -> ColumnElement[bool]:
    """Return the condition that a history row may tell another quantity than the orders' sum."""
    wrong = [said.is_(None), _differ(type_coerce(said, Float()) + _ZERO, is_so, form, totals)]
    if form.dialect == "sqlite":
        wrong += [type_coerce(said, Text()).op("GLOB", is_comparison=True)(odd) for odd in (_NO_DIGITS, _TWO_POINTS)]
    return or_(*wrong)


def _differ(
    one: ColumnElement[Any], other: ColumnElement[Any], form: LedgerForm, totals: Subquery
) -> ColumnElement[bool]:
    """Return the condition that two sums may differ by more than nothing."""
    if form.exact:
        return and_(one != other, func.abs(one - other) > literal_column("1e-8"))
    return func.abs(one - other) > NEARLY_NOTHING - MARGIN * (totals.c.entered + totals.c.left)


def times_of_trades(
    connection: Connection, table: OrdersTable, profiles: Sequence[str] | None
) -> tuple[Select[Any], bool]:
    """Return the query for the first and last time of each trade and symbol, and whether the database can tell them.

    A trade with a time that cannot be told has none. Where the database can tell no time of the table, the query is for
    the rows, trade by trade.
    """
    moment, timed = moment_of(connection, table)
    trade, symbol = table["trade_id"].label("trade_id"), table["symbol"].label("symbol")
    living = [table["trade_id"].is_not(None), table["symbol"].is_not(None), not_(among(table["status"], statuses.DEAD))]
    if profiles is not None:
        living.append(table["profile_id"].in_(profiles))
    if moment is _ZERO:
        times = (table[name].label(name) for name in TIME_COLUMNS)
        return select(trade, symbol, *times).where(*living).order_by(trade, symbol), False
    untold = func.sum(case((timed, _ZERO), else_=_ONE)).label("untold")
    query = select(trade, symbol, func.min(moment).label("first"), func.max(moment).label("last"), untold)
    return query.where(*living).group_by(table["trade_id"], table["symbol"]), True


def moment_of(connection: Connection, table: OrdersTable) -> tuple[ColumnElement[Any], ColumnElement[bool]]:
    """Return a row's time as its column has it, and the condition that times of the table can be told apart by it.

    They can where the column is of times, or of numbers that are all of one unit; else every trade needs a look.
    """
    column, kind = table["timestamp"], table.kind("timestamp")
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite and isinstance(kind, DateTime):
        return column, column.is_not(None)
    query = select(column).where(column.is_not(None)).limit(1)
    first = connection.scalar(query)
    numbers = sqlite or isinstance(kind, (Integer, Numeric))
    if isinstance(first, bool) or not isinstance(first, (int, float, Decimal)) or not numbers:
        return _ZERO, _ZERO == _ONE
    at = next((place for place, limit in enumerate(_UNITS) if first < limit), len(_UNITS) - 1)
    low, high = _UNITS[max(at - 1, 0)], _UNITS[at or 1]
    within = and_(column >= _number(low), column < _number(high))
    if sqlite:
        within = and_(within, func.typeof(column) != literal_column("'text'"))
    return column, within


def _number(value: int) -> ColumnElement[Any]:
    return literal_column(str(value))
