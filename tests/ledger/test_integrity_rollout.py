"""The phases on real databases: what they add, what is bound then, what is refused, and what stays."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from tests.ledger.bot import Bot, decisions, only, row, run, sold

from trueup.core.errors import CannotKnow, ConfigurationError, Refused, TrueupError
from trueup.core.integrity.phases import Stage, State
from trueup.core.integrity.rules import INDEXES, RULES
from trueup.ledger import engine
from trueup.service import integrity
from trueup.service.app import App
from trueup.service.backfill import BackfillRequest, run_backfill
from trueup.service.integrity import Answer

RULE_NAMES = {rule.name for rule in RULES}
INDEX_NAMES = {index.name for index in INDEXES}
GOOD = row("TRD-1", order_id="good", status="canceled")
OPEN = row("TRD-1", order_id="open")
BLANK = row(" ", order_id="blank")
HELD = row("TRD-2", order_id="held", action="HOLD", status="canceled")
MALFORMED = row("1234", order_id="malformed", status="open")


def apply(app: App, *, dry_run: bool = False, wait_s: float = 5.0) -> Answer:
    return integrity.apply(app, wait_s=wait_s, dry_run=dry_run)


def applied(bot: Bot, *rows: Any) -> App:
    app = bot.ready(*rows)
    integrity.take_snapshot(app, keep=True)
    apply(app)
    return app


def validate(app: App, *, dry_run: bool = False) -> Answer:
    return integrity.validate(app, wait_s=5.0, dry_run=dry_run)


def rollback(app: App, *, dry_run: bool = False) -> Answer:
    return integrity.rollback(app, wait_s=5.0, dry_run=dry_run)


def constraints(bot: Bot) -> dict[str, bool]:
    """Each rule of the database's catalogue, and whether Postgres says that it is validated."""
    if bot.db.is_sqlite:
        names = [item["name"] for item in bot.db.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        return {name: False for name in names if not name.endswith("_update")}
    found = bot.db.rows("SELECT conname, convalidated FROM pg_constraint WHERE conname LIKE 'chk%'")
    return {item["conname"]: item["convalidated"] for item in found}


def indexes(bot: Bot) -> set[str]:
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'index'"
        if bot.db.is_sqlite
        else ("SELECT indexname AS name FROM pg_indexes")
    )
    return {item["name"] for item in bot.db.rows(query)}


def states(app: App) -> dict[str, State]:
    return {thing.name: thing.state for thing in app.integrity.standing().things}


def became(answer: Answer) -> dict[str, str]:
    return {done.name: done.state for done in answer.done}


def of_rules(answer: Answer) -> set[str]:
    return {state for name, state in became(answer).items() if name in RULE_NAMES}


def test_apply_adds_every_rule_and_index_and_says_so(bot: Bot) -> None:
    app = applied(bot, GOOD, BLANK, MALFORMED)
    assert constraints(bot) == dict.fromkeys(RULE_NAMES, False)
    assert indexes(bot) >= INDEX_NAMES
    assert {states(app)[name] for name in RULE_NAMES} == {State.NOT_VALID}
    assert {states(app)[name] for name in INDEX_NAMES} == {State.VALID}
    assert app.integrity.standing().stage is Stage.APPLIED


REFUSED = [
    ("orders", "chk_orders_trade_id_not_blank", {"trade_id": ""}),
    ("orders", "chk_orders_trade_id_not_blank", {"trade_id": "\t\u3000"}),
    ("orders", "chk_orders_trade_id_format", {"trade_id": "TRD-1\n"}),
    ("orders", "chk_orders_trade_id_format", {"trade_id": "1234"}),
    ("orders", "chk_orders_action_lifecycle", {"action": "HOLD"}),
    ("trade_history", "chk_trade_history_trade_id_not_blank", {"trade_id": " "}),
    ("trade_history", "chk_trade_history_trade_id_format", {"trade_id": "TRD-é"}),
]


