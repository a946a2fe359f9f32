"""The invariants that the databases keep, each on both of them; a test carries the name of its invariant."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from tests.ledger.bot import Bot, at, leave, pause, row, run, sold

from trueup.core.audit import verify
from trueup.core.errors import Refused, TrueupError
from trueup.core.modes import Mode
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ledger import schema
from trueup.ledger.leases import LEASE_MS
from trueup.ports import Lease, RepairBatch
from trueup.service.app import App
from trueup.service.modes import show_modes
from trueup.service.undo import reapply, revert

SCOPE = "account:main"
AUDIT = schema.AUDIT
EMPTIED = [
    table.name for meta in (schema.native, schema.own) for table in meta.sorted_tables if table.name != "profiles"
]


def tries(count: int) -> Callable[[Any], Any]:
    """So many examples, all on one database, which each of them empties first."""
    return settings(max_examples=count, suppress_health_check=[HealthCheck.function_scoped_fixture])


def emptied(bot: Bot) -> None:
    with bot.db.engine.begin() as connection:
        for name in EMPTIED:
            connection.exec_driver_sql(f"DELETE FROM {name}")


@pytest.fixture
def app(bot: Bot) -> App:
    return bot.init()


TRADES = ("TRD-1", "TRD-2", "TRD-3")
shares = st.lists(st.sampled_from(["0.25", "0.5", "1", "0.9995"]), max_size=2)


@st.composite
def sales(draw: st.DrawFn) -> list[dict[str, object]]:
    """What the venue sold of each trade: nothing, a part, all of it, all but dust, or more."""
    sold_of = [(trade, qty) for trade in TRADES for qty in draw(shares)]
    return [sold(f"X{n}", qty, 10 + n, trade_id=trade) for n, (trade, qty) in enumerate(sold_of)]


def traded(bot: Bot, app: App, sales: list[dict[str, object]]) -> None:
    """Three trades of one unit each, of which one has left by half, and what the venue sold."""
    emptied(bot)
    bot.db.orders(*(row(trade, "1") for trade in TRADES), row("TRD-9", "2"), leave("TRD-9", "1"))
    bot.sells(*sales)
    pause(app)


def repairs(bot: Bot, status: str = "filled") -> set[str]:
    found = bot.db.rows("SELECT order_id FROM orders WHERE order_id LIKE 'BFILL-%' AND status = :s", s=status)
    return {one["order_id"] for one in found}


def audited(bot: Bot, *decisions: str) -> Counter[str]:
    rows = bot.db.rows(f"SELECT decision, backfill_order_id FROM {AUDIT}")
    return Counter(one["backfill_order_id"] for one in rows if one["decision"] in decisions)


class Unwritable:
    """An audit table that refuses rows, by a trigger of the database itself."""

    def __init__(self, bot: Bot) -> None:
        self.db = bot.db
        if not self.db.is_sqlite:
            self.db.run(
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$"
            )

    def where(self, condition: str) -> None:
        if self.db.is_sqlite:
            act = "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
            self.db.run(f"CREATE TRIGGER full BEFORE INSERT ON {AUDIT} WHEN {condition} {act}")
        else:
            self.db.run(
                f'CREATE TRIGGER "full" BEFORE INSERT ON {AUDIT} FOR EACH ROW WHEN ({condition})'
                " EXECUTE FUNCTION full_disk()"
            )

    def no_more(self) -> None:
        self.db.run("DROP TRIGGER IF EXISTS full" if self.db.is_sqlite else f'DROP TRIGGER IF EXISTS "full" ON {AUDIT}')


broken = st.one_of(
    st.integers(1, 14).map(lambda seq: f"NEW.seq >= {seq}"),
    st.integers(1, 14).map(lambda seq: f"NEW.seq = {seq}"),
    st.sampled_from(["PENDING_APPLY", "APPLIED", "NO_GO", "REVERTED", "REAPPLIED"]).map(
        lambda decision: f"NEW.decision = '{decision}'"
    ),
)


def test_audit_before_act_what_the_audit_does_not_take_is_not_done(bot: Bot, app: App) -> None:
    """Invariant 7 (Audit before act), for an audit that cannot be written at any point of apply, revert and reapply."""
    disk = Unwritable(bot)
    announced: list[Counter[str]] = []

    def before_a_row(*said: Any) -> None:
        if said[2].startswith("INSERT INTO orders"):
            announced.append(audited(bot, "PENDING_APPLY"))

    event.listen(bot.store.books._engine, "before_cursor_execute", before_a_row)

    @tries(12)
    @given(sales=sales(), broken=broken)
    def check(sales: list[dict[str, object]], broken: str) -> None:
        traded(bot, app, sales)
        announced.clear()
        steps = [lambda _: run(app, apply=True), lambda b: revert(app, b, "why"), lambda b: reapply(app, b, "why")]
        disk.where(broken)
        try:
            for step in steps:
                batch = next(iter(app.journal.batches()), None)
                before, orders = audited(bot, "APPLIED", "REVERTED", "REAPPLIED"), bot.db.table("orders")
                with suppress(TrueupError):
                    step(batch.batch_id if batch else "none")
                done = audited(bot, "APPLIED", "REVERTED", "REAPPLIED") - before
                changed = [found for found in bot.db.table("orders") if found not in orders]
                assert {found["order_id"] for found in changed} == set(done)
                assert verify(app.journal.audit_rows()).ok
        finally:
            disk.no_more()
        assert set(audited(bot, "APPLIED")) <= set(audited(bot, "PENDING_APPLY"))
        assert all(set(audited(bot, "APPLIED")) <= set(durable) for durable in announced)

    check()


@dataclass
class Seen:
    """What stood in the books, by the repairs in force: that it is so again whenever they are in force again."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)
    derived: dict[frozenset[str], Any] = field(default_factory=dict)

    def look(self, bot: Bot) -> None:
        orders = bot.db.rows("SELECT * FROM orders ORDER BY order_id")
        audit = bot.db.rows(f"SELECT * FROM {AUDIT} ORDER BY seq")
        now = {found["order_id"]: found for found in orders}
        for was in self.orders:
            may_change = {"status", "updated_at"} if was["order_id"].startswith("BFILL-") else set()
            kept = now[was["order_id"]]
            assert {name for name in was if was[name] != kept[name]} <= may_change
        for was, kept in zip(self.audit, audit, strict=False):
            assert {name for name in was if was[name] != kept[name]} <= {"reverted_at"}
        assert len(audit) >= len(self.audit)
        self.orders, self.audit = orders, audit
        derived = bot.db.derived()
        derived["positions"] = [found for found in derived["positions"] if Decimal(found["qty"])]
        # A trade that no repair has touched yet has no history of ours; without exits it says nothing.
        derived["trade_history"] = [found for found in derived["trade_history"] if Decimal(found["exit_qty"])]
        if derived["capital_ledger"]:
            assert self.derived.setdefault(frozenset(repairs(bot)), derived) == derived


