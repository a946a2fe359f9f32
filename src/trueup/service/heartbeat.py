"""The parity heartbeat: positions compared, ghosts confirmed over several looks, and closed last of all.

A trade that evidence may still prove is the backfill's; what is left at a venue proven flat gets a synthetic exit once
it was confirmed so many times, if its entry carries the profile's tag; else a person decides.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.audit import AuditDecision, AuditDraft
from trueup.core.breaks import Break, BreakKind
from trueup.core.decimals import plain
from trueup.core.errors import TrueupError
from trueup.core.integrity.rules import REFUSED_BY_RULE, Rule, what_to_do
from trueup.core.orders import Action, StatusClass
from trueup.core.reconcile.changes import PARITY_PREFIX, Change
from trueup.core.reconcile.handlers import cancel_row, proof_of
from trueup.core.reconcile.parity import (
    Look,
    ParityFacts,
    SliceLook,
    look,
    may_close,
    misnamed_trades,
    superseded_exits,
    synthetic_exit,
    tagged_trades,
)
from trueup.core.reconcile.records import BreakState, Sighting, confirmations
from trueup.core.repair.decisions import ALREADY_EXISTS, ELIGIBLE, REVERTED_BY_OPERATOR, SAME_ID
from trueup.core.repair.plan import AccountPlan, Wanted, plan_account
from trueup.core.repair.rows import PARITY_ORDER, ExitRow
from trueup.core.repair.slices import action_of
from trueup.core.snapshot import Snapshot
from trueup.core.tags import TagReader
from trueup.core.times import iso
from trueup.ports import Booking, RepairBatch
from trueup.service.cycle import Cycle
from trueup.service.gather import gather_again
from trueup.service.healing import heal_profile
from trueup.service.positions import tell_positions
from trueup.service.reconcile_report import ParityCounts

SUPERSEDED = "synthetic_exit_superseded"
"""The rule by which a synthetic exit is taken back: a real one closed the trade after all."""


def beat(cycle: Cycle) -> None:
    """Look at every open slice and every position; close the ghosts that are confirmed often enough."""
    if _withdraw(cycle):
        cycle.gathered = gather_again(cycle.app, cycle.gathered)
    plan, looks = _look(cycle)
    if cycle.gathered.memory is not None and not _is_dry(cycle) and _to_close(cycle, looks):
        # What is remembered may lack a row that was committed late: only the whole ledger proves a ghost.
        cycle.gathered = gather_again(cycle.app, cycle.gathered, full=True)
        plan, looks = _look(cycle)
    for each in looks:
        if each.look is Look.UNKNOWN:
            cycle.cannot_tell(each.trade.profile_id, f"{each.trade.symbol} {each.trade.trade_id}", each.why)
    cycle.cleared |= {_ghost(cycle, each).break_id for each in looks if each.look is Look.CLEAN}
    closing = _close(cycle, _to_close(cycle, looks))
    for each in looks:
        if each.look in (Look.GHOST, Look.WAITS) or (each.look is Look.SETTLING and _is_known(cycle, each)):
            _sight(cycle, each, closing)
    tell_positions(cycle, plan, looks)
    _count(cycle, looks, closing)


_Position = tuple[str, str, str]


@dataclass(slots=True)
class _Closing:
    """What became of the ghosts: the exits that were booked, those that a dry run would book, and why others were not.

    By trade and symbol: profile, trade id, token.
    """

    booked: dict[_Position, ExitRow] = field(default_factory=dict)
    rehearsed: dict[_Position, ExitRow] = field(default_factory=dict)
    withheld: dict[_Position, str] = field(default_factory=dict)


def _look(cycle: Cycle) -> tuple[AccountPlan, list[SliceLook]]:
    """Return what the backfill would do, and the looks at the open slices in the scope of what was asked."""
    about = _facts(cycle)
    return about.plan, [e for e in look(about) if cycle.includes(e.trade.profile_id, e.trade.token, e.trade.trade_id)]


def _facts(cycle: Cycle) -> ParityFacts:
    app, policy = cycle.app, cycle.app.backfill.policy
    return ParityFacts(
        facts=cycle.gathered.facts, plan=plan_account(cycle.gathered.facts, Wanted(frozenset(cycle.here)), policy),
        profiles=cycle.profile_ids, tagged=frozenset(_tagged(cycle)), touched=frozenset(cycle.touched),
        needs_tag=app.reconcile.policy.parity_needs_tag, grace_ms=policy.grace_ms, dust=policy.dust_abs,
        settle_ms=app.reconcile.policy.settle_ms, misnamed=misnamed_trades(cycle.gathered.rows, cycle.snapshot),
        unsettled=_unsettled(cycle),
    )  # fmt: skip


def _withdraw(cycle: Cycle) -> bool:
    """Take back synthetic exits of trades that a real exit closed since; say whether a row changed."""
    rules = cycle.app.reconcile.policy
    idle = rules.parity_dry_run or not rules.parity
    if idle or not any(row.order_id.startswith(PARITY_PREFIX) for row in cycle.gathered.rows):
        return False
    of_orders = (seen.found for seen in cycle.sightings if not seen.found.kind.of_positions and not seen.state.over)
    disputed = {(found.profile_id or "", found.trade_id or "") for found in of_orders}
    kept = cycle.app.journal.healed_and_reverted(cycle.here)
    changes: dict[str, list[Change]] = defaultdict(list)
    for row in superseded_exits(_facts(cycle), cycle.gathered.rows, disputed):
        token = cycle.snapshot.symbols.token(row.symbol or "")
        taken_back = (row.profile_id, row.order_id, SUPERSEDED) in kept
        if taken_back or not cycle.includes(row.profile_id, token, row.trade_id):
            continue
        rule = cycle.gathered.facts.rules.refusing_change(row, adds_history=False)
        if rule is None:
            changes[row.profile_id].append(cancel_row(row, proof_of(SUPERSEDED, None, cycle.snapshot.as_of_ms)))
        else:
            cycle.runs[row.profile_id].notes.append(f"{row.order_id} stays, {SUPERSEDED}: {_refusal(rule)}")
    done = [heal_profile(cycle, name, tuple(found)) for name, found in sorted(changes.items())]
    return any(done)


def _unsettled(cycle: Cycle) -> dict[str, str]:
    """Return by token an order of the venue's about whose quantity the ledger still says something else.

    What is open of a symbol is not known as long as one of its orders is in dispute, whoever of the account it is of;
    orders of nobody are not.
    """
    apart = (BreakKind.ORPHAN_ORDER, BreakKind.PRICE_MISMATCH)
    left = [seen.found for seen in cycle.sightings if not seen.state.over]
    left += [found for each in cycle.beyond if (found := each.as_break(cycle.account)) is not None]
    return {
        cycle.snapshot.symbols.token(found.symbol): f"{found.kind} of {found.exchange_order_id}"
        for found in left
        if not found.kind.of_positions and found.kind not in apart and found.venue is not None
    }


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
    """Return how many looks agree that the venue does not hold just this quantity."""
    if _moved(cycle, each):
        return 0
    return confirmations(cycle.records.get(_ghost(cycle, each).break_id), cycle.snapshot.as_of_ms)


def _is_known(cycle: Cycle, each: SliceLook) -> bool:
    """Say whether a look before this one saw the ghost, and it is not over."""
    record = cycle.records.get(_ghost(cycle, each).break_id)
    return record is not None and not record.state.over


def _moved(cycle: Cycle, each: SliceLook) -> bool:
    """Say whether the looks before this one were at another quantity of the trade: they prove nothing about it now."""
    record = cycle.records.get(_ghost(cycle, each).break_id)
    return record is not None and not record.state.over and record.ledger_qty != plain(each.trade.signed_open)


def _key(each: SliceLook) -> _Position:
    return each.trade.profile_id, each.trade.trade_id, each.trade.token


def _sight(cycle: Cycle, each: SliceLook, closing: _Closing) -> None:
    wanted = cycle.app.reconcile.policy.parity_confirmations
    count = _confirmed(cycle, each)
    state, why = BreakState.WAITING, each.why or f"confirmed {count} of {wanted} times"
    if _key(each) in closing.booked:
        state, why = BreakState.HEALED, f"confirmed {count} times at a flat venue: a synthetic exit was booked"
    elif _key(each) in closing.rehearsed:
        state, why = BreakState.WOULD_HEAL, f"confirmed {count} times at a flat venue; a dry run books nothing"
    elif _key(each) in closing.withheld:
        state, why = BreakState.QUARANTINED, closing.withheld[_key(each)]
    elif each.look is Look.GHOST and _taken_back(cycle, each):
        state, why = BreakState.QUARANTINED, f"{REVERTED_BY_OPERATOR}: an operator took its synthetic exit back"
    elif each.look is Look.GHOST and count >= wanted and (rule := _refusing(cycle, each)) is not None:
        state, why = BreakState.QUARANTINED, _refusal(rule)
    elif each.look is Look.GHOST and count >= wanted and not each.attributed:
        state, why = BreakState.QUARANTINED, "its entry carries no tag of the profile, so that a person decides"
    elif each.look is Look.GHOST and count >= wanted:
        idle = _idle(cycle)
        state = BreakState.CONFIRMED if idle else BreakState.QUARANTINED
        why = f"confirmed {count} times; {idle or 'which trade of the symbol is gone cannot be told'}"
    counts = each.look is Look.GHOST
    young = cycle.snapshot.as_of_ms - each.trade.newest_ms < cycle.app.reconcile.policy.settle_ms
    sighting = Sighting(
        _ghost(cycle, each), state, why, each.notional, counts=counts, resets=_moved(cycle, each),
        settled=not young,
    )  # fmt: skip
    cycle.saw(sighting)


def _taken_back(cycle: Cycle, each: SliceLook) -> bool:
    """Say whether an operator took back a synthetic exit of the trade: no other one takes its place by itself."""
    trade = each.trade
    return (trade.profile_id, trade.trade_id, PARITY_ORDER + trade.trade_id) in cycle.gathered.facts.reverted


def _refusing(cycle: Cycle, each: SliceLook) -> Rule | None:
    """Return the rule of lifecycle integrity that would refuse the trade's synthetic exit."""
    return cycle.gathered.facts.rules.refusing_row(each.trade.trade_id)