def test_after_apply_new_rows_and_new_values_are_bound_under_the_name_of_the_rule(bot: Bot) -> None:
    applied(bot, GOOD)
    keys = {"orders": {"order_id": "new", "profile_id": "p1"}, "trade_history": {"id": "new", "profile_id": "p1"}}
    bot.db.insert("trade_history", [{"id": "h", "profile_id": "p1", "trade_id": "TRD-1"}])
    for table, name, values in REFUSED:
        with pytest.raises(IntegrityError, match=name):
            bot.db.insert(table, [{**keys[table], **values}])
        [(column, value)] = values.items()
        with pytest.raises(IntegrityError, match=name):
            bot.db.run(f"UPDATE {table} SET {column} = :value", {"value": value})
    for table, key in keys.items():
        bot.db.insert(table, [{**key, "trade_id": None}])
        bot.db.run(f"UPDATE {table} SET trade_id = 'TRD-new' WHERE trade_id IS NULL")
    for number, action in enumerate(["entry", "EXIT", " Exit ", None]):
        bot.db.insert("orders", [{"order_id": f"a{number}", "profile_id": "p1", "action": action}])


def test_no_way_to_write_gets_past_a_trigger(sqlite_bot: Bot) -> None:
    applied(sqlite_bot, GOOD)
    for how in ("INSERT OR IGNORE", "INSERT OR REPLACE"):
        with pytest.raises(IntegrityError, match="chk_orders_trade_id_format"):
            sqlite_bot.db.run(f"{how} INTO orders (order_id, profile_id, trade_id) VALUES ('good', 'p1', 'bad')")
    with pytest.raises(IntegrityError, match="chk_orders_trade_id_format"):
        sqlite_bot.db.run("UPDATE OR IGNORE orders SET trade_id = 'bad'")


def test_an_old_bad_row_can_be_updated_on_sqlite_even_whole(sqlite_bot: Bot) -> None:
    applied(sqlite_bot, MALFORMED)
    sqlite_bot.db.run("UPDATE orders SET status = 'filled'")
    sqlite_bot.db.run("UPDATE orders SET status = 'canceled', trade_id = '1234'")
    with pytest.raises(IntegrityError):
        sqlite_bot.db.run("UPDATE orders SET trade_id = '12345'")


def test_a_column_that_compares_without_case_is_looked_at_all_the_same(sqlite_bot: Bot) -> None:
    sqlite_bot.ledger, sqlite_bot.profiles = {"orders_table": "deals"}, [{"id": "p1"}]
    (sqlite_bot.folder / "ledger.db").touch()
    sqlite_bot.db.run(
        "CREATE TABLE deals (order_id TEXT, symbol TEXT, side TEXT, status TEXT, timestamp INTEGER,"
        " trade_id TEXT COLLATE NOCASE, qty TEXT)"
    )
    app = sqlite_bot.init()
    sqlite_bot.db.run("INSERT INTO deals (order_id, trade_id) VALUES ('a', 'TRD-1')")
    integrity.take_snapshot(app, keep=True)
    apply(app)
    with pytest.raises(IntegrityError, match="chk_orders_trade_id_format"):
        sqlite_bot.db.run("UPDATE deals SET trade_id = 'trd-1'")


def test_a_working_row_that_breaks_a_rule_is_named_by_snapshot_and_apply(postgres_bot: Bot) -> None:
    app = postgres_bot.ready(GOOD, MALFORMED)
    taken = integrity.take_snapshot(app, keep=True)
    before = "before apply"
    for warnings, early in (
        (taken.warnings, True), (apply(app, dry_run=True).warnings, True), (apply(app).warnings, False),
    ):  # fmt: skip
        [warning] = warnings
        assert "chk_orders_trade_id_format" in warning
        assert "malformed" in warning
        assert (before in warning) is early
    with pytest.raises(IntegrityError, match="chk_orders_trade_id_format"):
        postgres_bot.db.run("UPDATE orders SET status = 'filled' WHERE order_id = 'malformed'")


def test_a_snapshot_counts_and_is_numbered_and_a_dry_one_is_not_kept(bot: Bot) -> None:
    app = bot.ready(GOOD, BLANK, MALFORMED, row(None, order_id="manual", profile_id="p2"))
    bot.db.insert("trade_history", [{"id": "h", "profile_id": "p1", "trade_id": "bad"}])
    assert integrity.take_snapshot(app, keep=False).baseline.number == 1
    assert app.integrity.standing().snapshot is None
    assert app.integrity.steps() == []
    first = integrity.take_snapshot(app, keep=True).baseline
    assert (first.number, integrity.take_snapshot(app, keep=True).baseline.number) == (1, 2)
    assert first.tables == {"orders": {"p1": 3, "p2": 1}, "trade_history": {"p1": 1}, "positions": {}}
    assert first.without_trade_id == {"orders": {"p2": 1}, "trade_history": {}}
    broken = {item.rule: (item.total, item.samples, item.working) for item in first.breaking}
    assert broken == {
        "chk_orders_action_lifecycle": (0, (), 0),
        "chk_orders_trade_id_not_blank": (1, ("blank",), 0),
        "chk_orders_trade_id_format": (1, ("malformed",), 1),
        "chk_trade_history_trade_id_not_blank": (0, (), 0),
        "chk_trade_history_trade_id_format": (1, ("h",), 0),
    }
    assert first.audit_head == app.journal.head()


