"""The reconciliation: gather, compare, confirm, heal, parity, backfill, watchdog, record; one function a step.

The unit of work is the account: its venue is read once, and all its profiles are reconciled on that reading, under one
lease. A dry run is the same, with every transaction rolled back and nothing remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trueup.core.decimals import exactly
from trueup.core.errors import ConfigurationError, TrueupError
from trueup.core.holdings import Holdings
from trueup.core.reconcile.equity import BooksFacts, TieOut, tie_out
from trueup.core.reconcile.records import BreakRecord, advance
from trueup.core.repair.excess import ledger_positions
from trueup.core.repair.reach import PositionReach
from trueup.ports import Lease, Profile, RunEnd, RunStart
from trueup.service.alerting import alert_cycle
from trueup.service.app import App
from trueup.service.backfill import BackfillRequest, backfill_gathered
from trueup.service.cycle import Cycle, ReconcileRequest
from trueup.service.events import log, within
from trueup.service.figures import keep_venue_calls
from trueup.service.gather import (
    Gathered,
    by_account,
    choose_profiles,
    gather,
    gather_again,
    homeless,
    knows_symbol,
    require_symbols,
)
from trueup.service.healing import compare, heal
from trueup.service.heartbeat import beat
from trueup.service.incidents import attend
from trueup.service.open_trades import OpenTrades
from trueup.service.progress import Progress, silent
from trueup.service.reconcile_report import INCONCLUSIVE, LEASE_HELD, ReconcileReport, RunReport
from trueup.service.runs import end_the_killed, told
from trueup.service.telling import tell_cycle
from trueup.service.watching import watch


@dataclass(frozen=True, slots=True)
class AccountReport:
    """One cycle of one account: the runs of its profiles, and whether the venue could be read."""

    account: str
    runs: tuple[RunReport, ...]
    readable: bool = True
    unknown_symbols: tuple[str, ...] = ()


def run_reconcile(app: App, request: ReconcileRequest, progress: Progress = silent) -> ReconcileReport:
    """Reconcile the chosen profiles now, and say what was found, healed and left."""
    started = start_reconcile(app, request)
    return _finish(app, started, request, progress)


@dataclass(frozen=True, slots=True)
class Started:
    """What was begun: the runs by account, and what could not be."""

    runs: dict[str, list[RunReport]]
    homeless: dict[str, TrueupError]
    left_unended: tuple[str, ...]

    @property
    def run_ids(self) -> list[str]:
        """Return the ids of the runs, by profile."""
        runs = [run for found in self.runs.values() for run in found]
        return [run.run_id for run in sorted(runs, key=lambda run: run.profile_id)]


def start_reconcile(app: App, request: ReconcileRequest) -> Started:
    """Put the runs of the chosen profiles on record as PENDING; ConfigurationError where the request names nobody."""
    require_symbols(request.symbols)
    chosen = choose_profiles(app, request.profiles)
    lost = homeless(app, chosen, request.profiles)
    placed = [profile for profile in chosen if profile.profile_id not in lost]
    left = end_the_killed(app)
    runs = {name: begin(app, name, members, request) for name, members in by_account(app, placed).items()}
    return Started(runs, dict(lost), tuple(left))


def finish_reconcile(app: App, started: Started, request: ReconcileRequest) -> ReconcileReport:
    """Do the work of runs that were started."""
    return _finish(app, started, request, silent)


def _finish(app: App, started: Started, request: ReconcileRequest, progress: Progress) -> ReconcileReport:
    report = ReconcileReport(request.dry_run, homeless=started.homeless, left_unended=list(started.left_unended))
    report.unknown_symbols = list(request.symbols or ())
    for done, (account, runs) in enumerate(started.runs.items()):
        progress(f"reconciling {account}", done, len(started.runs))
        with app.leases.hold(f"account:{account}", request.wait_seconds) as lease:
            if lease is None:
                for run in runs:
                    run.skipped_reason = LEASE_HELD
                _end(app, runs)
            else:
                found = cycle_of(app, account, request, lease, runs)
                report.unknown_symbols = [s for s in report.unknown_symbols if s in found.unknown_symbols]
        report.runs += runs
    _name_unknown(app, request, report)
    return report


def _name_unknown(app: App, request: ReconcileRequest, report: ReconcileReport) -> None:
    """Say which of the trades asked for neither the ledger nor the venue knows, and whether all was asked in vain."""
    seen = {record.trade_id for run in report.runs for record in run.breaks}
    trades = [name for name in request.trade_ids or () if name not in seen]
    report.unknown_trades = [name for name in trades if not app.ledger.trade_rows(name, None)]
    asked = (len(request.symbols or ()), len(request.trade_ids or ()))
    unknown = (len(report.unknown_symbols), len(report.unknown_trades))
    report.nobody = any(number and number == lost for number, lost in zip(asked, unknown, strict=True))


def begin(app: App, account: str, members: Sequence[Profile], request: ReconcileRequest) -> list[RunReport]:
    """Put the runs of an account's profiles on record, as PENDING."""
    cycle_id, now = app.clock.new_id("CYC"), app.clock.now_ms()
    scope = {
        "symbols": list(request.symbols) if request.symbols else None,
        "trade_ids": list(request.trade_ids) if request.trade_ids else None,
    }
    runs = [
        RunReport(
            app.clock.new_id("RUN"), profile.profile_id, account, cycle_id, request.dry_run, now,
            {"profile": profile.profile_id, **scope},
        )
        for profile in members
    ]  # fmt: skip
    app.runs.begin([RunStart(r.run_id, r.profile_id, account, cycle_id, request.dry_run) for r in runs])
    return runs


