"""What is known of one profile's rows without a trade id: read for deciding, and kept for what must still be so then.

The plan is made twice where it pairs rows by their lifecycle: the second time with the trades that have an id and stand
in the time of those rows, and with the ids that are taken.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trueup.core.integrity.naming import How, Naming, NamingPlan, NamingPolicy, Unnamed
from trueup.core.integrity.pairing import by_hand_of, candidates_of, plan_naming
from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.repair.slices import fingerprint
from trueup.core.symbols import Symbols
from trueup.core.tags import TagReader
from trueup.ports import Profile
from trueup.ports.lifecycle import IdGuard
from trueup.service.app import App


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of one profile, and what it was made of: the rows of trades, and the ids of the rows without one."""

    plan: NamingPlan = field(default_factory=NamingPlan)
    named: tuple[LedgerOrder, ...] = ()
    nameless: frozenset[str] = frozenset()


def plan_of(app: App, profile: Profile) -> Planned:
    """Read one profile's rows without an id, and decide."""
    policy, facts, nameless = _facts(app, profile)
    if not facts.rows:
        return Planned()
    plan = plan_naming(facts, policy)
    paired = [naming for naming in plan.namings if naming.how is How.LIFECYCLE]
    if paired:
        new = [naming.trade_id.lower() for naming in paired]
        taken = app.lifecycle.trades_like(profile.profile_id, new)
        taken = [trade for trade in taken if trade.trade_id.lower() in set(new)]
        among = _among(app, profile.profile_id, paired, policy)
        more = {row.order_id: row for row in (*facts.named, *among)}
        facts = replace(facts, trades=(*facts.trades, *taken), named=tuple(more.values()))
        plan = plan_naming(facts, policy) if taken or among else plan
    return Planned(plan, facts.named, nameless)


def guard_of(profile_id: str, planned: Planned, namings: Sequence[Naming], symbols: Symbols) -> IdGuard:
    """Return what must still be so for some namings of a profile to be right."""
    trades: dict[str, list[LedgerOrder]] = {naming.trade_id: [] for naming in namings}
    for row in planned.named:
        if row.trade_id in trades:
            trades[row.trade_id].append(row)
    ends: dict[str, int] = {}
    for naming in namings:
        if naming.how is How.LIFECYCLE:
            token = symbols.token(naming.symbol)
            ends[token] = max(ends.get(token, 0), *(row.time_ms or 0 for row in naming.rows))
    return IdGuard(profile_id, {name: fingerprint(rows) for name, rows in trades.items()}, planned.nameless, ends)


def policy_of(app: App, profile: Profile) -> NamingPolicy:
    """Return by which rules the rows of a profile are read."""
    rules = app.backfill.policy
    tags = TagReader(rules.tag_prefix, (known.profile_id for known in app.ledger.profiles()))
    return NamingPolicy(rules.dust_abs, rules.dust_rel, tags, app.account_of(profile).symbols)


def _facts(app: App, profile: Profile) -> tuple[NamingPolicy, Unnamed, frozenset[str]]:
    name, policy = profile.profile_id, policy_of(app, profile)
    with app.lifecycle.reading([name]) as reading:
        nameless = list(reading.unnamed(blank=True))
        source_kept, told_alone = reading.source_kept, tuple(reading.told_alone())
    rows, manual = candidates_of(nameless), by_hand_of(nameless)
    if not rows:
        return policy, Unnamed(name, ()), frozenset()
    said = _names(rows, policy.tags)
    trades = app.lifecycle.trades_like(name, said) if said else []
    # The database takes an id of blanks for a trade's; the core reads it as none.
    named = {row.order_id: row for row in app.ledger.open_trade_rows([name]) if row.trade_id is not None}
    mine = [(trade.profile_id, trade.trade_id) for trade in trades if trade.profile_id == name]
    named |= {row.order_id: row for row in app.ledger.rows_of_trades(mine)}
    working = tuple(row for row in named.values() if row.status is StatusClass.WORKING)
    mates = {known.profile_id for known in app.ledger.profiles() if known.account == profile.account}
    booked = _booked(app, rows, mates)
    facts = Unnamed(name, rows, tuple(named.values()), tuple(trades), working, booked, source_kept, manual, told_alone)
    return policy, facts, frozenset(row.order_id for row in nameless)


def _names(rows: Iterable[LedgerOrder], tags: TagReader) -> list[str]:
    """Return the names of trades in rows' tags, in lower case."""
    found = {name for row in rows for tag in (tags.client_order_id(row.client_order_id), tags.sub_tag(row.sub_tag))
             if tag is not None for name in tag.trades}  # fmt: skip
    return sorted(found)


def _booked(app: App, rows: Sequence[LedgerOrder], mates: set[str]) -> frozenset[str]:
    """Return which exchange orders of rows are booked by a row with a trade id too, of the same account."""
    wanted = {row.exchange_order_id for row in rows if row.exchange_order_id}
    mine = {row.order_id for row in rows}
    found = app.ledger.rows_booking(wanted, [], app.backfill.policy.tag_prefix) if wanted else []
    return frozenset(
        row.exchange_order_id or row.order_id
        for row in found
        if row.trade_id is not None and row.order_id not in mine and row.profile_id in mates
        and row.status is not StatusClass.DEAD
    )  # fmt: skip


def _among(app: App, profile_id: str, paired: Sequence[Naming], policy: NamingPolicy) -> list[LedgerOrder]:
    """Return the rows of the trades with an id that stand in the time of a lifecycle without one, or may."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for naming in paired:
        times = [row.time_ms or 0 for row in naming.rows]
        spans.setdefault(policy.symbols.token(naming.symbol), []).append((min(times), max(times)))
    with app.lifecycle.reading([profile_id]) as reading:
        found = [
            (profile_id, trade.trade_id)
            for trade in reading.times_of_trades()
            if _overlaps(spans, policy.symbols.token(trade.symbol), trade.first_ms, trade.last_ms)
        ]
    return app.ledger.rows_of_trades(found) if found else []


def _overlaps(spans: Mapping[str, Sequence[tuple[int, int]]], token: str, first: int | None, last: int | None) -> bool:
    mine = spans.get(token, ())
    if first is None or last is None:
        return bool(mine)
    return any(begins <= last and first <= ends for begins, ends in mine)
