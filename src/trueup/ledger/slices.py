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
from trueup.ledger.statuses import among

_NEARLY_NOTHING = 0.5e-8
_MARGIN = 1e-11
"""The margin relative to what a trade moved: far above the rounding of a sum of a million doubles."""

_PROBE = 1000


def open_trade_rows(connection: Connection, table: OrdersTable, profile_ids: Sequence[str]) -> Select[Any]:
    """Return the query for the filled, working and unreadable rows of the trades that may be open."""
    trades = _maybe_open(connection, table, profile_ids).subquery("maybe_open")
    same_trade = and_(table["trade_id"] == trades.c.trade_id, table["profile_id"] == trades.c.profile_id)
    return select(*table.selected()).join(trades, same_trade).where(not_(among(table["status"], statuses.DEAD)))


def _maybe_open(connection: Connection, table: OrdersTable, profile_ids: Sequence[str]) -> Select[Any]:
    """Return the query for the profile and trade ids of trades that may be open or cannot be added up."""
    form = _form(connection, table)
    profile = (table["profile_id"],) if "profile_id" in table else ()
    dead_or_working = among(table["status"], statuses.DEAD + statuses.WORKING)
    totals = (
        select(
            table["profile_id"].label("profile_id"),
            table["trade_id"].label("trade_id"),
            *(total.label(name) for name, total in _totals(table, form).items()),
        )
        .where(
            not_(dead_or_working),
            table["trade_id"].is_not(None),
            table["trade_id"] != "",
            table["profile_id"].in_(profile_ids),
        )
        .group_by(*profile, table["trade_id"], table["symbol"])
        .subquery("totals")
    )
    return select(totals.c.profile_id, totals.c.trade_id).where(_maybe(totals, by_side=form.by_side)).distinct()


@dataclass(frozen=True, slots=True)
class _Form:
    """How a ledger is kept, by its first rows: whether sides stand in for actions, and which column has quantities.

    It decides which query is fast; each of them is right.
    """

    dialect: str
    by_side: bool
    quantities: tuple[str, ...]


def _form(connection: Connection, table: OrdersTable) -> _Form:
    first = select(*(table[name].label(name) for name in ("action", "qty", "quantity"))).limit(_PROBE).subquery()
    empty = [func.max(case((first.c[name].is_(None), 1), else_=0)) for name in ("action", "qty", "quantity")]
    no_action, no_qty, no_quantity = tuple(connection.execute(select(*empty)).one())
    quantities = ("qty",) if not no_qty else ("quantity",) if not no_quantity else ("qty", "quantity")
    return _Form(connection.dialect.name, bool(no_action), tuple(name for name in quantities if name in table))


def _totals(table: OrdersTable, form: _Form) -> dict[str, ColumnElement[Any]]:
    """Return the sums of one trade in one spelling of its symbol, and whether any row needs a closer look."""
    qty, countable = _quantity(table, form)
    entry, leaving = among(table["action"], statuses.ENTRIES), among(table["action"], statuses.EXITS)
    clear = [countable, among(table["status"], statuses.FILLED), table["symbol"] != ""]
    if not form.by_side:
        clear.append(or_(entry, leaving))
    totals: dict[str, ColumnElement[Any]] = {
        "net": func.sum(case((entry, qty), (leaving, -qty), else_=_ZERO)),
        "moved": func.sum(qty),
        "odd": func.max(case((and_(*clear), 0), else_=1)),
    }
    if form.by_side:
        buy, sell = among(table["side"], statuses.BUYS), among(table["side"], statuses.SELLS)
        totals |= {
            "net_by_side": func.sum(case((buy, qty), (sell, -qty), else_=_ZERO)),
            "named": func.sum(case((or_(entry, leaving), 1), else_=0)),
            "sided": func.sum(case((or_(buy, sell), 1), else_=0)),
            "rows": func.count(),
        }
    return totals


def _maybe(totals: Subquery, *, by_side: bool) -> ColumnElement[bool]:
    """Return the condition on a trade's sums: entries and exits differ, or a row needs a closer look.

    Where no row of a trade has an action, its buys and sells stand in; a mixture needs a closer look.
    """
    limit = _NEARLY_NOTHING - _MARGIN * totals.c.moved
    by_action = func.abs(totals.c.net) > limit
    if not by_side:
        return or_(totals.c.odd == 1, by_action)
    unnamed = and_(totals.c.named == 0, func.abs(totals.c.net_by_side) > limit)
    mixed = or_(and_(totals.c.named > 0, totals.c.named < totals.c.rows), totals.c.sided < totals.c.rows)
    return or_(totals.c.odd == 1, and_(totals.c.named == totals.c.rows, by_action), unnamed, mixed)


_ZERO: ColumnElement[Any] = literal_column("0.0")


def _quantity(table: OrdersTable, form: _Form) -> tuple[ColumnElement[Any], ColumnElement[bool]]:
    """Return a row's quantity as a double, and the condition that SQL reads it as the core does."""
    used = [table[name] for name in form.quantities]
    first = used[0] if len(used) == 1 else func.coalesce(*used)
    plain = _is_plain(first, form.dialect)
    if form.dialect == "sqlite":
        qty: ColumnElement[Any] = type_coerce(first, Float())
    else:
        qty = case((plain, cast(first, Double)), else_=_ZERO)
    countable = and_(plain, qty + _ZERO > literal_column("1e-8"))
    both = [table[name] for name in ("qty", "quantity") if name in table]
    if len(both) == 2:
        countable = and_(countable, or_(both[1].is_(None), both[0].is_(None), both[0] == both[1]))
    return qty, countable


def _is_plain(column: ColumnElement[Any], dialect: str) -> ColumnElement[bool]:
    """Return the condition that a value is digits with at most one point, which SQL can add up."""
    if dialect == "sqlite":
        return and_(
            not_(column.op("GLOB", is_comparison=True)("*[^0-9.]*")),
            not_(column.op("GLOB", is_comparison=True)("*.*.*")),
        )
    return cast(column, Text).op("~", is_comparison=True)(r"^[0-9]+(\.[0-9]*)?$")
