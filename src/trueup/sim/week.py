"""A bot's week on two venues: Monday 2 to Friday 6 March 2026, with everything that can go wrong with an exit.

Three bots: trend and swing share an Alpaca account, grid trades at Kraken and is exported through ccxt. Most trades
were closed properly; of the others each is one case of the decision table. The same data each time: no clock, no
chance.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from trueup.core.repair.rows import row_id
from trueup.core.times import iso, read_time
from trueup.core.world import ExportFile, Story, World
from trueup.sim.executions import PREFIX, Execution, ledger_rows, tagged
from trueup.sim.exports import (
    alpaca_activities,
    alpaca_order,
    alpaca_position,
    alpaca_working_order,
    as_text,
    ccxt_balance,
    ccxt_order,
    ccxt_trades,
    newest_first,
)

NOW = "2026-03-06T21:30:00.000Z"
SINCE = "2026-03-02T00:00:00Z"
ACCOUNTS = {"trend": "alpaca", "swing": "alpaca", "grid": "kraken"}
LEDGER_SPELLING = {"BTC/USD@kraken": "XBT/USD"}
"""The grid bot writes Kraken's old name of bitcoin; the export has ccxt's."""

ABOUT = """\
Monday 2 to Friday 6 March 2026, all made up. Two bots, trend and swing,
share an Alpaca account; a third, grid, trades at Kraken and is exported
through ccxt. Most trades ended well. Some exits never reached the ledger."""

CONFIG = f"""\
# Made by `trueup demo`; a real one differs in names and paths only.
[ledger]
url = "sqlite:///ledger.db"

[[accounts]]
name = "alpaca"
venue = "file:alpaca"    # a folder with the venue's orders, positions and fills

[[accounts]]
name = "kraken"
venue = "file:kraken"

[[profiles]]
id = "trend"
account = "alpaca"
user_id = "demo"
allocated_capital = 40000

[[profiles]]
id = "swing"
account = "alpaca"
user_id = "demo"
allocated_capital = 40000

[[profiles]]
id = "grid"
account = "kraken"
user_id = "demo"
allocated_capital = 20000

[backfill]
enable_recon_exit_backfill = true
recon_exit_backfill_flatness = "explained"    # a proven exit is booked although another trade holds the symbol
recon_exit_backfill_lookback_hours = 168      # the whole week
trueup_order_tag_prefix = "{PREFIX}"
"""

PRICES = {
    "AAPL": "241.10", "ADA/USD": "0.7421", "AMD": "118.40", "AMZN": "219.85", "BTC/USD": "97150", "COIN": "262.30",
    "DOT/USD": "4.612", "ETH/USD": "3120.5", "GOOGL": "186.20", "JPM": "266.75", "KO": "71.32", "LTC/USD": "124.8",
    "META": "688.40", "MSFT": "428.15", "NVDA": "139.20", "QQQ": "521.60", "SOL/USD": "171.35", "SPY": "604.25",
    "TSLA": "298.10", "XOM": "109.85",
}  # fmt: skip

ORDINARY = (
    ("trend", "NVDA", 2, "12"), ("swing", "MSFT", 1, "8"), ("trend", "AAPL", 4, "10"), ("swing", "TSLA", 1, "6"),
    ("swing", "SPY", 3, "4"), ("trend", "AMZN", 1, "8"), ("trend", "META", 1, "5"), ("swing", "KO", 4, "60"),
    ("trend", "JPM", 4, "9"), ("swing", "XOM", 3, "25"), ("grid", "SOL/USD", 1, "30"), ("grid", "BTC/USD", 4, "0.12"),
    ("grid", "ADA/USD", 2, "2400"), ("grid", "DOT/USD", 3, "150"),
)  # fmt: skip
"""Profile, symbol, how many trades that ended well, and the quantity of the first one."""


def price_of(symbol: str, step: int = 0) -> Decimal:
    """Return a symbol's price, some thousandths away from the week's average."""
    base = Decimal(PRICES[symbol])
    return (base * (1000 + step) / 1000).quantize(Decimal(1).scaleb(base.as_tuple().exponent))  # type: ignore[arg-type]  # a finite decimal's exponent is whole


def enter(trade: str, qty: str, at: str, symbol: str = "", side: str = "buy", **more: Any) -> Execution:
    """Return a trade's entry, tagged and booked; `trade` is PROFILE/TRADE_ID."""
    return _order(trade, qty, at, symbol, side, "ENTRY", booked=True, **more)


def leave(trade: str, qty: str, at: str, symbol: str = "", side: str = "sell", **more: Any) -> Execution:
    """Return a trade's exit, tagged but not booked: the ledger never heard of it."""
    return _order(trade, qty, at, symbol, side, "EXIT", **({"booked": False} | more))


