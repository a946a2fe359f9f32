"""One bot for drills: its ledger, its venue's export, and the way back to trading."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trueup.bootstrap import build
from trueup.core.errors import Refused
from trueup.core.incidents.incident import Step
from trueup.core.modes import Mode
from trueup.core.times import iso
from trueup.service.app import App
from trueup.service.cycle import ReconcileRequest
from trueup.service.leading import propose_canary, sign_off
from trueup.service.reconcile import run_reconcile
from trueup.service.reconcile_report import ReconcileReport
from trueup.service.setup import initialise
from trueup.service.ticket import as_markdown, ticket_of

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

    def row(
        self, name: str, side: str, qty: str, *, minute: int, price: str = "100", order: str | None = None,
        trade: str = "TRD-1", status: str = "filled",
    ) -> None:  # fmt: skip
        action = "ENTRY" if side == "buy" else "EXIT"
        with sqlite3.connect(self.folder / "ledger.db") as ledger:
            ledger.execute(
                "INSERT INTO orders (order_id, profile_id, symbol, side, qty, quantity, price, status, timestamp,"
                " trade_id, action, client_order_id, exchange_order_id)"
                " VALUES (?, 'p1', 'BTC/USD', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, side, qty, qty, price, status, START + minute * MINUTE, trade, action,
                 f"bytelyst-p1-{trade}-{action.lower()}" if order else None, order),
            )  # fmt: skip

    def write(self, statement: str) -> None:
        with sqlite3.connect(self.folder / "ledger.db") as ledger:
            assert ledger.execute(statement).rowcount >= 1

    def order(self, name: str, side: str, qty: str, *, minute: int, **more: str) -> dict[str, str]:
        action = "entry" if side == "buy" else "exit"
        said = {
            "id": name, "symbol": "BTC/USD", "side": side, "status": "filled", "filled_qty": qty,
            "filled_avg_price": "100", "filled_at": iso(START + minute * MINUTE),
            **(more or {"client_order_id": f"bytelyst-p1-TRD-1-{action}"}),
        }  # fmt: skip
        self.said["open_orders" if said["status"] == "new" else "closed_orders"].append(said)
        return said

    def held(self, qty: str | None) -> None:
        leg = {"symbol": "BTC/USD", "qty": qty, "side": "long", "mark_price": "100"}
        self.said["positions"] = [leg] if qty is not None else []

    def run(self, as_of_ms: int | None = None) -> ReconcileReport:
        self.minute += 1
        document = {"as_of": iso(as_of_ms or START + self.minute * MINUTE), **self.said}
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
        return as_markdown(ticket_of(self.app, view.incident.incident_id))
