"""Comparing an account's positions with the venue's, where no slice of a flat symbol explains what is apart."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from trueup.core.breaks import Break, BreakKind, compare
from trueup.core.decimals import plain
from trueup.core.holdings import Holdings
from trueup.core.orders import Side
from trueup.core.reconcile.carrying import carrying
from trueup.core.reconcile.equity import marks_of
from trueup.core.reconcile.parity import Look, SliceLook
from trueup.core.reconcile.records import BreakState, Sighting
from trueup.core.repair.plan import AccountPlan
from trueup.service.cycle import Cycle


def tell_positions(cycle: Cycle, plan: AccountPlan, looks: list[SliceLook]) -> None:
    """Tell the breaks of positions that no slice of a flat symbol explains."""
    facts, policy = cycle.gathered.facts, cycle.app.backfill.policy
    found = compare(facts, plan, policy, cycle.tokens, frozenset(cycle.here))
    marks = marks_of(facts.snapshot)
    holdings = Holdings(facts.snapshot)
    told = {each.trade.token for each in looks if each.look is not Look.CLEAN}
    moved = _moved_at(cycle)
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
        why = "which trade of the symbol it is cannot be told"
        why += " while the venue holds some of it" if each.venue else ": trades of both sides are open"
        if each.kind is not BreakKind.GHOST_POSITION:
            why = _of_strangers(cycle, token, (each.venue or Decimal(0)) - (each.ledger or Decimal(0)))
        # What a ghost's count must not go on with: the venue held some of it at this look.
        held = each.kind is BreakKind.GHOST_POSITION
        worth_of_it = gap * worth if worth is not None else None
        state, settled = BreakState.QUARANTINED, _is_settled(cycle, each, moved.get(token))
        if not settled:
            state, why = (
                BreakState.WAITING,
                "its symbol was traded just now, and the bot may not have written that yet",
            )
        cycle.saw(Sighting(each, state, why, worth_of_it, resets=held, settled=settled))
        _carried(cycle, token, (each.venue or Decimal(0)) - (each.ledger or Decimal(0)))
    if cycle.request.trade_ids is None:
        _not_compared(cycle, found.unknown, looks)


def _moved_at(cycle: Cycle) -> dict[str, int]:
    """Return when each symbol was traded last, by token, as far as venue and ledger tell."""
    moved: dict[str, int] = {}
    snapshot = cycle.snapshot
    orders = [(order.symbol, order.time_ms) for order in snapshot.orders]
    for symbol, time_ms in orders + [(fill.symbol, fill.time_ms) for fill in snapshot.fills]:
        token = snapshot.symbols.token(symbol)
        moved[token] = max(moved.get(token, 0), time_ms or 0)
    for piece in cycle.gathered.facts.slices:
        moved[piece.token] = max(moved.get(piece.token, 0), piece.newest_ms)
    return moved


def _is_settled(cycle: Cycle, found: Break, moved_ms: int | None) -> bool:
    """Say whether a position has been apart for longer than a bot's own writing may be late."""
    settle_ms, record = cycle.app.reconcile.policy.settle_ms, cycle.records.get(found.break_id)
    if record is not None and not record.state.over and cycle.now_ms - record.first_seen_ms >= settle_ms:
        return True
    return moved_ms is None or cycle.snapshot.as_of_ms - moved_ms >= settle_ms


def _carried(cycle: Cycle, token: str, gap: Decimal) -> None:
    """Tell which replaced orders may be why the venue holds so much more of a symbol than the ledger (signed)."""
    policy, seen = cycle.app.backfill.policy, {each.found.exchange_order_id for each in cycle.sightings}
    for each in carrying(cycle.snapshot, policy.grace_ms):
        if each.chain.token != token or each.chain.newest_id in seen or not each.explains(gap, policy.dust_abs):
            continue
        found = each.as_break(cycle.account, cycle.rows)
        if cycle.includes(found.profile_id, token, found.trade_id):
            cycle.saw(Sighting(found, BreakState.QUARANTINED, found.detail))


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


def _of_strangers(cycle: Cycle, token: str, gap: Decimal) -> str:
    """Say what explains what the venue holds beyond the ledger: orders of profiles that are not known, or none."""
    orders = [f for f in cycle.findings if f.stranger is not None and f.token == token and f.pair.chain is not None]
    moved = Decimal(0)
    for chain in (finding.pair.chain for finding in orders):
        if chain is not None and chain.side is not None:
            moved += chain.executed if chain.side is Side.BUY else -chain.executed
    if not orders or moved * gap <= 0:
        return _of_open_orders(cycle, token)
    names = ", ".join(sorted(finding.pair.chain.newest_id for finding in orders if finding.pair.chain is not None)[:5])
    profiles = ", ".join(sorted({str(finding.stranger) for finding in orders}))
    whole = abs(moved - gap) <= cycle.app.backfill.policy.dust_abs
    how = "explained" if whole else f"explained up to {plain(abs(moved))}"
    return f"{how} by {names}, whose tag names {profiles}, not known here; a person decides"


def _of_open_orders(cycle: Cycle, token: str) -> str:
    """Say which orders of a symbol wait for a person, or that no order explains what is apart."""
    kinds = (BreakState.QUARANTINED, BreakState.UNRESOLVED)
    named = cycle.snapshot.symbols.token
    orders = sorted(
        f"{seen.found.kind} of {seen.found.exchange_order_id}"
        for seen in cycle.sightings
        if not seen.found.kind.of_positions and seen.state in kinds and named(seen.found.symbol) == token
    )
    if not orders:
        return "no order of the venue explains it; a person decides"
    more = f" and {len(orders) - 3} more" if len(orders) > 3 else ""
    return f"what is not settled of its orders may explain it: {', '.join(orders[:3])}{more}; a person decides"
