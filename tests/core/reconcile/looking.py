"""What the loop's rules make of a world: chains, findings, heals and looks, in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tests.core.world import World, order

from trueup.core.orders import LedgerOrder, Side
from trueup.core.reconcile.changes import Change, NewRow, Proof
from trueup.core.reconcile.comparing import Finding, OrderFacts, compare_orders
from trueup.core.reconcile.fitting import FitFacts, Fitted, fit
from trueup.core.reconcile.importing import Owner, OwnerReader, unentered
from trueup.core.reconcile.matching import Chain, Matches, chains_of, match
from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.core.reconcile.table import Do
from trueup.core.repair.evidence import executions_of
from trueup.core.repair.slices import slices_of
from trueup.core.snapshot import VenueOrder

RULES = ReconcilePolicy()
PROOF = Proof("test")


def buy(name: str = "X1", qty: str = "1", minute: float = 10, **said: object) -> VenueOrder:
    """One order of the venue, a filled BTC/USD buy at 110 unless told otherwise."""
    return order(name, qty, minute, **{"side": "buy"} | said)


def tag(trade: str, profile: str = "p1", ending: str = "") -> str:
    return f"bytelyst-{profile}-{trade}{ending}"


def chains(world: World) -> list[Chain]:
    snapshot = world.snapshot
    return chains_of(executions_of(snapshot, world.policy.grace_ms), snapshot.symbols)


def chain(*orders: VenueOrder, **facts: object) -> Chain:
    """The only chain of some orders of the venue."""
    [found] = chains(World(orders=orders, **facts))
    return found


def matched(world: World) -> Matches:
    return match(chains(world), world.rows, world.fresh_symbols, world.policy.tag_prefix)


def pairs(world: World) -> dict[str, list[str]]:
    """The rows about each order of the venue, by its newest id."""
    return {p.chain.newest_id: [r.order_id for r in p.rows] for p in matched(world).pairs if p.chain is not None}


def doubts(world: World) -> dict[str, str]:
    """Why nothing can be told of each order of which that is so."""
    return {p.chain.newest_id: p.doubt for p in matched(world).pairs if p.chain is not None and p.doubt}


def order_facts(world: World, here: Iterable[str] | None = None, **settings: object) -> OrderFacts:
    return OrderFacts(
        snapshot=world.snapshot, rows=tuple(world.rows), slices=tuple(slices_of(world.rows, world.fresh_symbols)),
        profiles=frozenset(world.profiles if here is None else here), known_profiles=frozenset(world.profiles),
        policy=world.policy, rules=replace(RULES, **settings), users={"p1": "u1"},
        spelt=spelt(world.rows) | world.spelt, unentered=unentered(world.rows, world.fresh_symbols),
    )  # fmt: skip


def spelt(rows: Iterable[LedgerOrder]) -> frozenset[tuple[str, str]]:
    return frozenset((row.profile_id, row.trade_id.lower()) for row in rows if row.trade_id)


def findings(world: World, here: Iterable[str] | None = None, **settings: object) -> list[Finding]:
    return compare_orders(order_facts(world, here, **settings))


def only(world: World, here: Iterable[str] | None = None, **settings: object) -> Finding:
    [found] = findings(world, here, **settings)
    return found


def found(world: World, **settings: object) -> list[str]:
    """What is found about each order: the rule, and what is done where that is not the rule's own."""
    return [
        f.rule.name if f.do is f.rule.do else f"{f.rule.name} -> {f.do.name}: {f.why}"
        for f in findings(world, **settings)
    ]


def only_change(world: World) -> Change:
    finding = only(world)
    assert finding.do is finding.rule.do, finding.why
    [change] = finding.changes
    return change


def added(world: World) -> NewRow:
    change = only_change(world)
    assert isinstance(change, NewRow)
    return change


def refused(world: World) -> str:
    """Why the heal of the only finding cannot be made."""
    finding = only(world)
    assert (finding.do, finding.changes) == (Do.QUARANTINE, ())
    return finding.why


def owner(
    world: World,
    of: Chain,
    known: Sequence[str] = ("p1", "p2"),
    met: Iterable[Chain] | None = None,
    heard: Iterable[Chain] = (),
) -> Owner | None:
    """Whose order a chain is; `met` are the orders that the ledger does not have, it alone unless told otherwise.

    `heard` are all others that the venue lists.
    """
    slices = slices_of(world.rows, world.fresh_symbols)
    names = unentered(world.rows, world.fresh_symbols)
    reader = OwnerReader(world.policy.tag_prefix, known, slices, spelt(world.rows) | world.spelt, names, world.rows)
    for each in heard:
        reader.hear(each)
    reader.meet([of] if met is None else met)
    return reader.of(of)


def by_trade(rows: Iterable[LedgerOrder]) -> Mapping[tuple[str, str], list[LedgerOrder]]:
    trades: dict[tuple[str, str], list[LedgerOrder]] = {}
    for row in rows:
        if row.trade_id:
            trades.setdefault((row.profile_id, row.trade_id), []).append(row)
    return trades


def fit_facts(world: World, **taken: object) -> FitFacts:
    return FitFacts(
        world.snapshot, tuple(slices_of(world.rows, world.fresh_symbols)), by_trade(world.rows), world.policy, **taken
    )


def fitted(world: World, **taken: object) -> Fitted:
    return fit(findings(world), fit_facts(world, **taken))


def heals(world: World, **taken: object) -> list[str]:
    """The heals that may be made, and those that are held with the reason, in words."""
    outcome = fitted(world, **taken)
    made = [f"{f.trade_id}: {f.rule.name}" for f in outcome.healing]
    return made + [f"{f.trade_id}: {f.rule.name} held, {reason.name}" for f, reason, _ in outcome.held]


def opposite(side: str) -> str:
    return Side(side).opposite.value
