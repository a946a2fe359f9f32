"""Metrics: what is counted is counted once and survives restarts, what is measured is what the database says now."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event
from tests.ledger.bot import NOW, Bot, at, pause, row, run, sold
from tests.ops.promtool import needs_promtool, promtool
from tests.surfaces.runs import break_row, busy, summary

from trueup.core.errors import CannotKnow
from trueup.core.modes import Mode
from trueup.core.times import iso
from trueup.ports import RunEnd, RunStart, VenueMeter
from trueup.ports.figures import VenueCount
from trueup.service.app import App
from trueup.service.figures import keep_venue_calls
from trueup.surfaces.metrics import METRICS, render


class Stopped:
    """A clock that stands at a minute after the newest run."""

    def __init__(self, app: App, minute: float = NOW + 1) -> None:
        self._now_ms = at(minute)
        self.new_id = app.clock.new_id

    def now_ms(self) -> int:
        return self._now_ms

    def sleep(self, _: float) -> None:
        raise AssertionError("nothing here waits")


def stopped(app: App) -> App:
    return replace(app, clock=Stopped(app))


def values(app: App) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample by its name and the values of its labels, in the order of the table."""
    body, content_type = render(app)
    assert content_type.startswith("text/plain")
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = tuple(
                sample.labels[label] for label in (*LABELS.get(sample.name, ()), "le") if label in sample.labels
            )
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


LABELS = {metric.name: metric.labels for metric in METRICS}
P1, P2 = ("p1", "main"), ("p2", "main")


def test_everything_in_the_table_is_rendered_once_something_happened(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    run(app, apply=True)
    busy(bot, app)
    found = values(app)
    families = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in found}
    assert families == {metric.name for metric in METRICS}


def test_the_figures_are_those_of_the_runs(bot: Bot) -> None:
    app = bot.init()
    busy(bot, app)
    pause(app, Mode.FLATTEN, "profile:p2")
    found = values(stopped(app))
    assert found["reconciliation_mismatch_total"] == {P1: 2, P2: 1}
    assert found["reconciliation_missing_in_db_total"] == {P1: 1, P2: 0}
    assert found["reconciliation_missing_from_exchange_total"] == {P1: 0, P2: 1}
    assert found["trueup_runs_total"] == {(*P1, "MISMATCH"): 1, (*P2, "OK"): 1}
    assert found["trueup_heals_total"] == {(*P1, "missed_fill"): 1}
    assert found["trueup_parity_closed_total"] == {P1: 0, P2: 1}
    assert found["trueup_seconds_since_last_run"] == {P1: 60, P2: 60}
    assert found["trueup_equity_difference_usd"] == {P1: 100.5, P2: 100.5}
    assert found["trueup_equity_unexplained_usd"] == {P1: 100, P2: 100}
    assert found["trueup_watchdog_triggered"] == {P1: 1, P2: 0}
    assert found["trueup_parity_mismatch_notional_usd"][P1] == 50
    assert found["trueup_feed_coverage"] == {("main", "fills"): 0.5, ("main", "positions"): 1}
    assert found["trueup_venue_reading_age_seconds"] == {("main",): 60}
    assert found["trueup_run_duration_seconds_count"] == {(): 2}
    assert found["trueup_run_duration_seconds_sum"] == {(): 1.4}
    assert found["trueup_run_duration_seconds_bucket"][("0.5",)] == 0
    assert found["trueup_run_duration_seconds_bucket"][("1.0",)] == 2
    assert found["trueup_effective_mode"] == {P1: 0, P2: 3}
    assert found["trueup_mode"] == {("profile:p2",): 3}
    assert found["trueup_cycles_total"] == {("main",): 1}


def test_breaks_are_those_that_are_not_over(bot: Bot) -> None:
    app = bot.init()
    busy(bot, app)
    found = values(stopped(app))
    open_ghosts, held = ("main", "p1", "ghost_position", "open"), ("main", "p1", "orphan_order", "quarantined")
    assert found["trueup_breaks"] == {open_ghosts: 2, held: 1}
    assert found["trueup_break_oldest_age_seconds"][open_ghosts] == (NOW + 1) * 60
    assert found["trueup_breaks_notional_usd"] == {open_ghosts: 25, held: 12.5}


