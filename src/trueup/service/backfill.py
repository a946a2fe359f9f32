"""The EXIT backfill: gate, gather, decide, record the intent, and apply or rehearse.

Invariant 7 (Audit before act): the decisions are committed to the audit before the ledger is touched; a dry run makes
the same repair transaction and rolls it back.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from trueup.core.audit import AuditDecision, AuditDraft, closing, draft_of, settled
from trueup.core.errors import ConfigurationError, Refused, TrueupError
from trueup.core.repair.decisions import Decision, Outcome
from trueup.core.repair.plan import AccountFacts, ProfilePlan, Wanted, document_hash, mark_existing, plan_account
from trueup.core.repair.slices import slices_of
from trueup.core.times import iso
from trueup.ports import Booking, Lease, Profile, RepairBatch
from trueup.service.alerts import raise_alert, resolve_alert
from trueup.service.app import App
from trueup.service.backfill_report import BackfillReport, ProfileReport, still_open
from trueup.service.gates import AUDIT_MISSING, LEASE_HELD, left_out, pause_scopes, skipped_reason
from trueup.service.gather import (
    Gathered,
    by_account,
    choose_profiles,
    gather,
    homeless,
    knows_symbol,
    require_symbols,
    tokens_of,
)
from trueup.service.progress import Progress, silent
from trueup.service.runs import recorded, told

SLICE_CHANGED = "slice_changed"
INTERRUPTED = "interrupted"
APPLY_REFUSED, APPLY_FAILED = "apply_refused", "apply_failed"


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What a person or a program asks of the backfill; None is the settings' choice, or all.

    `plan` is the hash of the document that was reviewed: an apply goes on only if the plan is still that one.
    """

    profiles: tuple[str, ...] | None = None
    symbols: tuple[str, ...] | None = None
    trade_ids: tuple[str, ...] | None = None
    apply: bool | None = None
    plan: str | None = None
    wait_seconds: float = 0.0


@dataclass(slots=True)
class _Work:
    """One profile on its way: what was gathered for its account, its plan, and the lease that it runs under."""

    profile: Profile
    gathered: Gathered
    plan: ProfilePlan
    lease: Lease


def run_backfill(app: App, request: BackfillRequest, progress: Progress = silent) -> BackfillReport:
    """Run the backfill for the chosen profiles and report every decision with its reason."""
    dry_run = not request.apply if request.apply is not None else app.backfill.dry_run
    report = BackfillReport(dry_run=dry_run)
    require_symbols(request.symbols)
    _open_gates(app, request, report)
    open_profiles = [
        entry.profile for entry in report.profiles.values() if entry.skipped_reason is None and entry.error is None
    ]
    if not open_profiles:
        return report
    with recorded(app, ",".join(p.profile_id for p in open_profiles), report), ExitStack() as leases:
        work = _plan_all(app, request, open_profiles, report, leases, progress)
        report.unknown_symbols = [
            symbol for symbol in request.symbols or () if not any(knows_symbol(item.gathered, symbol) for item in work)
        ]
        report.plan_hash = document_hash(item.plan for item in work)
        if request.plan is not None and request.plan != report.plan_hash:
            report.plan_expected = request.plan
        for done, item in enumerate(work):
            progress(f"{'rehearsing' if dry_run else 'applying'} {item.profile.profile_id}", done, len(work))
            try:
                _finish(app, item, report, dry_run=dry_run)
            except TrueupError as error:
                report.profiles[item.profile.profile_id].error = error
    return report


