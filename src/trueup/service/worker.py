"""The worker: it takes accounts as they fall due, runs a cycle of each under its lease, and says when it is due again.

Any number of workers share one Postgres; the leases see to it that an account has one at a time, and their fences that
one which lost its lease writes nothing. A venue that cannot be read is asked again later and later.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from random import Random

from trueup.core.errors import CannotKnow, ConfigurationError, TrueupError
from trueup.ports import Lease, Renewal
from trueup.service.alerts import DAY_MS, deliver_alerts, prune_alerts
from trueup.service.app import App
from trueup.service.cycle import ReconcileRequest
from trueup.service.deadman import DeadmanWatch
from trueup.service.events import log
from trueup.service.flattening import flatten_account
from trueup.service.listening import listening
from trueup.service.open_trades import OpenTrades
from trueup.service.reconcile import AccountReport, reconcile_account
from trueup.service.runs import end_the_killed
from trueup.service.switching import enforce_modes

_IDLE_SECONDS = 0.5
_JITTER = 0.1
_LOOK_AGAIN_MS = 30_000
_LONGEST_BACK_OFF = 20
"""A venue in trouble is asked again after at most so many intervals."""

PREFIX = "account:"

_CHORES_SECONDS = 2.0
_PRUNE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works: `cycles` ends it after so many, `threads` is how many accounts it runs side by side."""

    threads: int = 4
    cycles: int | None = None
    dry_run: bool = False
    interval_s: float | None = None


