"""A small world to crash in, on SQLite or Postgres, put back for every crash."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text
from tests.crash.child import ENABLED, NOW_MS
from tests.ledger.bot import DERIVED, Bot, close, leave, only, row, run, sold

from trueup.bootstrap import build
from trueup.core.audit import verify
from trueup.ledger import schema

ROWS = (
    row("TRD-1", "1"),
    row("TRD-2", "2.0005", 1),
    leave("TRD-2", "1", 2),
    row("TRD-3", "5", 3),
)
SOLD = (
    sold("X1", "0.4", 10, trade_id="TRD-1"),
    sold("X2", "0.6", 11, trade_id="TRD-1"),
    sold("X3", "1", 12, trade_id="TRD-2"),
)
BOOKED = 4
"""TRD-1 by two orders, TRD-2 by one and as dust; TRD-3 has no proof."""


UNHEALED = (
    row("TRD-8", "2", order_id="w1", status="new", order_qty="2", exchange_order_id="X1", quantity=None),
    row("TRD-8", "1", 5, order_id="w2", status="new", order_qty="1", exchange_order_id="X2", quantity=None),
)
HEALED = {"w1": "filled", "w2": "canceled", "IMPRT-1": "filled"}


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
    """The bot, and its database as it was at a point to which every crash returns; the test asks for `still`, too."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        bot.ready(*ROWS)
        bot.sells(*SOLD)
        self.config = bot.config
        self.kept: list[str] = []
        self.app = build(self.config, ENABLED)
        assert self.app.clock.now_ms() == NOW_MS, "the clock stands still here as it does in the child"

    def keep(self) -> None:
        """Remember the database as it is now."""
        if self.bot.db.is_sqlite:
            self.close()
            self.bot.db.run("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copyfile(self.file, self.file.with_suffix(".kept"))
            return
        tables = inspect(self.bot.db.engine).get_table_names()
        self.bot.db.run("DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept")
        for name in tables:
            self.bot.db.run(f"CREATE TABLE kept.{name} AS SELECT * FROM public.{name}")
        self.kept = tables

    def close(self) -> None:
        close(self.app)
        self.bot.close()

    def restore(self) -> None:
        """Put the database back to where it was kept."""
        if self.bot.db.is_sqlite:
            self.close()
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

    def booked(self, status: str = "filled") -> set[str]:
        rows = self.bot.db.table("orders")
        return {f["order_id"] for f in rows if f["order_id"].startswith("BFILL-") and f["status"] == status}

    def audited(self, decision: str) -> Counter[Any]:
        """How often the audit has a decision for a row, once it is verified."""
        rows = list(self.app.journal.audit_rows())
        checked = verify(rows)
        assert checked.ok, checked
        return Counter(found["backfill_order_id"] for found in rows if found["decision"] == decision)

    def healed(self) -> dict[str, str]:
        """The rows that a heal is about, with their status."""
        return {f["order_id"]: f["status"] for f in self.bot.db.table("orders") if f["order_id"] in HEALED}

    @property
    def batch(self) -> str:
        return self.bot.db.value(f"SELECT DISTINCT batch_id FROM {schema.AUDIT} WHERE decision = 'APPLIED'")

    def apply(self) -> dict[str, Any]:
        """Apply in this process, and return the profile's document."""
        return only(run(self.app, apply=True)).as_json()


def killed_everywhere(world: World, crashes: Crashes, **request: Any) -> Iterator[str]:
    """Yield the name of each boundary, with the database as the process that was killed there left it."""
    request["config"] = str(world.config)
    crashes.ask(warm_up=True, **request)
    world.restore()
    whole = crashes.ask(**request)
    assert "error" not in whole, whole
    places = whole["boundaries"]
    assert len(places) > 20
    for number, what in enumerate(places, 1):
        world.restore()
        assert crashes.ask(die_at=number, **request) == {"killed": True}
        yield f"boundary {number} of {len(places)}: {what}"
