"""Comparing an account's orders with the venue's, and healing what proof exists for.

Invariant 7 (Audit before act): the intents are committed before any row changes; a dry run makes the same transaction
and rolls it back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from trueup.core.audit import closing as interrupted
from trueup.core.breaks import Break, BreakKind
from trueup.core.decimals import plain
from trueup.core.errors import Refused, TrueupError
from trueup.core.orders import Action, LedgerOrder
from trueup.core.reconcile.audited import announced
from trueup.core.reconcile.changes import Change, resting_on
from trueup.core.reconcile.comparing import Finding, OrderFacts, asked, compare_orders
from trueup.core.reconcile.fitting import FitFacts, Fitted, Held, TradeKey, blocked, fit
from trueup.core.reconcile.handlers import proof_of, reconcile_cancel
from trueup.core.reconcile.importing import TradeName, unentered
from trueup.core.reconcile.matching import order_keys, row_time
from trueup.core.reconcile.records import BreakState, Sighting, confirmations
from trueup.core.reconcile.table import Do
from trueup.core.repair.chains import OrderKey
from trueup.core.snapshot import Feed, Snapshot, VenueOrder
from trueup.core.tags import TagReader, stems
from trueup.core.times import iso
from trueup.ports import HealBatch, HealResult, OrderAnswer, Profile, Venue
from trueup.service.cycle import Cycle
from trueup.service.flatten_facts import our_closings
from trueup.service.gather import executed_ids, gather_again
from trueup.service.runs import told

ASKED_AT_MOST = 50
"""So many orders are asked for one by one in a cycle; the rest is asked for in the next ones."""


def compare(cycle: Cycle) -> None:
    """Compare every order; ask the venue for those that it does not list, and compare again with what it answers."""
    cycle.rows = tuple(_rows(cycle))
    cycle.findings = _compared(cycle, cycle.snapshot)
    answers = _ask(cycle)
    if answers.found:
        snapshot = replace(cycle.snapshot, orders=(*cycle.snapshot.orders, *answers.found))
        cycle.gathered = gather_again(cycle.app, cycle.gathered, snapshot)
        cycle.rows = tuple(_rows(cycle))
        cycle.findings = _compared(cycle, snapshot)
    cycle.findings = [_after_counting(cycle, _after_asking(cycle, finding, answers)) for finding in cycle.findings]
    cycle.cleared |= _found_again(cycle)


def _is_of_a_flattening(finding: Finding, ours: frozenset[tuple[str, str]]) -> bool:
    """Say whether an order that no row of the ledger knows is one by which trueup closed a position: no orphan."""
    chain = finding.pair.chain
    orphan = finding.rule.kind is BreakKind.ORPHAN_ORDER
    return orphan and chain is not None and (finding.token, chain.newest_id) in ours


def _found_again(cycle: Cycle) -> set[str]:
    """Return the breaks of orders that were missing and that the venue lists: their misses are counted anew."""
    token = cycle.snapshot.symbols.token
    listed = {(token(each.symbol), name) for each in cycle.snapshot.orders for name in (each.id, each.client_order_id)}
    return {
        record.break_id
        for record in cycle.records.values()
        if record.kind == BreakKind.MISSING_FROM_EXCHANGE
        and record.exchange_order_id is not None
        and (token(record.symbol or ""), record.exchange_order_id) in listed
    }


def heal(cycle: Cycle) -> None:
    """Heal what may be healed, one transaction a profile, and say what becomes of every finding."""
    fitted = fit(cycle.findings, _fit_facts(cycle))
    held = {id(finding): blocked(finding, reason, why) for finding, reason, why in fitted.held}
    healing = {id(finding) for finding in fitted.healing}
    cycle.refuted = fitted.refuted | _unsure(cycle, fitted) | _awaited(cycle) | _left_to_others(cycle, healing)
    changes: dict[str, list[Change]] = defaultdict(list)
    for finding in fitted.healing:
        found = finding.as_break(cycle.account)
        for change in finding.changes:
            changes[change.profile_id].append(resting_on(change, cycle.gathered.facts.booked))
            cycle.healing |= {change.order_id: found} if found is not None else {}
    done = {name: heal_profile(cycle, name, tuple(found)) for name, found in sorted(changes.items())}
    for finding in cycle.findings:
        healed = id(finding) in healing and done.get(finding.profile_id or "", False)
        _sight(cycle, held.get(id(finding), finding), healed=healed)


def _awaited(cycle: Cycle) -> frozenset[OrderKey]:
    """Return the orders that the bot may be about to write: what the loop waits for, its backfill does not book."""
    return order_keys(finding.pair.chain for finding in cycle.findings if finding.do is Do.WAIT)


def _left_to_others(cycle: Cycle, healing: set[int]) -> frozenset[OrderKey]:
    """Return the orders that have rows and are not healed now: the backfill does not book beside them.

    `healing` are the findings that are, by identity.
    """
    return order_keys(each.pair.chain for each in cycle.findings if each.pair.rows and id(each) not in healing)


def _unsure(cycle: Cycle, fitted: Fitted) -> frozenset[OrderKey]:
    """Return the orders that rows which cannot be found may have booked, and those that may be their trade's entry.

    They may be it where no row says which one is: where they are not younger than the first row, or would leave more
    than was entered.
    """
    entered = {(row.profile_id, row.trade_id) for row in cycle.gathered.rows if row.order_action is Action.ENTRY}
    opened = {
        (piece.profile_id, piece.trade_id, piece.token): piece.opened_ms
        for piece in cycle.gathered.facts.slices
        if (piece.profile_id, piece.trade_id) not in entered
    }
    chains = [
        finding.pair.chain
        for finding in cycle.findings
        if finding.facts.unsure
        or finding.time_ms <= opened.get((finding.profile_id or "", finding.trade_id or "", finding.token), -1)
    ]
    chains += [
        finding.pair.chain
        for finding, reason, _ in fitted.held
        if reason is Held.OVER_EXIT and (finding.profile_id, finding.trade_id) not in entered
    ]
    return order_keys(chains)


def _rows(cycle: Cycle) -> list[LedgerOrder]:
    """Return the rows to compare: of every profile of the account, since a venue's order may be of any of them."""
    policy = cycle.app.backfill.policy
    exchange_ids, client_ids = executed_ids(cycle.snapshot)
    exchange_ids |= {order.id for order in cycle.snapshot.orders}
    client_ids |= {order.client_order_id for order in cycle.snapshot.orders if order.client_order_id}
    since = cycle.snapshot.feed(Feed.CLOSED_ORDERS).since_ms
    start = max(since or 0, cycle.snapshot.as_of_ms - policy.lookback_ms)
    rows = cycle.app.ledger.orders_to_compare(cycle.here, start, exchange_ids, client_ids, policy.tag_prefix)
    elsewhere = cycle.elsewhere
    return [row for row in rows if row.profile_id not in elsewhere]


