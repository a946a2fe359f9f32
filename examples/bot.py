"""A small bot that asks trueup's gate before every order: buys and sells a share or two at a simulated exchange.

    trueup sim serve --venue alpaca                              in one terminal: exchange, ledger and trueup.toml
    cd trueup-sim; export …; trueup worker                       in another, with the variables that `sim serve` prints
    cd trueup-sim; export …; python ../examples/bot.py --url …   in a third

It beats at every step, opens only where the gate allows it, goes on with reducing orders in CLOSE_ONLY, and waits where
nothing is allowed. Each line that it prints is one JSON object. Ctrl-C ends it.
"""

import argparse
import json
import os
import sqlite3
import sys
import time
import urllib.request
from decimal import Decimal
from pathlib import Path

import trueup

PRICES = {"AAPL": Decimal(241), "KO": Decimal(71)}
"""What the bot thinks a share is worth, for the notional of its question."""


def say(what: str, **more: object) -> None:
    """Print what happened, for people and programs."""
    sys.stdout.write(json.dumps({"what": what, **more}) + "\n")
    sys.stdout.flush()


class Bot:
    """Trades by turns; `held` are its open trades, by trade id: symbol and quantity."""

    def __init__(self, gate: trueup.Gate, url: str, ledger: Path, prefix: str) -> None:
        self.gate, self.url, self.ledger, self.prefix = gate, url, ledger, prefix
        self.held: dict[str, tuple[str, Decimal]] = {}
        self.turn = 0
        self.started = int(time.time())

    def step(self) -> None:
        """Beat, then open a trade or close the oldest; where opening is refused, close what can be closed."""
        self.gate.beat()
        self.turn += 1
        if len(self.held) < 3 and self.turn % 3 != 0 and self.open():
            return
        if self.held:
            self.close(next(iter(self.held)))

    def open(self) -> bool:
        """Buy, if the gate allows it."""
        symbol = list(PRICES)[self.turn % len(PRICES)]
        trade, qty = f"TRD-{self.started}-{self.turn}", Decimal(2)
        answer = self.gate.allows(symbol, intent="open", notional=qty * PRICES[symbol], order_ref=trade)
        if not answer:
            say("refused", intent="open", symbol=symbol, mode=answer.mode.name, reason=answer.reason)
            return False
        self.send(trade, symbol, "buy", qty, "ENTRY")
        self.held[trade] = (symbol, qty)
        return True

    def close(self, trade: str) -> None:
        """Sell what a trade bought, if the gate allows it."""
        symbol, qty = self.held[trade]
        answer = self.gate.allows(symbol, intent="reduce")
        if not answer:
            say("refused", intent="reduce", symbol=symbol, mode=answer.mode.name, reason=answer.reason)
            return
        self.send(trade, symbol, "sell", qty, "EXIT")
        del self.held[trade]

    def send(self, trade: str, symbol: str, side: str, qty: Decimal, action: str) -> None:
        """Send a market order to the exchange, and write it into the ledger with the tag that trueup knows it by."""
        tag = f"{self.prefix}-{self.gate.profile}-{trade}-{action.lower()}"
        order = {
            "symbol": symbol, "side": side, "type": "market", "qty": str(qty), "time_in_force": "day",
            "client_order_id": tag,
        }  # fmt: skip
        keys = {"APCA-API-KEY-ID": os.environ["TRUEUP_SIM_KEY"], "APCA-API-SECRET-KEY": os.environ["TRUEUP_SIM_SECRET"]}
        request = urllib.request.Request(f"{self.url}/v2/orders", json.dumps(order).encode(), keys)
        with urllib.request.urlopen(request, timeout=10) as response:
            done = json.load(response)
        now = int(time.time() * 1000)
        row = {
            "order_id": tag, "profile_id": self.gate.profile, "symbol": symbol, "type": "market", "side": side,
            "qty": done["filled_qty"], "quantity": done["filled_qty"], "price": done["filled_avg_price"],
            "status": done["status"], "timestamp": now, "trade_id": trade, "action": action, "source": "BOT",
            "client_order_id": tag, "exchange_order_id": done["id"],
        }  # fmt: skip
        with sqlite3.connect(self.ledger, timeout=10) as ledger:
            marks = ", ".join("?" * len(row))
            ledger.execute(f"INSERT INTO orders ({', '.join(row)}) VALUES ({marks})", list(row.values()))
        ledger.close()
        say("sent", intent="open" if action == "ENTRY" else "reduce", symbol=symbol, trade=trade, qty=str(qty))


def main() -> None:
    """Read the command line, and trade until the time is over."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--url", required=True, help="the exchange's address")
    options.add_argument("--config", type=Path, default=Path("trueup.toml"), help="trueup's settings")
    options.add_argument("--ledger", type=Path, default=Path("ledger.db"), help="the bot's ledger")
    options.add_argument("--profile", default="trend", help="the bot's profile")
    options.add_argument("--prefix", default="demo", help="how its order tags begin")
    options.add_argument("--pause", type=float, default=0.5, help="seconds between two steps")
    options.add_argument("--seconds", type=float, default=3600, help="how long to trade")
    given = options.parse_args()
    over = time.monotonic() + given.seconds
    with trueup.Gate(given.profile, config=given.config) as gate:
        bot = Bot(gate, given.url.rstrip("/"), given.ledger, given.prefix)
        while time.monotonic() < over:
            bot.step()
            time.sleep(given.pause)


if __name__ == "__main__":
    main()