@dataclass(slots=True)
class Worker:
    """One worker; `stop` ends it after what it is at. Times in milliseconds."""

    app: App
    options: WorkerOptions = field(default_factory=WorkerOptions)
    stop: threading.Event = field(default_factory=threading.Event)
    nudge: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    look_again_ms: int = 0
    troubles: dict[str, int] = field(default_factory=dict)
    memories: dict[str, OpenTrades] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    dice: Random = field(default_factory=Random)
    after_cycle: Callable[[AccountReport], None] = lambda _: None

    def run(self) -> int:
        """Work until it is stopped or has done its cycles; return how many cycles it did."""
        app = self.app
        scopes = self._begun()
        log("worker_started", owner=app.actor, accounts=len(scopes))
        with (
            app.leases.renewing() as renewal,
            ThreadPoolExecutor(self.options.threads, "cycle") as pool,
            chores(app, self.dice, switches=not self.options.dry_run),
            listening(app, [scope.removeprefix(PREFIX) for scope in sorted(scopes)], self.nudge.set),
        ):
            running: set[Future[None]] = set()
            while not self._over(len(running := self._finished(running))):
                if app.clock.now_ms() >= self.look_again_ms:
                    scopes = self._scopes(scopes)
                room = self._room(len(running))
                leases = self._due(room, scopes) if room else []
                for lease in leases:
                    renewal.keep(lease)
                    running.add(pool.submit(copy_context().run, self._cycle, lease, renewal))
                if not leases:
                    self.nudge.wait(_IDLE_SECONDS)
                    self.nudge.clear()
            wait(running)
            self._finished(running)
        log("worker_stopped", owner=app.actor, cycles=self.done)
        return self.done

    def _begun(self) -> frozenset[str]:
        """Return the accounts once the database answers; one that is locked or away is asked again until stopped."""
        while True:
            try:
                scopes = self._scopes()
                end_the_killed(self.app)
            except CannotKnow as error:
                log("cycle_failed", account="", error=error.what, retry_ms=int(_IDLE_SECONDS * 1000))
                if self.stop.wait(_IDLE_SECONDS):
                    return frozenset()
            else:
                return scopes

    def _scopes(self, known: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return the accounts that are to be run; what `trueup init` changes meanwhile is seen after a while."""
        self.look_again_ms = self.app.clock.now_ms() + _LOOK_AGAIN_MS
        try:
            scopes = frozenset(PREFIX + name for name in accounts_of(self.app))
            if scopes != known:
                self.app.leases.register(scopes)
        except TrueupError:
            if not known:
                raise
            return known
        return scopes

    def _finished(self, running: set[Future[None]]) -> set[Future[None]]:
        """Count the cycles that ended, and return those that still run."""
        left = {future for future in running if not future.done()}
        self.done += len(running) - len(left)
        return left

    def _over(self, running: int) -> bool:
        if self.stop.is_set():
            return True
        return self.options.cycles is not None and self.done + running >= self.options.cycles

    def _room(self, running: int) -> int:
        """Return how many accounts may be taken now: no more than can be run at once."""
        room = min(self.options.threads - running, self.app.reconcile.worker_batch)
        if self.options.cycles is not None:
            room = min(room, self.options.cycles - self.done - running)
        return max(room, 0)

    def _due(self, room: int, scopes: frozenset[str]) -> list[Lease]:
        """Take what is due; a database that does not answer is asked again."""
        try:
            return self.app.leases.due(self.app.clock.now_ms(), room, scopes)
        except TrueupError as error:
            log("cycle_failed", account="", error=error.what, retry_ms=int(_IDLE_SECONDS * 1000))
            self.stop.wait(_IDLE_SECONDS)
            return []

    def _cycle(self, lease: Lease, renewal: Renewal) -> None:
        account = lease.scope.removeprefix(PREFIX)
        readable = False
        try:
            memory = self.memories.setdefault(account, OpenTrades(account))
            request = ReconcileRequest(dry_run=self.options.dry_run)
            # What is to be flat is made flat before it is compared, and what the comparing demands right after.
            self._flatten(account, lease)
            report = reconcile_account(self.app, account, request, lease, memory)
            if not self.options.dry_run:
                enforce_modes(self.app, {run.profile_id for run in report.runs})
            readable = report.readable
            self._flatten(account, lease)
            self.after_cycle(report)
        except Exception as error:  # noqa: BLE001  # one account's defect stops no other; it is logged and on record
            self.memories.pop(account, None)
            log(
                "cycle_failed",
                account=account,
                error=f"{type(error).__name__}: {error}",
                retry_ms=self._wait_ms(account),
            )
        finally:
            with self.lock:
                self.troubles[account] = 0 if readable else self.troubles.get(account, 0) + 1
                times = self.troubles[account]
            renewal.drop(lease)
            wait_ms = self._wait_ms(account)
            self.app.leases.release(lease, self.app.clock.now_ms() + wait_ms)
            if times:
                log("account_backed_off", account=account, times=times, retry_ms=wait_ms)
            self.nudge.set()

    def _flatten(self, account: str, lease: Lease) -> None:
        """Flatten what is in FLATTEN; where that is broken off, it goes on from its record in the next cycle."""
        if self.options.dry_run:
            return
        try:
            flatten_account(self.app, account, lease, self.stop.is_set)
        except TrueupError as error:
            log("cycle_failed", account=account, error=error.what, retry_ms=self._wait_ms(account))

    def _wait_ms(self, account: str) -> int:
        """Return how long to wait until an account is due again: longer after each trouble, and never all at once."""
        interval = self.options.interval_s if self.options.interval_s is not None else self.app.reconcile.interval_s
        trouble = self.troubles.get(account, 0)
        factor = min(2 ** max(trouble - 1, 0), _LONGEST_BACK_OFF) if trouble else 1
        return int(interval * 1000 * factor * (1 + self.dice.uniform(-_JITTER, _JITTER)))


def accounts_of(app: App) -> list[str]:
    """Return the accounts that an enabled profile lives on; one without a known account is the doctor's to tell."""
    found: set[str] = set()
    for profile in app.ledger.profiles():
        try:
            found |= {app.account_of(profile).name} if profile.enabled else set()
        except ConfigurationError:
            continue
    if not found:
        raise ConfigurationError(
            "There is no enabled profile with a known account.",
            "Name one in trueup.toml ([[profiles]]) and run `trueup init`; `trueup doctor` says more.",
        )
    return sorted(found)


@contextmanager
def chores(app: App, dice: Random, *, switches: bool = False) -> Iterator[None]:
    """Watch heartbeats, carry alerts and drop what is old beside the work; whatever fails is tried again."""
    over = threading.Event()
    thread = threading.Thread(target=_do_chores, args=(app, over, dice, switches), name="chores", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _do_chores(app: App, over: threading.Event, dice: Random, switches: bool) -> None:
    next_pruning = app.clock.now_ms() + int(dice.uniform(0, _PRUNE_SECONDS) * 1000)
    deadman = DeadmanWatch()
    while True:
        last = over.is_set()
        try:
            if deadman.look(app) and switches:  # an account in trouble is run seldom, and its bots must stop now
                enforce_modes(app)
            notifier = app.notifier()
            if notifier is not None:
                deliver_alerts(app, notifier)
            if app.clock.now_ms() >= next_pruning:
                next_pruning += int(_PRUNE_SECONDS * 1000)
                _prune(app)
        except TrueupError as error:
            log("cycle_failed", account="", error=error.what, retry_ms=int(_CHORES_SECONDS * 1000))
        if last:
            return
        over.wait(_CHORES_SECONDS)


def _prune(app: App) -> None:
    runs, before = 0, app.clock.now_ms() - app.reconcile.runs_kept_days * DAY_MS
    while (pruned := app.runs.prune(before)) > 0:
        runs += pruned
    log("pruned", runs=runs, alerts=prune_alerts(app))
