"""What a run tells an incident of the audit, of its own health and of rows written anew: all of it is seen."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.incidents.drill import START, Drill
from tests.incidents.test_drills import delay, missing

from trueup.core.incidents.classes import Pattern
from trueup.core.incidents.incident import Step
from trueup.core.modes import Mode
from trueup.core.times import iso
from trueup.service.gate import ask
from trueup.service.leading import propose_canary, show_incident, sign_off, start_repair


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    made = Drill(tmp_path)
    yield made
    made.app.close()


def repaired(drill: Drill) -> None:
    """An incident that was repaired by a booking, so that the audit has rows."""
    repair = missing(drill)
    assert drill.run().status == "MISMATCH"
    start_repair(drill.app, None, "by its class")
    repair()


TAMPERED = ("UPDATE {audit} SET filled_qty = '2' WHERE decision = 'APPLIED'", "DELETE FROM {audit} WHERE seq > 1")


@pytest.mark.parametrize("what", TAMPERED)
def test_an_audit_that_is_broken_since_the_run_before_is_not_trusted(drill: Drill, what: str) -> None:
    repaired(drill)
    if what.startswith("DELETE"):
        drill.run()
    drill.write(what.format(audit="reconciliation_backfill_audit"))
    drill.run()
    incident = show_incident(drill.app).incident
    assert incident.untrusted == "the audit is broken"
    assert incident.step.rank < Step.CONFIRMING.rank
    assert drill.mode() is Mode.HALT
    [alert] = [alert for alert in drill.app.outbox.page(50) if alert.kind == "audit_broken"]
    assert "audit verify" in alert.text
    assert alert.severity.value == "critical"


def test_a_broken_audit_ends_a_canary(drill: Drill) -> None:
    repaired(drill)
    for _ in range(2):
        drill.run()
    propose_canary(replace(drill.app, actor="ann"), None, ["p1:*:500:30"], "the books agree")
    sign_off(replace(drill.app, actor="ben"), None, "read it")
    drill.write("DELETE FROM reconciliation_backfill_audit WHERE seq > 1")
    assert drill.run().status == "OK", "the books agree still"
    assert show_incident(drill.app).incident.running is None
    assert not ask(drill.app, "p1", "BTC/USD", "open", Decimal(1)).allowed
    assert drill.mode() is Mode.HALT


def test_what_is_checked_of_the_audit_is_what_is_new(drill: Drill) -> None:
    repaired(drill)
    drill.run()
    drill.run()
    head = drill.app.runs.last_head("p1")
    assert head == drill.app.journal.head()
    assert drill.app.journal.audit_after(head) == (drill.app.journal.length(), [])
    drill.write("UPDATE reconciliation_backfill_audit SET filled_qty = '2' WHERE seq = 1")
    drill.run()
    assert show_incident(drill.app).incident.untrusted == "", "what an earlier run checked is for `audit verify`"


def test_a_loop_that_was_silent_confirms_nothing_and_ends_a_canary(drill: Drill) -> None:
    def silent(seconds: int) -> None:
        drill.write(f"UPDATE heartbeats SET healthy_at = healthy_at - {seconds * 1000}")

    repair = delay(drill)
    drill.run()
    repair()
    drill.run()
    silent(80)
    drill.run()
    assert show_incident(drill.app).incident.clean_runs == 2
    silent(100)
    drill.run()
    assert show_incident(drill.app).incident.clean_runs == 0
    for _ in range(drill.app.safety.deadman.recovery_beats - 1):
        drill.run()
        assert show_incident(drill.app).incident.clean_runs == 0, "it came back, and is not trusted yet"
    for _ in range(2):
        drill.run()
    assert show_incident(drill.app).incident.clean_runs == 2
    propose_canary(replace(drill.app, actor="ann"), None, ["p1:BTC/USD:500:30"], "the books agree")
    sign_off(replace(drill.app, actor="ben"), None, "read it")
    silent(100)
    drill.run()
    view = show_incident(drill.app)
    assert (view.incident.step, view.incident.running) == (Step.CLASSIFIED, None)
    assert "not healthy" in view.story[-1].reason


@pytest.mark.parametrize(
    ("written", "fills", "pattern"),
    [
        (90, [("0.4", 10), ("0.6", 20)], Pattern.OUT_OF_ORDER),
        (20, [("0.4", 10), ("0.6", 20)], Pattern.MISSING),
        (90, [("0.4", 10)], Pattern.MISSING),
        (90, None, Pattern.MISSING),
        (None, [("0.4", 10), ("0.6", 20)], Pattern.MISSING),
    ],
)  # fmt: skip
def test_an_older_state_that_came_later_is_told_by_fills_and_the_time_of_writing(
    drill: Drill, written: int | None, fills: list[tuple[str, int]] | None, pattern: Pattern
) -> None:
    drill.row("o1", "buy", "0.4", minute=10, order="x1")
    drill.order("x1", "buy", "1", minute=20)
    at = iso(START + written * 60_000) if written is not None else None
    with sqlite3.connect(drill.folder / "ledger.db") as ledger:
        ledger.execute("UPDATE orders SET updated_at = ?, status = 'partially_filled'", (at,))
    if fills is None:
        del drill.said["fills"]
    else:
        drill.said["fills"] = [
            {"id": f"f{number}", "order_id": "x1", "symbol": "BTC/USD", "side": "buy", "qty": qty, "price": "100",
             "filled_at": iso(START + minute * 60_000)}
            for number, (qty, minute) in enumerate(fills)
        ]  # fmt: skip
    drill.held("0.4")
    assert drill.run().status == "MISMATCH"
    verdict = show_incident(drill.app).incident.verdict
    assert verdict is not None
    told = {signal.signal for signal in verdict.signals}
    assert (verdict.primary, verdict.unclear, "older_state_written_later" in told) == (
        pattern, False, pattern is Pattern.OUT_OF_ORDER,
    )  # fmt: skip