def _refusal(rule: Rule) -> str:
    return f"{REFUSED_BY_RULE}: {rule.name}: {what_to_do(rule)}"


def _idle(cycle: Cycle) -> str:
    """Return why no synthetic exit is booked at all; empty where they are."""
    if not cycle.app.ledger.writable:
        return "the ledger is attached read-only"
    if _is_dry(cycle):
        return "a dry run books nothing"
    return "" if cycle.app.reconcile.policy.parity else "the heartbeat is turned off"


def _is_dry(cycle: Cycle) -> bool:
    """Say whether the heartbeat books nothing, whatever it confirms."""
    return cycle.changes_nothing or cycle.app.reconcile.policy.parity_dry_run


def _to_close(cycle: Cycle, looks: list[SliceLook]) -> list[SliceLook]:
    """Return the ghosts that are confirmed often enough and may be closed."""
    rules = cycle.app.reconcile.policy
    ghosts = [e for e in looks if e.look is Look.GHOST and e.attributed and not _taken_back(cycle, e)]
    ghosts = [each for each in ghosts if _refusing(cycle, each) is None]
    ready = [each for each in ghosts if _confirmed(cycle, each) >= rules.parity_confirmations]
    if not ready or not rules.parity:
        return []
    return may_close(ready, cycle.gathered.facts, cycle.app.backfill.policy.dust_abs)