def test_reversible_whatever_is_applied_taken_back_and_put_back(bot: Bot, app: App) -> None:
    """Invariant 8 (Reversible): no row goes or changes but by status, and what follows from the rows comes back."""
    steps = st.lists(st.tuples(st.sampled_from(["apply", "revert", "reapply"]), st.integers(0, 3)), max_size=6)

    @tries(6)
    @given(sales=sales(), steps=steps)
    def check(sales: list[dict[str, object]], steps: list[tuple[str, int]]) -> None:
        traded(bot, app, [])
        first = bot.db.rows("SELECT * FROM orders ORDER BY order_id")
        seen, batches = Seen(), []
        for what, which in [("apply", 1), *steps, ("apply", 3)]:
            if what == "apply":
                bot.sells(*sales[: 2 * which])
                [entry] = run(app, apply=True).profiles.values()
                batches += [entry.batch_id] if entry.inserted else []
            elif batches:
                try:
                    {"revert": revert, "reapply": reapply}[what](app, batches[which % len(batches)], "why")
                except Refused:
                    before = seen.orders
                    assert bot.db.rows("SELECT * FROM orders ORDER BY order_id") == before
            seen.look(bot)
        for batch in reversed(batches):
            revert(app, batch, "all of it")
            seen.look(bot)
        assert repairs(bot) == set()
        assert [found for found in seen.orders if not found["order_id"].startswith("BFILL-")] == first
        assert verify(app.journal.audit_rows()).ok

    check()


PATHS = {"p1": ("global", "account:main", "profile:p1"), "p2": ("global", "account:main", "profile:p2")}
SCOPES = ("global", "account:main", "profile:p1", "profile:p2")


def test_tighten_freely_and_the_strictest_on_the_path_is_in_force(bot: Bot) -> None:
    """Invariant 10 (Tighten freely, loosen only through gates)."""
    bot.profiles.append({"id": "p2"})
    app = bot.init()
    change = st.tuples(st.sampled_from(SCOPES), st.sampled_from([*Mode, "incident", "closed"]))

    @tries(20)
    @given(changes=st.lists(change, max_size=10))
    def check(changes: list[tuple[str, Mode | str]]) -> None:
        emptied(bot)
        modes: dict[str, Mode] = {}
        incidents: set[str] = set()
        for number, (scope, what) in enumerate(changes):
            before = modes.get(scope, Mode.NORMAL)
            if what == "closed":
                incidents.discard(scope)
                bot.db.run("UPDATE incidents SET closed_at = opened_at WHERE scope = :s", {"s": scope})
            elif what == "incident":
                incidents.add(scope)
                row = {"incident_id": f"INC-{number}", "scope": scope, "status": "open", "opened_at": iso(at(number))}
                bot.db.insert("incidents", [row])
            elif what < before and scope in incidents:
                with pytest.raises(Refused, match=scope):
                    pause(app, what, scope)
            else:
                pause(app, what, scope)
                modes[scope] = what
            view = show_modes(app)
            for profile, path in PATHS.items():
                strictest = max(modes.get(one, Mode.NORMAL) for one in path)
                assert view.profiles[profile][0] is strictest
        kept = [(c.scope, c.mode) for c in reversed(app.modes.history(99))]
        assert dict(kept) == modes
        assert len(bot.db.table("safety_modes")) == len(kept)

    check()


