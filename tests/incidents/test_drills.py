"""Drills, one for each class: injected, detected, contained, classified, repaired, canaried, restored; and exported."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trueup.bootstrap import build
from trueup.core.errors import Refused
from trueup.core.incidents.incident import Step
from trueup.core.modes import Mode
from trueup.core.times import iso
from trueup.service.app import App
from trueup.service.backfill import BackfillRequest, run_backfill
from trueup.service.cycle import ReconcileRequest
from trueup.service.gate import ask
from trueup.service.leading import (
    as_markdown,
    propose_canary,
    show_incident,
    sign_off,
    start_repair,
)
from trueup.service.reconcile import run_reconcile
from trueup.service.reconcile_report import ReconcileReport
from trueup.service.setup import initialise

START = 1_767_340_800_000
MINUTE = 60_000
SETTINGS = """
[ledger]
url = "sqlite:///ledger.db"
[[accounts]]
name = "main"
venue = "file:venue.json"
[[profiles]]
id = "p1"
account = "main"
allocated_capital = "10000"
[backfill]
enable_recon_exit_backfill = true
[reconcile]
recon_settle_window_seconds = 0
[safety]
trueup_incident_observation_seconds = 0
trueup_incident_confirm_runs = 2
trueup_canary_runs = 1
"""


class Drill:
    """One bot, its ledger and its venue's export; each reading of the venue is a minute later."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "trueup.toml").write_text(SETTINGS)
        self.minute = 120
        self.said: dict[str, Any] = {"positions": [], "open_orders": [], "closed_orders": [], "fills": []}
        self.app: App = build(folder / "trueup.toml", {})
        initialise(self.app)

    def row(self, name: str, side: str, qty: str, *, minute: int, price: str = "100", order: str | None = None) -> None:
        action = "ENTRY" if side == "buy" else "EXIT"
        with sqlite3.connect(self.folder / "ledger.db") as ledger:
            ledger.execute(
                "INSERT INTO orders (order_id, profile_id, symbol, side, qty, quantity, price, status, timestamp,"
                " trade_id, action, client_order_id, exchange_order_id)"
                " VALUES (?, 'p1', 'BTC/USD', ?, ?, ?, ?, 'filled', ?, 'TRD-1', ?, ?, ?)",
                (name, side, qty, qty, price, START + minute * MINUTE, action,
                 f"bytelyst-p1-TRD-1-{action.lower()}" if order else None, order),
            )  # fmt: skip

    def write(self, statement: str) -> None:
        with sqlite3.connect(self.folder / "ledger.db") as ledger:
            assert ledger.execute(statement).rowcount == 1

    def order(self, name: str, side: str, qty: str, *, minute: int, **more: str) -> None:
        action = "entry" if side == "buy" else "exit"
        self.said["closed_orders"].append(
            {
                "id": name, "symbol": "BTC/USD", "side": side, "status": "filled", "filled_qty": qty,
                "filled_avg_price": "100", "filled_at": iso(START + minute * MINUTE),
                **(more or {"client_order_id": f"bytelyst-p1-TRD-1-{action}"}),
            }
        )  # fmt: skip

    def held(self, qty: str | None) -> None:
        leg = {"symbol": "BTC/USD", "qty": qty, "side": "long", "mark_price": "100"}
        self.said["positions"] = [leg] if qty is not None else []

    def run(self) -> ReconcileReport:
        self.minute += 1
        document = {"as_of": iso(START + self.minute * MINUTE), **self.said}
        (self.folder / "venue.json").write_text(json.dumps(document))
        return run_reconcile(self.app, ReconcileRequest())

    def mode(self) -> Mode:
        return max(self.app.modes.current().values(), default=Mode.NORMAL)

    def way_back(self) -> str:
        """Confirm, propose, sign off by another, one stage, restored; return the ticket."""
        ann, ben = (replace(self.app, actor=name) for name in ("ann", "ben"))
        for _ in range(2):
            assert self.run().status == "OK"
        propose_canary(ann, None, ["p1:BTC/USD:500:30"], "the books agree")
        with pytest.raises(Refused, match="cannot sign it off"):
            sign_off(ann, None, "my own")
        incident = sign_off(ben, None, "read it").incident
        assert incident.step is Step.CANARY
        assert self.mode() > Mode.NORMAL, "the posture stays strict while the canary runs"
        with pytest.raises(Refused, match="has not passed"):
            sign_off(ben, None, "at once")
        assert self.run().status == "OK"
        view = sign_off(ben, None, "stage 1 was clean")
        assert view.incident.step is Step.RESTORED
        assert self.mode() is Mode.NORMAL
        return as_markdown(show_incident(self.app, view.incident.incident_id))


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    made = Drill(tmp_path)
    yield made
    made.app.close()


def delay(drill: Drill) -> Callable[[], None]:
    """The venue's positions are late: they catch up, and nobody repairs anything."""
    drill.row("o1", "buy", "1", minute=10, order="x1")
    drill.order("x1", "buy", "1", minute=10)
    return lambda: drill.held("1")


def dup(drill: Drill) -> Callable[[], None]:
    """Two unlike rows of one execution: a person decides which is the true one."""
    drill.row("o1", "buy", "1", minute=10, order="x1")
    drill.row("o2", "buy", "1", minute=11, price="98", order="x1")
    drill.order("x1", "buy", "1", minute=10)
    drill.held("1")
    return lambda: drill.write("UPDATE orders SET status = 'canceled' WHERE order_id = 'o2'")


