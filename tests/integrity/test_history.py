"""History rows for closed trades that have none: what is added, what is left, taken back, and never written twice."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.cli.program import Program
from tests.integrity.playing import Place, a_place, ledger_of
from tests.integrity.test_trade_ids import ready
from tests.ledger.bot import at, leave, row

from trueup.core.audit import verify
from trueup.core.errors import ConfigurationError, Refused, UnknownName
from trueup.core.integrity.kinds import Kind
from trueup.core.times import iso
from trueup.service import histories, integrity, undo
from trueup.service.histories import HistoryRequest, remove_histories, write_histories
from trueup.service.integrity_report import report

TRADE = (row("TRD-1", price="10", order_id="e"), leave("TRD-1", price="12", order_id="x"))


@pytest.fixture
def place(tmp_path: Path, ledger_url: str) -> Iterator[Place]:
    with a_place(tmp_path, ledger_url) as made:
        yield made


def told(place: Place) -> list[str]:
    return sorted(str(found["trade_id"]) for found in place.bot.db.table("trade_history"))


def execute(place: Place, statement: str) -> None:
    with place.bot.db.engine.begin() as connection:
        connection.execute(text(statement))


def add(place: Place, **asked: Any) -> histories.HistoryReport:
    return write_histories(place.app, HistoryRequest(apply=True, **asked))


def test_a_dry_run_changes_nothing_and_its_plan_is_what_is_applied(place: Place) -> None:
    ready(place, *TRADE)
    plan = write_histories(place.app, HistoryRequest())
    assert (plan.dry_run, plan.trades, plan.batch_id, plan.exit_code) == (True, [("p1", "TRD-1")], None, 0)
    assert (told(place), list(place.app.journal.audit_rows())) == ([], [])
    done = add(place, plan=plan.plan_hash)
    assert (done.dry_run, done.trades, done.plan_hash, done.exit_code) == (False, plan.trades, plan.plan_hash, 0)
    [made] = place.bot.db.table("trade_history")
    assert (made["profile_id"], made["trade_id"], made["symbol"], made["side"]) == ("p1", "TRD-1", "BTC/USD", "long")
    assert [float(made[name]) for name in ("entry_qty", "exit_qty", "realized_pnl")] == [1, 1, 2]
    assert report(place.app).clean
    assert add(place).batch_id is None
    assert integrity.validate(place.app, wait_s=10.0, dry_run=False)


def test_a_price_is_never_invented(place: Place) -> None:
    ready(place, row("TRD-1", price="10", order_id="e"), leave("TRD-1", price=None, order_id="x"))
    add(place)
    [made] = place.bot.db.table("trade_history")
    assert (made["exit_price"], made["realized_pnl"]) == (None, None)


def test_what_was_added_is_audited_and_taken_back_by_its_batch_twice_the_same(place: Place) -> None:
    ready(place, *TRADE)
    batch = add(place).batch_id or ""
    [said] = place.app.journal.audit_rows(batch)
    assert (said["decision"], said["trade_id"], said["reason"]) == ("HISTORY_ADDED", "TRD-1", "missing_history")
    [listed] = place.app.journal.batches()
    assert (listed.state, listed.rows) == ("applied", 1)
    rehearsed = remove_histories(place.app, batch, "", dry_run=True)
    assert (rehearsed.dry_run, rehearsed.changed, told(place)) == (True, 1, ["TRD-1"])
    assert remove_histories(place.app, batch, "wrong").changed == 1
    assert told(place) == []
    again = remove_histories(place.app, batch, "again")
    assert (again.changed, again.unchanged) == (0, 1)
    assert place.app.journal.batches()[0].state == "reverted"
    assert verify(place.app.journal.audit_rows()).ok
    assert add(place).added == {"p1": 1}


@pytest.mark.parametrize("statement", ["DELETE FROM trade_history", "UPDATE trade_history SET fees = 1"])
def test_a_row_that_changed_since_is_not_taken_back(place: Place, statement: str) -> None:
    ready(place, *TRADE)
    batch = add(place).batch_id or ""
    execute(place, statement)
    left = told(place)
    with pytest.raises(Refused, match="changed since"):
        remove_histories(place.app, batch, "wrong")
    assert told(place) == left
    assert [found["decision"] for found in place.app.journal.audit_rows()] == ["HISTORY_ADDED"]


def _now(place: Place) -> int:
    return place.app.clock.now_ms()


LEFT: dict[str, Any] = {
    "other_anomalies": [(leave("TRD-1", "1", 9, order_id="x2"),), (row("TRD-1", "1", 99, order_id="e2"),
                        leave("TRD-1", "1", 98, order_id="x2"))],
    "several_symbols": [(row("TRD-1", symbol="ETH/USD", order_id="e2"),
                         leave("TRD-1", symbol="ETH/USD", order_id="x2"))],
    "still_working": [(leave("TRD-1", "1", 9, order_id="x2", status="new"),)],
}  # fmt: skip


@pytest.mark.parametrize(("why", "more"), [(why, more) for why, worlds in LEFT.items() for more in worlds])
def test_a_trade_that_is_not_closed_beyond_doubt_is_left(place: Place, why: str, more: tuple[dict[str, Any]]) -> None:
    ready(place, *TRADE, *more)
    done = add(place)
    assert (told(place), dict(done.left_counts), done.exit_code) == ([], {why: 1}, 1)


def test_a_trade_that_closed_just_now_is_the_bots_to_tell(place: Place) -> None:
    ready(place, *TRADE)
    moment = _now(place) - place.app.backfill.policy.grace_ms
    for late, why in ((60_000, {"just_closed": 1}), (-60_000, {})):
        execute(place, f"UPDATE orders SET timestamp = {moment + late}, filled_at = NULL WHERE order_id = 'x'")
        assert write_histories(place.app, HistoryRequest()).left_counts == why


def test_ids_that_the_rules_refuse_and_profiles_that_are_not_there_are_left(place: Place) -> None:
    place.bot.db.orders(
        row("odd", order_id="e1"), leave("odd", order_id="x1"),
        row("TRD-9", order_id="e9", profile_id="gone"), leave("TRD-9", order_id="x9", profile_id="gone"),
    )  # fmt: skip
    assert write_histories(place.app, HistoryRequest()).left_counts == {"malformed_trade_id": 1, "no_such_profile": 1}


def test_a_history_row_of_the_wrong_profile_is_no_missing_one(place: Place) -> None:
    ready(place, *TRADE)
    place.bot.db.insert("trade_history", [{"id": "h", "profile_id": "p2", "trade_id": "TRD-1", "entry_qty": "1"}])
    done = add(place)
    assert (told(place), done.added.total(), done.left_counts.total()) == (["TRD-1"], 0, 0)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, {"history_without_id": 1}), ({"trade_id": " "}, {"history_without_id": 1}),
        ({"symbol": None}, {"history_without_id": 1}), ({"symbol": "ETH/USD"}, {}), ({"profile_id": "p2"}, {}),
        ({"trade_id": "TRD-5"}, {"history_of_another_id": 1}),
        ({"trade_id": "TRD-5", "opened_at": iso(at(30)), "closed_at": iso(at(40))}, {}),
        ({"trade_id": "TRD-5", "closed_at": iso(at(-1))}, {}), ({"trade_id": "TRD-5", "symbol": "ETH/USD"}, {}),
    ],
)  # fmt: skip
def test_a_history_row_under_another_id_or_none_may_tell_of_it_already(
    place: Place, said: dict[str, Any], why: dict[str, int]
) -> None:
    told_row = {"id": "h", "profile_id": "p1", "symbol": "BTC/USD", "entry_qty": "1", "exit_qty": "1", **said}
    place.bot.db.orders(*TRADE)
    place.bot.db.insert("trade_history", [told_row])
    assert write_histories(place.app, HistoryRequest()).left_counts == why


def test_only_the_profiles_asked_for(place: Place) -> None:
    mine = [{**made, "profile_id": "p2", "trade_id": "TRD-2", "order_id": f"{made['order_id']}2"} for made in TRADE]
    ready(place, *TRADE, *mine)
    assert add(place, profiles=("p2",)).added == {"p2": 1}
    assert told(place) == ["TRD-2"]


def test_a_row_that_the_bot_writes_meanwhile_is_not_doubled(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    ready(place, *TRADE)
    real = type(place.app.lifecycle).add_histories

    def after_the_bot(book: Any, batch: Any, **more: Any) -> Any:
        place.bot.db.insert("trade_history", [{"id": "h", "profile_id": "p1", "trade_id": "TRD-1", "entry_qty": "1"}])
        return real(book, batch, **more)

    monkeypatch.setattr(type(place.app.lifecycle), "add_histories", after_the_bot)
    done = add(place)
    assert (told(place), done.added.total(), dict(done.left_counts)) == (["TRD-1"], 0, {"changed_meanwhile": 1})
    assert list(place.app.journal.audit_rows()) == []


def test_what_was_cut_short_is_completed_by_running_it_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [{**made, "trade_id": f"TRD-{n}", "order_id": f"{made['order_id']}{n}"} for n in range(5) for made in TRADE]
    ready(place, *many)
    monkeypatch.setattr(histories, "TRADES_AT_ONCE", 2)
    real, calls = type(place.app.lifecycle).add_histories, iter(range(9))

    def killed(book: Any, batch: Any, **more: Any) -> Any:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return real(book, batch, **more)

    with monkeypatch.context() as patch:
        patch.setattr(type(place.app.lifecycle), "add_histories", killed)
        with pytest.raises(KeyboardInterrupt):
            add(place)
    assert len(told(place)) == 2
    assert add(place).added == {"p1": 3}
    assert told(place) == [f"TRD-{n}" for n in range(5)]
    assert report(place.app).clean


def test_a_plan_that_is_not_the_one_reviewed_is_refused_and_so_is_what_comes_before_its_turn(place: Place) -> None:
    place.bot.db.orders(*TRADE)
    with pytest.raises(Refused, match="not complete"):
        add(place)
    ready(place, row("TRD-2", order_id="e2"), leave("TRD-2", order_id="x2"))
    with pytest.raises(Refused, match="not the one reviewed"):
        add(place, plan="0" * 64)
    assert told(place) == []


def test_a_batch_names_the_command_that_takes_it_back(place: Place) -> None:
    ready(place, *TRADE)
    batch = add(place).batch_id or ""
    with pytest.raises(Refused, match="added history rows") as refused:
        undo.revert(place.app, batch, "wrong")
    assert f"integrity history --revert {batch}" in refused.value.do
    with pytest.raises(UnknownName):
        remove_histories(place.app, "HIST-1", "wrong")
    with pytest.raises(ConfigurationError, match="reason"):
        remove_histories(place.app, batch, " ")


def test_on_made_up_ledgers_it_resolves_what_is_missing_and_makes_nothing_worse(place: Place) -> None:
    added, left = 0, Counter[str]()
    for seed in range(60):
        place.fill(ledger_of(seed)[0].tables())
        before, _ = place.found()
        if not any(key[0] == Kind.MISSING_HISTORY for key in before):
            continue
        integrity.take_snapshot(place.app, keep=True)
        integrity.apply(place.app, wait_s=10.0, dry_run=False)
        done = add(place)
        after, _ = place.found()
        integrity.rollback(place.app, wait_s=10.0, dry_run=False)
        assert not after - before, seed
        assert {key[0] for key in before - after} <= {Kind.MISSING_HISTORY}, seed
        assert (before - after).total() == done.added.total(), seed
        added, left = added + done.added.total(), left + done.left_counts
    assert added >= 5, left


def test_the_command_shows_its_plan_and_the_way_back(place: Place) -> None:
    ready(place, *TRADE, row("TRD-2", order_id="e2"), leave("TRD-2", order_id="x2"), leave("TRD-2", order_id="x3"))
    program = Program(place.bot)
    shown = program("integrity", "history")
    assert shown.code == 1
    assert "1 history row would be added" in shown.out
    assert "other_anomalies" in shown.out
    plan = program("integrity", "history", "--format", "json").json
    assert (plan["added"], plan["left_count"], plan["left"][0]["trade_id"]) == (1, 1, "TRD-2")
    assert f"--apply --plan {plan['plan_hash']}" in shown.out
    done = program("integrity", "history", "--apply", "--plan", plan["plan_hash"])
    assert "1 history row added" in done.out
    batch = program("backfill", "list", "--format", "json").json["batches"][0]["batch_id"]
    assert f"--revert {batch} --reason TEXT" in done.out
    assert "taken back: 1 row" in program("integrity", "history", "--revert", batch, "--reason", "wrong").out
    assert program("integrity", "history", "--plan", "x").code == 2
    assert program("integrity", "history", "--apply", "--revert", "x").code == 2
    assert program("integrity", "report", "--format", "json").json["counts"]["missing_history"] == 2
