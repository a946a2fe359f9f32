"""Positions, trade history and the capital ledger, made anew from the orders inside a repair's transaction.

Only tables with our own columns are written; somebody else's tables of the same name are left alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from hashlib import md5
from types import MappingProxyType

from sqlalchemy import Connection, insert, not_, or_, select, update

from trueup.core.audit import DONE, AuditDecision
from trueup.core.books import ExitFacts, TradeRecord, capital_of, fee_in_quote, positions_of, record_of
from trueup.core.decimals import LIMIT, cut_quantity, read_decimal, round_price
from trueup.core.orders import StatusClass, status_class
from trueup.core.repair.rows import ExitRow
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ledger import schema, statuses
from trueup.ledger.attach import OrdersTable
from trueup.ledger.guards import trade_rows
from trueup.ledger.reading import chunks, open_rows
from trueup.ledger.statuses import among
from trueup.ledger.tables import fits
from trueup.ports import Profile

NO_FACTS: Mapping[str, ExitFacts] = MappingProxyType({})


def rematerialise(
    connection: Connection,
    table: OrdersTable,
    profile: Profile,
    trade_ids: Iterable[str],
    symbols: Symbols,
    *,
    now: str,
    new_facts: Mapping[str, ExitFacts] = NO_FACTS,
) -> None:
    """Make the derived tables of one profile follow its orders, for the trades that changed.

    `new_facts` are known of rows of this transaction that the audit does not have yet.
    """
    rows = trade_rows(connection, table, profile.profile_id, trade_ids)
    changed = [piece for trade_id in sorted(rows) for piece in slices_of(rows[trade_id], symbols)]
    tokens = {symbols.token(row.symbol) for found in rows.values() for row in found if row.symbol}
    wants_open = fits(connection, schema.positions) or fits(connection, schema.capital_ledger)
    still_open = open_rows(connection, table, [profile.profile_id]) if wants_open else []
    slices = slices_of(still_open, symbols)
    if fits(connection, schema.positions):
        _positions(connection, profile, slices, tokens, symbols, now)
    if fits(connection, schema.trade_history):
        facts = {**_exit_facts(connection, profile, sorted(rows), symbols), **new_facts}
        for piece in changed:
            _history(connection, profile, record_of(piece, rows[piece.trade_id], facts))
        for trade_id in sorted(rows.keys() - {piece.trade_id for piece in changed}):
            _no_history(connection, profile, trade_id)
    if fits(connection, schema.capital_ledger):
        _capital(connection, table, profile, slices, now)


def _positions(
    connection: Connection, profile: Profile, slices: list[Slice], tokens: set[str], symbols: Symbols, now: str
) -> None:
    table = schema.positions
    wanted = {(position.token, position.side.value): position for position in positions_of(slices)}
    for row in connection.execute(select(table).where(table.c.profile_id == profile.profile_id)).mappings():
        token = symbols.token(str(row["symbol"]))
        if token not in tokens:
            continue
        side = {"long": "buy", "short": "sell"}.get(str(row["side"]).lower(), str(row["side"]).lower())
        position = wanted.pop((token, side), None)
        connection.execute(
            update(table)
            .where(*(table.c[name] == row[name] for name in ("profile_id", "symbol", "side")))
            .values(
                qty=_cut(position.qty) if position else Decimal(0),
                avg_entry_price=_rounded(position.avg_entry_price if position else None),
                updated_at=now,
            )
        )
    for position in wanted.values():
        if position.token in tokens:
            values = {
                "profile_id": profile.profile_id, "symbol": position.symbol,
                "side": "long" if position.side == "buy" else "short", "qty": _cut(position.qty),
                "avg_entry_price": _rounded(position.avg_entry_price), "updated_at": now,
            }  # fmt: skip
            connection.execute(insert(table).values(values))


def _history(connection: Connection, profile: Profile, record: TradeRecord) -> None:
    """Write a trade's history: its one row is updated, a missing one added; doubled ones are left to a person."""
    table = schema.trade_history
    mine = (table.c.profile_id == profile.profile_id) & (table.c.trade_id == record.trade_id)
    found = list(connection.scalars(select(table.c.id).where(mine).limit(2)))
    if len(found) > 1:
        return
    values = {
        "symbol": record.symbol, "side": "long" if record.side == "buy" else "short",
        "user_id": record.user_id, "entry_qty": _cut(record.entry_qty),
        "exit_qty": _cut(record.exit_qty), "entry_price": _rounded(record.entry_price),
        "exit_price": _rounded(record.exit_price), "fees": _rounded(record.fees),
        "realized_pnl": _rounded(record.realized_pnl), "price_source": record.price_source,
        "opened_at": iso(record.opened_ms), "closed_at": iso(record.closed_ms) if record.closed_ms else None,
    }  # fmt: skip
    if found:
        connection.execute(update(table).where(table.c.id == found[0]).values(values))
        return
    name = md5(f"{profile.profile_id}:{record.trade_id}:{record.symbol}".encode(), usedforsecurity=False).hexdigest()
    key = {"id": f"TH-{name}", "profile_id": profile.profile_id, "trade_id": record.trade_id}
    connection.execute(insert(table).values({**key, **values}))


