"""What people are told of a cycle: once for each kind and scope, louder when it stays, and that it is over."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.docs.runbook import Runner
from tests.docs.test_divergence import lay_down, orders

from trueup.bootstrap import build
from trueup.service.app import App
from trueup.service.cycle import ReconcileRequest
from trueup.service.reconcile import run_reconcile

PHANTOM = "exchange_state_mismatch:profile:trend:phantom_fill"
ORPHAN = "exchange_state_mismatch:account:main:orphan_order"
MISSING = "exchange_state_mismatch:profile:trend:missing_from_exchange"


@pytest.fixture
def app(tmp_path: Path) -> App:
    lay_down(tmp_path)
    app = build(tmp_path / "trueup.toml", {})
    app.setup.initialise(app.configured)
    Runner(tmp_path, f"sqlite:///{tmp_path / 'bot.db'}").write(orders())
    return replace(app, clock=Later(app))


class Later:
    """The clock of a program whose runs are as far apart as the venue's readings are; `late_ms` is how late it is."""

    def __init__(self, app: App) -> None:
        self.late_ms = 0
        self.new_id, self.sleep, self._now_ms = app.clock.new_id, app.clock.sleep, app.clock.now_ms

    def now_ms(self) -> int:
        return self._now_ms() + self.late_ms


def look(app: App, minute: int, pace_ms: int = 60_000, **changes: object) -> None:
    """One run on a reading of the venue that is so many minutes newer."""
    file = app.folder / "venue.json"
    document = json.loads(file.read_text()) | {"as_of": f"2026-01-02T12:{minute:02}:00Z"} | changes
    file.write_text(json.dumps(document))
    assert isinstance(app.clock, Later)
    app.clock.late_ms = minute * pace_ms
    run_reconcile(app, ReconcileRequest())


def told(app: App) -> dict[str, tuple[str, int]]:
    """The newest message about each thing: how loud, and how often it was seen."""
    return {alert.key: (alert.severity.value, alert.count) for alert in reversed(app.outbox.page(100))}


def test_breaks_of_one_kind_and_scope_are_one_message(app: App) -> None:
    orders = json.loads((app.folder / "venue.json").read_text())["closed_orders"]
    strangers = [{**orders[-1], "id": f"S{n}", "client_order_id": f"by-hand-{n}"} for n in range(5)]
    look(app, 0, closed_orders=[*orders, *strangers])
    assert told(app)[ORPHAN] == ("warning", 1)
    [orphan] = [alert for alert in app.outbox.page(100) if alert.key == ORPHAN]
    assert "and 5 more" in orphan.text
    assert told(app)[MISSING] == ("info", 1)


def test_what_outlives_two_runs_is_louder_and_what_is_gone_is_over(app: App) -> None:
    for minute in range(3):
        look(app, minute)
    assert told(app)[PHANTOM] == ("critical", 3)
    assert told(app)[MISSING][0] == "resolved"


def test_runs_that_a_stream_makes_at_once_outlive_nothing(app: App) -> None:
    for minute in range(5):
        look(app, minute, pace_ms=200)
    assert told(app)[PHANTOM] == ("warning", 5)
    look(app, 5)
    assert told(app)[PHANTOM] == ("critical", 6)


def test_a_dry_run_tells_nobody(app: App) -> None:
    run_reconcile(app, ReconcileRequest(dry_run=True))
    assert told(app) == {}


def test_what_a_person_took_over_is_no_alarm(app: App) -> None:
    look(app, 0)
    for record in app.breaks.open("main"):
        if record.kind == "orphan_order":
            app.breaks.acknowledge(record.break_id, "me", "mine", app.clock.now_ms())
    look(app, 1)
    assert told(app)[ORPHAN][0] == "resolved"


def test_a_venue_that_cannot_be_read_is_told_and_so_is_its_return(app: App) -> None:
    good = (app.folder / "venue.json").read_text()
    (app.folder / "venue.json").write_text("<html>")
    run_reconcile(app, ReconcileRequest())
    assert told(app)["venue_unreadable:main"] == ("warning", 1)
    (app.folder / "venue.json").write_text(good)
    run_reconcile(app, ReconcileRequest())
    assert told(app)["venue_unreadable:main"][0] == "resolved"
