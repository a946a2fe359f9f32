"""A venue that fails for some readings, and says so: every fault is in the coverage, none is silent."""

from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any

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
        self.gives_fills = fills
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
        if not self.gives_fills:
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


FAILED = Coverage(FeedState.FAILED, "the query failed")
PARTIAL = Coverage(FeedState.PARTIAL, "a page is missing")


def _hit(whole: Snapshot, fault: Fault | None, chance: Random) -> Snapshot:
    """Return a reading with what a fault takes away, and its coverage."""
    gives_fills = whole.feed(Feed.FILLS).given
    changed: dict[str, Any] = {}
    lost: dict[Feed, Coverage] = {}
    if fault is Fault.POSITIONS_FAILED:
        changed = {"legs": (), "balances": None}
        lost = {Feed.POSITIONS if whole.feed(Feed.POSITIONS).given else Feed.BALANCES: FAILED}
    elif fault is Fault.ORDERS_FAILED:
        changed, lost = {"orders": ()}, {Feed.OPEN_ORDERS: FAILED, Feed.CLOSED_ORDERS: FAILED}
    elif fault is Fault.FILLS_FAILED and gives_fills:
        changed, lost = {"fills": ()}, {Feed.FILLS: FAILED}
    elif fault is Fault.ORDERS_PARTIAL:
        changed = {"orders": tuple(order for order in whole.orders if order.working or chance.random() < 0.5)}
        lost = {Feed.CLOSED_ORDERS: PARTIAL}
    elif fault is Fault.FILLS_PARTIAL and gives_fills:
        changed, lost = {"fills": tuple(fill for fill in whole.fills if chance.random() < 0.5)}, {Feed.FILLS: PARTIAL}
    elif fault is Fault.SYMBOL_UNKNOWN and whole.legs:
        leg = chance.choice(whole.legs)
        changed = {
            "legs": tuple(other for other in whole.legs if other.symbol != leg.symbol),
            "unknown_symbols": {leg.symbol: "its quantity cannot be read"},
        }
    elif fault is Fault.FORGETFUL:
        since = whole.as_of_ms - chance.choice((30_000, 90_000, 200_000))
        changed = {
            "orders": tuple(order for order in whole.orders if order.working or order.time_ms >= since),
            "fills": tuple(fill for fill in whole.fills if fill.time_ms >= since),
        }
        feeds = (Feed.CLOSED_ORDERS, Feed.FILLS) if gives_fills else (Feed.CLOSED_ORDERS,)
        lost = dict.fromkeys(feeds, Coverage(FeedState.COMPLETE, since_ms=since))
    return replace(whole, **changed, coverage={**whole.coverage, **lost})