def reconcile_account(
    app: App, account: str, request: ReconcileRequest, lease: Lease, memory: OpenTrades | None = None
) -> AccountReport:
    """Run one cycle of an account under a lease that is held already; a memory makes it cost what changed."""
    chosen = choose_profiles(app, request.profiles)
    members = by_account(app, (p for p in chosen if _has_account(app, p))).get(account, [])
    if not members:
        return AccountReport(account, ())
    return cycle_of(app, account, request, lease, begin(app, account, members, request), memory)


def _has_account(app: App, profile: Profile) -> bool:
    try:
        app.account_of(profile)
    except ConfigurationError:
        return False
    return True


def cycle_of(
    app: App,
    account: str,
    request: ReconcileRequest,
    lease: Lease,
    runs: Sequence[RunReport],
    memory: OpenTrades | None = None,
) -> AccountReport:
    """Do one cycle, and put on record how its runs ended, whatever is raised."""
    try:
        with within(cycle_id=runs[0].cycle_id if runs else ""):
            log("cycle_started", account=account, profiles=len(runs))
            gathered = gather(app, account, memory=memory, full=request.full)
            cycle = _cycle(app, request, lease, runs, gathered)
            _steps(cycle)
        _end(app, runs, lease)
    except BaseException as error:
        _broken(app, runs, error)
        if isinstance(error, TrueupError):
            return AccountReport(account, tuple(runs), readable=False)
        raise
    with within(cycle_id=runs[0].cycle_id if runs else ""):
        tell_cycle(cycle, _calls(app, account))
        alert_cycle(cycle)
    if _is_whole(request, runs, gathered):
        app.heartbeats.beat(
            f"account:{account}", app.clock.now_ms(), healthy=gathered.venue_error is None, rules=app.safety.deadman
        )
    unknown = tuple(symbol for symbol in request.symbols or () if not knows_symbol(cycle.gathered, symbol))
    return AccountReport(account, tuple(runs), cycle.gathered.venue_error is None, unknown)


def _is_whole(request: ReconcileRequest, runs: Sequence[RunReport], gathered: Gathered) -> bool:
    """Say whether a cycle reconciled all of its account: no less keeps the account's heartbeat alive."""
    if request.dry_run or request.symbols or request.trade_ids:
        return False
    return {p.profile_id for p in gathered.profiles if p.enabled} <= {run.profile_id for run in runs}


def _calls(app: App, account: str) -> int:
    """Return how often the venue was asked, and add it to the figures."""
    taken = app.meter.take(account)
    app.meter.put_back(taken)
    keep_venue_calls(app, account)
    return sum(count.calls for count in taken.values())


def _cycle(
    app: App,
    request: ReconcileRequest,
    lease: Lease,
    runs: Sequence[RunReport],
    gathered: Gathered,
) -> Cycle:
    account = gathered.account.name
    by_id = {profile.profile_id: profile for profile in gathered.profiles}
    members = tuple(by_id[run.profile_id] for run in runs if run.profile_id in by_id)
    cycle = Cycle(app, request, lease, members, {run.profile_id: run for run in runs}, gathered)
    cycle.records = {record.break_id: record for record in app.breaks.open(account)}
    for run in runs:
        run.snapshot = gathered.snapshot
        run.notes += gathered.snapshot.notes
    if gathered.venue_error is not None:
        cycle.cannot_tell(None, f"venue of {account}", gathered.venue_error.what)
    return cycle


def _steps(cycle: Cycle) -> None:
    compare(cycle)
    heal(cycle)
    if cycle.touched:
        cycle.gathered = gather_again(cycle.app, cycle.gathered)
    _backfill(cycle)
    beat(cycle)
    _remember(cycle)
    _tie_out(cycle)
    watch(cycle)
    attend(cycle)


def _backfill(cycle: Cycle) -> None:
    """Book the exits that evidence proves, where the backfill is turned on; the positions are read again after it.

    What this look just refused to book of an order, or waits for the bot to book, the backfill does not book either.
    """
    if not cycle.app.backfill.enabled:
        return
    dry_run = cycle.changes_nothing or cycle.app.backfill.dry_run
    request = BackfillRequest(
        tuple(sorted(cycle.profile_ids)), cycle.request.symbols, cycle.request.trade_ids, apply=not dry_run
    )
    gathered = replace(cycle.gathered, facts=replace(cycle.gathered.facts, withheld=cycle.refuted))
    report = backfill_gathered(cycle.app, request, gathered, cycle.members, cycle.lease)
    for profile_id, entry in report.profiles.items():
        cycle.runs[profile_id].backfill = entry
        if entry.error is not None:
            cycle.runs[profile_id].error = entry.error
    if any(entry.inserted for entry in report.profiles.values()):
        cycle.gathered = gather_again(cycle.app, cycle.gathered)