def _no_history(connection: Connection, profile: Profile, trade_id: str) -> None:
    """Empty the history of a trade of which no row has executed any more, since its rows were taken back."""
    table = schema.trade_history
    mine = (table.c.profile_id == profile.profile_id) & (table.c.trade_id == trade_id)
    unknown = ("entry_price", "exit_price", "fees", "realized_pnl", "opened_at", "closed_at")
    nothing = {"entry_qty": Decimal(0), "exit_qty": Decimal(0), "price_source": "none", **dict.fromkeys(unknown)}
    connection.execute(update(table).where(mine).values(nothing))


def facts_of(rows: Iterable[ExitRow], symbols: Symbols) -> dict[str, ExitFacts]:
    """Return what is known of the price and fee of EXIT rows, by order id."""
    return {
        row.order_id: ExitFacts(row.price_source, fee_in_quote(row.fee, row.fee_asset, row.price, row.symbol, symbols))
        for row in rows
    }


def _exit_facts(
    connection: Connection, profile: Profile, trade_ids: Sequence[str], symbols: Symbols
) -> Mapping[str, ExitFacts]:
    """Return what the audit knows of the price and fee of rows that we wrote, by order id: the newest word counts."""
    table = schema.audit
    facts: dict[str, ExitFacts] = {}
    for part in chunks(trade_ids):
        query = select(table).where(
            table.c.profile_id == profile.profile_id,
            table.c.trade_id.in_(part),
            table.c.decision.in_(sorted(DONE)),
            or_(table.c.decision == AuditDecision.APPLIED.value, table.c.reverted_at.is_(None)),
        )
        for row in connection.execute(query.order_by(table.c.seq)).mappings():
            metadata = json.loads(row["metadata"])
            fee = read_decimal(metadata["fee"]) if metadata.get("fee") is not None else None
            price = read_decimal(row["filled_price"]) if row["filled_price"] is not None else None
            quoted = fee_in_quote(fee, metadata.get("feeAsset"), price, row["symbol"], symbols)
            facts[row["backfill_order_id"]] = ExitFacts(metadata.get("price_source", "none"), quoted)
    return facts


def _capital(connection: Connection, table: OrdersTable, profile: Profile, slices: list[Slice], now: str) -> None:
    capital = capital_of(profile.allocated_capital, slices, _working(connection, table, profile))
    target = schema.capital_ledger
    values = {
        "allocated": _rounded(capital.allocated), "reserved": _rounded(capital.reserved),
        "deployed": _rounded(capital.deployed), "available": _rounded(capital.available), "updated_at": now,
    }  # fmt: skip
    mine = target.c.profile_id == profile.profile_id
    if connection.execute(update(target).where(mine).values(values)).rowcount == 0:
        connection.execute(insert(target).values({"profile_id": profile.profile_id, **values}))


def _working(
    connection: Connection, table: OrdersTable, profile: Profile
) -> list[tuple[Decimal | None, Decimal | None]]:
    """Return quantity and price of the profile's working entry orders; None where they cannot be read."""
    settled = among(table["status"], statuses.FILLED + statuses.DEAD)
    query = select(*table.selected()).where(table["profile_id"] == profile.profile_id, not_(settled))
    return [
        (_number(row["order_qty"], row["qty"], row["quantity"]), _number(row["price"]))
        for row in connection.execute(query).mappings()
        if status_class(row["status"]) is StatusClass.WORKING
        and str(row["action"] or "ENTRY").strip().upper() != "EXIT"
    ]


def _number(*values: object) -> Decimal | None:
    for value in values:
        if value is not None:
            try:
                return read_decimal(value)
            except ValueError:
                return None
    return None


def _rounded(number: Decimal | None) -> Decimal | None:
    """Return an amount as it is written; one that no column holds is unknown and stops no repair."""
    return round_price(number) if number is not None and abs(number) < LIMIT else None


def _cut(quantity: Decimal) -> Decimal | None:
    return cut_quantity(quantity) if abs(quantity) < LIMIT else None
