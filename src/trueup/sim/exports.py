"""Exports as people have them: Alpaca's GET answers, and ccxt's unified objects dumped as JSON."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from uuid import UUID

from trueup.core.times import iso
from trueup.sim.executions import Execution, amount

_FEE_RATE = Decimal("0.0016")


def as_text(rows: object) -> str:
    """Return rows as a JSON file; numbers are text already, or whole."""
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def alpaca_order(x: Execution) -> dict[str, object]:
    """Return a row of GET /v2/orders."""
    ordered = x.ordered or x.qty
    done = ordered == x.qty
    placed, ended = iso(x.time_ms - 2_000), iso(x.time_ms)
    crypto = "/" in x.symbol
    return {
        "id": x.order_id, "client_order_id": x.client_order_id or _nobody(x), "created_at": placed,
        "updated_at": ended, "submitted_at": placed, "filled_at": ended if done else None,
        "canceled_at": None if done else ended, "replaced_by": None, "replaces": None, "asset_id": _asset(x.symbol),
        "symbol": x.symbol, "asset_class": "crypto" if crypto else "us_equity", "notional": None,
        "qty": amount(ordered), "filled_qty": amount(x.qty), "filled_avg_price": amount(x.price), "order_class": "",
        "order_type": "limit", "type": "limit", "side": x.side, "time_in_force": "gtc" if crypto else "day",
        "limit_price": amount(x.price), "stop_price": None, "status": "filled" if done else "canceled",
        "extended_hours": False, "legs": None, "subtag": x.sub_tag,
    }  # fmt: skip


def alpaca_working_order(x: Execution) -> dict[str, object]:
    """Return the row of GET /v2/orders for an order of which nothing has executed yet."""
    return alpaca_order(x) | {
        "status": "accepted", "filled_qty": "0", "filled_avg_price": None, "filled_at": None,
    }  # fmt: skip


def alpaca_activities(x: Execution) -> list[dict[str, object]]:
    """Return the rows of GET /v2/account/activities/FILL for one order."""
    rows: list[dict[str, object]] = []
    total = Decimal(0)
    for number, qty in enumerate(x.parts, 1):
        total += qty
        at = x.time_ms - 400 * (len(x.parts) - number)
        stamp = "".join(c for c in iso(at) if c.isdigit())
        rows.append(
            {
                "id": f"{stamp}::{UUID(bytes=x.digest[number : number + 16], version=4)}",
                "activity_type": "FILL",
                "transaction_time": iso(at),
                "type": "fill" if number == len(x.parts) else "partial_fill",
                "price": amount(x.price),
                "qty": amount(qty),
                "side": x.side,
                "symbol": x.symbol,
                "leaves_qty": amount((x.ordered or x.qty) - total),
                "order_id": x.order_id,
                "cum_qty": amount(total),
                "order_status": "filled" if total == (x.ordered or x.qty) else "partially_filled",
            }
        )
    return rows


def alpaca_position(symbol: str, qty: str, price: Decimal) -> dict[str, object]:
    """Return a row of GET /v2/positions; Alpaca spells a coin's position without the slash."""
    crypto = "/" in symbol
    return {
        "asset_id": _asset(symbol), "symbol": symbol.replace("/", ""), "exchange": "CRYPTO" if crypto else "NASDAQ",
        "asset_class": "crypto" if crypto else "us_equity", "avg_entry_price": amount(price), "qty": qty,
        "qty_available": qty, "side": "long", "current_price": amount(price),
    }  # fmt: skip


def ccxt_order(x: Execution) -> dict[str, object]:
    """Return an order as ccxt's fetch_orders gives it, with the trade id that the bot's exporter adds."""
    ordered = x.ordered or x.qty
    row: dict[str, object] = {
        "info": {"ordertxid": x.order_id}, "id": x.order_id, "clientOrderId": x.client_order_id,
        "timestamp": x.time_ms - 2_000, "datetime": iso(x.time_ms - 2_000), "lastTradeTimestamp": x.time_ms,
        "symbol": x.symbol, "type": "limit", "timeInForce": "GTC", "postOnly": False, "side": x.side,
        "price": amount(x.price), "amount": amount(ordered), "cost": amount(x.qty * x.price),
        "average": amount(x.price), "filled": amount(x.qty), "remaining": amount(ordered - x.qty),
        "status": "closed" if ordered == x.qty else "canceled", "fee": _fee(x, x.qty), "trades": [],
    }  # fmt: skip
    return row | ({"trade_id": x.trade_id} if x.names_trade else {})


def ccxt_trades(x: Execution) -> list[dict[str, object]]:
    """Return an order's executions as ccxt's fetch_my_trades gives them."""
    return [
        {
            "info": {}, "id": f"T{x.order_id[1:]}-{number}", "order": x.order_id,
            "timestamp": x.time_ms - 400 * (len(x.parts) - number),
            "datetime": iso(x.time_ms - 400 * (len(x.parts) - number)), "symbol": x.symbol, "type": "limit",
            "side": x.side, "takerOrMaker": "maker", "price": amount(x.price), "amount": amount(qty),
            "cost": amount(qty * x.price), "fee": _fee(x, qty),
        }
        for number, qty in enumerate(x.parts, 1)
    ]  # fmt: skip


def ccxt_balance(held: Mapping[str, str]) -> dict[str, object]:
    """Return what ccxt's fetch_balance gives."""
    entries = {asset: {"free": total, "used": "0", "total": total} for asset, total in held.items()}
    return {
        "info": {"error": [], "assets": list(held)}, **entries,
        "free": dict(held), "used": dict.fromkeys(held, "0"), "total": dict(held),
    }  # fmt: skip


def newest_first(rows: Iterable[Execution]) -> list[Execution]:
    """Return executions in the order in which venues list them."""
    return sorted(rows, key=lambda x: (x.time_ms, x.order_id), reverse=True)


def _fee(x: Execution, qty: Decimal) -> dict[str, object]:
    return {"cost": amount(qty * x.price * _FEE_RATE), "currency": x.symbol.partition("/")[2]}


def _nobody(x: Execution) -> str:
    """Return the client order id that Alpaca makes up where the sender gave none."""
    return str(UUID(bytes=x.digest[16:], version=4))


def _asset(symbol: str) -> str:
    return str(UUID(bytes=(symbol * 16).encode()[:16], version=4))
