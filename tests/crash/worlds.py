"""A small world to crash in: two profiles of one account, on SQLite or Postgres, put back for every crash."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text
from tests.crash.child import ENABLED, stand_still
from tests.ledger.bot import DERIVED, Bot, close, leave, pause, row, run, sold

from trueup.bootstrap import build
from trueup.core.audit import verify
from trueup.ledger import schema
from trueup.service.app import App

ROWS = (
    row("TRD-1", "1"),
    row("TRD-2", "2.0005", 1),
    leave("TRD-2", "1", 2),
    row("TRD-3", "5", 3),
    row("TRD-4", "0.7", 4, profile_id="p2"),
)
SOLD = (
    sold("X1", "0.4", 10, trade_id="TRD-1"),
    sold("X2", "0.6", 11, trade_id="TRD-1"),
    sold("X3", "1", 12, trade_id="TRD-2"),
    sold("X4", "0.7", 13, trade_id="TRD-4"),
)
BOOKED = {"p1": 4, "p2": 1}
"""TRD-1 by two orders, TRD-2 by one and as dust, TRD-4 by one; TRD-3 has no proof."""


class Crashes:
    """The process that forks the children."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.crash.child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the process that forks has died"
        return json.loads(answer)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


class World:
    """The bot, and its database as it was at a point to which every crash returns."""

    def __init__(self, bot: Bot) -> None:
        stand_still()
        self.bot = bot
        bot.profiles = [{"id": "p1", "allocated_capital": "1000"}, {"id": "p2"}]
        app = bot.init()
        bot.db.orders(*ROWS)
        pause(app)
        bot.sells(*SOLD)
        self.config = bot.config
        self.kept: dict[str, Any] = {}

    def app(self) -> App:
        return build(self.config, ENABLED)

    def keep(self) -> None:
        """Remember the database as it is now."""
        if self.bot.db.is_sqlite:
            self.bot.close()
            self.bot.db.run("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copyfile(self.file, self.file.with_suffix(".kept"))
            return
        tables = inspect(self.bot.db.engine).get_table_names()
        self.bot.db.run("DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept")
        for name in tables:
            self.bot.db.run(f"CREATE TABLE kept.{name} AS SELECT * FROM public.{name}")
        self.kept = dict.fromkeys(tables)

    def restore(self) -> None:
        """Put the database back to where it was kept."""
        if self.bot.db.is_sqlite:
            for ending in ("-wal", "-shm"):
                self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
            shutil.copyfile(self.file.with_suffix(".kept"), self.file)
            return
        with self.bot.db.engine.begin() as connection:
            for name in self.kept:
                connection.execute(text(f"DELETE FROM public.{name}"))
                connection.execute(text(f"INSERT INTO public.{name} SELECT * FROM kept.{name}"))

    @property
    def file(self) -> Path:
        return self.bot.folder / "ledger.db"

    def books(self) -> dict[str, Any]:
        """All that the ledger says, to the last column: the clock stands still."""
        return {name: self.bot.db.table(name) for name in ("orders", *DERIVED)}

    def orders_of(self, profile: str, status: str = "filled") -> set[str]:
        return {
            found["order_id"]
            for found in self.bot.db.table("orders")
            if found["profile_id"] == profile and found["order_id"].startswith("BFILL-") and found["status"] == status
        }

    def audited(self, app: App, decision: str) -> Counter[Any]:
        """How often the audit has a decision for a row, once it is verified."""
        rows = list(app.journal.audit_rows())
        checked = verify(rows)
        assert checked.ok, checked
        return Counter(found["backfill_order_id"] for found in rows if found["decision"] == decision)

    def batch_of(self, profile: str) -> str:
        query = f"SELECT DISTINCT batch_id FROM {schema.AUDIT} WHERE decision = 'APPLIED' AND profile_id = :p"
        return self.bot.db.value(query, p=profile)

    def apply(self) -> dict[str, Any]:
        """Apply in this process, and return the document."""
        app = self.app()
        try:
            report = run(app, apply=True)
            for entry in report.profiles.values():
                if entry.error is not None:
                    raise entry.error
            return report.as_json()
        finally:
            close(app)
