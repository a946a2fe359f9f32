"""Lifecycle integrity on a Postgres that a bot writes to throughout: what each phase takes, and the bot's worst pause.

`python -m bench.integrity [ORDERS]`, 5,000,000 by default. A process of its own inserts some 300 orders a second, each
in a transaction of its own, and takes the time of each. The server writes to the disk as one in production does.
"""

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from tests.postgres import running_postgres

from trueup.bootstrap import build
from trueup.service import integrity
from trueup.service.app import App
from trueup.service.integrity_report import report
from trueup.service.setup import initialise
from trueup.service.trade_ids import IdRequest, backfill

PER_SECOND = 300
TARGET_MS = 250
PROFILES = 20
DIRTY = 1_000
"""So many trades have lost their ids."""

DURABLE = "fsync = on\nfull_page_writes = on\nmax_wal_size = 4GB\n"
_T = TypeVar("_T")

_ORDERS = """
INSERT INTO orders (order_id, profile_id, user_id, symbol, type, side, qty, quantity, price, status, timestamp,
  filled_at, trade_id, action, source, client_order_id, exchange_order_id, created_at, updated_at)
SELECT 'O-' || k || e.ending, profile, 'u1', 'C' || k % 50 || '/USD', 'market', e.side, 1, 1, 100, 'filled',
  extract(epoch FROM moment)::bigint * 1000, moment, CASE WHEN lost THEN ' ' ELSE trade END, e.action, 'BOT',
  'bytelyst-' || profile || '-' || trade || lower(e.ending), 'X-' || k || e.ending, moment, moment
FROM (SELECT k, 'p' || k % {profiles} AS profile, 'TRD-' || md5(k::text) AS trade, k <= {dirty} AS lost
      FROM generate_series(1, {trades}) k) trades,
  LATERAL (VALUES ('-ENTRY', 'buy', 'ENTRY', 0), ('-EXIT', 'sell', 'EXIT', 60)) e(ending, side, action, later),
  LATERAL (SELECT timestamptz '2025-01-01' + make_interval(secs => k * 2 + e.later) AS moment) t
"""
_HISTORY = """
INSERT INTO trade_history (id, profile_id, user_id, trade_id, symbol, side, entry_qty, exit_qty, entry_price,
  exit_price, fees, realized_pnl, price_source, opened_at, closed_at)
SELECT 'TH-' || k, 'p' || k % {profiles}, 'u1', 'TRD-' || md5(k::text), 'C' || k % 50 || '/USD', 'long', 1, 1, 100, 100,
  0, 0, 'order', timestamptz '2025-01-01' + make_interval(secs => k * 2),
  timestamptz '2025-01-01' + make_interval(secs => k * 2 + 60)
FROM generate_series(1, {trades}) k
"""
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('orders', 'trade_history') AND indexname NOT LIKE '%pkey'
"""
_LIVE = """
INSERT INTO orders (order_id, profile_id, user_id, symbol, type, side, qty, quantity, price, status, timestamp,
  trade_id, action, source, order_qty, created_at, updated_at)
