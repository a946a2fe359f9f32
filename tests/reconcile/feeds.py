"""A venue that fails for some readings, and says so: every fault is in the coverage, none is silent."""

from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from random import Random

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import NOT_GIVEN, Coverage, Feed, FeedState, Snapshot
from trueup.core.symbols import Symbols
from trueup.ports import EVERYTHING, Check, OrderAnswer, ReadScope
from trueup.sim.venue import SimVenue, spelt


class Fault(StrEnum):
    """What goes wrong at one reading."""

    DOWN = "down"
    POSITIONS_FAILED = "positions failed"
    ORDERS_FAILED = "orders failed"
    FILLS_FAILED = "fills failed"
    ORDERS_PARTIAL = "orders partial"
    FILLS_PARTIAL = "fills partial"
    SYMBOL_UNKNOWN = "a symbol's position unknown"
    FORGETFUL = "older orders forgotten"
    STALE = "an older reading"


class Unsteady:
    """The Venue port: one account of the simulated exchange, with `fault` at the next readings.

    `held` is what the account really held at the moment of the newest reading, by symbol, signed. `fills` False never
    lists fills.
    """

    def __init__(self, venue: SimVenue, seed: int, *, fills: bool = True) -> None:
        self.venue = venue
        self.fault: Fault | None = None
        self.held: dict[str, Decimal] = {}
        self._fills = fills
        self._chance = Random(f"{seed}:{venue.account}")
        self._earlier: tuple[Snapshot, dict[str, Decimal]] | None = None

    @property
    def symbols(self) -> Symbols:
        return self.venue.symbols

    @property
    def actions(self) -> None:
        return None

    def export(self, scope: ReadScope = EVERYTHING) -> dict[str, object]:
        return dict(self.venue.export(scope))

    def inspect(self) -> list[Check]:
        return []

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:
        """Read the truth, less what the fault takes away; raises where the venue is down."""
        whole = self.venue.read(scope)
        if not self._fills:
            whole = replace(whole, fills=(), coverage={**whole.coverage, Feed.FILLS: NOT_GIVEN})
        self.held = self._positions()
        earlier, self._earlier = self._earlier, (whole, self.held)
        if self.fault is Fault.DOWN:
            raise CannotKnow("The venue does not answer.", "Wait.")
        if self.fault is Fault.STALE and earlier is not None:
            self._earlier = earlier
            snapshot, self.held = earlier
            return snapshot
        return _hit(whole, self.fault, self._chance)

    def _positions(self) -> dict[str, Decimal]:
        exchange, name = self.venue.exchange, self.venue.account
        account = exchange.accounts[name]
        return {spelt(market): account.position(market.symbol).qty for market in exchange.markets.values()}

    def find_order(
        self,
        symbol: str,
        order_id: str | None = None,
        client_order_id: str | None = None,
        placed_ms: int | None = None,
    ) -> OrderAnswer:
        """Ask for one order; unknown while the order feeds fail."""
        if self.fault in (Fault.DOWN, Fault.ORDERS_FAILED, Fault.STALE):
            return OrderAnswer(why="the venue does not answer")
        return self.venue.find_order(symbol, order_id, client_order_id, placed_ms)


def _hit(whole: Snapshot, fault: Fault | None, chance: Random) -> Snapshot:
    failed = Coverage(FeedState.FAILED, "the query failed")
    partial = Coverage(FeedState.PARTIAL, "a page is missing")
    orders = (Feed.OPEN_ORDERS, Feed.CLOSED_ORDERS)
    if fault is Fault.POSITIONS_FAILED:
        feeds = (Feed.POSITIONS,) if whole.feed(Feed.POSITIONS).given else (Feed.BALANCES,)
        return replace(whole, legs=(), balances=None, coverage={**whole.coverage, **dict.fromkeys(feeds, failed)})
    if fault is Fault.ORDERS_FAILED:
        return replace(whole, orders=(), coverage={**whole.coverage, **dict.fromkeys(orders, failed)})
    if fault is Fault.FILLS_FAILED and whole.feed(Feed.FILLS).given:
        return replace(whole, fills=(), coverage={**whole.coverage, Feed.FILLS: failed})
    if fault is Fault.ORDERS_PARTIAL:
        kept = tuple(order for order in whole.orders if order.working or chance.random() < 0.5)
        return replace(whole, orders=kept, coverage={**whole.coverage, Feed.CLOSED_ORDERS: partial})
    if fault is Fault.FILLS_PARTIAL and whole.feed(Feed.FILLS).given:
        some = tuple(fill for fill in whole.fills if chance.random() < 0.5)
        return replace(whole, fills=some, coverage={**whole.coverage, Feed.FILLS: partial})
    if fault is Fault.SYMBOL_UNKNOWN and whole.legs:
        leg = chance.choice(whole.legs)
        left = tuple(other for other in whole.legs if other.symbol != leg.symbol)
        return replace(whole, legs=left, unknown_symbols={leg.symbol: "its quantity cannot be read"})
    if fault is Fault.FORGETFUL:
        since = whole.as_of_ms - chance.choice((30_000, 90_000, 200_000))
        coverage = {**whole.coverage, Feed.CLOSED_ORDERS: Coverage(FeedState.COMPLETE, since_ms=since)}
        if whole.feed(Feed.FILLS).given:
            coverage[Feed.FILLS] = Coverage(FeedState.COMPLETE, since_ms=since)
        return replace(
            whole, orders=tuple(order for order in whole.orders if order.working or order.time_ms >= since),
            fills=tuple(fill for fill in whole.fills if fill.time_ms >= since), coverage=coverage,
        )  # fmt: skip
    return whole