def _open_gates(app: App, request: BackfillRequest, report: BackfillReport) -> None:
    """Enter every chosen profile into the report, with the gate that stops it or what is wrong with its account."""
    chosen = choose_profiles(app, request.profiles)
    reasons = {profile.profile_id: left_out(app, profile) for profile in chosen}
    troubles = homeless(app, (p for p in chosen if reasons[p.profile_id] is None), request.profiles)
    for profile in chosen:
        name = profile.profile_id
        if reasons[name] is None and name not in troubles:
            reasons[name] = skipped_reason(app, profile)
        report.profiles[name] = ProfileReport(
            profile, report.dry_run, skipped_reason=reasons[name], error=troubles.get(name)
        )
        if reasons[name] == AUDIT_MISSING:
            text = "The audit table is missing, so that nothing is repaired. Run `trueup init`."
            raise_alert(app, AUDIT_MISSING, f"{AUDIT_MISSING}:{name}", f"profile:{name}", "critical", text)
        elif reasons[name] is None:
            resolve_alert(app, f"{AUDIT_MISSING}:{name}", "The audit table is there again.")


def _plan_all(
    app: App,
    request: BackfillRequest,
    profiles: Sequence[Profile],
    report: BackfillReport,
    leases: ExitStack,
    progress: Progress,
) -> list[_Work]:
    """Take each account's lease, read it, and plan its profiles together."""
    work: list[_Work] = []
    accounts = by_account(app, profiles)
    for done, (account, members) in enumerate(accounts.items()):
        lease = leases.enter_context(app.leases.hold(f"account:{account}", request.wait_seconds))
        if lease is None:
            for profile in members:
                report.profiles[profile.profile_id].skipped_reason = LEASE_HELD
            continue
        progress(f"reading {account}", done, len(accounts))
        gathered = gather(app, account)
        progress(f"deciding {account}", done, len(accounts))
        work += _plan(app, request, gathered, members, report, lease)
    return work


def _plan(
    app: App,
    request: BackfillRequest,
    gathered: Gathered,
    members: Sequence[Profile],
    report: BackfillReport,
    lease: Lease,
) -> list[_Work]:
    """Plan the profiles of one account together, on what was gathered of it."""
    wanted = Wanted(
        frozenset(profile.profile_id for profile in members),
        tokens_of(gathered.account, request.symbols),
        frozenset(request.trade_ids) if request.trade_ids else None,
    )
    planned = plan_account(gathered.facts, wanted, app.backfill.policy)
    work: list[_Work] = []
    for profile in members:
        plan = planned.profiles[profile.profile_id]
        existing = app.ledger.existing_ids(row.order_id for row in plan.rows)
        plan = mark_existing(plan, existing)
        work.append(_Work(profile, gathered, plan, lease))
        report.profiles[profile.profile_id].take_plan(plan, gathered, planned.evidence)
    return work


def backfill_gathered(
    app: App, request: BackfillRequest, gathered: Gathered, members: Sequence[Profile], lease: Lease
) -> BackfillReport:
    """Run the backfill inside a reconciliation: on its reading of the account, under its lease.

    A profile of which nothing new is proposed leaves no trace: a loop would otherwise write the same refusals for ever.
    """
    dry_run = not request.apply if request.apply is not None else app.backfill.dry_run
    report = BackfillReport(dry_run=dry_run)
    for profile in members:
        reason = skipped_reason(app, profile)
        report.profiles[profile.profile_id] = ProfileReport(profile, dry_run, skipped_reason=reason)
    able = [profile for profile in members if report.profiles[profile.profile_id].skipped_reason is None]
    work = _plan(app, request, gathered, able, report, lease) if able else []
    report.plan_hash = document_hash(item.plan for item in work)
    for item in work:
        if any(decision.outcome is Outcome.BOOK for decision in item.plan.decisions):
            try:
                _finish(app, item, report, dry_run=dry_run)
            except TrueupError as error:
                report.profiles[item.profile.profile_id].error = error
    return report


