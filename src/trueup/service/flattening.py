"""FLATTEN at work: gather, decide, act, until the venue says flat twice or a bound is reached; then HALT.

Invariant 7 (Audit before act): whatever is asked of the venue is on record before. Invariant 12 (Fenced): it is put on
record under the account's lease, so that a worker that lost it asks for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from trueup.core.decimals import plain
from trueup.core.errors import CannotKnow, ConfigurationError
from trueup.core.flatten.machine import Cancel, Close, Closing, Decision, Facts, GiveUp, Verified, Wait, decide
from trueup.core.flatten.record import Entry, Progress, What, progress_of
from trueup.core.modes import Mode
from trueup.core.times import iso
from trueup.ports import ClosingOrder, Lease, ModeChange, VenueActions
from trueup.service.alerts import raise_alert, resolve_alert
from trueup.service.app import App
from trueup.service.events import log
from trueup.service.flatten_facts import look, settle
from trueup.service.flatten_jobs import ACTOR, Job, heed_deadman, jobs_of
from trueup.service.modes import accounts_within

KIND = "flatten"
_PAUSE_S = 1.0
_NOT_ALLOWED = "flatten is not allowed"
DO = "Look at the account at the venue itself; `trueup mode show` says what was done."


@dataclass(frozen=True, slots=True)
class Flattened:
    """How far a flattening is: `state` is flat, halted or going_on; what is left, and what is somebody else's."""

    account: str
    scope: str
    state: str
    why: str = ""
    left: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    rounds: int = 0
    known: bool = True

    def as_json(self) -> dict[str, object]:
        """Return it for printing."""
        return {
            "account": self.account, "scope": self.scope, "state": self.state, "reason": self.why,
            "left": list(self.left), "of_others": list(self.apart), "rounds": self.rounds,
        }  # fmt: skip


@dataclass(slots=True)
class _Run:
    """One flattening under its lease."""

    app: App
    job: Job
    lease: Lease
    actions: VenueActions

    def story(self) -> Progress:
        return progress_of(self.app.flattenings.story(self.job.episode))

    def note(self, what: What, **more: object) -> Entry:
        """Put an entry on record, under the lease."""
        made = Entry(
            episode=self.job.episode, account=self.job.account, scope=self.job.scope, what=what,
            at_ms=self.app.clock.now_ms(), **more,  # type: ignore[arg-type]  # fields of an entry, by name
        )  # fmt: skip
        self.app.flattenings.add(made, self.lease)
        return made


def flatten_account(app: App, account: str, lease: Lease, stop: Callable[[], bool] = lambda: False) -> list[Flattened]:
    """Do every flattening that is due in an account, under its lease; nothing where none is."""
    heed_deadman(app, account)
    return [_flatten(app, job, lease, stop) for job in jobs_of(app, account)]


def flatten_scope(app: App, scope: str, wait_seconds: float = 30.0) -> list[Flattened]:
    """Do the flattenings of a scope's accounts now; where another run holds one for longer, a worker does it next."""
    found: list[Flattened] = []
    for account in accounts_within(app, scope):
        with app.leases.hold(f"account:{account}", wait_seconds) as lease:
            if lease is not None:
                found += flatten_account(app, account, lease)
                continue
        app.leases.wake(f"account:{account}")
        found.append(Flattened(account, scope, "going_on", "another run holds the account; a worker flattens it next"))
    return found


def wake_for(app: App, scope: str) -> None:
    """Make the accounts of a scope due now, so that a worker flattens them at once."""
    for account in accounts_within(app, scope):
        app.leases.wake(f"account:{account}")


def _flatten(app: App, job: Job, lease: Lease, stop: Callable[[], bool]) -> Flattened:
    try:
        actions, why = app.accounts[job.account].venue().actions, "set allow_flatten = true in its [[accounts]]"
    except ConfigurationError as error:
        actions, why = None, error.what
    if actions is None:
        return _halt(app, job, GiveUp((f"account {job.account}: {why}",), _NOT_ALLOWED), 0)
    run = _Run(app, job, lease, actions)
    looks = 0
    while True:
        progress = _begun(run)
        facts = _gather(run, progress, looks)
        progress = run.story()
        decision = decide(facts, progress, job.episode, app.safety.flatten)
        if progress.ended is What.FLAT:
            if isinstance(decision, Wait | Verified):
                return Flattened(job.account, job.scope, "flat", apart=facts.targets.apart, rounds=progress.round)
            _begin(run)
            continue
        looks = looks + 1 if isinstance(decision, Wait) and decision.idle else 0
        done = _act(run, decision, progress)
        if done is not None:
            return done
        if stop():
            return Flattened(job.account, job.scope, "going_on", "the worker stops", rounds=progress.round)
        app.clock.sleep(_PAUSE_S)


def _begun(run: _Run) -> Progress:
    """Return how far it is; what was given up before HALT was in force is taken up again at just that."""
    progress = run.story()
    if progress.started_ms is None:
        _begin(run)
        return run.story()
    return progress


def _begin(run: _Run) -> None:
    run.note(What.BEGUN)
    log("flatten_begun", account=run.job.account, scope=run.job.scope, episode=run.job.episode)


