"""What people are told of a cycle: once for each kind and scope, louder when it stays, and that it is over."""

import json
import shutil
from pathlib import Path

import pytest
from tests.docs.test_divergence import WORLD

from trueup.bootstrap import build
from trueup.service.app import App
from trueup.service.cycle import ReconcileRequest
from trueup.service.reconcile import run_reconcile

PHANTOM = "exchange_state_mismatch:profile:trend:phantom_fill"
ORPHAN = "exchange_state_mismatch:account:main:orphan_order"
MISSING = "exchange_state_mismatch:profile:trend:missing_from_exchange"


@pytest.fixture
def app(tmp_path: Path) -> App:
    folder = tmp_path / "bot"
    shutil.copytree(WORLD, folder)
    app = build(folder / "trueup.toml", {})
    app.setup.initialise(app.configured)
    app.setup.add_orders(json.loads((folder / "orders.json").read_text()))
    return app


def look(app: App, minute: int, **changes: object) -> None:
    """One run on a reading of the venue that is so many minutes newer."""
    file = app.folder / "venue.json"
    document = json.loads(file.read_text()) | {"as_of": f"2026-01-02T12:{minute:02}:00Z"} | changes
    file.write_text(json.dumps(document))
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
