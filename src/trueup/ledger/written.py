"""Our own rows in the ledger: whether they are what was to be written, or what the audit says was applied.

Invariants 3 (Conservation) and 8 (Reversible): a canceled row counts in no sum, so that nothing else notices when
somebody changes it; put in force again, it would book what nothing proves.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from trueup.core.audit import AuditRow
from trueup.core.decimals import exactly, plain, read_decimal
from trueup.core.orders import Action, LedgerOrder, Side, StatusClass, read_order, status_class
from trueup.core.repair.rows import ExitRow
from trueup.core.times import iso, read_time
from trueup.ledger.attach import OrdersTable
from trueup.ledger.reading import chunks


@dataclass(frozen=True, slots=True)
class Written:
    """What a row of ours says: base quantity, quote price, epoch milliseconds; no side where the audit kept none."""

    order_id: str
    profile_id: str
    trade_id: str
    symbol: str
    side: Side | None
    qty: Decimal
    price: Decimal
    time_ms: int
    exchange_order_id: str
    client_order_id: str | None


def of_exit(row: ExitRow) -> Written:
    """Return what a row that is to be written says."""
    return Written(
        row.order_id, row.profile_id, row.trade_id, row.symbol, row.side, row.qty, row.price, row.filled_ms,
        row.exchange_order_id, row.client_order_id,
    )  # fmt: skip


def of_audit(row: AuditRow) -> Written:
    """Return what an APPLIED row of the audit says was written."""
    side = json.loads(str(row["metadata"])).get("side")
    client_order_id = row["exchange_client_order_id"]
    return Written(
        order_id=str(row["backfill_order_id"]),
        profile_id=str(row["profile_id"]),
        trade_id=str(row["trade_id"]),
        symbol=str(row["symbol"]),
        side=Side(side) if side is not None else None,
        qty=read_decimal(str(row["filled_qty"])),
        price=read_decimal(str(row["filled_price"])),
        time_ms=read_time(str(row["filled_at"])),
        exchange_order_id=str(row["exchange_order_id"]),
        client_order_id=str(client_order_id) if client_order_id is not None else None,
    )


def differences(
    connection: Connection, table: OrdersTable, rows: Sequence[Written], status: StatusClass
) -> dict[str, str]:
    """Return in words how rows in the ledger differ from what they should say, by order id; without those alike."""
    raw: dict[str, Mapping[str, object]] = {}
    for part in chunks(row.order_id for row in rows):
        query = table.rows.where(table["order_id"].in_(part))
        raw |= {str(found["order_id"]).strip(): dict(found) for found in connection.execute(query).mappings()}
    said = {row.order_id: "; ".join(_differences(table, row, raw.get(row.order_id), status)) for row in rows}
    return {order_id: text for order_id, text in said.items() if text}


def _differences(
    table: OrdersTable, row: Written, raw: Mapping[str, object] | None, status: StatusClass
) -> Iterator[str]:
    if raw is None:
        yield "it is not in the ledger any more"
        return
    found = read_order({**raw, "status": "filled"})
    if found.defect is not None:
        yield found.detail
        return
    if status_class(raw["status"]) is not status:
        yield f"its status is {raw['status']}"
    yield from _other_names(table, row, found)
    yield from _other_numbers(table, row, found)
    if found.time_ms not in (row.time_ms, row.time_ms // 1000 * 1000):
        yield f"its time is {iso(found.time_ms or 0)}, not {iso(row.time_ms)}"


def _other_names(table: OrdersTable, row: Written, found: LedgerOrder) -> Iterator[str]:
    pairs: dict[str, tuple[object, object]] = {
        "profile_id": (found.profile_id, row.profile_id),
        "trade_id": (found.trade_id, row.trade_id),
        "symbol": (found.symbol, row.symbol),
        "side": (found.side, row.side or found.side),
        "action": (found.action, Action.EXIT),
        "exchange_order_id": (found.exchange_order_id, row.exchange_order_id),
        "client_order_id": (found.client_order_id, row.client_order_id),
    }
    for name, (now, wanted) in pairs.items():
        if name in table and str(now or "").strip() != str(wanted or "").strip():
            yield f"its {name} is {now or 'empty'}, not {wanted or 'empty'}"


@exactly
def _other_numbers(table: OrdersTable, row: Written, found: LedgerOrder) -> list[str]:
    quantity = "qty" if "qty" in table else "quantity"
    pairs = {quantity: (found.qty, row.qty), "price": (found.price or Decimal(0), row.price)}
    return [
        f"its {name} is {plain(now)}, not {plain(wanted)}"
        for name, (now, wanted) in pairs.items()
        if name in table and abs(now - wanted) > table.form(name).cut(wanted)
    ]