VALUES (%s, 'p0', 'u1', 'LIVE/USD', 'limit', 'buy', 1, 1, 100, %s, %s, %s, 'ENTRY', 'BOT', 1, now(), now())
"""


@dataclass
class Written:
    """What the writer did: when each insert began and how long it took (seconds), and what was refused."""

    began: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def write(conninfo: str, ready: Any, stop: Any, told: "Pipe") -> None:
    """Be the bot: insert orders at a steady pace, each in its own transaction, and tell at the end how it went."""
    found = Written()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        ready.set()
        start = time.monotonic()
        while not stop.is_set():
            number = len(found.began)
            wait = start + number / PER_SECOND - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            began = time.monotonic()
            status = "new" if number % 2 else "canceled"
            try:
                connection.execute(_LIVE, (f"live-{number}", status, int(time.time() * 1000), f"TRD-live-{number}"))
            except psycopg.Error as error:
                found.refused.append(str(error))
            found.began.append(began)
            found.took.append(time.monotonic() - began)
            if time.monotonic() - start > (number + 1) / PER_SECOND + 1:
                start = time.monotonic() - number / PER_SECOND  # what was missed is not made up for in a rush
    told.send(found)


@contextmanager
def writing(conninfo: str) -> Iterator[Callable[[], Written]]:
    """Let a bot write until what is given is called, which tells how it went."""
    context = multiprocessing.get_context("spawn")
    ready, stop, (hear, tell) = context.Event(), context.Event(), context.Pipe(duplex=False)
    process = context.Process(target=write, args=(conninfo, ready, stop, tell))
    process.start()
    tell.close()
    ready.wait()

    def end() -> Written:
        stop.set()
        found: Written = hear.recv()
        return found

    try:
        yield end
    finally:
        stop.set()
        process.join()


def lay_down(app: App, conninfo: str, orders: int) -> None:
    """Make a ledger of closed trades in the server itself."""
    size = {"trades": orders // 2, "profiles": PROFILES, "dirty": min(DIRTY, orders // 20)}
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        for statement in (_ORDERS, _HISTORY):
            connection.execute(statement.format(**size).encode())
        for _, definition in indexes:
            connection.execute(definition.encode())
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    assert app.ledger.profiles()


class Phases:
    """The phases as they ran: name, begin and end in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, float, float]] = []

    def run(self, name: str, act: Callable[[], _T]) -> _T:
        """Run one phase."""
        began = time.monotonic()
        try:
            return act()
        finally:
            self.ran.append((name, began, time.monotonic()))

    def tell(self, written: Written) -> float:
        """Print what each phase took, and the writer's worst pause in it (ms); return the worst of all."""
        worst = 0.0
        for name, began, ended in self.ran:
            pauses = [t for at, t in zip(written.began, written.took, strict=True) if at + t >= began and at <= ended]
            high = max(pauses, default=0.0) * 1000
            usual = sorted(pauses)[len(pauses) // 2] * 1000 if pauses else 0.0
            print(f"  {name:<22} {ended - began:7.1f} s   {len(pauses):6d} inserts, median {usual:5.1f} ms,"
                  f" worst {high:6.1f} ms")  # fmt: skip
            worst = max(worst, high) if name != "nothing" else worst
        return worst


def main(orders: int) -> None:
    """Lay a ledger down, let a bot write to it, and take it through every phase."""
    with (
        tempfile.TemporaryDirectory(prefix="trueup-bench-") as name,
        running_postgres(Path(name) / "turns") as server,
    ):
        server.stop()
        with (server.folder / "postgresql.conf").open("a") as configuration:
            configuration.write(DURABLE)
        server.start()
        with server.fresh_database() as url:
            app = an_app(Path(name), url)
            began = time.monotonic()
            lay_down(app, url.replace("+psycopg", ""), orders)
            print(
                f"{orders:,} orders, {orders // 2:,} trades in history, laid down in {time.monotonic() - began:.0f} s"
            )
            measure(app, url.replace("+psycopg", ""))
            app.close()


def an_app(folder: Path, url: str) -> App:
    """Build the App of a bot with some profiles."""
    lines = ["[ledger]", f'url = "{url}"', "[[accounts]]", 'name = "main"', 'venue = "file:export.json"']
    for number in range(PROFILES):
        lines += ["[[profiles]]", f'id = "p{number}"', 'account = "main"']
    (folder / "trueup.toml").write_text("\n".join(lines))
    app = build(folder / "trueup.toml", {})
    initialise(app)
    return app


def measure(app: App, conninfo: str) -> None:
    """Take a ledger through every phase while a bot writes to it."""
    phases = Phases()
    with writing(conninfo) as end:
        phases.run("nothing", lambda: time.sleep(5))
        phases.run("snapshot", lambda: integrity.take_snapshot(app, keep=True))
        phases.run("apply --dry-run", lambda: integrity.apply(app, wait_s=60, dry_run=True))
        phases.run("apply", lambda: integrity.apply(app, wait_s=60, dry_run=False))
        given = phases.run("backfill --apply", lambda: backfill(app, IdRequest(None, True, None, 0.0)))
        found = phases.run("report", lambda: report(app).counts)
        print(f"  ids were given to {given.named_rows} rows; the report counts {found or 'nothing'}")
        phases.run("validate", lambda: integrity.validate(app, wait_s=60, dry_run=False))
        phases.run("rollback", lambda: integrity.rollback(app, wait_s=60, dry_run=False))
        written = end()
    worst = phases.tell(written)
    with psycopg.connect(conninfo) as connection:
        [(found,)] = connection.execute("SELECT count(*) FROM orders WHERE order_id LIKE 'live-%'").fetchall()
    number = len(written.began) - len(written.refused)
    print(f"written {number:,}, found {found:,}, refused {len(written.refused)}; worst pause {worst:.0f} ms"
          f" (target below {TARGET_MS} ms)")  # fmt: skip
    for why in written.refused[:3]:
        print(f"  refused: {why}")


if __name__ == "__main__":
    main(int(sys.argv[1].replace("_", "").replace(",", "")) if len(sys.argv) > 1 else 5_000_000)