def _order(trade: str, qty: str, at: str, symbol: str, side: str, action: str, **more: Any) -> Execution:
    profile, _, trade_id = trade.partition("/")
    symbol = symbol or trade_id.split("-")[1]
    given: dict[str, Any] = {
        "client_order_id": tagged(profile, trade_id, action),
        "price": price_of(symbol, 6 if action == "EXIT" else 0),
    } | more
    return Execution(
        account=ACCOUNTS[profile], symbol=symbol, side=side, qty=Decimal(qty), at=at, profile_id=profile,
        trade_id=trade_id, action=action, **given,
    )  # fmt: skip


def by_hand(account: str, symbol: str, side: str, qty: str, at: str) -> Execution:
    """Return an order that a person gave in the venue's own app: untagged, and in no ledger."""
    return Execution(
        account=account, symbol=symbol, side=side, qty=Decimal(qty), price=price_of(symbol, 3), at=at, booked=False
    )


def ordinary_trades() -> list[Execution]:
    """Return the trades that ended well: both orders executed, both in the ledger."""
    done: list[Execution] = []
    for row, (profile, symbol, count, qty) in enumerate(ORDINARY):
        name = {"BTC/USD": "XBT"}.get(symbol, symbol.partition("/")[0])
        for slot in range(count):
            trade = f"{profile}/TRD-{name}-{slot + 1}"
            day, hour = 2 + slot // 2, 14 + 3 * (slot % 2)
            size = str(Decimal(qty) * (slot + 2) / 2)
            prices = price_of(symbol, (row * 5 + slot * 3) % 9 - 4), price_of(symbol, (row * 7 + slot * 5) % 11 - 3)
            done.append(enter(trade, size, f"03-0{day}T{hour}:{31 + row}:07", symbol, price=prices[0]))
            at = f"03-0{day}T{hour + 2}:{12 + row}:44"
            done.append(leave(trade, size, at, symbol, price=prices[1], booked=True))
    return done


def trend_week() -> list[Execution]:
    """Return what became of the trend bot's trades that are open in the ledger, except AAPL-5's working exit."""
    parts = (Decimal(5), Decimal(7))
    conflict: dict[str, Any] = {"sub_tag": f"{PREFIX}:trend:TRD-QQQ-2"}
    return [
        enter("trend/TRD-NVDA-3", "12", "03-04T15:02:11"),
        leave("trend/TRD-NVDA-3", "12", "03-05T16:40:52", fills=parts),
        enter("trend/TRD-META-2", "5", "03-04T15:20:31", side="sell"),
        leave("trend/TRD-META-2", "5", "03-05T17:05:09", side="buy", price=price_of("META", -8)),
        enter("trend/TRD-LTC-1", "4", "03-03T09:12:40", "LTC/USD"),
        leave("trend/TRD-LTC-1", "3.994", "03-04T10:31:02", "LTC/USD"),
        enter("trend/TRD-ETH-2", "1", "03-03T11:45:19", "ETH/USD"),
        enter("trend/TRD-ETH-3", "2", "03-04T12:08:33", "ETH/USD", price=price_of("ETH/USD", 4)),
        leave("trend/TRD-ETH-2", "0.9985", "03-05T13:27:48", "ETH/USD"),
        enter("trend/TRD-AAPL-5", "10", "03-05T15:10:22"),
        enter("trend/TRD-AMD-1", "15", "02-27T15:33:05"),
        enter("trend/TRD-QQQ-1", "6", "03-03T15:41:12"),
        enter("trend/TRD-QQQ-2", "6", "03-04T15:43:50"),
        leave("trend/TRD-QQQ-1", "6", "03-05T18:20:37", **conflict),
        enter("trend/TRD-AMZN-2", "8", "03-04T16:02:45"),
        leave("trend/TRD-AMZN-2", "8", "03-05T16:51:30"),
    ]


