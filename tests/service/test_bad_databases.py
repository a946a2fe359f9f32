"""Databases that are locked, read-only, missing, broken or lossy: a clear sentence, the right exit code, no harm."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.ledger.bot import Bot, a_bot, close, decisions, only, pause, row, run, sold, why

from trueup.core.errors import CannotKnow, ConfigurationError
from trueup.ledger import schema
from trueup.ledger.engine import told
from trueup.service.setup import initialise


def test_a_locked_sqlite_ledger_is_named_after_five_seconds(sqlite_bot: Bot) -> None:
    app = sqlite_bot.ready(row("TRD-1"))
    holder = sqlite3.connect(sqlite_bot.folder / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(CannotKnow, match="locked") as error:
        run(app, apply=True)
    assert 4.5 < time.monotonic() - began < 8
    assert "ledger.db" in why(error.value)
    assert error.value.exit_code == 3
    holder.execute("ROLLBACK")
    holder.close()
    assert only(run(app)).error is None


@pytest.mark.postgres
def test_a_locked_postgres_row_is_named_after_five_seconds(postgres_bot: Bot) -> None:
    app = postgres_bot.ready(row("TRD-1"))
    postgres_bot.sells(sold("X1", trade_id="TRD-1"))
    with postgres_bot.db.engine.begin() as holder:
        holder.execute(text("SELECT * FROM orders FOR UPDATE"))
        began = time.monotonic()
        [entry] = run(app, apply=True).profiles.values()
        assert 4.5 < time.monotonic() - began < 8
    assert isinstance(entry.error, CannotKnow)
    assert "lock" in str(entry.error)
    assert len(only(run(app, apply=True)).inserted) == 1


# Root may write everywhere, so that it becomes nobody, once everything that it needs is imported.
READ_ONLY = """
import os, sys
from pathlib import Path
from trueup.bootstrap import build
from trueup.core.errors import TrueupError
from trueup.service.backfill import BackfillRequest, run_backfill
app = build(Path(sys.argv[1]), {"ENABLE_RECON_EXIT_BACKFILL": "true"})
app.ledger.open_trade_rows(["p1"])
app.close()
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    report = run_backfill(app, BackfillRequest(apply=True))
    print("done", report.exit_code)
except TrueupError as error:
    print(type(error).__name__, error.exit_code, str(error))
"""


@pytest.fixture
def open_bot() -> Iterator[Bot]:
    """Give a bot in a folder that another user may enter."""
    with TemporaryDirectory(prefix="trueup-") as name:
        Path(name).chmod(0o755)
        with a_bot(Path(name), f"sqlite:///{name}/ledger.db") as bot:
            yield bot


@pytest.mark.parametrize("folder_too", [False, True], ids=["the file", "the folder too"])
def test_a_read_only_sqlite_file_is_told_and_stays_as_it_was(open_bot: Bot, folder_too: bool) -> None:
    close(open_bot.ready(row("TRD-1")))
    file, config = open_bot.folder / "ledger.db", open_bot.config
    file.chmod(0o444)
    open_bot.folder.chmod(0o555 if folder_too else 0o777)
    kept = file.read_bytes()
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ_ONLY, str(config)], capture_output=True, text=True, check=False
    )
    open_bot.folder.chmod(0o755)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(("ConfigurationError 2", "CannotKnow 3")), said.stdout
    assert "ledger.db" in said.stdout
    assert "state_url" in said.stdout
    assert file.read_bytes() == kept


def test_a_write_ahead_log_that_cannot_be_made_is_told() -> None:
    """SQLite cannot even read a file in this mode in a folder that may not be written."""
    error = told(OperationalError("SELECT 1", None, sqlite3.OperationalError("unable to open database file")), "x.db")
    assert isinstance(error, CannotKnow)
    assert "write-ahead log" in error.what
    assert "a copy" in error.do
    assert "state_url" in error.do


def test_a_file_that_is_there_is_not_touched_by_init(sqlite_bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a read-only mount the touch fails, and "cannot be created" would be the wrong thing to say."""
    sqlite_bot.init()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    initialise(sqlite_bot.app())


def test_a_ledger_of_others_need_not_be_in_wal_mode(sqlite_bot: Bot) -> None:
    close(sqlite_bot.ready(row("TRD-1", client_order_id="c-1")))
    sqlite_bot.db.run("PRAGMA journal_mode=DELETE")
    [found] = [check for check in sqlite_bot.app().setup.inspect() if check.name == "write-ahead log"]
    assert (found.ok, found.exit_code) == (False, 2)
    sqlite_bot.ledger["state_url"] = f"sqlite:///{sqlite_bot.folder / 'state.db'}"
    app = sqlite_bot.init()
    [found] = [check for check in app.setup.inspect() if not check.ok]
    assert (found.name, found.exit_code) == ("write-ahead log", 0)
    assert "attached read-only" in found.do


def test_a_missing_database_is_named_by_the_setting_that_names_it(sqlite_bot: Bot) -> None:
    sqlite_bot.ready(row("TRD-1"))
    sqlite_bot.ledger["state_url"] = f"sqlite:///{sqlite_bot.folder / 'state.db'}"
    with pytest.raises(ConfigurationError, match=r"state\.db") as error:
        run(sqlite_bot.app())
    assert "[ledger] state_url in trueup.toml" in why(error.value)


def test_a_missing_file_is_told_and_not_made(sqlite_bot: Bot) -> None:
    app = sqlite_bot.app()
    with pytest.raises(ConfigurationError, match="no database at") as error:
        run(app)
    assert "trueup init" in why(error.value)
    assert not (sqlite_bot.folder / "ledger.db").exists()