def _remember(cycle: Cycle) -> None:
    """Carry the breaks of this look into their records; a dry run shows them and remembers nothing."""
    known = dict(cycle.records)
    again = {s.found.break_id for s in cycle.sightings} - known.keys()
    known |= {record.break_id: record for record in cycle.app.breaks.named(sorted(again))}
    found = advance(
        known, cycle.sightings, lambda record: _could_see(cycle, record),
        run_of=lambda item: cycle.run_of(item).run_id, as_of_ms=cycle.snapshot.as_of_ms, now_ms=cycle.now_ms,
    )  # fmt: skip
    for record in found:
        cycle.run_of(record).breaks.append(record)
        if record.profile_id is None and record.state.remains:
            _tell_holders(cycle, record)
    if not cycle.request.dry_run:
        cycle.app.breaks.save(found, cycle.lease)


def _tell_holders(cycle: Cycle, record: BreakRecord) -> None:
    """Let each profile that holds some of a symbol know of its break that nobody owns and that another run tells of.

    The position is the account's: while it is apart, the books of none of its holders are proven.
    """
    token_of, teller = cycle.snapshot.symbols.token, cycle.run_of(record)
    tokens = {token_of(symbol) for symbol in (record.symbol or "").split(" + ")}
    slices = (piece for piece in cycle.gathered.facts.slices if piece.token in tokens)
    holders = {piece.profile_id for piece in slices if piece.open_qty or piece.defect is not None}
    for name in sorted(holders & cycle.runs.keys() - {teller.profile_id}):
        cycle.runs[name].beside.append(record)
        cycle.runs[name].notes.append(
            f"{record.kind} of {record.symbol}, which is the account's: {record.reason} (told by the run of"
            f" {teller.profile_id}, as {record.break_id})"
        )


def _could_see(cycle: Cycle, record: BreakRecord) -> bool:
    """Say whether this look would have seen a break that it did not see: nothing of it was unknown or out of scope."""
    token = cycle.snapshot.symbols.token(record.symbol or "")
    if not cycle.includes(record.profile_id, token, record.trade_id):
        return False
    return record.break_id in cycle.cleared or (cycle.gathered.venue_error is None and not cycle.unclear)


@exactly
def _tie_out(cycle: Cycle) -> None:
    """Tie out the account's equity; every profile of a shared account is told the same, which is the account's."""
    facts, policy = cycle.gathered.facts, cycle.app.backfill.policy
    profiles = [profile for profile in cycle.gathered.profiles if profile.enabled]
    memory = cycle.gathered.memory or OpenTrades(cycle.account)
    realized = memory.profit(cycle.app, [profile.profile_id for profile in profiles])
    books = BooksFacts([profile.allocated_capital for profile in profiles], realized, facts.slices)
    holdings = Holdings(facts.snapshot)
    ours = ledger_positions(facts.slices, PositionReach(facts.snapshot, policy.grace_ms))
    names = {piece.token: piece.symbol for piece in facts.slices} | holdings.symbols()
    broken: dict[str, Decimal] = {}
    for token, name in names.items():
        holding = holdings.of(name)
        if holding.unknown is None:
            broken[token] = holding.signed - ours.get(token, Decimal(0))
    tie = tie_out(facts.snapshot, books, broken) if cycle.gathered.venue_error is None else TieOut()
    for run in cycle.runs.values():
        run.equity = tie if len(profiles) == 1 else replace(tie, notes=(*tie.notes, "of the whole account"))


def _broken(app: App, runs: Sequence[RunReport], error: BaseException) -> None:
    """Record that a cycle was broken off: everything that it did not say is not known."""
    for run in runs:
        if isinstance(error, TrueupError):
            run.error = run.error or error
    now = app.clock.now_ms()
    ends = []
    for run in runs:
        run.ended_ms = now
        ends.append(RunEnd(run.run_id, INCONCLUSIVE, {**run.as_json(), "status": INCONCLUSIVE, "error": told(error)}))
    try:
        app.runs.end(ends)
    except TrueupError as worse:
        error.add_note(f"The runs could not be ended on record: {worse.what} The next run ends them.")


def _end(app: App, runs: Sequence[RunReport], lease: Lease | None = None) -> None:
    """Put on record how runs ended; Refused where the lease was lost meanwhile, since what they saw is old by now."""
    now = app.clock.now_ms()
    for run in runs:
        run.ended_ms = now
    app.runs.end([RunEnd(run.run_id, run.status, run.as_json()) for run in runs], lease)
