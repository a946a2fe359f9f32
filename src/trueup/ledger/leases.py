"""Leases with fences: one run at a time writes to an account.

A lease lasts LEASE_MS and is renewed in the background while its run lives. It is taken over when it has expired, or
at once where its owner was a process on this machine that is gone; every taking raises the fence, and a repair
transaction checks the fence.

Workers take accounts as they fall due. While a worker runs an account there is no time at which it is due, so that it
is due at once when its lease expires; who asks for a run meanwhile sets that time, and it counts when the run is over.
"""

import os
import secrets
import socket
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, and_, case, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from trueup.core.errors import TrueupError
from trueup.ledger import schema
from trueup.ledger.reading import chunks
from trueup.ledger.tables import Store
from trueup.ports import Clock, Lease, LeaseState

LEASE_MS = 30_000
RENEW_SECONDS = 10.0
_POLL_SECONDS = 0.2
_HELD_AT_MOST = 100
"""So many held accounts are looked at when accounts are taken: whether their holder is gone, and for the count."""


class SqlLeases:
    """The Leases port."""

    def __init__(self, store: Store, clock: Clock, lease_ms: int = LEASE_MS) -> None:
        self._state = store.state
        self._clock = clock
        self._lease_ms = lease_ms

    @contextmanager
    def hold(self, scope: str, wait_seconds: float) -> Iterator[Lease | None]:
        """Hold a scope's lease, renewed until the end; None where another run holds it for longer than the wait."""
        lease = self._take(scope, count=True)
        left = wait_seconds
        while lease is None and left > 0:
            self._clock.sleep(min(_POLL_SECONDS, left))
            left -= _POLL_SECONDS
            lease = self._take(scope)
        if lease is None:
            yield None
            return
        with self.renewing() as renewal:
            renewal.keep(lease)
            try:
                yield lease
            finally:
                renewal.drop(lease)
                self.release(lease)

    def register(self, scopes: Iterable[str]) -> None:
        """Make scopes known; a new one is due at once, and one that is known stays as it is."""
        names = sorted(set(scopes))
        if not names:
            return
        with self._state.reading() as connection:
            known = {scope for part in chunks(names) for scope in connection.scalars(_named(part))}
        names = [name for name in names if name not in known]
        if not names:
            return
        with self._state.writing() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            first = {"owner": None, "fence": 0, "expires_at": 0, "next_run_at": self._clock.now_ms()}
            statement = dialect.insert(schema.leases).on_conflict_do_nothing(index_elements=["scope"])
            connection.execute(statement, [{"scope": name, **first} for name in names])

    def due(self, now_ms: int, limit: int, wanted: Collection[str]) -> list[Lease]:
        """Take the wanted scopes that are due and that nobody holds, those due longest first, at most so many."""
        table, owner = schema.leases, this_process()
        taken: list[str] = []
        with self._state.writing() as connection:
            for part in chunks(sorted(wanted)):
                room = limit - len(taken)
                if room > 0:
                    taken += connection.scalars(_free(part, now_ms).limit(room)).all()
                    taken += _left_behind(connection, part, now_ms, limit - len(taken))
            rows: list[Lease] = []
            for part in chunks(taken):
                mine = table.c.scope.in_(part)
                values = {"owner": owner, "expires_at": now_ms + self._lease_ms, "next_run_at": None}
                connection.execute(update(table).where(mine).values(fence=table.c.fence + 1, **values))
                fences = {row.scope: row.fence for row in connection.execute(select(table).where(mine))}
                rows += [Lease(scope, owner, int(fences[scope]), now_ms + self._lease_ms) for scope in part]
        return rows

    def release(self, lease: Lease, next_run_at: int | None = None) -> None:
        """Give a lease back, and say when the scope is due again (None: as it was); where that fails it expires.

        A run that was asked for meanwhile is due when it was asked for.
        """
        at = schema.leases.c.next_run_at
        due = at if next_run_at is None else case((at < next_run_at, at), else_=next_run_at)
        try:
            self._set(lease, owner=None, expires_at=0, next_run_at=due)
        except TrueupError:
            return

    def wake(self, scope: str) -> None:
        """Make a scope due now: at once, or when the run that holds it is over."""
        table, now = schema.leases, self._clock.now_ms()
        sooner = or_(table.c.next_run_at.is_(None), table.c.next_run_at > now)
        with self._state.writing() as connection:
            connection.execute(update(table).where(table.c.scope == scope, sooner).values(next_run_at=now))

    def renew(self, leases: Sequence[Lease]) -> frozenset[Lease]:
        """Renew leases in one statement, and return those that another run has taken over."""
        table, expires_at = schema.leases, self._clock.now_ms() + self._lease_ms
        lost: set[Lease] = set()
        with self._state.writing() as connection:
            for part in chunks(leases):
                mine = tuple_(table.c.scope, table.c.owner, table.c.fence).in_(
                    [(lease.scope, lease.owner, lease.fence) for lease in part]
                )
                # A row that is locked is one of a run of ours that writes right now: it is renewed the next time.
                unlocked = select(table.c.scope).where(mine).with_for_update(skip_locked=True)
                names = connection.scalars(unlocked).all()
                connection.execute(update(table).where(table.c.scope.in_(names)).values(expires_at=expires_at))
                held = set(connection.scalars(select(table.c.scope).where(mine)))
                lost |= {lease for lease in part if lease.scope not in held}
        return frozenset(lost)

    @contextmanager
    def renewing(self) -> Iterator["Renewal"]:
        """Give a keeper of leases that renews them all in the background until the end."""
        renewal, over = Renewal(), threading.Event()
        thread = threading.Thread(target=self._keep, args=(renewal, over), name="leases", daemon=True)
        thread.start()
        try:
            yield renewal
        finally:
            over.set()
            thread.join()

    def states(self) -> list[LeaseState]:
        """Return every lease with its counters, by scope."""
        table = schema.leases
        with self._state.reading() as connection:
            return [
                LeaseState(
                    row.scope, row.owner, row.fence, row.expires_at, row.next_run_at, row.contended, row.fenced_out
                )
                for row in connection.execute(select(table).order_by(table.c.scope))
            ]

    def _take(self, scope: str, *, count: bool = False) -> Lease | None:
        """Take a lease that nobody holds, or return None; a locked row is one whose holder is writing right now."""
        table = schema.leases
        now = self._clock.now_ms()
        owner = this_process()
        with self._state.writing() as connection:
            unlocked = select(table).where(table.c.scope == scope).with_for_update(skip_locked=True)
            held = connection.execute(unlocked).mappings().first()
            if held is None:
                if connection.execute(select(table.c.scope).where(table.c.scope == scope)).first() is not None:
                    return None
                values = {"scope": scope, "owner": owner, "fence": 1, "expires_at": now + self._lease_ms}
                try:
                    with connection.begin_nested():
                        connection.execute(insert(table).values(values))
                except IntegrityError:
                    return None
                return Lease(scope, owner, 1, now + self._lease_ms)
            if held["owner"] is not None and held["expires_at"] > now and not is_gone(str(held["owner"])):
                if count:
                    more = {"contended": table.c.contended + 1}
                    connection.execute(update(table).where(table.c.scope == scope).values(more))
                return None
            fence = int(held["fence"]) + 1
            values = {"owner": owner, "fence": fence, "expires_at": now + self._lease_ms}
            connection.execute(update(table).where(table.c.scope == scope).values(values))
            return Lease(scope, owner, fence, now + self._lease_ms)

    def _keep(self, renewal: "Renewal", over: threading.Event) -> None:
        """Renew leases until it is over; a renewal that fails is tried again, and the fence guards the rest."""
        while not over.wait(min(RENEW_SECONDS, self._lease_ms / 3000)):
            try:
                renewal.lose(self.renew(renewal.kept()))
            except TrueupError:
                continue

    def _set(self, lease: Lease, **values: object) -> None:
        table = schema.leases
        mine = (table.c.scope == lease.scope) & (table.c.owner == lease.owner) & (table.c.fence == lease.fence)
        with self._state.writing() as connection:
            connection.execute(update(table).where(mine).values(**values))


