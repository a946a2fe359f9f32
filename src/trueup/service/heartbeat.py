"""The parity heartbeat: positions compared, ghosts confirmed over several looks, and closed last of all.

A trade that evidence may still prove is the backfill's; what is left at a venue proven flat gets a synthetic exit once
it was confirmed so many times, if its entry carries the profile's tag; else a person decides.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from trueup.core.audit import AuditDecision, AuditDraft
from trueup.core.breaks import Break, BreakKind, compare
from trueup.core.decimals import plain
from trueup.core.errors import TrueupError
from trueup.core.holdings import Holdings
from trueup.core.orders import Action, StatusClass
from trueup.core.reconcile.equity import marks_of
from trueup.core.reconcile.parity import Look, ParityFacts, SliceLook, look, may_close, synthetic_exit, tagged_trades
from trueup.core.reconcile.records import BreakState, Sighting, confirmations
from trueup.core.repair.decisions import ELIGIBLE
from trueup.core.repair.plan import AccountPlan, Wanted, plan_account
from trueup.core.repair.rows import ExitRow
from trueup.core.repair.slices import action_of
from trueup.core.snapshot import Snapshot
from trueup.core.tags import TagReader
from trueup.core.times import iso
from trueup.ports import Booking, RepairBatch
from trueup.service.cycle import Cycle
from trueup.service.reconcile_report import ParityCounts


def beat(cycle: Cycle) -> None:
    """Look at every open slice and every position; close the ghosts that are confirmed often enough."""
    app, policy = cycle.app, cycle.app.backfill.policy
    plan = plan_account(cycle.gathered.facts, Wanted(frozenset(cycle.here)), policy)
    looks = look(
        ParityFacts(
            facts=cycle.gathered.facts, plan=plan, profiles=cycle.profile_ids, tagged=frozenset(_tagged(cycle)),
            touched=frozenset(cycle.touched), needs_tag=app.reconcile.policy.parity_needs_tag,
            grace_ms=policy.grace_ms, dust=policy.dust_abs, unsettled=_unsettled(cycle),
        )
    )  # fmt: skip
    looks = [each for each in looks if cycle.includes(each.trade.profile_id, each.trade.token, each.trade.trade_id)]
    for each in looks:
        if each.look is Look.UNKNOWN:
            cycle.cannot_tell(each.trade.profile_id, f"{each.trade.symbol} {each.trade.trade_id}", each.why)
    cycle.cleared |= {_ghost(cycle, each).break_id for each in looks if each.look is Look.CLEAN}
    closed = _close_confirmed(cycle, [each for each in looks if each.look is Look.GHOST and each.attributed])
    for each in looks:
        if each.look in (Look.GHOST, Look.WAITS):
            _sight(cycle, each, closed=(each.trade.profile_id, each.trade.trade_id) in closed)
    _positions(cycle, plan, looks)
    _count(cycle, looks, closed)


def _unsettled(cycle: Cycle) -> dict[str, str]:
    """Return by token an order of the venue's about whose quantity the ledger still says something else.

    What is open of a symbol is not known as long as one of its orders is in dispute; orders of nobody are not.
    """
    apart = (BreakKind.ORPHAN_ORDER, BreakKind.PRICE_MISMATCH)
    return {
        cycle.snapshot.symbols.token(seen.found.symbol): f"{seen.found.kind} of {seen.found.exchange_order_id}"
        for seen in cycle.sightings
        if not seen.found.kind.of_positions and seen.found.kind not in apart
        and not seen.state.over and seen.found.venue is not None
    }  # fmt: skip


def _tagged(cycle: Cycle) -> set[tuple[str, str]]:
    """Return the open trades of which an entry is attributed to the profile by tag, in the ledger or at the venue."""
    facts = cycle.gathered.facts
    entry_sides = {(s.profile_id, s.trade_id): s.entry_side for s in facts.slices if s.is_open}
    said = {order.id: (order.client_order_id, order.sub_tag) for order in facts.snapshot.orders}
    tags: dict[tuple[str, str], list[tuple[str | None, str | None]]] = defaultdict(list)
    for row in cycle.gathered.rows:
        key = (row.profile_id, row.trade_id or "")
        side = entry_sides.get(key)
        if side is None or row.status is not StatusClass.FILLED or row.defect is not None:
            continue
        if action_of(row, side) is Action.ENTRY:
            tags[key].append((row.client_order_id, row.sub_tag))
            tags[key].append(said.get(row.exchange_order_id or row.order_id, (None, None)))
    reader = TagReader(cycle.app.backfill.policy.tag_prefix, facts.known_profiles)
    return tagged_trades(tags, reader)


def _ghost(cycle: Cycle, each: SliceLook) -> Break:
    trade = each.trade
    held = each.holding.signed if each.holding is not None else None
    detail = f"the ledger holds {plain(trade.open_qty)} in {trade.trade_id}, the venue is flat"
    return Break(
        BreakKind.GHOST_POSITION, cycle.account, trade.symbol, trade.signed_open, held, detail,
        profile_id=trade.profile_id, trade_id=trade.trade_id,
    )  # fmt: skip


def _confirmed(cycle: Cycle, each: SliceLook) -> int:
    return confirmations(cycle.records.get(_ghost(cycle, each).break_id), cycle.snapshot.as_of_ms)


def _sight(cycle: Cycle, each: SliceLook, *, closed: bool) -> None:
    wanted = cycle.app.reconcile.policy.parity_confirmations
    count = _confirmed(cycle, each)
    state, why = BreakState.WAITING, each.why or f"confirmed {count} of {wanted} times"
    if closed:
        state, why = BreakState.HEALED, f"confirmed {count} times at a flat venue: a synthetic exit was booked"
    elif each.look is Look.GHOST and count >= wanted and not each.attributed:
        state, why = BreakState.QUARANTINED, "its entry carries no tag of the profile, so that a person decides"
    elif each.look is Look.GHOST and count >= wanted:
        idle = _idle(cycle)
        state = BreakState.CONFIRMED if idle else BreakState.QUARANTINED
        why = f"confirmed {count} times; {idle or 'which trade of the symbol is gone cannot be told'}"
    young = cycle.snapshot.as_of_ms - each.trade.newest_ms < cycle.app.reconcile.policy.settle_ms
    settled = each.look is Look.GHOST and not young
    cycle.saw(Sighting(_ghost(cycle, each), state, why, each.notional, counts=each.look is Look.GHOST, settled=settled))


def _idle(cycle: Cycle) -> str:
    """Return why no synthetic exit is booked at all; empty where they are."""
    rules = cycle.app.reconcile.policy
    if cycle.request.dry_run or rules.parity_dry_run:
        return "a dry run books nothing"
    return "" if rules.parity else "the heartbeat is turned off"


def _close_confirmed(cycle: Cycle, ghosts: list[SliceLook]) -> set[tuple[str, str]]:
    """Book the synthetic exits of confirmed ghosts, one transaction a profile; return the trades that were closed."""
    rules = cycle.app.reconcile.policy
    ready = [each for each in ghosts if _confirmed(cycle, each) >= rules.parity_confirmations]
    if not ready or not rules.parity:
        return set()
    chosen = may_close(ready, cycle.gathered.facts, cycle.app.backfill.policy.dust_abs)
    by_profile: dict[str, list[SliceLook]] = defaultdict(list)
    for each in chosen:
        by_profile[each.trade.profile_id].append(each)
    closed: set[tuple[str, str]] = set()
    for profile_id, items in sorted(by_profile.items()):
        if _book(cycle, profile_id, items):
            closed |= {(profile_id, each.trade.trade_id) for each in items}
    return closed


def _book(cycle: Cycle, profile_id: str, ghosts: list[SliceLook]) -> bool:
    app, run = cycle.app, cycle.runs[profile_id]
    dry_run = cycle.request.dry_run or app.reconcile.policy.parity_dry_run
    bookings = tuple(_booking(cycle, each, run.run_id, dry_run=dry_run) for each in ghosts)
    drafts = [booking.pending for booking in bookings]
    profile = next(p for p in cycle.members if p.profile_id == profile_id)
    batch = RepairBatch(
        batch_id=run.run_id, profile=profile, lease=cycle.lease, bookings=bookings,
        symbols=cycle.gathered.account.symbols, tag_prefix=app.backfill.policy.tag_prefix, now=iso(cycle.now_ms),
        elsewhere=cycle.elsewhere,
    )  # fmt: skip
    try:
        if dry_run:
            if app.ledger.writable:
                app.ledger.book(batch, rehearse=True)
            return False
        app.journal.record(drafts)
        result = app.ledger.book(batch, rehearse=False)
    except TrueupError as error:
        run.error = error
        return False
    if result.stale:
        run.notes.append(f"{', '.join(result.stale)} changed while the run looked; no ghost of the profile was closed")
        return False
    return True


def _booking(cycle: Cycle, each: SliceLook, run_id: str, *, dry_run: bool) -> Booking:
    """Return the synthetic exit of a ghost with what the audit says of it before it is written."""
    row = synthetic_exit(each.trade, each.holding, cycle.snapshot.as_of_ms)
    draft = AuditDraft(
        batch_id=run_id, profile_id=row.profile_id, symbol=row.symbol, trade_id=row.trade_id,
        decision=AuditDecision.DRY_RUN if dry_run else AuditDecision.PENDING_APPLY, reason=ELIGIBLE, dry_run=dry_run,
        actor=cycle.app.actor, plan_hash="", exchange_order_id=row.exchange_order_id, backfill_order_id=row.order_id,
        filled_qty=row.qty, filled_price=row.price, filled_at=iso(row.filled_ms),
        metadata={**_proof(cycle, each), **_row_facts(row, cycle.snapshot)},
    )  # fmt: skip
    return Booking(row, draft, each.trade.fingerprint, Decimal(0))


def _row_facts(row: ExitRow, snapshot: Snapshot) -> dict[str, object]:
    return {
        "action": "EXIT", "status": "filled", "matchedBy": row.matched_by, "exchangeSubTag": None,
        "price_source": row.price_source, "evidenceQty": plain(row.evidence_qty), "fee": None, "feeAsset": None,
        "asOf": iso(snapshot.as_of_ms),
    }  # fmt: skip


def _proof(cycle: Cycle, each: SliceLook) -> dict[str, object]:
    return {
        "rule": "parity", "confirmations": _confirmed(cycle, each),
        "exchangeOpenQty": plain(each.holding.gross) if each.holding is not None else None,
    }  # fmt: skip


def _positions(cycle: Cycle, plan: AccountPlan, looks: list[SliceLook]) -> None:
    """Tell the breaks of positions that no slice of a flat symbol explains."""
    facts, policy = cycle.gathered.facts, cycle.app.backfill.policy
    found = compare(facts, plan, policy, cycle.tokens, frozenset(cycle.here))
    marks = marks_of(facts.snapshot)
    holdings = Holdings(facts.snapshot)
    told = {each.trade.token for each in looks if each.look is not Look.CLEAN}
    for each in found.breaks:
        token = facts.snapshot.symbols.token(each.symbol)
        if not each.kind.of_positions or not cycle.includes(each.profile_id, token, each.trade_id):
            continue
        if (
            each.kind is BreakKind.GHOST_POSITION
            and token in told
            and holdings.of(each.symbol).is_flat(policy.dust_abs)
        ):
            continue
        worth = marks.get(token)
        gap = abs((each.ledger or Decimal(0)) - (each.venue or Decimal(0)))
        why = "which trade it is cannot be told while the venue holds some of the symbol"
        if each.kind is not BreakKind.GHOST_POSITION:
            why = "no order of the venue explains it; a person decides"
        # What a ghost's count must not go on with: the venue held some of it at this look.
        held = each.kind is BreakKind.GHOST_POSITION
        worth_of_it = gap * worth if worth is not None else None
        cycle.saw(Sighting(each, BreakState.QUARANTINED, why, worth_of_it, resets=held))
    if cycle.request.trade_ids is None:
        _not_compared(cycle, found.unknown, looks)


def _not_compared(cycle: Cycle, unknown: Iterable[tuple[str, str]], looks: list[SliceLook]) -> None:
    """Tell which positions could not be compared: of a trade, every profile that holds some of its symbol.

    The position is the account's, so that what is not known of one profile's trade leaves it unknown for all of them.
    """
    told: dict[str, list[SliceLook]] = defaultdict(list)
    holders: dict[str, set[str]] = defaultdict(set)
    for each in looks:
        told[f"{each.trade.symbol} {each.trade.trade_id}"].append(each)
        holders[each.trade.token].add(each.trade.profile_id)
    for what, why in unknown:
        if what not in told:
            cycle.cannot_tell(None, what, why)
        for trade in (each.trade for each in told.get(what, ())):
            for other in sorted(holders[trade.token] - {trade.profile_id}):
                cycle.cannot_tell(other, trade.symbol, f"not compared: {trade.trade_id} of {trade.profile_id}: {why}")


def _count(cycle: Cycle, looks: list[SliceLook], closed: set[tuple[str, str]]) -> None:
    for profile_id, run in cycle.runs.items():
        mine = [e for e in looks if e.trade.profile_id == profile_id and e.look in (Look.GHOST, Look.WAITS)]
        worth = [each.notional for each in mine if each.notional is not None]
        wanted = cycle.app.reconcile.policy.parity_confirmations
        run.parity = ParityCounts(
            mismatched=len(mine),
            quarantined=sum(e.look is Look.GHOST and not e.attributed and _confirmed(cycle, e) >= wanted for e in mine),
            closed=sum((profile_id, each.trade.trade_id) in closed for each in mine),
            largest=max(worth, default=None) if mine else Decimal(0),
            total=(sum(worth, Decimal(0)) if worth else None) if mine else Decimal(0),
        )
