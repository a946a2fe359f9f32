"""Finding open trades in the database, without reading closed ones.

The query adds up each trade in binary floating point with a margin wider than any rounding of it, so that its answer
is a superset of the open trades; trades with any row that the query cannot add up are in it as well. The core decides
on the exact rows.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
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
    or_,
    select,
    type_coerce,
)  # fmt: skip

from trueup.core.orders import StatusClass
from trueup.ledger.attach import OrdersTable
from trueup.ledger.statuses import Spellings

_NEARLY_NOTHING = 0.5e-8
_MARGIN = 1e-11
"""The margin relative to what a trade moved: far above the rounding of a sum of a million doubles."""


def open_trade_rows(
    table: OrdersTable, spelt: Spellings, dialect: str, profile_ids: Sequence[str] | None
) -> Select[Any]:
    """Return the query for the filled, working and unreadable rows of the trades that may be open."""
    trades = _maybe_open(table, spelt, dialect, profile_ids).subquery("maybe_open")
    return (
        select(*table.selected())
        .join(
            trades,
            and_(table["trade_id"] == trades.c.trade_id, table["profile_id"] == trades.c.profile_id),
        )
        .where(~spelt.has_status(table, StatusClass.DEAD))
    )


def _maybe_open(table: OrdersTable, spelt: Spellings, dialect: str, profile_ids: Sequence[str] | None) -> Select[Any]:
    """Return the query for the profile and trade ids of trades that may be open or cannot be added up."""
    qty, odd = _quantity(table, dialect)
    odd = or_(odd, spelt.has_status(table, StatusClass.UNKNOWN), table["symbol"].is_(None), table["symbol"] == "")
    sums = {
        "entered": _sum(table["action"], spelt.entries, qty),
        "exited": _sum(table["action"], spelt.exits, qty),
        "symbol_first": func.min(table["symbol"]),
        "symbol_last": func.max(table["symbol"]),
        "odd": func.max(case((odd, 1), else_=0)),
    }
    if not spelt.all_actions_known:
        sums |= {
            "bought": _sum(table["side"], spelt.buys, qty),
            "sold": _sum(table["side"], spelt.sells, qty),
            "named": _sum(table["action"], [*spelt.entries, *spelt.exits], literal_column("1")),
            "sided": _sum(table["side"], [*spelt.buys, *spelt.sells], literal_column("1")),
            "rows": func.count(),
        }
    profile = (table["profile_id"],) if "profile_id" in table else ()
    query = (
        select(
            table["profile_id"].label("profile_id"),
            table["trade_id"].label("trade_id"),
            *(total.label(name) for name, total in sums.items()),
        )
        .where(
            spelt.has_status(table, StatusClass.FILLED, StatusClass.UNKNOWN),
            table["trade_id"].is_not(None),
            table["trade_id"] != "",
        )
        .group_by(*profile, table["trade_id"])
    )
    totals = (query if profile_ids is None else query.where(table["profile_id"].in_(profile_ids))).subquery("totals")
    return select(totals.c.profile_id, totals.c.trade_id).where(_maybe(totals, spelt))


def _maybe(totals: Subquery, spelt: Spellings) -> ColumnElement[bool]:
    """Return the condition on a trade's sums: entries and exits differ, or a row needs a closer look.

    Where no row of a trade has an action, its buys and sells stand in; a mixture needs a closer look.
    """
    closer = or_(totals.c.odd == 1, totals.c.symbol_first != totals.c.symbol_last)
    by_action = _differ(totals.c.entered, totals.c.exited)
    if spelt.all_actions_known:
        return or_(closer, by_action)
    mixed = or_(and_(totals.c.named > 0, totals.c.named < totals.c.rows), totals.c.sided < totals.c.rows)
    by_side = and_(totals.c.named == 0, _differ(totals.c.bought, totals.c.sold))
    return or_(closer, and_(totals.c.named == totals.c.rows, by_action), by_side, mixed)


def _differ(added: ColumnElement[Any], taken: ColumnElement[Any]) -> ColumnElement[bool]:
    return func.abs(added - taken) > _NEARLY_NOTHING - _MARGIN * (added + taken)


def _sum(column: ColumnElement[Any], values: Sequence[str], qty: ColumnElement[Any]) -> ColumnElement[Any]:
    zero: ColumnElement[Any] = literal_column("0.0")
    return func.sum(case((_among(column, values), qty), else_=zero))


def _among(column: ColumnElement[Any], values: Sequence[str]) -> ColumnElement[bool]:
    return and_(column.is_not(None), column.in_(values)) if values else literal_column("1") == literal_column("0")


def _quantity(table: OrdersTable, dialect: str) -> tuple[ColumnElement[Any], ColumnElement[bool]]:
    """Return a row's quantity as a double, and whether the row needs a closer look."""
    given = [table[name] for name in ("qty", "quantity") if name in table]
    first = given[0] if len(given) == 1 else func.coalesce(*given)
    odd = or_(first.is_(None), *(and_(column.is_not(None), ~_is_plain(column, dialect)) for column in given))
    if len(given) == 2:
        odd = or_(odd, and_(given[0].is_not(None), given[1].is_not(None), given[0] != given[1]))
    if dialect == "sqlite":
        qty: ColumnElement[Any] = type_coerce(first, Float()) + literal_column("0.0")
    else:
        qty = case((_is_plain(first, dialect), cast(first, Double)), else_=literal_column("0.0"))
    return qty, or_(odd, qty <= literal_column("1e-8"))


def _is_plain(column: ColumnElement[Any], dialect: str) -> ColumnElement[bool]:
    """Return the condition that a value is digits with at most one point, which SQL can add up."""
    if dialect == "sqlite":
        return and_(~column.op("GLOB")("*[^0-9.]*"), ~column.op("GLOB")("*.*.*"), column.op("GLOB")("*[0-9]*"))
    return cast(column, Text).op("~")(r"^[0-9]+(\.[0-9]*)?$")
