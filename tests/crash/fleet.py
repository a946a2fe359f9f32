"""A fleet of worker processes over many accounts on one Postgres, of which some are killed and some frozen.

`python -m tests.crash.fleet CONFIG LEASE_MS` imports everything once, and becomes one more worker for every line that
it reads; it answers with the worker's process id. Each account's venue says that its one order was filled, while a bot
forgets that again and again, so that there is always something to heal.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from trueup.bootstrap import SystemClock, build
from trueup.core.audit import Verification, verify
from trueup.core.orders import Side
from trueup.core.snapshot import Coverage, Feed, FeedState, Leg, Snapshot, VenueOrder
from trueup.core.symbols import Symbols
from trueup.core.times import iso, read_time
from trueup.ledger import engine
from trueup.ledger.leases import SqlLeases
from trueup.ports import EVERYTHING, OrderAnswer, ReadScope
from trueup.service.app import Account, App
from trueup.service.runs import end_the_killed
from trueup.service.setup import initialise
from trueup.service.worker import Worker, WorkerOptions

LEASE_MS = 3000
ENVIRON = {"RECON_INTERVAL_SECONDS": "0.1", "RECON_SETTLE_WINDOW_SECONDS": "0"}
BEGUN_MS = int(time.time() * 1000) - 3_600_000


@dataclass(frozen=True)
class FilledVenue:
    """A venue at which each profile's one order was filled an hour ago."""

    account: str
    profiles: tuple[str, ...]

    actions = None

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:
        now_ms = time.time_ns() // 1_000_000
        orders = tuple(
            VenueOrder(
                id=f"X-{name}", symbol="BTC/USD", side=Side.BUY, status="filled", qty=Decimal(1),
                time_ms=now_ms - 3_600_000, price=Decimal(100), price_source="order",
                client_order_id=f"bytelyst-{name}-TRD-{name}-entry",
            )
            for name in self.profiles
        )  # fmt: skip
        legs = (Leg("BTC/USD", Decimal(len(orders)), Decimal(100)),)
        complete = Coverage(FeedState.COMPLETE)
        feeds = dict.fromkeys((Feed.POSITIONS, Feed.OPEN_ORDERS, Feed.CLOSED_ORDERS), complete)
        return Snapshot(self.account, now_ms, coverage=feeds, orders=orders, legs=legs)

    def find_order(self, *_: object) -> OrderAnswer:
        return OrderAnswer(absent=True)

    def stream(self, *_: object) -> None:
        return None


def app_of(config: Path, lease_ms: int = LEASE_MS) -> App:
    """The App of a fleet: its accounts in the process, its leases as short as the test wants them."""
    app = build(config, ENVIRON)
    members: dict[str, list[str]] = defaultdict(list)
    for profile in app.configured:
        members[str(profile.account)].append(profile.profile_id)
    venues = {name: FilledVenue(name, tuple(found)) for name, found in members.items()}
    accounts = {name: Account(name, Symbols(), lambda venue=venue: venue) for name, venue in venues.items()}
    leases = SqlLeases(app.ledger._store, SystemClock(), lease_ms)
    return replace(app, accounts=accounts, leases=leases)


def work(config: Path, lease_ms: int) -> None:
    """Be one worker until it is asked to stop."""
    engine.FROZEN_SECONDS = 2
    worker = Worker(app_of(config, lease_ms), WorkerOptions(threads=2))
    signal.signal(signal.SIGTERM, lambda *_: worker.stop.set())
    worker.run()


