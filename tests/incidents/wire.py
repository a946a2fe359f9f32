"""One bot at a simulated exchange that speaks Alpaca's API: its ledger, its settings, and what goes wrong there."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from trueup.bootstrap import build
from trueup.core.incidents.incident import Incident
from trueup.core.modes import Mode
from trueup.core.orders import Side
from trueup.service.app import App
from trueup.service.cycle import ReconcileRequest
from trueup.service.gate import ask
from trueup.service.leading import propose_canary, show_incident, sign_off
from trueup.service.reconcile import run_reconcile
from trueup.service.setup import initialise
from trueup.service.ticket import as_markdown, ticket_of
from trueup.sim.exchange import Exchange, Fill, Kind, Market, Order, OrderRequest
from trueup.sim.faults import FaultPlan
from trueup.sim.server import running, system_clock
from trueup.sim.wire.alpaca import alpaca_app

ENVIRON = {"SIM_KEY": "alpaca-key", "SIM_SECRET": "alpaca-secret"}
ACCOUNT, STOCK = "main", "AAPL"
THEIRS = ("bytelyst-", "by-hand")
"""How the client order ids of the bot's and of people's orders begin; Alpaca names what trueup closes by itself."""

CONFIG = """
[ledger]
url = "sqlite:///ledger.db"
[[accounts]]
name = "main"
venue = "alpaca"
base_url = "{url}"
key_env = "SIM_KEY"
secret_env = "SIM_SECRET"
calls_per_minute = 60000
timeout_seconds = 10
allow_flatten = {allow}
[[profiles]]
id = "p1"
account = "main"
managed_symbols = ["AAPL"]
allocated_capital = "10000"
[reconcile]
recon_settle_window_seconds = 0
recon_position_parity_confirmations = 1
recon_position_parity_max_notional_pct = 1
[safety]
trueup_incident_observation_seconds = 0
trueup_incident_confirm_runs = 2
trueup_canary_runs = 1
[backfill]
enable_recon_exit_backfill = true
recon_exit_backfill_dry_run = false
"""


@dataclass
class Wired:
    """The bot, and what really happens at its exchange; `wrong` is what an order of trueup's should not have done."""

    folder: Path
    exchange: Exchange
    plan: FaultPlan
    app: App
    wrong: list[str] = field(default_factory=list)
    said: str = ""

    def bought(self, qty: str = "1", *, trade: str = "TRD-1") -> Order:
        """Let the bot buy at the exchange and book it."""
        made = self.order(Side.BUY, qty, client_order_id=f"bytelyst-p1-{trade}-entry")
        self.booked(made, "buy", qty, trade=trade)
        return made

    def rests(self, qty: str) -> Order:
        """Let an order of the bot's wait far below the price."""
        return self.order(
            Side.BUY, qty, type="limit", limit_price=Decimal(1), client_order_id="bytelyst-p1-TRD-2-entry"
        )

    def order(self, side: Side, qty: str, **more: Any) -> Order:
        with self.exchange.lock:
            return self.exchange.submit(ACCOUNT, OrderRequest(symbol=STOCK, side=side, qty=Decimal(qty), **more))

    def booked(self, order: Order, side: str, qty: str, *, trade: str = "TRD-1", price: str = "200") -> str:
        """Write a filled row of an order into the ledger."""
        name = f"row-{time.time_ns()}"
        action = "ENTRY" if side == "buy" else "EXIT"
        with sqlite3.connect(self.folder / "ledger.db") as ledger:
            ledger.execute(
                "INSERT INTO orders (order_id, profile_id, symbol, side, qty, quantity, price, status, timestamp,"
                " trade_id, action, client_order_id, exchange_order_id)"
                " VALUES (?, 'p1', ?, ?, ?, ?, ?, 'filled', ?, ?, ?, ?, ?)",
                (name, STOCK, side, qty, qty, price, order.created_ms, trade, action, order.client_order_id, order.id),
            )  # fmt: skip
        return name

    def canceled(self, name: str) -> None:
        """Let the bot take a row out of its books."""
        with sqlite3.connect(self.folder / "ledger.db") as ledger:
            assert ledger.execute("UPDATE orders SET status = 'canceled' WHERE order_id = ?", (name,)).rowcount == 1

    def run(self) -> str:
        """Reconcile; `said` is what was found, for the message of a test that fails."""
        time.sleep(0.005)
        report = run_reconcile(self.app, ReconcileRequest())
        [run] = report.runs
        self.said = f"{run.unclear} {run.notes} {run.error} {run.skipped_reason} {run.remaining}"
        return report.status

    @property
    def held(self) -> Decimal:
        with self.exchange.lock:
            return self.exchange.accounts[ACCOUNT].position(STOCK).qty

    @property
    def ours(self) -> list[Order]:
        """What trueup sent."""
        return [order for order in self.exchange.orders if not (order.client_order_id or "").startswith(THEIRS)]

    @property
    def incident(self) -> Incident:
        return show_incident(self.app).incident

    def mode(self) -> Mode:
        return max(self.app.modes.current().values(), default=Mode.NORMAL)

    def answers(self) -> tuple[bool, bool]:
        """Say whether the gate lets the bot open, and reduce."""
        return ask(self.app, "p1", STOCK, "open", Decimal(1)).allowed, ask(self.app, "p1", STOCK, "reduce").allowed

    def hear(self, what: str, order: Order, fill: Fill | None) -> None:
        """Hold each fill of trueup's own against the truth: it makes what is held smaller, and never turns it round."""
        if fill is None or (order.client_order_id or "").startswith(THEIRS):
            return
        before = fill.after - (fill.qty if order.side is Side.BUY else -fill.qty)
        if before * fill.after < 0 or abs(fill.after) >= abs(before):
            self.wrong.append(f"from {before} to {fill.after}")

    def way_back(self, limit: str = "500") -> str:
        """Confirm, propose, sign off by another, one stage, restored; return the incident's export."""
        ann, ben = (replace(self.app, actor=name) for name in ("ann", "ben"))
        for _ in range(2):
            assert self.run() == "OK", self.said
        assert self.answers()[0] is False, "confirmed books let nobody trade"
        propose_canary(ann, None, [f"p1:{STOCK}:{limit}:30"], "the books agree")
        sign_off(ben, None, "read it")
        assert ask(self.app, "p1", STOCK, "open", Decimal(1), "canary-1").allowed
        assert not ask(self.app, "p1", STOCK, "open", Decimal(limit), "canary-2").allowed
        assert self.run() == "OK", self.said
        done = sign_off(ben, None, "stage 1 was clean")
        return as_markdown(ticket_of(self.app, done.incident.incident_id))


@contextmanager
def wired(folder: Path, *, allow: bool) -> Iterator[Wired]:
    """Serve the exchange, lay the bot's folder down, and build the App on it."""
    exchange = Exchange(time.time_ns() // 1_000_000, micros=True)
    exchange.open_account(ACCOUNT, key=ENVIRON["SIM_KEY"], secret=ENVIRON["SIM_SECRET"])
    exchange.list_market(Market(symbol=STOCK, base=STOCK, quote="USD", kind=Kind.EQUITY, lot=Decimal("1e-9")), "200")
    exchange.deposit(ACCOUNT, "USD", "1000000")
    plan = FaultPlan()
    with running(plan.wrap(alpaca_app(exchange, before=system_clock(exchange)))) as url:
        (folder / "trueup.toml").write_text(CONFIG.format(url=url, allow=str(allow).lower()))
        app = build(folder / "trueup.toml", ENVIRON)
        initialise(app)
        made = Wired(folder, exchange, plan, app)
        exchange.listeners.append(made.hear)
        yield made
        app.close()
