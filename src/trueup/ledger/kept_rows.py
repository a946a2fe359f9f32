"""Whether the orders table keeps a healed row as it was to be written."""

from collections.abc import Iterator
from decimal import Decimal

from trueup.core.decimals import cut_quantity, exactly, plain, round_price
from trueup.core.orders import LedgerOrder, StatusClass, word
from trueup.core.reconcile.changes import Change, NewRow, RowChange
from trueup.core.times import iso
from trueup.ledger.attach import OrdersTable

_ONE_WORD = {"cancelled": "canceled"}


def unlike(table: OrdersTable, found: LedgerOrder, change: Change) -> str:
    """Return in words how a row differs from what it should be after a change; empty where it does not."""
    if found.defect is not None:
        return found.detail
    return "; ".join((*_names(table, found, change), *_numbers(table, found, change)))


def _names(table: OrdersTable, found: LedgerOrder, change: Change) -> Iterator[str]:
    if _meant(found.word) != _meant(word(change.status)):
        yield f"its status is {found.word}"
    pairs = _added(found, change) if isinstance(change, NewRow) else _changed(found, change)
    for name, (now, wanted) in pairs.items():
        if name in table and (now or None) != (wanted or None):
            yield f"its {name} is {now or 'empty'}, not {wanted or 'empty'}"
    if isinstance(change, NewRow) and found.order_ms not in (change.time_ms, change.time_ms // 1000 * 1000):
        yield f"its time is {iso(found.order_ms or 0)}, not {iso(change.time_ms)}"


def _meant(name: str) -> str:
    return _ONE_WORD.get(name, name)


def _added(found: LedgerOrder, row: NewRow) -> dict[str, tuple[object, object]]:
    return {
        "profile_id": (found.profile_id, row.profile_id),
        "trade_id": (found.trade_id, row.trade_id),
        "symbol": (found.symbol, row.symbol),
        "side": (found.order_side, row.side),
        "action": (found.order_action, row.action),
        "exchange_order_id": (found.exchange_order_id, row.exchange_order_id),
        "client_order_id": (found.client_order_id, row.client_order_id),
    }


def _changed(found: LedgerOrder, change: RowChange) -> dict[str, tuple[object, object]]:
    before = change.before
    return {
        "profile_id": (found.profile_id, before.profile_id),
        "trade_id": (found.trade_id, before.trade_id),
        "symbol": (found.symbol, before.symbol),
        "side": (found.order_side, before.order_side),
        "action": (found.order_action, before.order_action),
        "exchange_order_id": (found.exchange_order_id, change.exchange_order_id or before.exchange_order_id),
        "client_order_id": (found.client_order_id, before.client_order_id),
    }


@exactly
def _numbers(table: OrdersTable, found: LedgerOrder, change: Change) -> list[str]:
    quantity = "qty" if "qty" in table else "quantity"
    pairs: list[tuple[str, Decimal, Decimal]] = [(quantity, found.qty, cut_quantity(change.executed))]
    if found.status is StatusClass.FILLED and change.price is not None:
        pairs.append(("price", found.price or Decimal(0), round_price(change.price)))
    if change.order_qty is not None:
        pairs.append(("order_qty", found.order_qty or Decimal(0), cut_quantity(change.order_qty)))
    return [
        f"its {name} is {plain(now)}, not {plain(wanted)}"
        for name, now, wanted in pairs
        if name in table and abs(now - wanted) > table.form(name).cut(wanted)
    ]
