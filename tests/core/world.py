"""A small language for facts: ledger rows, what the venue says, and the plan in words.

Times are minutes after START; the venue's clock stands at NOW. Quantities are written as text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from trueup.core.orders import LedgerOrder, Side, read_order
from trueup.core.repair.booked import Applied, booked_index
from trueup.core.repair.decisions import Decision, Outcome
from trueup.core.repair.naming import SettledTrade
from trueup.core.repair.plan import AccountFacts, AccountPlan, Wanted, plan_account
from trueup.core.repair.policy import BackfillPolicy, Flatness
from trueup.core.repair.rows import ExitRow
from trueup.core.repair.slices import slices_of
from trueup.core.snapshot import Coverage, Feed, FeedState, Fill, Leg, Snapshot, VenueOrder
from trueup.core.symbols import Symbols

START = 1_767_322_800_000
"""2026-01-02T03:00:00Z."""

MINUTE = 60_000
NOW = 600
GRACE = 5
POLICIES = tuple(flatness.value for flatness in Flatness)
COMPLETE = Coverage(FeedState.COMPLETE)
PARTIAL = Coverage(FeedState.PARTIAL, "page limit")
FAILED = Coverage(FeedState.FAILED, "timeout")


def at(minute: float) -> int:
    return START + round(minute * MINUTE)


def reaches(minute: float) -> Coverage:
    """A complete feed that reaches back to a minute."""
    return Coverage(FeedState.COMPLETE, since_ms=at(minute))


def row(trade: str | None = "TRD-1", qty: object = "1", minute: float = 0, **columns: object) -> LedgerOrder:
    """One row of the ledger, a filled BTC/USD buy of profile p1 unless told otherwise."""
    raw: dict[str, object] = {
        "profile_id": "p1", "user_id": "u1", "trade_id": trade, "symbol": "BTC/USD", "side": "buy", "qty": qty,
        "price": "100", "status": "filled", "timestamp": at(minute), **columns,
    }  # fmt: skip
    raw.setdefault("order_id", f"{raw['profile_id']}/{trade}/{raw.get('action')}/{raw['status']}/{minute}")
    return read_order(raw)


def entry(trade: str = "TRD-1", qty: object = "1", minute: float = 0, **columns: object) -> LedgerOrder:
    return row(trade, qty, minute, **{"action": "ENTRY"} | columns)


def leave(trade: str = "TRD-1", qty: object = "1", minute: float = 1, **columns: object) -> LedgerOrder:
    """An EXIT row of the ledger."""
    return row(trade, qty, minute, **{"action": "EXIT", "side": "sell"} | columns)


def short(trade: str = "TRD-1", qty: object = "1", minute: float = 0, **columns: object) -> LedgerOrder:
    """The ENTRY row of a short trade."""
    return entry(trade, qty, minute, **{"side": "sell"} | columns)


def working(trade: str = "TRD-1", **columns: object) -> LedgerOrder:
    return row(trade, None, 2, **{"status": "new", "side": "sell", "action": "EXIT"} | columns)


def order(name: str = "X1", qty: str = "1", minute: float = 10, **said: object) -> VenueOrder:
    """One order of the venue, a filled BTC/USD sell at 110 unless told otherwise."""
    facts: dict[str, object] = {
        "symbol": "BTC/USD", "side": "sell", "status": "filled", "price": "110", "price_source": "order",
        "where": f"orders[{name}]", **said,
    }  # fmt: skip
    facts["side"] = Side(str(facts["side"]))
    for number in ("price", "fee"):
        facts[number] = _number(facts.get(number))
    return VenueOrder(id=name, qty=Decimal(qty), time_ms=at(minute), **facts)


def fill(name: str = "F1", of: str = "X1", qty: str = "1", minute: float = 10, **said: object) -> Fill:
    """One execution of an order, a BTC/USD sell at 110 unless told otherwise."""
    facts: dict[str, object] = {"symbol": "BTC/USD", "side": "sell", "price": "110", "where": f"fills[{name}]", **said}
    facts["side"] = Side(str(facts["side"]))
    for number in ("price", "fee"):
        facts[number] = _number(facts.get(number))
    return Fill(id=name, order_id=of, qty=Decimal(qty), time_ms=at(minute), **facts)


def leg(qty: str, symbol: str = "BTC/USD", mark: str | None = None) -> Leg:
    return Leg(symbol, Decimal(qty), _number(mark), where=f"positions[{symbol} {qty}]")


def applied(trade: str = "TRD-1", of: str = "X1", qty: str = "1", order_id: str = "BFILL-1", **said: str) -> Applied:
    """A repair that our audit remembers."""
    facts = {"profile_id": "p1", "symbol": "BTC/USD", **said}
    return Applied(trade_id=trade, exchange_order_id=of, order_id=order_id, qty=Decimal(qty), **facts)


def _number(text: object) -> Decimal | None:
    return None if text is None else Decimal(str(text))


@dataclass(frozen=True, kw_only=True)
class World:
    """The facts of one account; every feed is complete and the venue flat unless told otherwise."""

    rows: Sequence[LedgerOrder] = ()
    orders: Sequence[VenueOrder] = ()
    fills: Sequence[Fill] = ()
    legs: Sequence[Leg] = ()
    balances: Mapping[str, str] | None = None
    coverage: Mapping[str, Coverage | None] = field(default_factory=dict)
    unknown_symbols: Mapping[str, str] = field(default_factory=dict)
    unknown_assets: Mapping[str, str] = field(default_factory=dict)
    applied: Sequence[Applied] = ()
    reverted: frozenset[tuple[str, str, str]] = frozenset()
    settled: tuple[SettledTrade, ...] = ()
    spelt: frozenset[tuple[str, str]] = frozenset()
    profiles: Sequence[str] = ("p1", "p2")
    managed: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    policy: BackfillPolicy = field(default_factory=BackfillPolicy)
    symbols: Symbols = field(default_factory=Symbols)
    now: float = NOW

    def having(self, **changes: object) -> "World":
        return replace(self, **changes)

    def under(self, **settings: object) -> "World":
        """The same facts under another policy; numbers as text."""
        read = {
            name: Decimal(value) if name.startswith("dust") else Flatness(value) if name == "flatness" else value
            for name, value in settings.items()
        }
        return replace(self, policy=replace(self.policy, **read))

    @property
    def fresh_symbols(self) -> Symbols:
        """Symbols remember the tokens that they made; a test starts without such memories."""
        return Symbols(self.symbols.aliases)

    @property
    def snapshot(self) -> Snapshot:
        feeds: dict[str, Coverage | None] = {
            "positions": COMPLETE if self.balances is None else None,
            "balances": None if self.balances is None else COMPLETE,
            "closed_orders": COMPLETE,
            "fills": COMPLETE if self.fills else None,
            **self.coverage,
        }
        return Snapshot(
            account="main",
            as_of_ms=at(self.now),
            coverage={Feed(name): coverage for name, coverage in feeds.items() if coverage is not None},
            orders=tuple(self.orders),
            fills=tuple(self.fills),
            legs=tuple(self.legs),
            balances=None if self.balances is None else {k: Decimal(v) for k, v in self.balances.items()},
            unknown_symbols=self.unknown_symbols,
            unknown_assets=self.unknown_assets,
            symbols=self.fresh_symbols,
        )

    @property
    def facts(self) -> AccountFacts:
        return AccountFacts(
            snapshot=self.snapshot,
            slices=tuple(slices_of(self.rows, self.fresh_symbols)),
            booked=booked_index(self.rows, self.applied, self.fresh_symbols, self.policy.tag_prefix),
            known_profiles=frozenset(self.profiles),
            managed=self.managed,
            reverted=self.reverted,
            settled=self.settled,
            spelt=self.spelt,
        )

    def plan(self, **wanted: frozenset[str]) -> AccountPlan:
        return plan_account(self.facts, Wanted(**{"profiles": frozenset(self.profiles)} | wanted), self.policy)

    def decisions(self) -> list[Decision]:
        return [decision for plan in self.plan().profiles.values() for decision in plan.decisions]

    def booked(self) -> list[ExitRow]:
        return [row for plan in self.plan().profiles.values() for row in plan.rows]

    def says(self) -> list[str]:
        """The decisions in words, by profile and in the order in which they were taken."""
        return [in_words(decision) for decision in self.decisions()]


def in_words(decision: Decision) -> str:
    trade, proposed = decision.trade.trade_id, decision.exit
    if proposed is None:
        return f"{trade}: {decision.outcome} {decision.reason}"
    if decision.outcome is Outcome.BOOK:
        number = f"{proposed.qty:f}".rstrip("0").rstrip(".")
        return f"{trade}: {number} of {proposed.exchange_order_id} by {proposed.matched_by}"
    return f"{trade}: {decision.outcome} {decision.reason} {proposed.exchange_order_id}"


def as_ledger_row(proposed: ExitRow) -> LedgerOrder:
    """The row as the ledger has it once the plan is applied."""
    return LedgerOrder(
        order_id=proposed.order_id, profile_id=proposed.profile_id, trade_id=proposed.trade_id,
        symbol=proposed.symbol, status=row().status, user_id=proposed.user_id, side=proposed.side,
        action=leave().action, qty=proposed.qty, price=proposed.price or None, time_ms=proposed.filled_ms,
        exchange_order_id=proposed.exchange_order_id, client_order_id=proposed.client_order_id,
        sub_tag=proposed.sub_tag, source="BOT",
    )  # fmt: skip


def after_apply(world: World) -> World:
    """The world once the plan's rows are in its ledger, and their trades known as settled."""
    booked = world.booked()
    settled = [SettledTrade(r.profile_id, r.trade_id, Symbols().token(r.symbol), at(NOW)) for r in booked]
    rows = [*world.rows, *map(as_ledger_row, booked)]
    return world.having(rows=rows, settled=(*world.settled, *settled))
