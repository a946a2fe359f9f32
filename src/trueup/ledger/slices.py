"""Finding open trades in the database, without reading closed ones.

The query adds up each trade in binary floating point with a margin wider than any rounding of it, so that its answer
is a superset of the open trades; trades with any row that the query cannot add up are in it as well. The core decides
on the exact rows. Symbols that are spelt differently are added up apart, which makes the answer larger, never smaller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Float,
    Select,
    Subquery,
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

from trueup.ledger import statuses
from trueup.ledger.attach import OrdersTable
from trueup.ledger.statuses import among, spelt

NEARLY_NOTHING = 0.5e-8
MARGIN = 1e-11
"""The margin relative to what a trade moved: far above the rounding of a sum of a million doubles."""

_PROBE = 1000


def maybe_open(connection: Connection, table: OrdersTable, profile_ids: Sequence[str]) -> Select[Any]:
    """Return the query for the ids of the trades that may be open or cannot be added up."""
    form = form_of(connection, table)
    several = (table["profile_id"],) if "profile_id" in table and len(profile_ids) > 1 else ()
    dead_or_working = among(table["status"], statuses.DEAD + statuses.WORKING)
    totals = (
        select(
            table["trade_id"].label("trade_id"),
            *(total.label(name) for name, total in _totals(table, form).items()),
        )
        .where(
            or_(spelt(table["status"], [form.usual_status]), not_(dead_or_working)),
            table["trade_id"].is_not(None),
            table["trade_id"] != "",
            table["profile_id"].in_(profile_ids),
        )
        .group_by(*several, table["trade_id"], table["symbol"])
        .subquery("totals")
    )
    return select(totals.c.trade_id).where(_maybe(totals, form)).distinct()


def living_rows(table: OrdersTable, profile_ids: Sequence[str], trade_ids: Sequence[object]) -> Select[Any]:
    """Return the query for the filled, working and unreadable rows of trades."""
    return table.rows.where(
        table["trade_id"].in_(trade_ids),
        table["profile_id"].in_(profile_ids),
        not_(among(table["status"], statuses.DEAD)),
    )


@dataclass(frozen=True, slots=True)
class LedgerForm:
    """How a ledger is kept, by its first rows: it decides which query is fast, and each of them is right.

    `by_side`: sides stand in for actions; `quantities`: which columns have the quantity; `typed`: the database itself
    sees to it that quantities are numbers; `exact`: it adds them up exactly; `usual_status`: how the first rows spell
    filled.
    """

    dialect: str
    by_side: bool
    quantities: tuple[str, ...]
    typed: bool
    exact: bool
    usual_status: str


def form_of(connection: Connection, table: OrdersTable) -> LedgerForm:
    """Return how a ledger is kept, by its first rows."""
    seen = ("action", "qty", "quantity", "status")
    first = select(*(table[name].label(name) for name in seen)).limit(_PROBE).subquery()
    empty = [func.max(case((first.c[name].is_(None), 1), else_=0)) for name in seen[:3]]
    filled = func.max(case((spelt(first.c.status, statuses.FILLED), first.c.status)))
    no_action, no_qty, no_quantity, usual = tuple(connection.execute(select(*empty, filled)).one())
    quantities = ("qty",) if not no_qty else ("quantity",) if not no_quantity else ("qty", "quantity")
    used = tuple(name for name in quantities if name in table)
    postgres = connection.dialect.name == "postgresql"
    return LedgerForm(
        dialect=connection.dialect.name,
        by_side=bool(no_action),
        quantities=used,
        typed=postgres and all(table.holds_numbers(name) for name in used),
        exact=postgres and all(table.holds_decimals(name) for name in used),
        usual_status=str(usual or statuses.FILLED[-1]),
    )


def _totals(table: OrdersTable, form: LedgerForm) -> dict[str, ColumnElement[Any]]:
    """Return the sums of one trade, and whether any of its rows needs a closer look."""
    qty, countable = quantity_of(table, form)
    entry, leaving = spelt(table["action"], statuses.ENTRIES), spelt(table["action"], statuses.EXITS)
    filled = or_(spelt(table["status"], [form.usual_status]), spelt(table["status"], statuses.FILLED))
    clear = [countable, filled, table["symbol"] != ""]
    if not form.by_side:
        clear.append(or_(entry, leaving))
    totals: dict[str, ColumnElement[Any]] = {
        "net": func.sum(case((entry, qty), (leaving, -qty), else_=_ZERO)),
        "odd": func.max(case((and_(*clear), 0), else_=1)),
    }
    if not form.exact:
        totals["moved"] = func.sum(qty)
    if form.by_side:
        buy, sell = spelt(table["side"], statuses.BUYS), spelt(table["side"], statuses.SELLS)
        totals |= {
            "net_by_side": func.sum(case((buy, qty), (sell, -qty), else_=_ZERO)),
            "named": func.sum(case((or_(entry, leaving), 1), else_=0)),
            "sided": func.sum(case((or_(buy, sell), 1), else_=0)),
            "rows": func.count(),
        }
    return totals


def _maybe(totals: Subquery, form: LedgerForm) -> ColumnElement[bool]:
    """Return the condition on a trade's sums: entries and exits differ, or a row needs a closer look.

    Where no row of a trade has an action, its buys and sells stand in; a mixture needs a closer look.
    """
    limit = literal_column("1e-8") if form.exact else NEARLY_NOTHING - MARGIN * totals.c.moved
    by_action = func.abs(totals.c.net) > limit
    if not form.by_side:
        return or_(totals.c.odd == 1, by_action)
    unnamed = and_(totals.c.named == 0, func.abs(totals.c.net_by_side) > limit)
    mixed = or_(and_(totals.c.named > 0, totals.c.named < totals.c.rows), totals.c.sided < totals.c.rows)
    return or_(totals.c.odd == 1, and_(totals.c.named == totals.c.rows, by_action), unnamed, mixed)


_ZERO: ColumnElement[Any] = literal_column("0.0")


def quantity_of(table: OrdersTable, form: LedgerForm) -> tuple[ColumnElement[Any], ColumnElement[bool]]:
    """Return a row's quantity as a number, and the condition that SQL reads it as the core does."""
    used = [table[name] for name in form.quantities]
    first = used[0] if len(used) == 1 else func.coalesce(*used)
    plain = is_plain(first, form)
    if form.dialect == "sqlite" or form.typed:
        qty: ColumnElement[Any] = type_coerce(first, Float())
    else:
        qty = case((plain, cast(first, Double)), else_=_ZERO)
    countable = and_(plain, qty + _ZERO > literal_column("1e-8"))
    both = [table[name] for name in ("qty", "quantity") if name in table]
    if len(both) == 2:
        countable = and_(countable, or_(both[1].is_(None), both[0].is_(None), both[0] == both[1]))
    return qty, countable


def is_plain(column: ColumnElement[Any], form: LedgerForm) -> ColumnElement[bool]:
    """Return the condition that a value is digits with at most one point, or a finite number, which SQL can add up."""
    if form.typed:
        return type_coerce(column, Float()) < literal_column("1e20")
    if form.dialect == "sqlite":
        return and_(
            not_(column.op("GLOB", is_comparison=True)("*[^0-9.]*")),
            not_(column.op("GLOB", is_comparison=True)("*.*.*")),
        )
    return cast(column, Text).op("~", is_comparison=True)(r"^[0-9]+(\.[0-9]*)?$")