@pytest.mark.parametrize(
    "content", [b"<html>502 Bad Gateway</html>" * 40, b"\x00" * 5000, b"SQLite format 3\x00" + b"x" * 500]
)
def test_what_is_no_database_is_told_and_stays_as_it_was(sqlite_bot: Bot, content: bytes) -> None:
    file = sqlite_bot.folder / "ledger.db"
    file.write_bytes(content)
    for act in (lambda: run(sqlite_bot.app()), lambda: initialise(sqlite_bot.app())):
        with pytest.raises((CannotKnow, ConfigurationError)) as error:
            act()
        assert "ledger.db" in why(error.value)
    assert file.read_bytes() == content


def test_a_file_that_is_cut_off_is_told(sqlite_bot: Bot) -> None:
    app = sqlite_bot.ready(*(row(f"TRD-{n}") for n in range(300)))
    sqlite_bot.db.run("PRAGMA wal_checkpoint(TRUNCATE)")
    close(app)
    file = sqlite_bot.folder / "ledger.db"
    file.write_bytes(file.read_bytes()[:-40960] + b"\xff" * 20480)
    with pytest.raises((CannotKnow, ConfigurationError)) as error:
        run(sqlite_bot.app())
    assert "ledger.db" in why(error.value)


@pytest.mark.postgres
def test_postgres_that_may_lose_commits_is_refused_with_the_reason(postgres_bot: Bot) -> None:
    app = postgres_bot.ready(row("TRD-1"))
    assert only(run(app)).error is None
    name = postgres_bot.db.value("SELECT current_database()")
    postgres_bot.db.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    for act in (lambda: run(postgres_bot.app()), lambda: initialise(postgres_bot.app())):
        with pytest.raises(ConfigurationError, match="synchronous_commit=off") as error:
            act()
        assert "crash" in why(error.value)


@pytest.mark.postgres
def test_a_postgres_that_is_not_there_is_told_without_its_password(postgres_bot: Bot) -> None:
    postgres_bot.url = "postgresql+psycopg://bot:hunter2@127.0.0.1:1/ledger"
    with pytest.raises(CannotKnow) as error:
        run(postgres_bot.app())
    assert "hunter2" not in why(error.value)


@pytest.mark.postgres
def test_a_role_that_may_not_write_is_told(postgres_bot: Bot) -> None:
    postgres_bot.ready(row("TRD-1"))
    role = f"reader_{os.getpid()}"
    postgres_bot.db.run(f"CREATE ROLE {role} LOGIN")
    try:
        postgres_bot.db.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        postgres_bot.url = postgres_bot.url.replace("//postgres@", f"//{role}@")
        with pytest.raises(ConfigurationError, match="permission denied") as error:
            run(postgres_bot.app(), apply=True)
        assert "state_url" in why(error.value)
    finally:
        postgres_bot.close()
        postgres_bot.db.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(("statement", "named"), [
    ("DROP TABLE orders", "orders"),
    ("ALTER TABLE orders DROP COLUMN side", "side"),
    ("DROP TABLE profiles", "profiles"),
    ("DROP TABLE leases", "leases"),
    (f"ALTER TABLE {schema.AUDIT} DROP COLUMN plan_hash", "plan_hash"),
])  # fmt: skip
def test_a_missing_table_or_column_is_named(bot: Bot, statement: str, named: str) -> None:
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    bot.db.run(statement)
    with pytest.raises(ConfigurationError) as error:
        only(run(app, apply=True))
    assert named in why(error.value)
    assert error.value.exit_code == 2


BAD = {
    "no quantity": {"qty": None, "quantity": None},
    "text": {"qty": "many", "quantity": None},
    "NaN": {"qty": "NaN", "quantity": None},
    "negative": {"qty": "-1", "quantity": None},
    "no time": {"timestamp": None},
    "a time in text": {"timestamp": "yesterday"},
    "an unknown status": {"status": "done_for_day"},
    "no status": {"status": None},
    "no side": {"side": None},
    "an unknown action": {"action": "CLOSE"},
}


def test_a_row_that_cannot_be_read_holds_its_own_trade_and_no_other(bot: Bot) -> None:
    if bot.db.is_sqlite:
        (bot.folder / "ledger.db").touch()
    names = list(row("TRD-1"))
    bot.db.run(f"CREATE TABLE orders ({', '.join(f'{name} TEXT' for name in [*names, 'exchange_order_id'])})")
    bad = {f"TRD-{what.replace(' ', '-')}": {**row(None, order_id=what), **columns} for what, columns in BAD.items()}
    rows = [row("TRD-1"), *({**columns, "trade_id": trade} for trade, columns in bad.items())]
    bot.db.insert("orders", [{n: None if v is None else str(v) for n, v in r.items()} for r in rows])
    app = bot.init()
    pause(app)
    bot.sells(sold("X1", trade_id="TRD-1"), *(sold(f"X-{trade}", trade_id=trade) for trade in bad))
    kept = bot.db.table("orders")
    entry = only(run(app, apply=True))
    held = {(trade, "NO_GO", "malformed_ledger_row") for trade in bad}
    assert set(decisions(entry)) == {("TRD-1", "APPLIED", "inserted"), *held}
    for held_row in entry.unresolved:
        assert f"order {bad[held_row['trade_id']]['order_id']}: " in str(held_row["metadata"])
    assert [found for found in bot.db.table("orders") if not found["order_id"].startswith("BFILL-")] == kept


def test_quantity_columns_that_disagree_hold_their_trade(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"), row("TRD-2", qty="1", quantity="2"))
    bot.sells(sold("X1", trade_id="TRD-1"), sold("X2", trade_id="TRD-2"))
    assert sorted(decisions(only(run(app, apply=True)))) == [
        ("TRD-1", "APPLIED", "inserted"), ("TRD-2", "NO_GO", "quantity_columns_disagree"),
    ]  # fmt: skip
