"""The backfill as a whole: dry run, apply, the second apply, the reviewed plan, and what changes in between."""

from typing import Any

import pytest
from tests.ledger.bot import Bot, decisions, leave, only, pause, row, run, set_flags, sold
from tests.service.test_gates import before

from trueup.core.audit import verify
from trueup.core.errors import ConfigurationError
from trueup.ledger import schema

ROWS = (row("TRD-1"), row("TRD-2", "2.0005", 1), leave("TRD-2", "1", 2), row("TRD-3", "5", 3))
SOLD = (sold("X1", trade_id="TRD-1"), sold("X3", "1", 12, trade_id="TRD-2"))


def books(bot: Bot) -> dict[str, Any]:
    return {"orders": bot.db.table("orders"), **bot.db.derived()}


def test_a_dry_run_writes_audit_rows_only(bot: Bot) -> None:
    app = bot.ready(*ROWS)
    bot.sells(*SOLD)
    kept = books(bot)
    report = run(app)
    entry = only(report)
    assert decisions(entry) == [
        ("TRD-1", "DRY_RUN", "eligible"),
        ("TRD-2", "DRY_RUN", "eligible"),
        ("TRD-2", "DRY_RUN", "eligible"),
        ("TRD-3", "NO_GO", "missing_fill_evidence_for_large_remainder"),
    ]
    assert books(bot) == kept
    assert [found["dry_run"] for found in entry.audit] == [True] * 4
    assert {found["decision"] for found in bot.db.table(schema.AUDIT)} == {"DRY_RUN", "NO_GO"}
    assert (report.exit_code, report.status) == (1, "MISMATCH")


def test_apply_books_each_row_with_its_audit_and_the_second_apply_is_a_no_op(bot: Bot) -> None:
    app = bot.ready(*ROWS)
    bot.sells(*SOLD)
    dry = run(app)
    report = run(app, apply=True, plan=dry.plan_hash)
    entry = only(report)
    assert [d for _, d, _ in decisions(entry)].count("APPLIED") == 3
    assert entry.validation.unexpected == ()
    assert entry.validation.still_open == (("TRD-3", "5"),)
    assert [found for found in bot.db.table("orders") if not found["order_id"].startswith("BFILL-")] == [
        found for found in bot.db.table("orders") if found["source"] == "BOT" and found["order_id"].startswith("p1/")
    ]
    kept = books(bot)
    again = only(run(app, apply=True))
    assert decisions(again) == [("TRD-3", "NO_GO", "missing_fill_evidence_for_large_remainder")]
    assert books(bot) == kept
    assert verify(app.journal.audit_rows()).ok