def swing_week() -> list[Execution]:
    """Return what became of the swing bot's trades that are open in the ledger, and what people did by hand."""
    by_sub_tag: dict[str, Any] = {"client_order_id": None, "sub_tag": f"{PREFIX}:swing:TRD-MSFT-2"}
    return [
        enter("swing/TRD-MSFT-2", "8", "03-03T15:11:08"),
        leave("swing/TRD-MSFT-2", "5", "03-05T15:36:14", ordered=Decimal(8), **by_sub_tag),
        leave("swing/TRD-MSFT-2", "3", "03-05T15:58:41", **by_sub_tag),
        enter("swing/TRD-COIN-1", "20", "03-04T15:15:27"),
        leave("swing/TRD-COIN-1", "12", "03-05T19:02:16"),
        by_hand("alpaca", "COIN", "sell", "8", "03-06T15:07:53"),
        enter("swing/TRD-BTC-1", "0.4", "03-03T20:14:05", "BTC/USD"),
        leave("swing/TRD-BTC-1", "0.3994", "03-04T21:40:18", "BTC/USD"),
        by_hand("alpaca", "BTC/USD", "buy", "0.3", "03-05T22:03:31"),
        enter("swing/TRD-TSLA-2", "6", "03-05T15:25:59"),
        enter("swing/TRD-SPY-4", "15", "03-04T15:30:44"),
        leave("swing/TRD-SPY-4", "15", "03-05T20:11:37", booked=True),
        by_hand("alpaca", "GOOGL", "buy", "3", "03-06T16:22:10"),
    ]


def grid_week() -> list[Execution]:
    """Return what became of the grid bot's trades that are open in the ledger."""
    sol: dict[str, Any] = {"client_order_id": None, "names_trade": True}
    parts = (Decimal("0.09"), Decimal("0.06"))
    return [
        enter("grid/TRD-SOL-2", "30", "03-04T08:14:25", "SOL/USD"),
        leave("grid/TRD-SOL-2", "30", "03-05T04:52:13", "SOL/USD", **sol),
        enter("grid/TRD-XBT-5", "0.25", "03-04T19:33:40", "BTC/USD"),
        leave("grid/TRD-XBT-5", "0.15", "03-05T06:18:55", "BTC/USD", ordered=Decimal("0.25"), fills=parts),
        leave("grid/TRD-XBT-5", "0.1", "03-05T07:44:29", "BTC/USD"),
        enter("grid/TRD-XBT-6", "0.4", "03-05T10:20:16", "BTC/USD"),
        leave("grid/TRD-XBT-6", "0.3994", "03-05T23:37:41", "BTC/USD", booked=True),
        enter("grid/TRD-DOT-4", "120", "03-06T05:05:38", "DOT/USD"),
    ]


def _book(*how: str) -> tuple[tuple[str, str], ...]:
    return tuple(("BOOK", method) for method in how)


STORIES = (
    Story("trend", "TRD-NVDA-3", "the bot was down when its exit filled", _book("client_order_id")),
    Story("trend", "TRD-META-2", "a short; the buy that closed it was missed", _book("client_order_id")),
    Story("trend", "TRD-LTC-1", "the exit was missed; fees took 0.006 LTC", _book("client_order_id", "dust")),
    Story(
        "trend", "TRD-ETH-2", "the exit was missed; TRD-ETH-3 still holds ETH",
        (*_book("client_order_id"), ("SKIP_ACTIVE_POSITION", "dust_remainder_blocked_exchange_not_flat")),
    ),
    Story(
        "trend", "TRD-ETH-3", "a real position: the venue holds it",
        (("SKIP_ACTIVE_POSITION", "exchange_not_flat:1.997"),),
    ),
    Story(
        "trend", "TRD-AAPL-5", "its exit order still works at the venue",
        (("SKIP_PENDING_ORDER", "pending_order_blocker"),),
    ),
    Story(
        "trend", "TRD-AMD-1", "from last week; the export begins on Monday",
        (("NO_GO", "venue_evidence_incomplete"),),
    ),
    Story("trend", "TRD-QQQ-1", "one sale whose two tags name both trades", (("NO_GO", "attribution_conflict"),)),
    Story("trend", "TRD-QQQ-2", "the other trade that this sale names", (("NO_GO", "attribution_conflict"),)),
    Story(
        "trend", "TRD-AMZN-2", "an old script booked it, a person canceled that",
        (("BOOK", "already_exists"),),
    ),
    Story("swing", "TRD-MSFT-2", "two exits; the first was canceled half done", _book("sub_tag", "sub_tag")),
    Story(
        "swing", "TRD-COIN-1", "12 sold by the bot, 8 by hand in the app",
        (*_book("client_order_id"), ("NO_GO", "missing_fill_evidence_for_large_remainder")),
    ),
    Story(
        "swing", "TRD-BTC-1", "closed, but somebody then bought 0.3 by hand",
        (("SKIP_ACTIVE_POSITION", "would_overshoot_venue:0.10045"),),
    ),
    Story("swing", "TRD-TSLA-2", "the venue's position row is unreadable", (("NO_GO", "venue_position_unknown"),)),
    Story("swing", "TRD-SPY-4", "the ledger says 15 in one column, 1.5 in the other",
          (("NO_GO", "quantity_columns_disagree"),)),
    Story("grid", "TRD-SOL-2", "the exit was missed; the export names the trade", _book("trade_id")),
    Story("grid", "TRD-XBT-5", "two exits, both missed", _book("client_order_id", "client_order_id")),
    Story("grid", "TRD-XBT-6", "closed; a fee left 0.0006 BTC in the ledger", _book("dust")),
    Story(
        "grid", "TRD-DOT-4", "a real position: the venue holds it", (("SKIP_ACTIVE_POSITION", "exchange_not_flat:120"),)
    ),
)  # fmt: skip
"""Every trade that is open in the ledger on Friday night."""