SECOND = {
    True: "substr(updated_at, 1, 19)",
    False: "to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')",
}
"""When the capital ledger was written last, by which one tells who wrote it."""


def test_fenced_who_lost_the_lease_cannot_write_whatever_the_interleaving(bot: Bot, app: App) -> None:
    """Invariant 12 (Fenced), for three workers that take, lose, renew, give back and write in any order."""
    workers = [app, bot.app(), bot.app()]
    step = st.tuples(st.sampled_from(["take", "expire", "renew", "write", "write", "release"]), st.integers(0, 2))

    @tries(20)
    @given(steps=st.lists(step, max_size=14))
    def check(steps: list[tuple[str, int]]) -> None:
        emptied(bot)
        profile = app.ledger.profiles()[0]
        leases: dict[int, Lease] = {}
        holder, expired, fence, written = None, False, 0, None
        for number, (what, who) in enumerate([*steps, ("write", 0), ("write", 1), ("write", 2)]):
            port = workers[who].leases
            if what == "expire":
                bot.db.run("UPDATE leases SET expires_at = 1")
                expired = True
            elif what == "take":
                taken = port._take(SCOPE)
                assert (taken is not None) == (holder is None or expired)
                if taken is not None:
                    assert taken.fence == fence + 1
                    leases[who], holder, expired, fence = taken, who, False, taken.fence
            elif who in leases and what == "write":
                now = iso(at(number))
                batch = RepairBatch("BATCH-1", profile, leases[who], (), Symbols(), "bytelyst", now)
                if who == holder:
                    workers[who].ledger.book(batch, rehearse=False)
                    written = now
                else:
                    with pytest.raises(Refused, match="taken over"):
                        workers[who].ledger.book(batch, rehearse=False)
            elif who in leases:
                values = {"owner": None, "expires_at": 0} if what == "release" else {"expires_at": far(app)}
                port._set(leases[who], **values)
                if who == holder:
                    expired = what == "release"
                    holder = None if what == "release" else who
                if what == "release":
                    del leases[who]
            told = bot.db.rows(f"SELECT {SECOND[bot.db.is_sqlite]} AS at FROM capital_ledger")
            assert told == ([{"at": written[:19]}] if written else [])

    check()


def far(app: App) -> int:
    return app.clock.now_ms() + LEASE_MS


def test_fenced_a_run_that_is_overtaken_at_any_point_writes_nothing_afterwards(bot: Bot, app: App) -> None:
    """Invariant 12 (Fenced): between any two transactions of a run another takes the lease over, and may run itself."""
    other = bot.app()
    overtake: dict[str, Any] = {"at": 0}

    def overtaken_before(opened: Callable[[], Any]) -> Callable[[], Any]:
        def opening() -> Any:
            overtake["at"] -= 1
            if overtake["at"] == 0:
                overtake["kept"] = repairs(bot)
                bot.db.run("UPDATE leases SET expires_at = 1")
                if overtake["runs"]:
                    [entry] = run(other, apply=True).profiles.values()
                    overtake["kept"] |= set(entry.inserted)
                assert other.leases._take(SCOPE) is not None
            return opened()

        return opening

    books = app.ledger._store.books
    books.reading, books.writing = overtaken_before(books.reading), overtaken_before(books.writing)

    @tries(15)
    @given(sales=sales(), place=st.integers(1, 20), runs=st.booleans())
    def check(sales: list[dict[str, object]], place: int, runs: bool) -> None:
        overtake.update(at=0, runs=runs, kept=None)
        traded(bot, app, sales)
        overtake["at"] = place
        [lost] = run(app, apply=True).profiles.values()
        overtake["at"] = 0
        booked = repairs(bot)
        assert overtake["kept"] is None or booked == overtake["kept"]
        assert audited(bot, "APPLIED") == dict.fromkeys(booked, 1)
        assert lost.error is None or ("taken over" in str(lost.error) and not lost.inserted)
        assert verify(app.journal.audit_rows()).ok

    check()
