"""The Runs and Breaks ports: many at a time, newest first, and cheap whatever has piled up."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.ledger.bot import Bot

from trueup.core.errors import ConfigurationError
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.core.times import iso
from trueup.ledger import runs as module
from trueup.ledger.breaks_store import SqlBreaks
from trueup.ledger.runs import SqlRuns
from trueup.ledger.schema import reconcile_runs
from trueup.ports import RunEnd, RunStart

NOW = 1_767_400_000_000


class Watch:
    """A clock that a test sets."""

    now = NOW

    def now_ms(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000)

    def new_id(self, prefix: str) -> str:
        return prefix


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def runs(bot: Bot, watch: Watch) -> SqlRuns:
    bot.init()
    return SqlRuns(bot.store, watch)


@pytest.fixture
def breaks(bot: Bot) -> SqlBreaks:
    bot.init()
    return SqlBreaks(bot.store)


def start(number: int, profile: str = "p1", *, dry_run: bool = False) -> RunStart:
    return RunStart(f"RUN-{number:03}", profile, "main", "CYC-1", dry_run)


def statements(action: Any) -> list[str]:
    seen: list[str] = []

    def note(*said: Any) -> None:
        seen.append(str(said[2]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        action()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return seen


def test_many_runs_begin_and_end_by_one_statement_each(runs: SqlRuns, watch: Watch) -> None:
    begun = statements(lambda: runs.begin([start(1), start(2, "p2"), start(3, dry_run=True)]))
    assert sum("INSERT" in statement for statement in begun) == 1
    told = runs.get("RUN-001")
    assert told is not None
    assert (told["reconcile_id"], told["instance_id"], told["status"]) == ("RUN-001", "p1", "PENDING")
    watch.now += 50
    ends = [RunEnd("RUN-001", "OK", {"counts": {"found": 0}}), RunEnd("RUN-003", "MISMATCH", {"counts": {"found": 2}})]
    ended = statements(lambda: runs.end(ends))
    assert sum("UPDATE reconcile_runs" in statement for statement in ended) == 1
    statuses = {name: found["status"] for name in ("RUN-001", "RUN-002", "RUN-003") if (found := runs.get(name))}
    assert statuses == {"RUN-001": "OK", "RUN-002": "PENDING", "RUN-003": "MISMATCH"}
    assert runs.get("RUN-9") is None
    runs.begin([])
    runs.end([])


def test_runs_are_listed_newest_first_a_page_at_a_time(runs: SqlRuns, watch: Watch) -> None:
    for number in range(7):
        runs.begin([start(number, "p1" if number % 2 else "p2")])
        watch.now += 1000
    runs.end([RunEnd("RUN-005", "OK", {}), RunEnd("RUN-003", "OK", {})])

    def listed(**asked: Any) -> tuple[int, list[object]]:
        total, found = runs.page(**asked)
        return total, [item["reconcile_id"] for item in found]

    assert listed(page_size=3) == (7, ["RUN-006", "RUN-005", "RUN-004"])
    assert listed(page_size=3, page=3) == (7, ["RUN-000"])
    assert listed(instance_id="p1") == (3, ["RUN-005", "RUN-003", "RUN-001"])
    assert listed(status="OK") == (2, ["RUN-005", "RUN-003"])
    assert listed(status="OK", instance_id="p2") == (0, [])


def test_the_total_is_counted_so_far_and_the_page_is_true(runs: SqlRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTED", 4)
    runs.begin([start(number) for number in range(9)])
    assert runs.page(page_size=2)[0] == 4
    total, found = runs.page(page_size=3, page=3)
    assert (total, len(found)) == (9, 3)


def test_the_runs_since_a_time_are_those_that_ended_and_wrote(runs: SqlRuns, watch: Watch) -> None:
    runs.begin([start(1)])
    watch.now += 1000
    runs.begin([start(2), start(3, "p2"), start(4, dry_run=True), start(5)])
    runs.end([
        RunEnd("RUN-001", "OK", {"counts": {"found": 9}}), RunEnd("RUN-002", "MISMATCH", {"counts": {"found": 2}}),
        RunEnd("RUN-003", "OK", {"counts": {"found": 0}}), RunEnd("RUN-004", "OK", {"counts": {"found": 5}}),
    ])  # fmt: skip
    found = runs.since(["p1", "p2"], NOW + 1)
    assert {name: [(fact.status, fact.found) for fact in facts] for name, facts in found.items()} == {
        "p1": [("MISMATCH", 2)], "p2": [("OK", 0)],
    }  # fmt: skip
    assert len(runs.since(["p1"], NOW)["p1"]) == 2


def test_old_runs_are_deleted_in_small_batches_oldest_first_and_none_that_is_not_over(
    runs: SqlRuns, watch: Watch, bot: Bot
) -> None:
    app = bot.app()
    for number in range(6):
        runs.begin([start(number)])
        watch.now += 1000
    runs.end([RunEnd(f"RUN-{number:03}", "OK", {}) for number in (0, 1, 2, 4, 5)])
    app.journal.begin_run("RUN-B", "backfill", "p1")
    app.journal.end_run("RUN-B", "OK", {})
    bot.db.run("UPDATE reconcile_runs SET started_at = :at WHERE run_id = 'RUN-B'", {"at": "2020-01-01T00:00:00.000Z"})

    def left() -> set[str]:
        return {found["run_id"] for found in bot.db.table("reconcile_runs")}

    assert runs.prune(NOW + 4000, limit=2) == 2
    assert left() == {"RUN-002", "RUN-003", "RUN-004", "RUN-005", "RUN-B"}
    assert runs.prune(NOW + 4000, limit=2) == 1
    assert runs.prune(NOW + 4000, limit=2) == 0
    assert left() == {"RUN-003", "RUN-004", "RUN-005", "RUN-B"}


def test_what_is_newest_or_oldest_is_found_by_index(runs: SqlRuns, bot: Bot) -> None:
    with bot.db.engine.begin() as connection:
        connection.execute(reconcile_runs.insert(), [
            {
                "run_id": f"RUN-{n}", "kind": "reconcile", "scope": "profile:p1", "status": "OK", "audit_head": "",
                "started_at": iso(NOW + n), "ended_at": iso(NOW + n), "profile_id": f"p{n % 50}", "dry_run": False,
            }
            for n in range(20_000)
        ])  # fmt: skip
    bot.db.run("ANALYZE")
    for action in (
        runs.page, lambda: runs.page(instance_id="p7"), lambda: runs.page(status="PENDING"),
        lambda: runs.prune(NOW + 10), lambda: runs.since(["p1"], NOW + 19_000),
    ):  # fmt: skip
        [*_, query] = [said for said in statements_with_values(action) if "ORDER BY" in said[0]]
        plan = explained(bot, *query)
        assert "idx_reconcile_runs" in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "SCAN reconcile_runs" not in plan.replace("SCAN reconcile_runs USING INDEX", ""), plan


def statements_with_values(action: Any) -> list[tuple[str, Any]]:
    seen: list[tuple[str, Any]] = []

    def note(*said: Any) -> None:
        seen.append((str(said[2]), said[3]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        action()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return seen


def explained(bot: Bot, statement: str, values: Any) -> str:
    how = "EXPLAIN QUERY PLAN " if bot.db.is_sqlite else "EXPLAIN "
    with bot.db.engine.connect() as connection:
        found = connection.exec_driver_sql(how + statement, values)
        return "\n".join(str(tuple(line)) for line in found)


def record(number: int = 1, **more: Any) -> BreakRecord:
    said: dict[str, Any] = {
        "break_id": f"BRK-{number}", "kind": "missing_in_db", "scope": "profile:p1", "account": "main",
        "state": BreakState.OPEN, "profile_id": "p1", "symbol": "BTC/USD", "trade_id": "TRD-1",
        "exchange_order_id": "X1", "reason": "why", "ledger_qty": "0", "venue_qty": "1.5",
        "notional": Decimal("150.000000000000000001"), "detail": {"what": "said"}, "confirmations": 1,
        "as_of_ms": NOW, "first_run_id": "RUN-1", "last_run_id": "RUN-1", "first_seen_ms": NOW + number,
        "last_seen_ms": NOW + number, **more,
    }  # fmt: skip
    return BreakRecord(**said)


def over(found: BreakRecord, moment: int = NOW + 99) -> BreakRecord:
    return replace(found, state=BreakState.RESOLVED, resolution="no longer seen", resolved_ms=moment)


def test_breaks_are_kept_as_they_are_and_written_many_at_a_time(breaks: SqlBreaks) -> None:
    first = [record(1), record(2, account="other"), record(3, notional=None, as_of_ms=None, profile_id=None)]
    seen = statements(lambda: breaks.save(first))
    assert sum("INSERT INTO breaks" in statement for statement in seen) == 1
    assert breaks.open("main") == [first[0], first[2]]
    assert breaks.open("other") == [first[1]]
    later = [replace(first[0], confirmations=2, last_seen_ms=NOW + 50, last_run_id="RUN-2"), over(first[2])]
    breaks.save(later)
    breaks.save([])
    assert breaks.open("main") == [later[0]]
    assert breaks.named(["BRK-3", "BRK-1", "BRK-9"]) == later
    breaks.save([replace(first[2], first_seen_ms=NOW + 200)])
    assert {found.break_id for found in breaks.open("main")} == {"BRK-1", "BRK-3"}


def test_who_takes_a_break_over_stands_in_it_until_it_resolves(breaks: SqlBreaks) -> None:
    breaks.save([record(1)])
    taken = breaks.acknowledge("BRK-1", "ann", "it is known", NOW + 5)
    assert (taken.state, taken.owner, taken.resolution) == (
        BreakState.ACKNOWLEDGED, "ann", f"{iso(NOW + 5)} ann: it is known",
    )  # fmt: skip
    breaks.save([record(1, confirmations=7, state=BreakState.CONFIRMED)])
    [kept] = breaks.open("main")
    assert (kept.state, kept.owner, kept.confirmations) == (BreakState.ACKNOWLEDGED, "ann", 7)
    assert kept.resolution == taken.resolution
    breaks.save([over(kept)])
    assert breaks.open("main") == []
    [ended] = breaks.named(["BRK-1"])
    assert (ended.state, ended.owner) == (BreakState.RESOLVED, "ann")
    for name in ("BRK-1", "BRK-9"):
        with pytest.raises(ConfigurationError, match=f"no open break '{name}'"):
            breaks.acknowledge(name, "ann", "late", NOW)


def test_breaks_are_listed_newest_first_by_account_profile_and_state(breaks: SqlBreaks) -> None:
    breaks.save([
        record(1), record(2, profile_id="p2"), record(3, state=BreakState.QUARANTINED), over(record(4)),
        record(5, account="other", profile_id="p9"),
    ])  # fmt: skip

    def listed(**asked: Any) -> tuple[int, list[str]]:
        total, found = breaks.page(**asked)
        return total, [one.break_id for one in found]

    assert listed() == (4, ["BRK-5", "BRK-3", "BRK-2", "BRK-1"])
    assert listed(account="main") == (3, ["BRK-3", "BRK-2", "BRK-1"])
    assert listed(account="main", page_size=2, page=2) == (3, ["BRK-1"])
    assert listed(profile_id="p1") == (2, ["BRK-3", "BRK-1"])
    assert listed(state="quarantined") == (1, ["BRK-3"])
    assert listed(state="resolved") == (1, ["BRK-4"])


@pytest.mark.parametrize("back_ms", [0, 1, 2_000, 60_000])
def test_a_run_begins_after_those_before_it_whatever_the_clock_says(runs: SqlRuns, watch: Watch, back_ms: int) -> None:
    for number in (2, 1):
        runs.begin([start(number)])
        runs.end([RunEnd(f"RUN-{number:03}", "OK", {"status": "OK"})])
        watch.now = NOW - back_ms
    assert [run["reconcile_id"] for run in runs.page()[1]] == ["RUN-001", "RUN-002"]
    assert [run["reconcile_id"] for run in runs.newest(["p1"])] in ([], ["RUN-001"])


def test_a_clock_that_was_wrong_by_much_is_put_right(runs: SqlRuns, watch: Watch) -> None:
    runs.begin([start(1)])
    watch.now = NOW - 60_001
    runs.begin([start(2)])
    assert runs.page()[1][1]["started_at"] == iso(NOW - 60_001)