def working_exit() -> Execution:
    """Return the exit of AAPL-5, which waits at the venue for its price."""
    return leave("trend/TRD-AAPL-5", "10", "03-06T20:41:15", price=price_of("AAPL", 20))


def orders(executions: Sequence[Execution]) -> list[dict[str, object]]:
    """Return the ledger: what the bots booked, and three rows that are as they should not be or not yet."""
    rows: list[dict[str, object]] = []
    for account in ("alpaca", "kraken"):
        spelt = {key.partition("@")[0]: name for key, name in LEDGER_SPELLING.items() if key.endswith(account)}
        rows += ledger_rows([x for x in executions if x.account == account], spelt, f"bot-{account[0]}")
    for row in rows:
        if row["trade_id"] == "TRD-SPY-4" and row["action"] == "ENTRY":
            row["quantity"] = Decimal("1.5")
    waiting = ledger_rows([_booked(working_exit())], {}, "bot-w")[0]
    rows.append(waiting | {"status": "accepted", "qty": Decimal(0), "quantity": Decimal(0), "filled_at": None})
    return [*rows, _canceled_backfill(executions)]


def _booked(x: Execution) -> Execution:
    return leave(f"{x.profile_id}/{x.trade_id}", str(x.qty), x.at, x.symbol, price=x.price, booked=True)


def _canceled_backfill(executions: Sequence[Execution]) -> dict[str, object]:
    """Return the row that an earlier tool wrote for AMZN-2, with the id that trueup gives, and a person canceled."""
    proof = next(x for x in executions if x.trade_id == "TRD-AMZN-2" and x.action == "EXIT")
    name = row_id("trend", "TRD-AMZN-2", proof.order_id, proof.time_ms)
    row = ledger_rows([_booked(proof)], {}, "old")[0]
    return row | {"order_id": name, "status": "canceled", "type": "market", "updated_at": "2026-03-06T08:02:00.000Z"}


def alpaca_files(executions: Sequence[Execution]) -> dict[str, object]:
    """Return the Alpaca account's export: three raw answers, and what is known of their reach."""
    listed = newest_first(x for x in executions if x.account == "alpaca" and x.time_ms >= read_time(SINCE))
    held = [
        alpaca_position(symbol, qty, price_of(symbol))
        for symbol, qty in (
            ("AAPL", "10"), ("BTC/USD", "0.29955"), ("ETH/USD", "1.997"), ("GOOGL", "3"), ("QQQ", "6"), ("TSLA", "n/a")
        )
    ]  # fmt: skip
    return {
        "alpaca/about.json": {"as_of": NOW, "coverage": {"closed_orders": {"state": "complete", "since": SINCE}}},
        "alpaca/activities.json": [row for x in listed for row in reversed(alpaca_activities(x))],
        "alpaca/orders.json": [alpaca_working_order(working_exit()), *map(alpaca_order, listed)],
        "alpaca/positions.json": held,
    }


def kraken_files(executions: Sequence[Execution]) -> dict[str, object]:
    """Return the Kraken account's export by ccxt; a spot venue has balances and no positions."""
    listed = newest_first(x for x in executions if x.account == "kraken")
    return {
        "kraken/balance.json": ccxt_balance({"ADA": "0", "BTC": "0", "DOT": "120", "SOL": "0", "USD": "18204.11"}),
        "kraken/my_trades.json": [row for x in listed for row in ccxt_trades(x)],
        "kraken/orders.json": [ccxt_order(x) for x in listed],
    }


def world() -> World:
    """Return the week: configuration, ledger, exports, and what must be decided about each open trade."""
    executions = [*ordinary_trades(), *trend_week(), *swing_week(), *grid_week()]
    files = alpaca_files(executions) | kraken_files(executions)
    now_ms = read_time(NOW)
    assert iso(now_ms) == NOW
    return World(
        about=ABOUT,
        config=CONFIG,
        orders=tuple(orders(executions)),
        files=tuple(ExportFile(name, as_text(content), now_ms) for name, content in sorted(files.items())),
        stories=STORIES,
        revert_profile="swing",
    )
