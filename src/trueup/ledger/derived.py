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
from trueup.core.integrity.rules import is_blank
from trueup.core.orders import LedgerOrder, StatusClass, status_class
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
        facts = {**_exit_facts(connection, profile.profile_id, sorted(rows), symbols), **new_facts}
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
    if found:
        connection.execute(update(table).where(table.c.id == found[0]).values(_told(record)))
    else:
        connection.execute(insert(table).values({**_key(profile.profile_id, record), **_told(record)}))


def _told(record: TradeRecord) -> dict[str, object]:
    return {
        "symbol": record.symbol, "side": "long" if record.side == "buy" else "short",
        "user_id": record.user_id, "entry_qty": _cut(record.entry_qty),
        "exit_qty": _cut(record.exit_qty), "entry_price": _rounded(record.entry_price),
        "exit_price": _rounded(record.exit_price), "fees": _rounded(record.fees),
        "realized_pnl": _rounded(record.realized_pnl), "price_source": record.price_source,
        "opened_at": iso(record.opened_ms), "closed_at": iso(record.closed_ms) if record.closed_ms else None,
    }  # fmt: skip


_OURS = "TH-"
"""What the ids of history rows begin with that trueup wrote."""


def _key(profile_id: str, record: TradeRecord) -> dict[str, object]:
    name = md5(f"{profile_id}:{record.trade_id}:{record.symbol}".encode(), usedforsecurity=False).hexdigest()
    return {"id": f"{_OURS}{name}", "profile_id": profile_id, "trade_id": record.trade_id}


def history_values(
    connection: Connection, profile: Profile, told: Mapping[str, tuple[Slice, Sequence[LedgerOrder]]], symbols: Symbols
) -> dict[str, dict[str, object]]:
    """Return the history rows that trades of one profile would have, by trade id, from their orders and our audit."""
    facts = _exit_facts(connection, profile.profile_id, sorted(told), symbols)
    records = {name: record_of(piece, rows, facts) for name, (piece, rows) in sorted(told.items())}
    return {name: {**_key(profile.profile_id, record), **_told(record)} for name, record in records.items()}


def tell_renamed(
    connection: Connection, table: OrdersTable, profile: Profile, trade_ids: Iterable[str], symbols: Symbols
) -> None:
    """Make the history of trades follow whose rows just got their trade id, or lost it again.

    A closed trade's history row that is missing is added, and one that trueup wrote is kept up; what the bot wrote
    stays as it is. An open trade gets none: its history is the bot's to write when it closes, and would be doubled.
    Neither does a trade of a symbol of which there is a history row without an id: that may tell of it already.
    """
    if not fits(connection, schema.trade_history):
        return
    rows = trade_rows(connection, table, profile.profile_id, trade_ids)
    facts = _exit_facts(connection, profile.profile_id, sorted(rows), symbols)
    told = _told_by(connection, profile.profile_id, sorted(rows))
    without_id = {symbols.token(symbol or "") for symbol in told_of_none(connection, [profile.profile_id])}
    added: list[dict[str, object]] = []
    for trade_id, mine in sorted(rows.items()):
        pieces = slices_of(mine, symbols)
        if any(not name.startswith(_OURS) for name in told[trade_id]):
            continue
        if told[trade_id] and not any(piece.entry_qty > 0 or piece.defect for piece in pieces):
            _no_history(connection, profile, trade_id)
        if len(pieces) != 1 or pieces[0].defect is not None or pieces[0].entry_qty <= 0:
            continue
        record = record_of(pieces[0], mine, facts)
        if told[trade_id]:
            _history(connection, profile, record)
        elif not pieces[0].holds_something and not without_id & {pieces[0].token, ""}:
            added.append({**_key(profile.profile_id, record), **_told(record)})
    if added:
        connection.execute(insert(schema.trade_history), added)


def _told_by(connection: Connection, profile_id: str, trade_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the ids of the history rows of trades, by trade id."""
    table, found = schema.trade_history, {trade_id: list[str]() for trade_id in trade_ids}
    for part in chunks(trade_ids):
        query = select(table.c.trade_id, table.c.id)
        for row in connection.execute(query.where(table.c.profile_id == profile_id, table.c.trade_id.in_(part))):
            found[row.trade_id].append(str(row.id))
    return found


def told_of_none(connection: Connection, profiles: Sequence[str] | None) -> list[str | None]:
    """Return the symbols of the history rows of profiles (None: of anybody) that name no trade, as they are spelt."""
    table = schema.trade_history
    nameless = or_(table.c.trade_id.is_(None), not_(table.c.trade_id.like("%-%")))
    query = select(table.c.symbol, table.c.trade_id).where(nameless).distinct()
    if profiles is not None:
        query = query.where(table.c.profile_id.in_(profiles))
    return [symbol for symbol, name in connection.execute(query) if name is None or is_blank(name)]


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
    connection: Connection, profile_id: str, trade_ids: Sequence[str], symbols: Symbols
) -> Mapping[str, ExitFacts]:
    """Return what the audit knows of the price and fee of rows that we wrote, by order id: the newest word counts."""
    table = schema.audit
    facts: dict[str, ExitFacts] = {}
    for part in chunks(trade_ids):
        query = select(table).where(
            table.c.profile_id == profile_id,
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
    query = table.rows.where(table["profile_id"] == profile.profile_id, not_(settled))
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
