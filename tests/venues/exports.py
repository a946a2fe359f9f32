"""Exports to write and read back: the rows of the tests, each as its venue would write it."""

import json
import os
from pathlib import Path
from typing import Any

from trueup.core.snapshot import Snapshot
from trueup.core.symbols import Symbols
from trueup.venues.file import FileVenue

AS_OF = "2026-01-02T03:04:05Z"
AS_OF_MS = 1_767_323_045_000
FILLED_AT = "2026-01-02T03:00:00.250Z"
FILLED_AT_MS = 1_767_322_800_250
SWAP = "BTC/USDT:USDT"
DROP = object()
"""A field of this value is left out of a row."""


def row(base: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {name: value for name, value in {**base, **fields}.items() if value is not DROP}


def native_order(**fields: Any) -> dict[str, Any]:
    return row(
        {
            "id": "o-1",
            "symbol": "BTC/USD",
            "side": "sell",
            "status": "filled",
            "filled_qty": "0.4",
            "filled_avg_price": "97100",
            "filled_at": FILLED_AT,
        },
        **fields,
    )


def native_fill(**fields: Any) -> dict[str, Any]:
    return row(
        {
            "id": "f-1",
            "order_id": "o-1",
            "symbol": "BTC/USD",
            "side": "sell",
            "qty": "0.4",
            "price": "97100",
            "filled_at": FILLED_AT,
        },
        **fields,
    )


def alpaca_order(**fields: Any) -> dict[str, Any]:
    return row(
        {
            "id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
            "client_order_id": "bytelyst-bot-TRD-1-exit",
            "created_at": "2026-01-02T02:59:00.1Z",
            "updated_at": "2026-01-02T03:00:00.300Z",
            "submitted_at": "2026-01-02T02:59:00.2Z",
            "filled_at": FILLED_AT,
            "canceled_at": None,
            "replaced_by": None,
            "replaces": None,
            "asset_id": "64bbff51-59d6-4b3c-9351-13ad85e3c752",
            "symbol": "BTC/USD",
            "asset_class": "crypto",
            "notional": None,
            "qty": "0.4",
            "filled_qty": "0.4",
            "filled_avg_price": "97100.5",
            "order_class": "",
            "type": "limit",
            "side": "sell",
            "time_in_force": "gtc",
            "limit_price": "97000",
            "status": "filled",
            "legs": None,
            "subtag": None,
            "commission": "0.42",
        },
        **fields,
    )


def alpaca_position(**fields: Any) -> dict[str, Any]:
    return row(
        {
            "asset_id": "64bbff51-59d6-4b3c-9351-13ad85e3c752",
            "symbol": "BTCUSD",
            "exchange": "CRYPTO",
            "asset_class": "crypto",
            "avg_entry_price": "95000",
            "qty": "0.5",
            "qty_available": "0.5",
            "side": "long",
            "market_value": "48500",
            "cost_basis": "47500",
            "unrealized_pl": "1000",
            "current_price": "97000",
        },
        **fields,
    )


def alpaca_activity(**fields: Any) -> dict[str, Any]:
    return row(
        {
            "id": "20260102030000250::ca2aafd0-1270-4b56-b0a9-85423b4a07c8",
            "activity_type": "FILL",
            "transaction_time": FILLED_AT,
            "type": "fill",
            "price": "97100.5",
            "qty": "0.4",
            "side": "sell",
            "symbol": "BTC/USD",
            "leaves_qty": "0",
            "order_id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
            "cum_qty": "0.4",
            "order_status": "filled",
        },
        **fields,
    )


def ccxt_order(**fields: Any) -> dict[str, Any]:
    return row(
        {
            "info": {"orderId": 7},
            "id": "7",
            "clientOrderId": "bytelyst-bot-TRD-1",
            "timestamp": 1_767_322_700_000,
            "datetime": "2026-01-02T02:58:20.000Z",
            "lastTradeTimestamp": FILLED_AT_MS,
            "symbol": "BTC/USDT",
            "type": "limit",
            "timeInForce": "GTC",
            "postOnly": False,
            "side": "sell",
            "price": 97000.0,
            "amount": 0.4,
            "cost": 38840.2,
            "average": 97100.5,
            "filled": 0.4,
            "remaining": 0.0,
            "status": "closed",
            "fee": {"cost": 38.84, "currency": "USDT"},
            "trades": [],
        },
        **fields,
    )


def ccxt_trade(**fields: Any) -> dict[str, Any]:
    return row(
        {
            "info": {},
            "id": "t-7",
            "order": "7",
            "timestamp": FILLED_AT_MS,
            "datetime": FILLED_AT,
            "symbol": "BTC/USDT",
            "type": None,
            "side": "sell",
            "takerOrMaker": "taker",
            "price": 97100.5,
            "amount": 0.4,
            "cost": 38840.2,
            "fee": {"cost": 38.84, "currency": "USDT"},
        },
        **fields,
    )


def ccxt_position(**fields: Any) -> dict[str, Any]:
    return row(
        {
            "info": {},
            "id": None,
            "symbol": SWAP,
            "timestamp": AS_OF_MS,
            "contracts": 500.0,
            "contractSize": 0.001,
            "side": "long",
            "entryPrice": 95000.0,
            "markPrice": 97000.0,
            "unrealizedPnl": 1000.0,
        },
        **fields,
    )


def write(folder: Path, content: object, name: str = "export.json") -> Path:
    """Write an export: bytes and text as they are, anything else as JSON."""
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    os.utime(path, (AS_OF_MS // 1000, AS_OF_MS // 1000))
    return path


def read(folder: Path, content: object, name: str = "export.json", symbols: Symbols | None = None) -> Snapshot:
    """Write one file and read it as an account's whole export."""
    return FileVenue("main", write(folder, content, name), symbols).read()


def read_folder(folder: Path, **files: object) -> Snapshot:
    """Write a folder of NAME.json files and read it as an account's whole export."""
    for name, content in files.items():
        write(folder, content, f"{name}.json")
    return FileVenue("main", folder).read()


def document(**sections: Any) -> dict[str, Any]:
    return {"as_of": AS_OF, **sections}


def unknown_by_token(snapshot: Snapshot) -> dict[str, str]:
    """The symbols whose position could not be read, by token."""
    return {snapshot.symbols.token(name): why for name, why in reversed(snapshot.unknown_symbols.items())}