def test_leases_alerts_heartbeats_and_pending_runs_are_measured(bot: Bot) -> None:
    app = bot.init()
    busy(bot, app)
    found = values(stopped(app))
    assert found["trueup_lease_refusals_total"] == {("account:main",): 4}
    assert found["trueup_lease_fenced_out_total"] == {("account:main",): 1}
    assert found["trueup_alerts_pending"] == {("warning",): 2}
    assert found["trueup_alerts_failing"] == {("warning",): 1}
    assert found["trueup_alert_oldest_pending_seconds"] == {("warning",): 60}
    assert found["trueup_heartbeat_age_seconds"] == {("global",): 60}
    assert found["trueup_runs_pending"] == {(): 1}
    assert found["trueup_profiles_without_run"] == {(): 0}


def test_counters_grow_with_every_run_and_survive_a_restart(bot: Bot) -> None:
    app = bot.init()
    for minute in range(3):
        app.figures.count_ends([summary(status="MISMATCH", minute=minute, found=2), summary("p2", minute=minute)])
    again = bot.app()
    again.figures.count_ends([summary(status="INCONCLUSIVE")])
    found = values(again)
    assert found["reconciliation_mismatch_total"][P1] == 6
    assert found["trueup_runs_total"] == {(*P1, "MISMATCH"): 3, (*P1, "INCONCLUSIVE"): 1, (*P2, "OK"): 3}
    assert found["trueup_last_run_status"][(*P1, "INCONCLUSIVE")] == 1
    assert (*P1, "MISMATCH") not in found["trueup_last_run_status"]


def test_a_dry_run_is_counted_by_no_figure_and_leaves_the_age_of_the_newest_run_alone(bot: Bot) -> None:
    app = stopped(bot.init())
    dry = summary(dry_run=True, found=1, heals=[{"rule": "r"}], parity_auto_closed_trades=2)
    app.figures.count_ends([dry])
    found = values(app)
    assert "trueup_runs_total" not in found
    assert "trueup_cycles_total" not in found
    assert found["trueup_profiles_without_run"] == {(): 2}
    app.figures.count_ends([summary(status="MISMATCH", minute=NOW - 9, found=1)])
    app.figures.count_ends([dry])
    found = values(app)
    assert found["trueup_runs_total"] == {(*P1, "MISMATCH"): 1}
    assert found["reconciliation_mismatch_total"] == {P1: 1}
    assert found["trueup_seconds_since_last_run"] == {P1: 600}
    assert found["trueup_parity_closed_total"] == {P1: 0}
    assert "trueup_heals_total" not in found


def test_what_a_person_acknowledged_is_no_mismatch_any_more(bot: Bot) -> None:
    app = bot.init()
    app.figures.count_ends([summary(status="OK", found=3, acknowledged=2)])
    found = values(app)
    assert found["reconciliation_mismatch_total"] == {P1: 1}
    assert found["trueup_last_run_mismatches"] == {P1: 1}


def test_a_run_that_was_broken_off_says_little_and_is_counted(bot: Bot) -> None:
    app = bot.init()
    app.figures.count_ends([{"instance_id": "p1", "status": "INCONCLUSIVE", "error": "the program was killed"}])
    found = values(app)
    assert found["trueup_runs_total"] == {("p1", "", "INCONCLUSIVE"): 1}
    assert "trueup_equity_difference_usd" not in found


