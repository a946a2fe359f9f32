"""Leases with fences: one run at a time writes to an account.

A lease lasts LEASE_MS and is renewed in the background while its run lives. It is taken over when it has expired, or
at once where its owner was a process on this machine that is gone; every taking raises the fence, and a repair
transaction checks the fence.
"""

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from trueup.core.errors import TrueupError
from trueup.ledger import schema
from trueup.ledger.tables import Store
from trueup.ports import Clock, Lease

LEASE_MS = 30_000
RENEW_SECONDS = 10.0
_POLL_SECONDS = 0.2


class SqlLeases:
    """The Leases port."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._state = store.state
        self._clock = clock

    @contextmanager
    def hold(self, scope: str, wait_seconds: float) -> Iterator[Lease | None]:
        """Hold a scope's lease, renewed until the end; None where another run holds it for longer than the wait."""
        deadline = self._clock.now_ms() + int(wait_seconds * 1000)
        lease = self._take(scope)
        while lease is None and self._clock.now_ms() < deadline:
            self._clock.sleep(_POLL_SECONDS)
            lease = self._take(scope)
        if lease is None:
            yield None
            return
        over = threading.Event()
        renewal = threading.Thread(target=self._keep, args=(lease, over), name=f"lease {scope}", daemon=True)
        renewal.start()
        try:
            yield lease
        finally:
            over.set()
            renewal.join()
            self._release(lease)

    def _take(self, scope: str) -> Lease | None:
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
                values = {"scope": scope, "owner": owner, "fence": 1, "expires_at": now + LEASE_MS}
                try:
                    with connection.begin_nested():
                        connection.execute(insert(table).values(values))
                except IntegrityError:
                    return None
                return Lease(scope, owner, 1, now + LEASE_MS)
            if held["owner"] is not None and held["expires_at"] > now and not is_gone(str(held["owner"])):
                return None
            fence = int(held["fence"]) + 1
            values = {"owner": owner, "fence": fence, "expires_at": now + LEASE_MS}
            connection.execute(update(table).where(table.c.scope == scope).values(values))
            return Lease(scope, owner, fence, now + LEASE_MS)

    def _keep(self, lease: Lease, over: threading.Event) -> None:
        """Renew a lease until it is over; a renewal that fails is tried again, and the fence guards the rest."""
        while not over.wait(RENEW_SECONDS):
            try:
                self._set(lease, expires_at=self._clock.now_ms() + LEASE_MS)
            except TrueupError:
                continue

    def _release(self, lease: Lease) -> None:
        """Give a lease back; where that fails it expires by itself."""
        try:
            self._set(lease, owner=None, expires_at=0)
        except TrueupError:
            return

    def _set(self, lease: Lease, **values: object) -> None:
        table = schema.leases
        mine = (table.c.scope == lease.scope) & (table.c.owner == lease.owner) & (table.c.fence == lease.fence)
        with self._state.writing() as connection:
            connection.execute(update(table).where(mine).values(**values))


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