class Renewal:
    """The leases that a process holds and renews; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: set[Lease] = set()
        self._lost: set[Lease] = set()

    def keep(self, lease: Lease) -> None:
        """Renew a lease from now on."""
        with self._lock:
            self._kept.add(lease)

    def drop(self, lease: Lease) -> None:
        """Renew a lease no longer."""
        with self._lock:
            self._kept.discard(lease)
            self._lost.discard(lease)

    def kept(self) -> list[Lease]:
        """Return the leases that are renewed."""
        with self._lock:
            return sorted(self._kept, key=lambda lease: lease.scope)

    def lose(self, leases: Iterable[Lease]) -> None:
        """Take note that another run has taken leases over."""
        with self._lock:
            self._lost |= self._kept & set(leases)
            self._kept -= self._lost

    def lost(self, lease: Lease) -> bool:
        """Say whether another run has taken a lease over; its own run had better stop."""
        with self._lock:
            return lease in self._lost


def _named(scopes: Sequence[str]) -> Select[Any]:
    return select(schema.leases.c.scope).where(schema.leases.c.scope.in_(scopes))


def _free(scopes: Sequence[str], now_ms: int) -> Select[Any]:
    """Return the query for the scopes that are due and that nobody holds, locked; the order is that of their times."""
    table = schema.leases
    free = or_(table.c.owner.is_(None), table.c.expires_at <= now_ms)
    due = or_(table.c.next_run_at.is_(None), table.c.next_run_at <= now_ms)
    query = select(table.c.scope).where(table.c.scope.in_(scopes), free, due)
    return query.order_by(table.c.next_run_at.nulls_first(), table.c.scope).with_for_update(skip_locked=True)


def _left_behind(connection: Connection, scopes: Sequence[str], now_ms: int, room: int) -> list[str]:
    """Return scopes whose holder is gone, and count those that are due while another process holds them."""
    table = schema.leases
    held = and_(table.c.scope.in_(scopes), table.c.owner.is_not(None), table.c.expires_at > now_ms)
    due = or_(table.c.next_run_at.is_(None), table.c.next_run_at <= now_ms)
    query = select(table.c.scope, table.c.owner, table.c.next_run_at).where(held, due).order_by(table.c.scope)
    gone: list[str] = []
    contended: list[str] = []
    for scope, owner, at in connection.execute(query.limit(_HELD_AT_MOST).with_for_update(skip_locked=True)):
        if is_gone(owner) and len(gone) < room:
            gone.append(scope)
        elif at is not None and not _is_ours(owner):
            contended.append(scope)
    more = {"contended": table.c.contended + 1}
    if contended:
        connection.execute(update(table).where(table.c.scope.in_(contended)).values(more))
    return gone


def _is_ours(owner: str) -> bool:
    return owner.split("|")[:4] == this_process().split("|")[:4]


def this_process() -> str:
    """Return a name for this process that another one on this machine can check: host, namespace, pid, start."""
    pid = os.getpid()
    return "|".join((socket.gethostname(), _namespace(), str(pid), _started(pid) or "?", secrets.token_hex(4)))


def is_gone(owner: str) -> bool:
    """Say whether an owner was a process in this very machine and pid namespace that does not run any more."""
    parts = owner.split("|")
    if len(parts) != 5 or parts[:2] != [socket.gethostname(), _namespace()] or not _namespace():
        return False
    _, _, pid, started, _ = parts
    return started != "?" and pid.isdigit() and _started(int(pid)) != started


def _namespace() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process started, in the kernel's ticks; None where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]
