"""The compensating EXIT row: its id, its numbers, and where each of them is from.

Invariant 1 (Proof): a row is made from evidence, or for dust at a venue proven flat; a price without proof is 0 with
`price_source` none. Invariant 9 (Deterministic): the id depends on the profile, the trade, the exchange order and its
time alone.
"""

from decimal import Decimal
from hashlib import md5
from typing import NamedTuple

from trueup.core.decimals import cut_quantity, plain, round_price
from trueup.core.orders import Side
from trueup.core.repair.attribution import Assigned
from trueup.core.repair.slices import REPAIR_PREFIX, Slice
from trueup.core.times import iso

DUST_PREFIX = "DUST-REMAINDER-"
DUST = "dust"
PARITY_ORDER = "PARITY-"
PARITY = "parity"
WITHOUT_ORDER = frozenset({DUST, PARITY})
"""Ways to match that rest on no order of the venue: the venue's flat position proves the row."""
NAMES_NO_ORDER = (DUST_PREFIX, PARITY_ORDER)
"""What stands, with the trade's id, for the exchange order id of such a row."""
NO_PRICE = "none"


class ExitRow(NamedTuple):
    """One EXIT row as it is written to the ledger: base quantity, quote price, epoch milliseconds.

    `evidence_qty` is all that the cited exchange order executed, `fee` the row's share of that order's fees.
    """

    order_id: str
    profile_id: str
    user_id: str | None
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    price_source: str
    filled_ms: int
    trade_id: str
    exchange_order_id: str
    client_order_id: str | None
    sub_tag: str | None
    matched_by: str
    evidence_qty: Decimal
    fee: Decimal | None = None
    fee_asset: str | None = None


def row_id(profile_id: str, trade_id: str, exchange_order_id: str, filled_ms: int) -> str:
    """Return the deterministic id of a backfilled row."""
    text = f"{profile_id}:{trade_id}:{exchange_order_id}:{iso(filled_ms)}"
    return REPAIR_PREFIX + md5(text.encode(), usedforsecurity=False).hexdigest()


def evidence_row(trade: Slice, item: Assigned, qty: Decimal) -> ExitRow:
    """Return the row that books a quantity of a piece of evidence to a trade."""
    proof = item.evidence
    qty = cut_quantity(qty)
    return ExitRow(
        order_id=row_id(trade.profile_id, trade.trade_id, proof.exchange_order_id, proof.time_ms),
        profile_id=trade.profile_id,
        user_id=trade.user_id,
        symbol=trade.symbol,
        side=trade.exit_side,
        qty=qty,
        price=round_price(proof.price) if proof.price is not None else Decimal(0),
        price_source=proof.price_source if proof.price is not None else NO_PRICE,
        filled_ms=proof.time_ms,
        trade_id=trade.trade_id,
        exchange_order_id=proof.exchange_order_id,
        client_order_id=proof.client_order_id,
        sub_tag=proof.sub_tag,
        matched_by=item.method,
        evidence_qty=proof.filled,
        fee=round_price(proof.fee * qty / proof.filled) if proof.fee is not None else None,
        fee_asset=proof.fee_asset,
    )


def dust_row(trade: Slice, qty: Decimal, last: Assigned | None) -> ExitRow:
    """Return the row that writes off a dust remainder, at the last evidence's time and price where there is one."""
    name = DUST_PREFIX + trade.trade_id
    price = last.evidence.price if last is not None else None
    time_ms = last.evidence.time_ms if last is not None else trade.newest_ms
    qty = cut_quantity(qty)
    return ExitRow(
        order_id=row_id(trade.profile_id, trade.trade_id, name, time_ms),
        profile_id=trade.profile_id,
        user_id=trade.user_id,
        symbol=trade.symbol,
        side=trade.exit_side,
        qty=qty,
        price=round_price(price) if price is not None else Decimal(0),
        price_source="last_evidence" if price is not None else NO_PRICE,
        filled_ms=time_ms,
        trade_id=trade.trade_id,
        exchange_order_id=name,
        client_order_id=None,
        sub_tag=None,
        matched_by=DUST,
        evidence_qty=qty,
    )


def row_as_columns(row: ExitRow) -> dict[str, object]:
    """Return a row by the ledger's column names, as it is proposed: decimals as plain text."""
    return {
        "order_id": row.order_id, "profile_id": row.profile_id, "user_id": row.user_id, "symbol": row.symbol,
        "type": "market", "side": row.side.value, "qty": plain(row.qty), "quantity": plain(row.qty),
        "price": plain(row.price), "status": "filled", "timestamp": row.filled_ms, "filled_at": iso(row.filled_ms),
        "trade_id": row.trade_id, "action": "EXIT", "source": "BOT", "sub_tag": row.sub_tag,
        "client_order_id": row.client_order_id, "exchange_order_id": row.exchange_order_id,
        "order_qty": plain(row.qty),
    }  # fmt: skip