def _gather(run: _Run, progress: Progress, looks: int) -> Facts:
    """Look for the closings in flight, then read the venue, and put on record what came of the closings."""
    app, job = run.app, run.job
    outcomes = look(app, job.account, progress, run.actions)
    reading = settle(app, job, progress, outcomes)
    for verdict, sent in reading.verdicts:
        run.note(
            verdict.what, round=sent.round, client_order_id=sent.client_order_id, order_id=verdict.order_id,
            qty=verdict.executed,
        )  # fmt: skip
        executed = plain(verdict.executed) if verdict.executed is not None else None
        log(
            "flatten_settled", account=job.account, client_order_id=sent.client_order_id, outcome=verdict.what.value,
            executed=executed,
        )  # fmt: skip
    targets = reading.targets
    if reading.verdicts:
        # What was just settled changes how much is left of a share.
        targets = settle(app, job, run.story(), {}).targets
    return Facts(targets, app.clock.now_ms(), looks, app.backfill.policy.dust_abs)


def _act(run: _Run, decision: Decision, progress: Progress) -> Flattened | None:
    """Do what was decided; return how it ended, None where it goes on."""
    app, job = run.app, run.job
    match decision:
        case Wait():
            log("flatten_waits", account=job.account, scope=job.scope, reason=decision.why)
        case Cancel():
            _cancel(run, decision, progress)
        case Close():
            for closing in decision.closings:
                _close(run, closing, decision.round)
        case Verified():
            run.note(What.FLAT, round=progress.round, detail="; ".join(decision.apart))
            return _flat(app, job, decision, progress.round)
        case GiveUp():
            run.note(What.GAVE_UP, round=progress.round, detail=f"{decision.why}: {'; '.join(decision.left)}")
            return _halt(app, job, decision, progress.round)
    return None


def _cancel(run: _Run, decision: Cancel, progress: Progress) -> None:
    names = ", ".join(f"{order.symbol} {order.order_id}" for order in decision.orders)
    run.note(What.CANCELING, round=decision.round, detail=names)
    done, failed = 0, []
    try:
        if run.job.share.whole and not progress.in_flight:
            report = run.actions.cancel_all(None)
            done, failed = len(report.done), list(report.failed)
        else:
            for order in decision.orders:
                report = run.actions.cancel(order.symbol, order.order_id)
                done, failed = done + len(report.done), [*failed, *report.failed]
    except CannotKnow as error:
        failed.append(error.what)
    run.note(What.CANCELED, round=decision.round, detail="; ".join(failed))
    log(
        "flatten_canceled", account=run.job.account, scope=run.job.scope, round=decision.round, orders=done,
        failed=failed,
    )  # fmt: skip


def _close(run: _Run, closing: Closing, number: int) -> None:
    """Put one closing on record, send it, and put on record what the venue said."""
    app, lot, name = run.app, closing.lot, closing.client_order_id
    log(
        "flatten_closing", account=run.job.account, scope=run.job.scope, round=number, symbol=lot.symbol,
        side=lot.side.value, qty=plain(closing.qty), client_order_id=name,
    )  # fmt: skip
    entry = run.note(
        What.CLOSING, round=number, symbol=lot.symbol, token=lot.token, side=lot.side, qty=closing.qty, held=lot.held,
        client_order_id=name, detail=closing.words(),
    )  # fmt: skip
    what, why, order_id = What.WITHHELD, "too long ago: somebody else may have taken over", None
    if app.clock.now_ms() - entry.at_ms <= app.safety.flatten.fresh_ms:
        try:
            answer = run.actions.close(ClosingOrder(lot.symbol, lot.side, closing.qty, name))
        except CannotKnow as error:
            what, why = What.REFUSED, f"not sent: {error.what}"
        else:
            words = {True: What.TAKEN, False: What.REFUSED, None: What.UNANSWERED}
            what, why, order_id = words[answer.taken], answer.why, answer.order_id
    run.note(what, round=number, client_order_id=name, order_id=order_id, detail=why)
    log("flatten_answered", account=run.job.account, client_order_id=name, outcome=what.value, reason=why)


def _flat(app: App, job: Job, decision: Verified, rounds: int) -> Flattened:
    key = f"{KIND}:{job.account}:{job.scope}"
    resolve_alert(app, f"{key}:left", f"{job.scope} is flat.")
    told = f"{job.scope} is flat at {job.account}: no working order, no position."
    told += f" Not touched: {'; '.join(decision.apart)}." if decision.apart else ""
    raise_alert(app, KIND, key, job.scope, "info", told)
    log("flatten_verified", account=job.account, scope=job.scope, rounds=rounds)
    return Flattened(job.account, job.scope, "flat", apart=decision.apart, rounds=rounds)


def _halt(app: App, job: Job, decision: GiveUp, rounds: int) -> Flattened:
    """Put HALT in force, with what is left, and tell people at once."""
    left = "; ".join(decision.left)
    reason = f"{decision.why}; left: {left}" if decision.why != _NOT_ALLOWED else f"{_NOT_ALLOWED}: {left}"
    now = iso(app.clock.now_ms())
    done = app.modes.tighten(ModeChange(job.halts, Mode.HALT, Mode.NORMAL, KIND, ACTOR, reason, now))
    if done is not None:
        log(
            "mode_changed", scope=done.scope, mode=done.mode.name, previous=done.previous.name, source=KIND,
            actor=ACTOR,
        )  # fmt: skip
    told = f"{job.scope} could not be flattened at {job.account} and is in HALT. {reason}. {DO}"
    raise_alert(app, f"{KIND}_gave_up", f"{KIND}:{job.account}:{job.scope}:left", job.scope, "critical", told)
    log("flatten_gave_up", account=job.account, scope=job.scope, reason=decision.why, left=list(decision.left))
    known = decision.known
    return Flattened(job.account, job.scope, "halted", decision.why, decision.left, rounds=rounds, known=known)