def test_a_phase_out_of_order_is_refused_with_the_reason(bot: Bot) -> None:
    app = bot.ready(OPEN)
    for dry_run in (False, True):
        with pytest.raises(Refused, match="no snapshot"):
            apply(app, dry_run=dry_run)
        with pytest.raises(Refused, match="not complete"):
            validate(app, dry_run=dry_run)
    integrity.take_snapshot(app, keep=True)
    with pytest.raises(Refused, match="not complete"):
        validate(app)
    assert set(became(rollback(app)).values()) <= {"absent", "kept"}
    assert not constraints(bot)
    assert app.integrity.standing().stage is Stage.SNAPSHOT
    apply(app)
    with pytest.raises(Refused, match=r"not clean.* 1 missing_position"):
        validate(app)
    bot.db.run("UPDATE orders SET status = 'mystery'")
    with pytest.raises(CannotKnow, match="inconclusive"):
        validate(app)
    assert app.integrity.standing().stage is Stage.APPLIED


def test_a_dry_run_changes_nothing(bot: Bot) -> None:
    app = bot.ready(GOOD)
    integrity.take_snapshot(app, keep=True)
    before = (constraints(bot), indexes(bot), app.integrity.steps())
    answer = apply(app, dry_run=True)
    assert of_rules(answer) == {"would_add"}
    assert became(answer)["idx_orders_lifecycle"] == "would_build"
    assert (constraints(bot), indexes(bot), app.integrity.steps()) == before
    apply(app)
    before = (constraints(bot), indexes(bot), app.integrity.steps())
    for phase, would in ((validate, "would_validate"), (rollback, "would_drop")):
        answer = phase(app, dry_run=True)
        assert of_rules(answer) == {would}
        assert answer.next_step[0] == f"trueup integrity {phase.__name__}"
    assert (constraints(bot), indexes(bot), app.integrity.steps()) == before


def test_every_phase_twice_changes_nothing_the_second_time(bot: Bot) -> None:
    app = applied(bot, GOOD)
    assert set(became(apply(app)).values()) == {"kept"}
    assert of_rules(validate(app)) == {"validated"}
    assert app.integrity.standing().stage is Stage.VALIDATED
    if not bot.db.is_sqlite:
        assert constraints(bot) == dict.fromkeys(RULE_NAMES, True)
    assert of_rules(validate(app)) == {"kept"}
    assert of_rules(rollback(app)) == {"dropped"}
    assert not constraints(bot)
    assert indexes(bot) >= INDEX_NAMES
    assert app.integrity.standing().stage is Stage.ROLLED_BACK
    assert set(became(rollback(app)).values()) == {"absent", "kept"}
    bot.db.insert("orders", [{"order_id": "free", "profile_id": "p1", "trade_id": " "}])
    assert of_rules(apply(app)) == {"added"}
    assert states(app)["chk_orders_trade_id_not_blank"] is State.NOT_VALID


@pytest.mark.parametrize(
    "bad", [BLANK, MALFORMED, row("TRD-2", order_id="held", action="HOLD", status="canceled")], ids=str
)
def test_validate_refuses_old_rows_that_break_a_rule_whatever_the_report_looked_at(bot: Bot, bad: Any) -> None:
    app = applied(bot, GOOD, {**bad, "profile_id": "nobody's"})
    with pytest.raises(Refused, match=bad["order_id"]):
        validate(app)
    assert app.integrity.standing().stage is Stage.APPLIED


