"""Where the histories happen: one SQLite ledger in shared memory, emptied for each history, and the App on it.

What is written is written by the real adapters; only the disk is left out (`synchronous=OFF`), the lease is held once
for a whole history, and the clock is the simulated exchange's.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import event
from tests.reconcile.memory import (
    MemoryBeats,
    MemoryBooks,
    MemoryBreaks,
    MemoryIncidents,
    MemoryJournal,
    MemoryLeases,
    MemoryModes,
    MemoryOutbox,
    MemoryRules,
    MemoryRuns,
)

from trueup.core.decimals import plain
from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.core.repair.policy import BackfillPolicy, Flatness
from trueup.core.symbols import Symbols
from trueup.ledger.attach import OrdersMap
from trueup.ledger.breaks_store import SqlBreaks
from trueup.ledger.figures import SqlFigures
from trueup.ledger.gate import SqlGate
from trueup.ledger.heartbeats import SqlHeartbeats
from trueup.ledger.idempotency import SqlRequests
from trueup.ledger.incidents import SqlIncidents
from trueup.ledger.integrity.book import SqlIntegrity
from trueup.ledger.integrity.lifecycle import SqlLifecycle
from trueup.ledger.journal import SqlJournal
from trueup.ledger.leases import SqlLeases
from trueup.ledger.modes import SqlModes
from trueup.ledger.outbox import SqlOutbox
from trueup.ledger.runs import SqlRuns
from trueup.ledger.schema import ORDER_COLUMNS
from trueup.ledger.setup import SqlSetup
from trueup.ledger.sign_offs import SqlSignOffs
from trueup.ledger.sql import SqlLedger, open_store
from trueup.ledger.switch_marks import SqlSwitchMarks
from trueup.ledger.tables import Store
from trueup.ledger.tokens import SqlTokens
from trueup.ports import Lease, Profile, Venue
from trueup.service.app import Account, App, BackfillConfig, ReconcileConfig
from trueup.service.setup import initialise

PREFIX = "bot"
NUMBERS = ("qty", "quantity", "price", "order_qty")


class Ticking:
    """The Clock port on somebody else's time; names are counted."""

    def __init__(self) -> None:
        self.time: Callable[[], int] = lambda: 0
        self.count = 0

    def now_ms(self) -> int:
        return self.time()

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")

    def new_id(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}-{self.count:06d}"


class HeldOnce(SqlLeases):
    """The Leases port, of which each lease is taken once and kept: nobody else is there."""

    def __init__(self, store: Store, clock: Ticking) -> None:
        super().__init__(store, clock)
        self.held: dict[str, Lease] = {}

    @contextmanager
    def hold(self, scope: str, wait_seconds: float) -> Iterator[Lease | None]:
        if scope not in self.held:
            lease = self._take(scope)
            assert lease is not None
            self.held[scope] = lease
        yield self.held[scope]


@dataclass(frozen=True)
class Rules:
    """The rules of one history; `capital` is allocated to each profile."""

    flatness: Flatness = Flatness.FLAT
    backfill: bool = True
    loop: ReconcilePolicy = field(default_factory=ReconcilePolicy)
    capital: str = "1000000"

    @property
    def config(self) -> BackfillConfig:
        policy = BackfillPolicy(flatness=self.flatness, tag_prefix=PREFIX)
        return BackfillConfig(self.backfill, not self.backfill, False, frozenset(), policy)


def accounts_of(venues: Mapping[str, Venue]) -> dict[str, Account]:
    """The accounts of some venues."""
    return {name: Account(name, Symbols(), (lambda venue=venue: venue)) for name, venue in venues.items()}


class Books(Protocol):
    """One ledger, its App, and the bot's own hands on it."""

    app: App
    written: dict[str, dict[str, Any]]

    def begin(
        self, time: Callable[[], int], venues: Mapping[str, Venue], profiles: Mapping[str, str], rules: Rules
    ) -> App: ...

    def write(self, row: Mapping[str, Any]) -> None: ...

    def rows(self) -> dict[str, dict[str, Any]]: ...

    def audit(self) -> list[tuple[Any, ...]]: ...

    def breaks(self, *, over: bool = False) -> list[dict[str, Any]]: ...