def test_runs_that_end_at_once_in_several_threads_are_all_counted(bot: Bot) -> None:
    app = bot.init()
    threads = [threading.Thread(target=app.figures.count_ends, args=([summary(found=1)],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(app)["reconciliation_mismatch_total"] == {P1: 8}


def test_the_audit_is_counted_on_from_where_it_was_counted_to(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"), row("TRD-2", "2", symbol="ETH/USD"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    run(app)
    first = values(app)["trueup_audit_decisions_total"]
    assert first == {("p1", "DRY_RUN"): 1, ("p1", "NO_GO"): 1}
    assert values(app)["trueup_audit_decisions_total"] == first
    run(app, apply=True)
    found = values(bot.app())["trueup_audit_decisions_total"]
    assert found == {**first, ("p1", "PENDING_APPLY"): 1, ("p1", "APPLIED"): 1, ("p1", "NO_GO"): 2}


def test_calls_to_venues_of_all_processes_are_added_up(bot: Bot) -> None:
    app, other = bot.init(), bot.app()
    for one in (app, other):
        one.meter.called("main")
        one.meter.failed("main", "retry")
        keep_venue_calls(one, "main")
        keep_venue_calls(one)
    app.meter.called("main")
    found = values(app)
    assert found["trueup_venue_calls_total"] == {("main",): 3}
    assert found["trueup_venue_errors_total"] == {("main", "retry"): 2}


def test_calls_that_cannot_be_kept_are_kept_later(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    app = bot.init()
    app.meter.called("main")

    def fails(*_: object) -> None:
        raise CannotKnow("locked")

    monkeypatch.setattr(type(app.figures), "count_venue", fails)
    keep_venue_calls(app)
    monkeypatch.undo()
    keep_venue_calls(app)
    assert values(app)["trueup_venue_calls_total"] == {("main",): 1}


def test_the_meter_gives_each_count_away_once() -> None:
    meter = VenueMeter()
    meter.called("a")
    meter.failed("b", "auth")
    assert meter.take("a") == {"a": VenueCount(1)}
    assert meter.take() == {"b": VenueCount(0, {"auth": 1})}
    assert meter.take() == meter.take("a") == {}


def test_without_a_database_the_rest_is_unknown_and_that_is_said(bot: Bot) -> None:
    app = bot.init()
    bot.db.run("DROP TABLE profiles")
    found = values(app)
    assert found["trueup_database_up"] == {(): 0}
    assert set(found) == {"trueup_database_up", "trueup_build_info"}


def test_before_init_nothing_is_measured(bot: Bot) -> None:
    app = bot.app()
    if bot.db.is_sqlite:
        (bot.folder / "ledger.db").touch()
    assert "trueup_runs_total" not in values(app)


def test_a_profile_that_is_off_is_counted_and_not_waited_for(bot: Bot) -> None:
    app = bot.init()
    app.figures.count_ends([summary(found=1)])
    bot.db.run("UPDATE profiles SET enabled = :no", {"no": False})
    found = values(app)
    assert found["reconciliation_mismatch_total"] == {P1: 1}
    assert "trueup_seconds_since_last_run" not in found


def test_no_label_is_an_id_that_grows_without_end() -> None:
    labels = {label for metric in METRICS for label in metric.labels}
    bounded = {"profile_id", "account", "status", "feed", "kind", "state", "rule", "decision", "scope", "severity"}
    assert labels <= bounded | {"version", "python"}


def test_what_it_costs_does_not_grow_with_history(bot: Bot) -> None:
    """The same statements, and an answer of the same size, whatever was counted and resolved before."""
    app = bot.init()
    app.figures.count_ends([summary()])
    statements: list[str] = []
    event.listen(bot.store.state._engine, "after_cursor_execute", lambda *said: statements.append(said[2]))

    def cost() -> tuple[list[str], int]:
        statements.clear()
        size = len(render(app)[0])
        return sorted(statements), size

    before, size = cost()
    for minute in range(60):
        app.figures.count_ends([summary(minute=minute)])
    over = {"state": "resolved", "resolved_at": iso(at(1))}
    bot.db.insert("breaks", [break_row(f"B{number}", **over) for number in range(99)])
    after, size_after = cost()
    assert after == before
    assert abs(size_after - size) < 100


def test_breaks_are_found_by_their_index(bot: Bot) -> None:
    app = bot.init()
    plans: list[str] = []
    engine = bot.store.state._engine

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM breaks" in statement and not statement.startswith("EXPLAIN"):
            words = "EXPLAIN QUERY PLAN" if bot.db.is_sqlite else "EXPLAIN"
            if not bot.db.is_sqlite:
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plans.extend(str(found) for found in connection.exec_driver_sql(f"{words} {statement}", parameters))

    event.listen(engine, "before_cursor_execute", explain)
    render(app)
    event.remove(engine, "before_cursor_execute", explain)
    assert any("idx_breaks_account" in line for line in plans), plans


@needs_promtool
@pytest.mark.parametrize("empty", [True, False])
def test_promtool_accepts_what_is_rendered(bot: Bot, empty: bool) -> None:
    app = bot.init()
    if not empty:
        busy(bot, app)
        pause(app)
    promtool("check", "metrics", given=render(app)[0])


def test_runs_that_end_on_record_are_counted_with_what_is_known_since_their_begin(bot: Bot) -> None:
    app = bot.init()
    app.runs.begin([RunStart(f"RUN-{name}", name, "main", "CYC-1", dry_run=False) for name in ("p1", "p2")])
    broken = {"error": "the venue did not answer"}
    app.runs.end([RunEnd("RUN-p1", "MISMATCH", summary(found=3)), RunEnd("RUN-p2", "INCONCLUSIVE", broken)])
    found = values(app)
    assert found["trueup_runs_total"] == {(*P1, "MISMATCH"): 1, (*P2, "INCONCLUSIVE"): 1}
    assert found["reconciliation_mismatch_total"] == {P1: 3, P2: 0}
    assert found["trueup_cycles_total"] == {("main",): 1}