def test_what_was_there_before_stays_and_is_said(bot: Bot) -> None:
    app = bot.ready(GOOD)
    if bot.db.is_sqlite:
        for ending, when in (("", "INSERT"), ("_update", "UPDATE")):
            bot.db.run(
                f"CREATE TRIGGER chk_orders_trade_id_format{ending} BEFORE {when} ON orders WHEN NEW.trade_id = 'x'"
                " BEGIN SELECT RAISE(ABORT, 'theirs'); END"
            )
    else:
        bot.db.run("ALTER TABLE orders ADD CONSTRAINT chk_orders_trade_id_format CHECK (trade_id <> 'x') NOT VALID")
    integrity.take_snapshot(app, keep=True)
    done = {done.name: done for done in apply(app).done}["chk_orders_trade_id_format"]
    assert done.state == "kept"
    assert "before" in str(done.detail["note"])
    said = {thing.name: thing.says for thing in app.integrity.standing().things}
    assert "'x'" in said["chk_orders_trade_id_format"]
    assert said["chk_orders_action_lifecycle"] == "action is ENTRY, EXIT or NULL"
    validate(app)
    rollback(app)
    assert set(constraints(bot)) == {"chk_orders_trade_id_format"}
    assert app.integrity.standing().stage is Stage.ROLLED_BACK


