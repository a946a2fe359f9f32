"""A bot and its repairs over time: applies, reverts, edits and reapplies in any order, judged by plain SQL.

Invariants 2 (Once), 3 (Conservation), 4 (Never past the truth), 6 (No-op) and 8 (Reversible) on one ledger at once.
"""

from collections import defaultdict
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.ledger.bot import Bot, leave, pause, row, run, sold

from trueup.core.errors import TrueupError
from trueup.ledger import schema
from trueup.service.app import App
from trueup.service.undo import reapply, revert

TRADES = ("TRD-1", "TRD-2")
EMPTIED = [
    table.name for meta in (schema.native, schema.own) for table in meta.sorted_tables if table.name != "profiles"
]
EDITS = {
    "of a quantity": "qty = '5', quantity = '5'",
    "of a trade": "trade_id = 'TRD-2'",
    "of an id": "exchange_order_id = 'X0'",
    "of a side": "side = 'buy'",
}
step = st.one_of(
    st.tuples(st.just("sell"), st.sampled_from(TRADES), st.sampled_from(["0.3", "0.5", "1", "2"])),
    st.tuples(st.just("book"), st.sampled_from(TRADES), st.sampled_from(["0.3", "0.5"])),
    st.tuples(st.sampled_from(["apply", "revert", "reapply"]), st.integers(0, 3), st.just("")),
    st.tuples(st.just("edit"), st.sampled_from([*EDITS]), st.just("")),
    st.tuples(st.just("apply"), st.just(""), st.just("")),
)


class Walk:
    """One ledger, one venue, and the steps of the bot, its editor and trueup."""

    def __init__(self, bot: Bot, app: App) -> None:
        self.bot, self.app = bot, app
        self.sold: dict[str, tuple[str, Decimal]] = {}
        self.held = Decimal(2)
        self.batches: list[str] = []
        self.edited: set[str] = set()
        for name in EMPTIED:
            bot.db.run(f"DELETE FROM {name}")
        bot.db.orders(*(row(trade, "1", minute) for minute, trade in enumerate(TRADES)))
        pause(app)
        self.publish()

    def publish(self) -> None:
        """Write the venue's export: what it sold so far, and what it still holds."""
        orders = [sold(name, str(qty), 10 + int(name[1:]), trade_id=t) for name, (t, qty) in self.sold.items()]
        held = [{"symbol": "BTC/USD", "qty": str(self.held), "side": "long"}] if self.held > 0 else []
        self.bot.sells(*orders, positions=held)

    def rows(self) -> dict[str, dict[str, Any]]:
        return {found["order_id"]: found for found in self.bot.db.table("orders")}

    def sell(self, trade: str, qty: str) -> str:
        """The venue sells for a trade, as far as it holds something."""
        name, amount = f"X{len(self.sold)}", min(Decimal(qty), self.held)
        if amount > 0:
            self.sold[name] = (trade, amount)
            self.held -= amount
            self.publish()
        return name

    def book(self, trade: str, qty: str) -> None:
        """The bot sells and books it itself, if the trade has that much left in its books."""
        left = sum(Decimal(r["qty"]) * (1 if r["action"] == "ENTRY" else -1) for r in self.filled(trade))
        if Decimal(qty) <= min(left, self.held):
            name = self.sell(trade, qty)
            self.bot.db.orders(leave(trade, qty, 10 + int(name[1:]), exchange_order_id=name, order_id=f"own-{name}"))

    def edit(self, what: str) -> None:
        """Somebody changes a row that was taken back."""
        mine = [r["order_id"] for r in self.rows().values() if r["status"] == "canceled"]
        if mine:
            self.edited.add(min(mine))
            self.bot.db.run(f"UPDATE orders SET {EDITS[what]} WHERE order_id = :o", {"o": min(mine)})

    def take(self, what: str, which: Any, qty: str) -> None:
        """Take one step; what trueup does may change our own rows' status alone, and adds rows of ours."""
        if what in ("sell", "book"):
            getattr(self, what)(which, qty)
        elif what == "edit":
            self.edit(which)
        else:
            before = self.rows()
            self.repair(what, which)
            after = self.rows()
            for name, was in before.items():
                may_change = (
                    {"status", "updated_at"} if name.startswith("BFILL-") and name not in self.edited else set()
                )
                assert {column for column in was if was[column] != after[name][column]} <= may_change
            assert all(name.startswith("BFILL-") for name in after.keys() - before.keys())

    def repair(self, what: str, which: Any) -> None:
        if what == "apply":
            self.batches += self.applied()
            settled = self.bot.db.table("orders"), self.bot.db.derived()
            assert self.applied() == []
            assert (self.bot.db.table("orders"), self.bot.db.derived()) == settled
        elif self.batches:
            with suppress(TrueupError):
                undo = revert if what == "revert" else reapply
                undo(self.app, self.batches[which % len(self.batches)], "why")

    def applied(self) -> list[str]:
        [entry] = run(self.app, apply=True).profiles.values()
        assert entry.error is None
        return [entry.batch_id] if entry.inserted and entry.batch_id else []

    def filled(self, trade: str | None = None) -> list[dict[str, Any]]:
        rows = self.bot.db.rows("SELECT * FROM orders WHERE status = 'filled'")
        return [found for found in rows if trade in (None, found["trade_id"])]

    def judge(self) -> None:
        """Add up the ledger's rows, with nothing of trueup's own reading."""
        net: dict[str, Decimal] = defaultdict(Decimal)
        booked: dict[str, Decimal] = defaultdict(Decimal)
        for found in self.filled():
            net[found["trade_id"]] += Decimal(found["qty"]) * (1 if found["action"] == "ENTRY" else -1)
            if found["action"] == "EXIT" and not found["exchange_order_id"].startswith("DUST-"):
                booked[found["exchange_order_id"]] += Decimal(found["qty"])
        assert all(left >= 0 for left in net.values())
        assert all(qty <= self.sold[name][1] for name, qty in booked.items())
        assert sum(net.values()) >= self.held


@pytest.mark.parametrize("flatness", ["flat", "explained"])
def test_whatever_happens_in_whatever_order_the_ledger_stays_within_the_truth(sqlite_bot: Bot, flatness: str) -> None:
    sqlite_bot.environ["RECON_EXIT_BACKFILL_FLATNESS"] = flatness
    app = sqlite_bot.init()

    @settings(
        max_examples=12,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(steps=st.lists(step, min_size=4, max_size=12))
    def check(steps: list[tuple[str, Any, str]]) -> None:
        walk = Walk(sqlite_bot, app)
        for what, which, qty in steps:
            walk.take(what, which, qty)
            walk.judge()

    check()