def _compared(cycle: Cycle, snapshot: Snapshot) -> list[Finding]:
    facts = cycle.gathered.facts
    users = {profile.profile_id: profile.user_id for profile in cycle.gathered.profiles}
    missing = _names_in_tags(cycle, _without_row(cycle, snapshot))
    spelt = _spelt(cycle, snapshot.orders, missing)
    found = compare_orders(
        OrderFacts(
            snapshot=snapshot, rows=cycle.rows, slices=facts.slices, profiles=frozenset(cycle.here),
            known_profiles=facts.known_profiles, policy=cycle.app.backfill.policy,
            rules=cycle.app.reconcile.policy, users=users, spelt=spelt,
            unentered=_unentered(cycle, missing, spelt),
        )
    )  # fmt: skip
    sorted_out: dict[bool, list[Finding]] = {True: [], False: []}
    ours = our_closings(cycle.app, cycle.account, snapshot)
    for finding in (each for each in found if not _is_of_a_flattening(each, ours)):
        sorted_out[cycle.includes(finding.profile_id, finding.token, finding.trade_id)].append(finding)
    cycle.beyond = tuple(sorted_out[False])
    return sorted_out[True]


def _spelt(cycle: Cycle, orders: Iterable[VenueOrder], missing: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Return which of the trades that the venue's tags name the ledger has, open or not.

    Of those that orders without a row name (`missing`), also what the name begins with: a bot may have added the rest.
    """
    names = _names_in_tags(cycle, orders) | {stem for name in missing for stem in stems(name)}
    return cycle.app.ledger.trades_spelt(cycle.here, names) if names else frozenset()


def _names_in_tags(cycle: Cycle, orders: Iterable[VenueOrder]) -> set[str]:
    reader = TagReader(cycle.app.backfill.policy.tag_prefix, cycle.gathered.facts.known_profiles)
    names: set[str] = set()
    for order in orders:
        for tag in (reader.client_order_id(order.client_order_id), reader.sub_tag(order.sub_tag)):
            names |= set(tag.trades) if tag is not None else set()
    return names


def _without_row(cycle: Cycle, snapshot: Snapshot) -> list[VenueOrder]:
    """Return the venue's orders that no row names."""
    token = snapshot.symbols.token
    named = {
        (token(row.symbol), name)
        for row in cycle.rows
        for name in (row.exchange_order_id, row.order_id, row.client_order_id)
        if row.symbol is not None and name
    }
    return [
        order
        for order in snapshot.orders
        if not named & {(token(order.symbol), order.id), (token(order.symbol), order.client_order_id)}
    ]


def _unentered(cycle: Cycle, missing: set[str], spelt: frozenset[tuple[str, str]]) -> Mapping[TradeName, str]:
    """Return which of the trades that orders without a row name (`missing`) the ledger has without anything booked.

    Only the trades of such orders are read: there are none of them where nothing is missing.
    """
    names = missing & {name for _, name in spelt}
    names -= {piece.trade_id.lower() for piece in cycle.gathered.facts.slices}
    return unentered(cycle.app.ledger.rows_spelt(cycle.here, names), cycle.snapshot.symbols) if names else {}


READ_ONLY = (
    "the ledger is attached read-only ([ledger] state_url): what could be healed is told, and nothing is written"
)


class _Answers:
    """What the venue said of orders that it did not list: those that it found, and rows of which it knows none."""

    def __init__(self) -> None:
        self.found: list[VenueOrder] = []
        self.absent: set[str] = set()
        self.unknown: dict[str, str] = {}


def _ask(cycle: Cycle) -> _Answers:
    answers = _Answers()
    missing = asked(cycle.findings)
    venue = cycle.gathered.account.venue() if missing else None
    token = cycle.snapshot.symbols.token
    listed = {(token(order.symbol), order.id) for order in cycle.snapshot.orders}
    for number, finding in enumerate(missing):
        row = finding.lead
        assert row is not None
        assert venue is not None
        if number >= ASKED_AT_MOST:
            answers.unknown[row.order_id] = f"more than {ASKED_AT_MOST} orders are missing; this one is asked for later"
            continue
        answer = _one_order(venue, finding.symbol, row)
        order = answer.order
        if order is not None and (order.id == row.exchange_order_id or (token(order.symbol), order.id) not in listed):
            answers.found.append(order)
        elif answer.order is not None or answer.absent:
            # By the row's client order id the venue knows one that other rows account for: it knows none of this row.
            answers.absent.add(row.order_id)
        else:
            answers.unknown[row.order_id] = answer.why
    return answers


def _one_order(venue: Venue, symbol: str, row: LedgerOrder) -> OrderAnswer:
    """Ask for an order by its id and by its client order id; it is absent only if neither is known."""
    answer = OrderAnswer(why="the row has no id to ask for")
    for order_id, client_id in ((row.exchange_order_id, None), (None, row.client_order_id)):
        if order_id or client_id:
            answer = venue.find_order(symbol, order_id, client_id, row_time(row))
            if not answer.absent:
                return answer
    return answer


def _after_asking(cycle: Cycle, finding: Finding, answers: _Answers) -> Finding:
    """Return what is to be done about a row that the venue was asked for: the Nth confirmed miss cancels it."""
    row = finding.lead
    if finding.do is not Do.ASK or row is None:
        return finding
    if row.order_id not in answers.absent:
        why = answers.unknown.get(row.order_id, "the venue gave another order than the one that it was asked for")
        return replace(finding, do=Do.UNRESOLVED, why=f"{finding.why} Asked for it: {why}")
    found = finding.as_break(cycle.account)
    record = cycle.records.get(found.break_id) if found is not None else None
    count = confirmations(record, cycle.snapshot.as_of_ms)
    wanted = cycle.app.reconcile.policy.missing_confirmations
    why = f"{finding.why} The venue, asked for it, knows none: {count} of {wanted} times"
    if count < wanted:
        return replace(finding, do=Do.WAIT, why=why)
    proof = proof_of(finding.rule.name, None, cycle.snapshot.as_of_ms, count)
    return replace(finding, do=Do.CANCEL, why=why, changes=(reconcile_cancel(row, None, proof),))


def _after_counting(cycle: Cycle, finding: Finding) -> Finding:
    """Return what is to be done about rows that book an order twice which may still fill: the Nth look cancels.

    What looks like a double may be the next execution, which the venue's reading is too old for.
    """
    if finding.do is not Do.CANCEL_DUPLICATE or finding.facts.over or not finding.changes:
        return finding
    found = finding.as_break(cycle.account)
    record = cycle.records.get(found.break_id) if found is not None and not _moved(cycle, found) else None
    count, wanted = confirmations(record, cycle.snapshot.as_of_ms), cycle.app.reconcile.policy.missing_confirmations
    if count >= wanted:
        return finding
    return replace(finding, do=Do.WAIT, changes=(), why=f"{finding.why} The order may still fill: {count} of {wanted}")


def _moved(cycle: Cycle, found: Break) -> bool:
    """Say whether the looks before this one saw other quantities: they say nothing about these."""
    record = cycle.records.get(found.break_id)
    if record is None or record.state.over:
        return False
    said = tuple(plain(qty) if qty is not None else None for qty in (found.ledger, found.venue))
    return (record.ledger_qty, record.venue_qty) != said


def _fit_facts(cycle: Cycle) -> FitFacts:
    keys: set[TradeKey] = set()
    for finding in cycle.findings:
        keys |= {(change.profile_id, change.trade_id) for change in finding.changes if change.trade_id}
    rows = {key: cycle.app.ledger.trade_rows(key[1], [key[0]]) for key in sorted(keys)}
    reverted = cycle.app.journal.healed_and_reverted(cycle.here) if keys else frozenset()
    facts = cycle.gathered.facts
    return FitFacts(
        cycle.snapshot, facts.slices, rows, cycle.app.backfill.policy, reverted, facts.reverted, facts.rules
    )


def heal_profile(cycle: Cycle, profile_id: str, changes: tuple[Change, ...]) -> bool:
    """Make the heals of one profile, or rehearse them in a dry run; False where they were not made."""
    app, run = cycle.app, cycle.runs[profile_id]
    profile = next(p for p in cycle.members if p.profile_id == profile_id)
    batch = _batch(cycle, run.run_id, profile, changes)
    if cycle.request.dry_run:
        result = app.ledger.heal(batch, rehearse=True) if app.ledger.writable else HealResult()
        run.heals += result.applied
        return bool(result.applied)
    if cycle.changes_nothing:
        if READ_ONLY not in run.notes:
            run.notes.append(READ_ONLY)
        return False
    pending = app.journal.interrupted([profile_id])
    closed = [interrupted(row, "interrupted") for row in pending]
    app.journal.record(closed + [announced(change, run.run_id, app.actor) for change in changes])
    try:
        result = app.ledger.heal(batch, rehearse=False)
    except BaseException as error:
        _close(cycle, run.run_id, error)
        if isinstance(error, TrueupError):
            run.error = error
            return False
        raise
    if result.stale:
        _stale(cycle, run.run_id, result)
        return False
    run.heals += result.applied
    cycle.touched |= {(profile_id, change.trade_id) for change in changes if change.trade_id}
    return True


def _batch(cycle: Cycle, run_id: str, profile: Profile, changes: tuple[Change, ...]) -> HealBatch:
    return HealBatch(
        run_id=run_id, profile=profile, lease=cycle.lease, changes=changes, symbols=cycle.gathered.account.symbols,
        tag_prefix=cycle.app.backfill.policy.tag_prefix, actor=cycle.app.actor, now=iso(cycle.now_ms),
        elsewhere=cycle.elsewhere,
    )  # fmt: skip


def _stale(cycle: Cycle, run_id: str, result: HealResult) -> None:
    """Say that the bot changed a row while the run looked: the next cycle looks again."""
    names = ", ".join(result.stale)
    cycle.app.journal.close_batch(run_id, lambda row: interrupted(row, "row_changed"))
    for run in cycle.runs.values():
        if run.run_id == run_id:
            run.notes.append(f"{names} changed while the run looked; nothing of this run was healed")


def _close(cycle: Cycle, run_id: str, error: BaseException) -> None:
    reason = "heal_refused" if isinstance(error, Refused) else "heal_failed"
    try:
        cycle.app.journal.close_batch(run_id, lambda row: interrupted(row, reason, error=told(error)))
    except TrueupError as worse:
        error.add_note(f"The audit of {run_id} could not be closed: {worse.what} The next run closes it.")


_STATES = {
    Do.WAIT: BreakState.WAITING, Do.ASK: BreakState.WAITING, Do.UNRESOLVED: BreakState.UNRESOLVED,
    Do.QUARANTINE: BreakState.QUARANTINED,
}  # fmt: skip


def _sight(cycle: Cycle, finding: Finding, *, healed: bool) -> None:
    found = finding.as_break(cycle.account)
    if found is None:
        return
    state = _STATES.get(finding.do, BreakState.OPEN)
    if healed:
        state = BreakState.WOULD_HEAL if cycle.request.dry_run else BreakState.HEALED
    counts = finding.do is not Do.UNRESOLVED and finding.rule.name != "import_soon"
    resets = finding.rule.do is Do.CANCEL_DUPLICATE and _moved(cycle, found)
    cycle.saw(
        Sighting(
            replace(found, detail=finding.why), state, finding.why, counts=counts, resets=resets,
            settled=finding.facts.settled,
        )
    )  # fmt: skip
    if finding.do is Do.UNRESOLVED:
        cycle.cannot_tell(finding.profile_id, f"order {found.exchange_order_id}", finding.why)