def missing(drill: Drill) -> Callable[[], None]:
    """The exit was never written: the backfill books it from the venue's proof."""
    drill.row("o1", "buy", "1", minute=10, order="x1")
    drill.order("x1", "buy", "1", minute=10)
    drill.order("x2", "sell", "1", minute=30, trade_id="TRD-1")

    def repair() -> None:
        plan = run_backfill(drill.app, BackfillRequest(apply=False))
        done = run_backfill(drill.app, BackfillRequest(apply=True, plan=str(plan.as_json()["plan_hash"])))
        assert [len(entry.inserted) for entry in done.profiles.values()] == [1]

    return repair


def out_of_order(drill: Drill) -> Callable[[], None]:
    """The exit was written before its entry, at another time than it happened: the bot writes it anew."""
    drill.row("o1", "buy", "1", minute=10, order="x1")
    drill.row("o2", "sell", "0.4", minute=5)
    drill.order("x1", "buy", "1", minute=10)
    drill.held("1")
    return lambda: drill.write("UPDATE orders SET status = 'canceled' WHERE order_id = 'o2'")


@pytest.mark.parametrize("injected", [delay, dup, missing, out_of_order], ids=lambda each: each.__name__)
def test_drill(drill: Drill, injected: Callable[[Drill], Callable[[], None]]) -> None:
    repair = injected(drill)
    assert drill.run().status == "MISMATCH"
    opened = show_incident(drill.app).incident
    assert opened.contained
    assert drill.mode() > Mode.NORMAL
    with pytest.raises(Refused):
        propose_canary(drill.app, None, ["p1:BTC/USD:500:30"], "before anything was repaired")
    if injected is not delay:
        start_repair(drill.app, None, "by its class")
    repair()
    ticket = drill.way_back()
    name = injected.__name__
    told = {"missing": "unclear"}.get(name, name)
    assert f"- class: {told}" in ticket
    for step in Step:
        assert f"| {step.value} |" in ticket or (step is Step.REPAIRING and injected is delay), step
    assert ticket.count("signed off") >= 2
    assert [line for line in ticket.splitlines() if line.startswith("- [ ]")] == []


def test_the_gate_enforces_the_canarys_limit_and_nothing_else_trades(drill: Drill) -> None:
    repair = delay(drill)
    drill.run()
    assert not ask(drill.app, "p1", "BTC/USD", "open", Decimal(1)).allowed
    assert ask(drill.app, "p1", "ETH/USD", "open", Decimal(1)).allowed, "only the symbol is contained"
    repair()
    for _ in range(2):
        drill.run()
    ann, ben = (replace(drill.app, actor=name) for name in ("ann", "ben"))
    propose_canary(ann, None, ["p1:BTC/USD:500:30"], "the books agree")
    assert not ask(drill.app, "p1", "BTC/USD", "open", Decimal(1)).allowed, "a proposal lets nobody trade"
    sign_off(ben, None, "read it")
    assert not ask(drill.app, "p1", "BTC/USD", "open", None).allowed, "a limit needs a notional"
    assert not ask(drill.app, "p1", "BTC/USD", "open", Decimal("400.01"), "o-1").allowed, "100 are held already"
    assert ask(drill.app, "p1", "BTC/USD", "open", Decimal(300), "o-2").allowed
    assert ask(drill.app, "p1", "BTC/USD", "open", Decimal(300), "o-2").allowed, "the same order again"
    assert not ask(drill.app, "p1", "BTC/USD", "open", Decimal(101), "o-3").allowed
    assert ask(drill.app, "p1", "BTC/USD", "open", Decimal(100), "o-4").allowed
    assert ask(drill.app, "p1", "BTC/USD", "reduce", Decimal(9999)).allowed
    drill.held("3")
    drill.run()
    assert not ask(drill.app, "p1", "BTC/USD", "open", Decimal(1), "o-5").allowed, "the mismatch ended it"


@pytest.mark.parametrize("trouble", ["mismatch", "alert", "exposure"])
def test_trouble_in_a_canary_is_the_prior_posture_at_once(drill: Drill, trouble: str) -> None:
    repair = delay(drill)
    drill.run()
    repair()
    for _ in range(2):
        drill.run()
    ann, ben = (replace(drill.app, actor=name) for name in ("ann", "ben"))
    propose_canary(ann, None, ["p1:BTC/USD:150:30"], "the books agree")
    before = drill.mode()
    running = sign_off(ben, None, "read it").incident.running
    assert running is not None
    if trouble == "mismatch":
        drill.held("3")
    elif trouble == "exposure":
        drill.said["positions"] = [{"symbol": "BTC/USD", "qty": "1", "side": "long", "mark_price": "151"}]
    else:
        from trueup.service.alerts import raise_alert

        raise_alert(drill.app, "lease_contention", "k", "account:main", "warning", "somebody holds it")
    drill.run()
    incident = show_incident(drill.app).incident
    assert (incident.step, incident.running, incident.plan) == (Step.CLASSIFIED, None, None)
    assert incident.returns == 1
    assert drill.mode() >= before
    with sqlite3.connect(drill.folder / "ledger.db") as ledger:
        ended = ledger.execute("SELECT ended_at IS NOT NULL FROM canaries").fetchall()
    assert ended == [(1,)]