CHANGES = {
    "another order at the venue": lambda bot: bot.sells(*SOLD, sold("X9", "4", 20, trade_id="TRD-3")),
    "a quantity at the venue": lambda bot: bot.sells(sold("X1", "0.9", trade_id="TRD-1"), SOLD[1]),
    "a price at the venue": lambda bot: bot.sells(sold("X1", trade_id="TRD-1", filled_avg_price="111"), SOLD[1]),
    "a position at the venue": lambda bot: bot.sells(*SOLD, positions=[{"symbol": "BTC/USD", "qty": "1"}]),
    "a lost feed": lambda bot: bot.sells(*SOLD, positions=None),
    "a row of the ledger": lambda bot: bot.db.run("UPDATE orders SET status = 'canceled' WHERE trade_id = 'TRD-1'"),
    "another open trade": lambda bot: bot.db.orders(row("TRD-4", "3", 5)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_reviewed_plan_is_refused_once_anything_changed(bot: Bot, change: str) -> None:
    app = bot.ready(*ROWS)
    bot.sells(*SOLD)
    plan = run(app).plan_hash
    assert run(app).plan_hash == plan
    CHANGES[change](bot)
    kept, audit = books(bot), bot.db.table(schema.AUDIT)
    report = run(app, apply=True, plan=plan)
    assert report.plan_expected == plan
    assert report.plan_hash != plan
    assert report.exit_code == (3 if change == "a lost feed" else 1)
    assert (books(bot), bot.db.table(schema.AUDIT)) == (kept, audit)


def test_a_trade_that_changes_between_plan_and_repair_is_refused_and_nothing_is_written(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = bot.ready(*ROWS)
    bot.sells(*SOLD)
    before(monkeypatch, app, lambda: bot.db.orders(leave("TRD-1", "0.5", 9)))
    entry = only(run(app, apply=True))
    assert {d for _, d, _ in decisions(entry)} == {"NO_GO"}
    assert ("TRD-1", "NO_GO", "slice_changed") in decisions(entry)
    assert entry.exit_code == 1
    assert [f for f in bot.db.table("orders") if f["order_id"].startswith("BFILL-")] == []
    [batch] = app.journal.batches()
    assert batch.state == "nothing_booked"
    assert app.journal.interrupted(["p1"]) == []


def test_evidence_that_is_booked_elsewhere_between_plan_and_repair_is_not_booked_again(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = bot.ready(*ROWS)
    bot.sells(*SOLD)
    before(monkeypatch, app, lambda: bot.db.orders(leave("TRD-9", "1", 9, exchange_order_id="X1")))
    entry = only(run(app, apply=True))
    assert ("TRD-1", "NO_GO", "slice_changed") in decisions(entry)
    assert entry.inserted == []


def test_a_row_that_is_in_the_ledger_already_is_skipped(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    only(run(app, apply=True))
    bot.db.run("UPDATE orders SET status = 'canceled' WHERE action = 'EXIT'")
    bot.db.run(f"DELETE FROM {schema.AUDIT}")
    assert decisions(only(run(app))) == [("TRD-1", "DRY_RUN", "already_exists")]
    entry = only(run(app, apply=True))
    assert decisions(entry) == [("TRD-1", "SKIP_EXISTING", "already_exists")]
    assert (entry.inserted, entry.exit_code) == ([], 1)


def test_two_venues_may_use_the_same_order_id(bot: Bot) -> None:
    bot.accounts = ["main", "other"]
    bot.profiles.append({"id": "p2", "account": "other"})
    bot.venue("other", closed_orders=[sold("1001", trade_id="TRD-2")])
    bot.venue("main", closed_orders=[sold("1001", trade_id="TRD-1")])
    app = bot.ready(row("TRD-1"), row("TRD-2", profile_id="p2"))
    assert only(run(app, apply=True, profiles=("p2",))).inserted != []
    entry = only(run(app, apply=True, profiles=("p1",)))
    assert decisions(entry) == [("TRD-1", "APPLIED", "inserted")]


def test_a_trade_may_leave_dust_twice(bot: Bot) -> None:
    app = bot.ready(row("TRD-1", "0.0005"))
    assert decisions(only(run(app, apply=True))) == [("TRD-1", "APPLIED", "inserted")]
    bot.db.orders(row("TRD-1", "0.0004", 5))
    assert decisions(only(run(app, apply=True))) == [("TRD-1", "APPLIED", "inserted")]


def test_two_profiles_may_have_dust_in_trades_of_one_name(bot: Bot) -> None:
    bot.profiles.append({"id": "p2"})
    app = bot.ready(row("TRD-1", "0.0005"), row("TRD-1", "0.0004", profile_id="p2"))
    for profile in ("p1", "p2"):
        assert decisions(only(run(app, apply=True, profiles=(profile,)))) == [("TRD-1", "APPLIED", "inserted")]


def test_odd_characters_of_the_venue_are_written_or_told_and_never_a_traceback(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"), row("TRD-2"), row("TRD-3"), row("TRD-4"))
    for number, odd in enumerate(("\x00", "\ud800", "\u202e", "'; DROP TABLE orders; --"), 1):
        bot.sells(sold(f"X{odd}1", trade_id=f"TRD-{number}", client_order_id=f"c{odd}"))
        for apply in (False, True):
            [entry] = run(app, apply=apply).profiles.values()
            assert entry.error is not None or entry.audit
        assert verify(app.journal.audit_rows()).ok
    assert bot.db.value("SELECT count(*) FROM orders") in (6, 7, 8)


def test_a_read_only_ledger_allows_dry_runs_only(bot: Bot) -> None:
    bot.ready(*ROWS)
    theirs = bot.url
    bot.ledger["state_url"] = f"sqlite:///{bot.folder / 'state.db'}"
    app = bot.init()
    pause(app)
    bot.sells(*SOLD)
    kept = books(bot)
    assert len([d for d in decisions(only(run(app))) if d[1] == "DRY_RUN"]) == 3
    with pytest.raises(ConfigurationError, match="read-only"):
        only(run(app, apply=True))
    assert books(bot) == kept
    assert theirs == bot.url
    assert app.journal.interrupted(["p1"]) == []
    assert list(app.journal.batches())[-1].state == "dry_run"


def test_symbols_and_trades_can_be_chosen(bot: Bot) -> None:
    app = bot.ready(*ROWS, row("TRD-5", symbol="ETH/USD"))
    bot.sells(*SOLD)
    assert {t for t, *_ in decisions(only(run(app, symbols=("eth-usd",))))} == {"TRD-5"}
    assert {t for t, *_ in decisions(only(run(app, trade_ids=("TRD-1",))))} == {"TRD-1"}


def test_an_account_whose_export_cannot_be_read_stops_no_other(bot: Bot) -> None:
    bot.accounts = ["main", "other"]
    bot.profiles.append({"id": "p2", "account": "other"})
    app = bot.ready(row("TRD-1"), row("TRD-2", profile_id="p2"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    (bot.folder / "other.json").write_text("<html>")
    report = run(app, apply=True)
    assert decisions(report.profiles["p1"]) == [("TRD-1", "APPLIED", "inserted")]
    assert decisions(report.profiles["p2"]) == [("TRD-2", "NO_GO", "venue_position_unknown")]
    assert (report.exit_code, report.status) == (3, "INCONCLUSIVE")


def test_every_run_is_on_record_with_its_summary(bot: Bot) -> None:
    app = bot.ready(*ROWS)
    bot.sells(*SOLD)
    run(app)
    run(set_flags(app, require_pause=False), apply=True)
    runs = bot.db.rows("SELECT * FROM reconcile_runs ORDER BY started_at, run_id")
    assert [found["status"] for found in runs] == ["MISMATCH", "MISMATCH"]
    assert all(found["ended_at"] and found["summary"] for found in runs)
