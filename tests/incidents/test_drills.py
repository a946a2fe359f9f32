"""Drills, one for each class: injected, detected, contained, classified, repaired, canaried, restored; and exported."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.incidents.drill import Drill

from trueup.core.errors import Refused
from trueup.core.incidents.incident import Step
from trueup.core.modes import Mode
from trueup.service.backfill import BackfillRequest, run_backfill
from trueup.service.cycle import ReconcileRequest
from trueup.service.gate import ask
from trueup.service.leading import propose_canary, show_incident, sign_off, start_repair
from trueup.service.reconcile import run_reconcile


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
    assert ("## Repairs meanwhile" in ticket) is (injected is missing)
    assert injected is not missing or "| p1 | root | 1 APPLIED |" in ticket.replace(drill.app.actor, "root")
    assert "## Modes meanwhile" in ticket
    assert "| NORMAL |" in ticket, "a mode was tightened, and loosened"
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


def test_a_canary_of_a_disabled_profile_is_refused(drill: Drill) -> None:
    repair = delay(drill)
    drill.run()
    repair()
    for _ in range(2):
        drill.run()
    drill.write("UPDATE profiles SET enabled = 0 WHERE profile_id = 'p1'")
    with pytest.raises(Refused, match="p1 is disabled"):
        propose_canary(drill.app, None, ["p1:BTC/USD:150:30"], "the books agree")


@pytest.mark.parametrize(
    ("asked", "beats"),
    [
        ({}, True), ({"profiles": ("p1",)}, True), ({"symbols": ("BTC/USD",)}, False), ({"trade_ids": ("T",)}, False),
        ({"dry_run": True}, False),
    ],
)  # fmt: skip
def test_what_looks_at_a_part_of_an_account_keeps_no_heartbeat_alive(
    drill: Drill, asked: dict[str, Any], beats: bool
) -> None:
    delay(drill)
    drill.run()
    drill.write("UPDATE heartbeats SET beat_at = 1, healthy_at = 1")
    run_reconcile(drill.app, ReconcileRequest(**asked))
    assert (drill.app.heartbeats.beats()["account:main"].healthy_ms > 1) is beats