def main(config: str, lease_ms: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                work(Path(config), int(lease_ms))
            except BaseException:  # noqa: BLE001  # a child says what it died of
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


@dataclass
class Played:
    """What a play left in the database."""

    profiles: int
    ran: set[str]
    cycles: int
    overlaps: list[tuple[str, str, str]]
    interleaved: list[str]
    heals: int
    pending: int
    fenced_out: int
    taken_over: int
    audit: Verification
    killed: int = 0
    frozen: int = 0
    seconds: float = 0.0
    alive: list[int] = field(default_factory=list)


class Fleet:
    """The processes, and the bot that forgets."""

    def __init__(self, folder: Path, url: str, profiles: int, per_account: int = 1) -> None:
        self.names = [f"p{number:05d}" for number in range(profiles)]
        self.config = _write_config(folder, url, self.names, per_account)
        self.app = app_of(self.config)
        initialise(self.app)
        self.engine = create_engine(url)
        self.chance = random.Random(5)
        self.workers: list[int] = []
        self.said: Callable[[str], None] = lambda _: None
        self._bot_writes_all()
        command = [sys.executable, "-W", "ignore", "-m", "tests.crash.fleet", str(self.config), str(LEASE_MS)]
        self.nursery = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )

    def start(self) -> None:
        """Start one worker."""
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        self.nursery.stdin.write("\n")
        self.nursery.stdin.flush()
        self.workers.append(int(self.nursery.stdout.readline()))

    def play(self, workers: int, seconds: float, every: float, at_most: float = 600) -> Played:
        """Let so many workers run for a time, and on until every profile ran and a frozen one was refused.

        Every few seconds one is killed and one frozen past its lease.
        """
        for _ in range(workers):
            self.start()
        begun, killed, frozen = time.monotonic(), 0, 0
        while (taken := time.monotonic() - begun) < seconds or (taken < at_most and not self._enough()):
            self._forget(every)
            stopped, dead = self.chance.sample(self.workers, 2)
            os.kill(stopped, signal.SIGSTOP)
            os.kill(dead, signal.SIGKILL)
            self.workers.remove(dead)
            self.start()
            killed, frozen = killed + 1, frozen + 1
            self._forget(LEASE_MS / 1000 + 1.5)
            os.kill(stopped, signal.SIGCONT)
            self.said(f"{time.monotonic() - begun:.0f} s: {self._progress()}")
        self._stop()
        end_the_killed(self.app)
        taken = time.monotonic() - begun
        return replace(self._found(), killed=killed, frozen=frozen, seconds=taken)

    def close(self) -> None:
        """End what is left."""
        for worker in self.workers:
            for name in (signal.SIGCONT, signal.SIGKILL):
                if _runs(worker):
                    os.kill(worker, name)
        self.nursery.stdin.close()
        self.nursery.wait(timeout=20)
        self.nursery.stdout.close()
        self.engine.dispose()
        self.app.close()

    def _enough(self) -> bool:
        ran, refused = self._progress()
        return ran == len(self.names) and refused > 0

    def _progress(self) -> tuple[int, int]:
        """How many profiles ran, and how often somebody was refused."""
        with self.engine.connect() as connection:
            ran = connection.scalar(
                text("SELECT count(DISTINCT profile_id) FROM reconcile_runs WHERE status IN ('OK', 'MISMATCH')")
            )
            refused = connection.scalar(text("SELECT sum(fenced_out) FROM leases"))
        return int(ran or 0), int(refused or 0)

    def _stop(self) -> None:
        for worker in self.workers:
            os.kill(worker, signal.SIGTERM)
        until = time.monotonic() + 60
        while time.monotonic() < until and any(map(_runs, self.workers)):
            time.sleep(0.1)
        left = [worker for worker in self.workers if _runs(worker)]
        assert not left, f"{left} did not stop when asked"
        self.workers.clear()

    def _bot_writes_all(self) -> None:
        now = iso(time.time_ns() // 1_000_000)
        rows = [
            {"order_id": f"R-{name}", "profile": name, "at": BEGUN_MS, "trade": f"TRD-{name}", "exchange": f"X-{name}",
             "client": f"bytelyst-{name}-TRD-{name}-entry", "now": now}
            for name in self.names
        ]  # fmt: skip
        statement = (
            "INSERT INTO orders (order_id, profile_id, user_id, symbol, type, side, qty, order_qty, price, status,"
            " timestamp, trade_id, action, source, exchange_order_id, client_order_id, created_at, updated_at) VALUES"
            " (:order_id, :profile, 'u', 'BTC/USD', 'market', 'buy', 1, 1, 100, 'new', :at, :trade, 'ENTRY', 'BOT',"
            " :exchange, :client, :now, :now)"
        )
        with self.engine.begin() as connection:
            connection.execute(text(statement), rows)

    def _forget(self, seconds: float) -> None:
        """Be a bot that takes fills for working orders again, for a time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            names = self.chance.sample(self.names, min(10, len(self.names)))
            with self.engine.begin() as connection:
                connection.execute(
                    text("UPDATE orders SET status = 'new', updated_at = now() WHERE profile_id = ANY(:names)"),
                    {"names": names},
                )
            time.sleep(0.3)

    def _found(self) -> Played:
        with self.engine.connect() as connection:
            runs = [dict(r) for r in connection.execute(text("SELECT * FROM reconcile_runs")).mappings()]
            leases = [dict(r) for r in connection.execute(text("SELECT * FROM leases")).mappings()]
        ended = [run for run in runs if run["status"] in ("OK", "MISMATCH")]
        cycle_of = {run["run_id"]: (run["account"], run["cycle_id"]) for run in runs}
        audit = list(self.app.journal.audit_rows())
        heals = [row for row in audit if row["decision"] == "HEALED"]
        return Played(
            profiles=len(self.names), ran={run["profile_id"] for run in ended},
            cycles=len({run["cycle_id"] for run in ended}), overlaps=_overlaps(ended),
            interleaved=_interleaved([cycle_of[str(row["batch_id"])] for row in heals]), heals=len(heals),
            pending=sum(run["status"] == "PENDING" for run in runs),
            fenced_out=sum(lease["fenced_out"] for lease in leases),
            taken_over=sum(lease["fence"] for lease in leases) - len({run["cycle_id"] for run in runs}),
            audit=verify(audit),
        )  # fmt: skip


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def _overlaps(ended: list[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """The cycles of one account that ran at the same time, of those that came to an end."""
    spans: dict[tuple[str, str], tuple[int, int]] = {}
    for run in ended:
        key, began, over = (run["account"], run["cycle_id"]), _ms(run["started_at"]), _ms(run["ended_at"])
        old = spans.get(key, (began, over))
        spans[key] = (min(began, old[0]), max(over, old[1]))
    by_account: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for (account, cycle), (began, over) in spans.items():
        by_account[account].append((began, over, cycle))
    return [
        (account, first[2], second[2])
        for account, found in by_account.items()
        for first, second in zip(sorted(found), sorted(found)[1:], strict=False)
        if second[0] < first[1]
    ]


def _ms(value: Any) -> int:
    return read_time(value)


def _interleaved(writes: list[tuple[str, str]]) -> list[str]:
    """The accounts in whose audit the heals of one cycle stand among those of another."""
    newest: dict[str, str] = {}
    over: dict[str, set[str]] = defaultdict(set)
    found: list[str] = []
    for account, cycle in writes:
        if newest.get(account) != cycle:
            found += [account] if cycle in over[account] else []
            over[account].add(newest.get(account, ""))
            newest[account] = cycle
    return found


def _write_config(folder: Path, url: str, names: list[str], per_account: int) -> Path:
    lines = ["[ledger]", f"url = {json.dumps(url)}"]
    accounts = [f"acc{number:05d}" for number in range(-(-len(names) // per_account))]
    for account in accounts:
        lines += ["[[accounts]]", f'name = "{account}"', f'venue = "file:{account}.json"']
    for number, name in enumerate(names):
        lines += ["[[profiles]]", f'id = "{name}"', f'account = "{accounts[number // per_account]}"', 'user_id = "u"']
    path = folder / "trueup.toml"
    path.write_text("\n".join(lines))
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