class SqlBooks:
    """Books in a database of SQLite."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        self.clock = Ticking()
        self.store = open_store(f"sqlite:///{self.path}", OrdersMap("orders", None, None))
        engine = self.store.books._engine
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        self.leases = HeldOnce(self.store, self.clock)
        self.app: App = self._app({}, BackfillConfig(), ReconcilePolicy())
        initialise(self.app)
        self.written: dict[str, dict[str, Any]] = {}
        self.hands = sqlite3.connect(self.path, isolation_level=None)
        self.hands.row_factory = sqlite3.Row
        self.hands.execute("PRAGMA synchronous=OFF")
        names = self.hands.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        kept = {"trueup_schema", "alembic_version"}
        self.tables = [name for (name,) in names if name not in kept and not name.startswith("sqlite_")]

    def _app(self, accounts: Mapping[str, Account], backfill: BackfillConfig, policy: ReconcilePolicy) -> App:
        store, clock = self.store, self.clock
        return App(
            backfill=backfill, reconcile=ReconcileConfig(policy), accounts=accounts, ledger=SqlLedger(store),
            journal=SqlJournal(store, clock), modes=SqlModes(store), runs=SqlRuns(store, clock),
            breaks=SqlBreaks(store), leases=self.leases, setup=SqlSetup(store), tokens=SqlTokens(store),
            requests=SqlRequests(store, clock), sign_offs=SqlSignOffs(store), figures=SqlFigures(store, clock),
            heartbeats=SqlHeartbeats(store), gate=SqlGate(store, clock), outbox=SqlOutbox(store),
            switch_marks=SqlSwitchMarks(store), incidents=SqlIncidents(store),
            integrity=SqlIntegrity(store, clock), lifecycle=SqlLifecycle(store, clock), clock=clock,
            actor="tester", close=store.close,
        )  # fmt: skip

    def begin(
        self, time: Callable[[], int], venues: Mapping[str, Venue], profiles: Mapping[str, str], rules: Rules
    ) -> App:
        """Empty everything and begin anew; `profiles` are the account of each."""
        self.hands.execute("BEGIN")
        for name in self.tables:
            self.hands.execute(f"DELETE FROM {name}")
        for profile, account in profiles.items():
            self.hands.execute(
                "INSERT INTO profiles (profile_id, user_id, account, allocated_capital, enabled)"
                " VALUES (?, 'somebody', ?, ?, 1)", (profile, account, rules.capital),
            )  # fmt: skip
        self.hands.execute("COMMIT")
        self.leases.held.clear()
        self.written.clear()
        self.clock.time, self.clock.count = time, 0
        self.app = self._app(accounts_of(venues), rules.config, rules.loop)
        return self.app

    def write(self, row: Mapping[str, Any]) -> None:
        """Write a row as the bot does: the whole row anew, by its order id."""
        self.written[str(row["order_id"])] = dict(row)
        found = {name: _kept(row.get(name)) for name in ORDER_COLUMNS}
        marks = ", ".join(f":{name}" for name in found)
        self.hands.execute(f"INSERT OR REPLACE INTO orders ({', '.join(found)}) VALUES ({marks})", found)

    def rows(self) -> dict[str, dict[str, Any]]:
        """All rows of the ledger by order id."""
        return {row["order_id"]: dict(row) for row in self.hands.execute("SELECT * FROM orders")}

    def audit(self) -> list[tuple[Any, ...]]:
        """What the audit decided, row by row."""
        query = "SELECT decision, reason, backfill_order_id, filled_qty FROM reconciliation_backfill_audit ORDER BY seq"
        return [tuple(row) for row in self.hands.execute(query)]

    def breaks(self, *, over: bool = False) -> list[dict[str, Any]]:
        """The breaks that are not over, or all of them."""
        query = "SELECT * FROM breaks" + ("" if over else " WHERE state NOT IN ('healed', 'resolved')")
        return [dict(row) for row in self.hands.execute(query)]

    def close(self) -> None:
        """Close everything."""
        self.hands.close()
        self.store.close()


class QuickBooks:
    """Books in memory."""

    def __init__(self) -> None:
        self.written: dict[str, dict[str, Any]] = {}
        self.clock = Ticking()
        self.app: App

    def begin(
        self, time: Callable[[], int], venues: Mapping[str, Venue], profiles: Mapping[str, str], rules: Rules
    ) -> App:
        """Begin anew."""
        self.clock.time, self.clock.count = time, 0
        self.written.clear()
        self.journal, self.found = MemoryJournal(), MemoryBreaks()
        self.ledger = MemoryBooks(self.journal)
        capital = Decimal(rules.capital)
        self.ledger.members = [
            Profile(name, account, "somebody", None, capital, True) for name, account in sorted(profiles.items())
        ]
        ports: dict[str, Any] = {
            "ledger": self.ledger, "journal": self.journal, "breaks": self.found, "modes": MemoryModes(),
            "runs": MemoryRuns(time), "leases": MemoryLeases(), "setup": None, "tokens": None, "requests": None,
            "sign_offs": None, "figures": None, "heartbeats": MemoryBeats(), "gate": None, "outbox": MemoryOutbox(),
            "switch_marks": None, "incidents": MemoryIncidents(), "integrity": MemoryRules(), "lifecycle": None,
        }  # fmt: skip
        self.app = App(
            backfill=rules.config, reconcile=ReconcileConfig(rules.loop), accounts=accounts_of(venues),
            clock=self.clock, actor="tester", **ports,
        )  # fmt: skip
        return self.app

    def write(self, row: Mapping[str, Any]) -> None:
        """Write a row as the bot does: the whole row anew, by its order id."""
        self.written[str(row["order_id"])] = dict(row)
        self.ledger.put({name: row.get(name) for name in ORDER_COLUMNS})

    def rows(self) -> dict[str, dict[str, Any]]:
        """All rows of the ledger by order id."""
        return dict(self.ledger.raw)

    def audit(self) -> list[tuple[Any, ...]]:
        """What the audit decided, row by row."""
        return [(d.decision.value, d.reason, d.backfill_order_id, _text(d.filled_qty)) for d in self.journal.drafts]

    def breaks(self, *, over: bool = False) -> list[dict[str, Any]]:
        """The breaks that are not over, or all of them."""
        found = (record for record in self.found.records.values() if over or not record.state.over)
        return [{**asdict(record), "state": record.state.value} for record in found]


def _text(number: Decimal | None) -> str | None:
    return plain(number) if number is not None else None


def _kept(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value


@contextmanager
def books() -> Iterator[SqlBooks]:
    """Give a ledger in shared memory, where the system has some."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="trueup-", dir=memory if memory.is_dir() else None))
    made = SqlBooks(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)
