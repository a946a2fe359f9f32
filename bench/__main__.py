"""Prints the figures: `make bench`. Ratios are against the bare engine doing the same reading, in the same run."""

import gc
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from sqlalchemy import text
from tests.postgres import running_postgres

from bench.events import EVENTS, measured, told
from bench.worlds import PROFILE, facts, history
from trueup.__main__ import COLLECT_AFTER
from trueup.core.repair.plan import Wanted, plan_account
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.slices import slices_of
from trueup.core.symbols import Symbols
from trueup.ledger.attach import OrdersMap
from trueup.ledger.setup import SqlSetup
from trueup.ledger.sql import SqlLedger, open_store
from trueup.ledger.tables import Store
from trueup.ports import Profile

_SIZES = (1_000, 10_000, 100_000)
_HISTORY = 1_000_000
_COLUMNS = "order_id,profile_id,symbol,side,qty,price,status,timestamp,trade_id,action"
_BARE = (
    "SELECT profile_id, trade_id, SUM(CASE WHEN action='ENTRY' THEN qty ELSE -qty END) FROM orders"
    " WHERE status IN ('filled','partially_filled') GROUP BY profile_id, trade_id"
    " HAVING SUM(CASE WHEN action='ENTRY' THEN qty ELSE -qty END) > 1e-8"
)


def timed(action: Callable[[], object], times: int = 3) -> float:
    """Return the least of the wall times of an action, in seconds."""
    taken: list[float] = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return min(taken)


def deciding() -> None:
    """Print how long deciding takes, and how it grows."""
    wanted = Wanted(frozenset({PROFILE}))
    for tag, policy in (
        ("trade_id", BackfillPolicy()),
        ("client_order_id", BackfillPolicy()),
        ("none", BackfillPolicy(strong_attribution=False, heuristic_match=True, dust_rel=Decimal("1e-7"))),
    ):
        taken: list[float] = []
        for size in _SIZES:
            known = facts(size, tag)
            taken.append(timed(lambda known=known, policy=policy: plan_account(known, wanted, policy), 3))
        exponent = math.log(taken[-1] / taken[0]) / math.log(_SIZES[-1] / _SIZES[0])
        shown = ", ".join(f"{size:,} in {seconds:.2f} s" for size, seconds in zip(_SIZES, taken, strict=True))
        print(f"deciding, evidence by {tag:16} {shown}; exponent {exponent:.2f}")


def open_slices(url: str, name: str) -> None:
    """Print how long finding the open slices of a long history takes against a bare GROUP BY."""
    store = open_store(url, OrdersMap())
    SqlSetup(store).initialise([Profile(PROFILE, "acc")])
    _fill(store)
    ledger = SqlLedger(store)

    def bare() -> object:
        with store.books.reading() as connection:
            return connection.execute(text(_BARE)).all()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = timed(lambda: slices_of(ledger.open_trade_rows([PROFILE]), Symbols()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    theirs = timed(bare)
    print(
        f"open slices of {_HISTORY:,} orders, {name:8} {ours:.2f} s, bare GROUP BY {theirs:.2f} s,"
        f" ratio {ours / theirs:.2f}; peak memory {peak // 1024} MB ({(peak - before) // 1024} MB above the start)"
    )
    store.books.close()


def _fill(store: Store) -> None:
    with store.books.writing() as connection:
        cursor = connection.connection.cursor()
        if store.books.is_sqlite:
            marks = ",".join("?" * len(_COLUMNS.split(",")))
            cursor.executemany(f"INSERT INTO orders ({_COLUMNS}) VALUES ({marks})", history(_HISTORY))
            return
        with cursor.copy(f"COPY orders ({_COLUMNS}) FROM STDIN") as copy:
            for row in history(_HISTORY):
                copy.write_row(row)
        connection.execute(text("ANALYZE orders"))


def start_up() -> None:
    """Print how long `trueup --help` takes as a whole process."""
    command = [sys.executable, "-m", "trueup", "--help"]
    taken = timed(lambda: subprocess.run(command, check=True, capture_output=True), 5)
    print(f"trueup --help {taken:.2f} s")


def main() -> None:
    """Run everything, with the collector set as the program sets it."""
    gc.set_threshold(*COLLECT_AFTER)
    start_up()
    folder = Path(tempfile.mkdtemp(prefix="trueup-bench-"))
    try:
        open_slices(f"sqlite:///{folder / 'ledger.db'}", "SQLite")
        with running_postgres(folder / "turns") as server, server.fresh_database() as url:
            open_slices(url, "Postgres")
    finally:
        shutil.rmtree(folder)
    deciding()
    print(told(measured(EVENTS)))


if __name__ == "__main__":
    main()