def _finish(app: App, item: _Work, report: BackfillReport, *, dry_run: bool) -> None:
    """Record one profile's decisions, and apply or rehearse its bookings."""
    entry = report.profiles[item.profile.profile_id]
    interrupted = app.journal.interrupted([item.profile.profile_id])
    entry.take_interrupted(interrupted)
    if report.plan_expected is not None:
        return
    if not dry_run and not app.ledger.writable:
        raise ConfigurationError(
            "The ledger is attached read-only ([ledger] state_url is set), so that nothing can be written to it.",
            "Use dry runs, or remove state_url so that a repair and its audit can be one transaction.",
        )
    entry.batch_id = app.clock.new_id("BATCH")
    drafts = [
        draft_of(decision, entry.batch_id, app.actor, report.plan_hash, dry_run=dry_run)
        for decision in item.plan.decisions
    ]
    batch = _batch(app, item, entry.batch_id, drafts)
    if dry_run:
        if batch.bookings and app.ledger.writable:
            stale = app.ledger.book(batch, rehearse=True).stale
            drafts = [_unless_stale(draft, stale) for draft in drafts]
        entry.take_audit(app.journal.record(drafts))
        return
    closed = [closing(row, INTERRUPTED) for row in interrupted]
    entry.take_audit(app.journal.record([*closed, *drafts]))
    if batch.bookings:
        _apply(app, item, batch, entry)


def _unless_stale(draft: AuditDraft, stale: Sequence[str]) -> AuditDraft:
    """Return a dry run's row, or that its trade changed while it was planned."""
    if draft.trade_id not in stale or draft.decision is not AuditDecision.DRY_RUN:
        return draft
    return settled(draft, AuditDecision.NO_GO, SLICE_CHANGED, None, changedTrades=list(stale))


def _apply(app: App, item: _Work, batch: RepairBatch, entry: ProfileReport) -> None:
    try:
        result = app.ledger.book(batch, rehearse=False)
        entry.take_audit(app.journal.record(_all_stale(batch, result.stale)) if result.stale else result.audit)
    except BaseException as error:
        _close(app, batch.batch_id, entry, error)
        raise
    entry.inserted = list(result.inserted)
    rows = app.ledger.open_trade_rows([item.profile.profile_id])
    entry.validation = still_open(slices_of(rows, item.gathered.account.symbols), item.plan, result)


def _all_stale(batch: RepairBatch, stale: Sequence[str]) -> list[AuditDraft]:
    """Return how each row ended of a batch in which a trade changed since the plan."""
    return [
        settled(booking.pending, AuditDecision.NO_GO, SLICE_CHANGED, None, changedTrades=list(stale))
        for booking in batch.bookings
    ]


def _close(app: App, batch_id: str, entry: ProfileReport, error: BaseException) -> None:
    """Say in the audit at once that an apply failed; where the database does not answer, the next run says it.

    The report takes the batch as the audit has it then: a commit whose answer was lost did book its rows.
    """
    reason = APPLY_REFUSED if isinstance(error, Refused) else APPLY_FAILED
    try:
        rows = app.journal.close_batch(batch_id, lambda row: closing(row, reason, error=told(error)))
    except TrueupError as worse:
        error.add_note(f"The audit of {batch_id} could not be closed: {worse.what} The next run closes it.")
    else:
        entry.retake_batch(rows)


def _batch(app: App, item: _Work, batch_id: str, drafts: Sequence[AuditDraft]) -> RepairBatch:
    pause = pause_scopes(app, item.profile) if app.backfill.require_pause else ()
    bookings = tuple(
        _booking(decision, draft, item.gathered.facts)
        for decision, draft in zip(item.plan.decisions, drafts, strict=True)
        if decision.outcome is Outcome.BOOK
    )
    return RepairBatch(
        batch_id=batch_id,
        profile=item.profile,
        lease=item.lease,
        bookings=bookings,
        symbols=item.gathered.account.symbols,
        tag_prefix=app.backfill.policy.tag_prefix,
        now=iso(app.clock.now_ms()),
        require_pause=pause,
        elsewhere=item.gathered.facts.known_profiles - {profile.profile_id for profile in item.gathered.profiles},
    )


def _booking(decision: Decision, draft: AuditDraft, facts: AccountFacts) -> Booking:
    row = decision.exit
    assert row is not None
    before = facts.booked.of(row.symbol, row.side, row.exchange_order_id, row.client_order_id).qty
    return Booking(row, draft, decision.trade.fingerprint, before)