def _close(cycle: Cycle, chosen: list[SliceLook]) -> _Closing:
    """Book the synthetic exits of confirmed ghosts, one transaction a profile."""
    closing = _Closing()
    by_profile: dict[str, list[SliceLook]] = defaultdict(list)
    named: set[str] = set()
    for each in chosen:
        row = synthetic_exit(each.trade, each.holding, cycle.snapshot.as_of_ms)
        if row.order_id in named:
            closing.withheld[_key(each)] = f"{SAME_ID}: {_SAME.format(row.order_id)}"
        elif cycle.app.ledger.existing_ids([row.order_id]):
            closing.withheld[_key(each)] = f"{ALREADY_EXISTS}: {_STANDS.format(row.order_id)}"
        else:
            by_profile[each.trade.profile_id].append(each)
            named.add(row.order_id)
    for profile_id, items in sorted(by_profile.items()):
        _book(cycle, profile_id, items, closing)
    return closing


_STANDS = "the ledger has {}, which does not close this position, so that a person decides"
_SAME = "the exit of another symbol of the trade is {} as well, so that a person decides"


def _book(cycle: Cycle, profile_id: str, ghosts: list[SliceLook], closing: _Closing) -> None:
    """Book the exits of one profile's ghosts, and take down which rows the ledger took."""
    app, run = cycle.app, cycle.runs[profile_id]
    dry_run = _is_dry(cycle)
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
            if app.ledger.writable and app.ledger.book(batch, rehearse=True).inserted and cycle.request.dry_run:
                closing.rehearsed |= {_key(each): item.row for each, item in zip(ghosts, bookings, strict=True)}
            return
        app.journal.record(drafts)
        result = app.ledger.book(batch, rehearse=False)
    except TrueupError as error:
        run.error = error
        return
    if result.stale:
        run.notes.append(f"{', '.join(result.stale)} changed while the run looked; no ghost of the profile was closed")
    for each, booking in zip(ghosts, bookings, strict=True):
        if booking.row.order_id in result.inserted:
            closing.booked[_key(each)] = booking.row
        elif booking.row.order_id in result.existing:
            closing.withheld[_key(each)] = f"{ALREADY_EXISTS}: {_STANDS.format(booking.row.order_id)}"


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


def _count(cycle: Cycle, looks: list[SliceLook], closing: _Closing) -> None:
    wanted = cycle.app.reconcile.policy.parity_confirmations

    def withheld(each: SliceLook) -> bool:
        barred = not each.attributed or _refusing(cycle, each) is not None
        left = each.look is Look.GHOST and barred and _confirmed(cycle, each) >= wanted
        taken_back = each.look is Look.GHOST and _taken_back(cycle, each)
        return left or taken_back or _key(each) in closing.withheld

    for profile_id, run in cycle.runs.items():
        rows = {**closing.booked, **closing.rehearsed}
        run.closes = [row for key, row in sorted(rows.items()) if key[0] == profile_id]
        mine = [e for e in looks if e.trade.profile_id == profile_id and e.look in (Look.GHOST, Look.WAITS)]
        worth = [each.notional for each in mine if each.notional is not None]
        run.parity = ParityCounts(
            mismatched=len(mine),
            quarantined=sum(map(withheld, mine)),
            closed=sum(_key(each) in closing.booked for each in mine),
            largest=max(worth, default=None) if mine else Decimal(0),
            total=(sum(worth, Decimal(0)) if worth else None) if mine else Decimal(0),
        )