def test_a_rule_that_somebody_changed_since_is_not_dropped_and_one_that_was_dropped_is_added_again(bot: Bot) -> None:
    app = applied(bot, GOOD)
    drop = "DROP TRIGGER {0}" if bot.db.is_sqlite else "ALTER TABLE orders DROP CONSTRAINT {0}"
    bot.db.run(drop.format("chk_orders_action_lifecycle"))
    assert app.integrity.standing().stage is Stage.PARTLY_APPLIED
    bot.db.run(drop.format("chk_orders_trade_id_format"))
    if bot.db.is_sqlite:
        bot.db.run(
            "CREATE TRIGGER chk_orders_trade_id_format BEFORE INSERT ON orders BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
    else:
        bot.db.run("ALTER TABLE orders ADD CONSTRAINT chk_orders_trade_id_format CHECK (trade_id <> 'x')")
    answer = apply(app)
    assert became(answer)["chk_orders_action_lifecycle"] == "added"
    assert any("chk_orders_trade_id_format" in warning for warning in answer.warnings)
    assert app.integrity.standing().stage is Stage.PARTLY_APPLIED
    with pytest.raises(Refused, match="chk_orders_trade_id_format was changed since trueup added it"):
        validate(app)
    answer = rollback(app)
    assert became(answer)["chk_orders_trade_id_format"] == "kept"
    assert any("chk_orders_trade_id_format" in warning for warning in answer.warnings)
    assert set(constraints(bot)) == {"chk_orders_trade_id_format"}


def test_an_attached_table_is_bound_by_its_own_names_and_what_it_lacks_is_said(bot: Bot) -> None:
    bot.ledger = {"orders_table": "my deals"}
    bot.columns = {"trade_id": "the deal", "order_id": "id"}
    if bot.db.is_sqlite:
        (bot.folder / "ledger.db").touch()
    bot.db.run(
        'CREATE TABLE "my deals" (id TEXT, "the deal" VARCHAR(200), symbol TEXT, side TEXT, status TEXT,'
        " timestamp BIGINT, qty TEXT, quantity TEXT)"
    )
    app = bot.init()
    integrity.take_snapshot(app, keep=True)
    answer = apply(app)
    assert set(became(answer)) == {
        "chk_orders_trade_id_not_blank", "chk_orders_trade_id_format", "idx_orders_trade_id", "idx_orders_lifecycle",
    }  # fmt: skip
    assert bot.app().integrity.standing().stage is Stage.APPLIED  # a new process reads the table with its rules
    left_out = " ".join(answer.standing.left_out)
    assert all(name in left_out for name in ("chk_orders_action_lifecycle", "trade_history", "positions"))
    with pytest.raises(IntegrityError, match="chk_orders_trade_id_format"):
        bot.db.run("INSERT INTO \"my deals\" (id, \"the deal\") VALUES ('a', 'bad')")
    bot.db.run("INSERT INTO \"my deals\" (id, \"the deal\", status) VALUES ('a', 'TRD-1', 'canceled')")
    validate(app)
    rollback(app)
    bot.db.run("INSERT INTO \"my deals\" (id, \"the deal\") VALUES ('a', 'bad')")


def test_what_a_table_of_the_bots_lacks_is_named(sqlite_bot: Bot) -> None:
    app = sqlite_bot.ready(GOOD)
    sqlite_bot.db.run("DROP TABLE trade_history")
    sqlite_bot.db.run("ALTER TABLE positions DROP COLUMN qty")
    history, positions = app.integrity.standing().left_out
    assert history.startswith("trade_history: the table is not there")
    assert positions.startswith("positions: the table has no column qty, so that")


def test_a_view_can_take_no_rule(bot: Bot) -> None:
    app = bot.ready(GOOD)
    bot.db.run("CREATE VIEW seen AS SELECT * FROM orders")
    bot.ledger = {"orders_table": "seen"}
    seen = bot.app()
    integrity.take_snapshot(seen, keep=True)
    with pytest.raises(Refused, match="a view"):
        apply(seen)
    assert app.integrity.standing().stage is not Stage.APPLIED


def test_a_ledger_that_is_attached_read_only_is_looked_at_and_not_changed(bot: Bot) -> None:
    bot.ready(GOOD, BLANK)
    state = f"sqlite:///{bot.folder / 'state.db'}"
    bot.ledger = {"state_url": state}
    app = bot.init()
    assert integrity.take_snapshot(app, keep=True).baseline.number == 1
    assert integrity.status(app).standing.writable is False
    for phase in (apply, validate, rollback):
        with pytest.raises(TrueupError, match="read-only"):
            phase(app)
    assert not constraints(bot)


def test_one_phase_runs_at_a_time(bot: Bot) -> None:
    app = bot.ready(GOOD)
    integrity.take_snapshot(app, keep=True)
    with bot.app().leases.hold("integrity", 0.0) as held:
        assert held is not None
        with pytest.raises(Refused, match="Another phase"):
            apply(app)
        assert app.integrity.standing().running
    apply(app)
    assert not app.integrity.standing().running


@pytest.mark.parametrize("trade", ["1234", "x y"])
def test_what_a_rule_would_refuse_is_left_out_of_a_backfill_that_books_everything_else(bot: Bot, trade: str) -> None:
    app = applied(bot, row(trade), row("TRD-2", minute=1))
    bot.sells(sold("X1", trade_id=trade), sold("X2", trade_id="TRD-2"))
    refusal = (trade, "NO_GO", "refused_by_rule:chk_orders_trade_id_format")
    assert refusal in decisions(only(run(bot.app())))
    assert refusal in decisions(only(run(bot.app(), apply=True)))
    assert {found["trade_id"] for found in bot.db.table("orders") if found["order_id"].startswith("BFILL")} == {"TRD-2"}
    rollback(app)
    assert decisions(only(run(bot.app(), apply=True))) == [(trade, "APPLIED", "inserted")]


def test_a_repair_that_a_rule_of_this_very_moment_refuses_ends_as_a_refusal_that_names_it(bot: Bot) -> None:
    trade = "1234"
    app = bot.ready(row(trade), row("TRD-2", minute=1))
    integrity.take_snapshot(app, keep=True)
    bot.sells(sold("X1", trade_id=trade), sold("X2", trade_id="TRD-2"))
    before = bot.db.table("orders"), bot.db.derived()

    def apply_meanwhile(doing: str, _: int, __: int) -> None:
        if doing.startswith("applying"):
            apply(bot.app())

    [entry] = run_backfill(bot.app(), BackfillRequest(apply=True), apply_meanwhile).profiles.values()
    error = entry.error
    assert isinstance(error, Refused)
    assert "chk_orders_trade_id_format" in error.what
    assert "rollback" in error.do
    assert (bot.db.table("orders"), bot.db.derived()) == before
    rollback(app)
    assert only(run(bot.app(), apply=True)).error is None
    assert {found["trade_id"] for found in bot.db.table("orders") if found["order_id"].startswith("BFILL")} == {
        trade, "TRD-2",
    }  # fmt: skip


@contextmanager
def holding(bot: Bot, statement: str) -> Iterator[int]:
    """Hold what a statement locks in an open transaction, as a bot that forgot its commit; give its process id."""
    with bot.db.engine.connect() as connection, connection.begin():
        connection.execute(text(statement))
        yield connection.scalar(text("SELECT pg_backend_pid()"))


def test_a_table_that_stays_busy_is_refused_with_who_holds_it_and_blocks_nobody_meanwhile(postgres_bot: Bot) -> None:
    app = postgres_bot.ready(GOOD)
    integrity.take_snapshot(app, keep=True)
    pauses: list[float] = []
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            began = time.monotonic()
            postgres_bot.db.insert("orders", [{"order_id": f"w{len(pauses)}", "profile_id": "p1"}])
            pauses.append(time.monotonic() - began)

    with holding(postgres_bot, "SELECT count(*) FROM orders") as process:
        writer = threading.Thread(target=write)
        writer.start()
        try:
            with pytest.raises(CannotKnow, match=f"process {process} of .* holds it") as busy:
                apply(app, wait_s=1.5)
            assert "What was done stays" in busy.value.do
            with pytest.raises(CannotKnow, match="stayed busy") as busy:
                apply(app, wait_s=0, dry_run=True)
            assert "Nothing was changed" in busy.value.do
        finally:
            over.set()
            writer.join()
    assert max(pauses) < 1.0
    assert app.integrity.standing().cut_short == "apply"
    assert not constraints(postgres_bot)
    apply(app)
    assert app.integrity.standing().stage is Stage.APPLIED


def test_a_file_that_another_program_writes_to_is_tried_again_and_then_refused(
    sqlite_bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)
    app = sqlite_bot.ready(GOOD)
    integrity.take_snapshot(app, keep=True)
    real = app.integrity.record

    def hold_after_the_beginning(*said: Any, **more: Any) -> int:
        seq = real(*said, **more)
        if more.get("state") == "begun":
            holder.execute("BEGIN IMMEDIATE")
        return seq

    with sqlite3.connect(sqlite_bot.folder / "ledger.db", isolation_level=None) as holder:
        monkeypatch.setattr(app.integrity, "record", hold_after_the_beginning)
        with pytest.raises(CannotKnow, match=r"stayed busy for 0\.5 s .* another program keeps"):
            apply(app, wait_s=0.5)
        holder.execute("ROLLBACK")
        monkeypatch.undo()
    sqlite_bot.db.run("UPDATE leases SET expires_at = 0")  # as when the process is gone
    assert app.integrity.standing().cut_short == "apply"
    apply(app)
    assert app.integrity.standing().stage is Stage.APPLIED


def test_a_table_that_cannot_even_be_read_is_told_with_who_holds_it(
    postgres_bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 1)
    app = postgres_bot.ready(GOOD)
    integrity.take_snapshot(app, keep=True)
    with holding(postgres_bot, "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE") as process:
        for phase in (apply, lambda app: integrity.take_snapshot(app, keep=True)):
            with pytest.raises(CannotKnow, match=f"process {process} of .* holds it"):
                phase(app)
    assert app.integrity.standing().stage is Stage.SNAPSHOT


def test_an_index_whose_build_has_to_give_up_leaves_nothing_that_the_next_run_does_not_mend(postgres_bot: Bot) -> None:
    app = postgres_bot.ready(GOOD)
    integrity.take_snapshot(app, keep=True)
    with holding(postgres_bot, "INSERT INTO trade_history (id) VALUES ('late')"), pytest.raises(CannotKnow) as refused:
        apply(app, wait_s=1.0)
    assert "process" in str(refused.value)
    apply(app)
    assert indexes(postgres_bot) >= INDEX_NAMES


def test_the_rest_of_a_killed_build_is_dropped_and_built_anew_or_rolled_back(postgres_bot: Bot) -> None:
    app = applied(postgres_bot, GOOD)
    broken = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_orders_lifecycle'::regclass"
    postgres_bot.db.run(broken)
    assert states(app)["idx_orders_lifecycle"] is State.UNFINISHED
    assert app.integrity.standing().stage is Stage.PARTLY_APPLIED
    done = {done.name: done for done in apply(app).done}["idx_orders_lifecycle"]
    assert done.state == "built"
    assert "dropped first" in str(done.detail["note"])
    assert states(app)["idx_orders_lifecycle"] is State.VALID
    postgres_bot.db.run(broken)
    assert became(rollback(app))["idx_orders_lifecycle"] == "dropped"
    assert "idx_orders_lifecycle" not in indexes(postgres_bot)


def test_a_database_without_the_record_asks_for_init(bot: Bot) -> None:
    app = bot.ready(GOOD)
    bot.db.run("DROP TABLE integrity_steps")
    assert app.integrity.standing().snapshot is None
    with pytest.raises(ConfigurationError, match="integrity_steps"):
        integrity.take_snapshot(app, keep=True)


def test_the_record_tells_who_did_what_and_when_and_how_a_phase_ended(bot: Bot) -> None:
    app = applied(bot, GOOD)
    steps = app.integrity.steps(phase="apply")
    assert [(step.what, step.state) for step in (steps[0], steps[-1])] == [("phase", "begun"), ("phase", "ended")]
    assert {step.name for step in steps if step.what == "object"} == RULE_NAMES | INDEX_NAMES
    assert {step.batch_id for step in steps} == {steps[0].batch_id}
    assert all(step.actor == app.actor and step.at.endswith("Z") for step in steps)
