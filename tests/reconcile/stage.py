"""A stage for one incident: a ledger in memory, a venue that says what it is told, and the loop, cycle by cycle."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from tests.reconcile.places import PREFIX, QuickBooks, Rules

from trueup.core.errors import CannotKnow
from trueup.core.orders import Side, word
from trueup.core.snapshot import NOT_GIVEN, Coverage, Feed, FeedState, Fill, Leg, Snapshot, VenueOrder
from trueup.core.times import iso
from trueup.ports import EVERYTHING, OrderAnswer, ReadScope
from trueup.service.cycle import ReconcileRequest
from trueup.service.reconcile import run_reconcile
from trueup.service.reconcile_report import ReconcileReport

START = 1_772_000_000_000
MINUTE = 60_000
COMPLETE = Coverage(FeedState.COMPLETE)
FAILED = Coverage(FeedState.FAILED, "the query failed")


def tag(trade: str, action: str, profile: str = "p1") -> str:
    return f"{PREFIX}-{profile}-{trade}-{action.lower()}"


def an_order(name: str, side: str, status: str, executed: str = "0", *, minute: float = 0, **more: Any) -> VenueOrder:
    """One order as the venue lists it, at 100."""
    qty = Decimal(executed)
    given: dict[str, Any] = {
        "symbol": "BTC/USD", "price": Decimal(100) if qty else None, "price_source": "order" if qty else "none",
        "working": word(status) in ("new", "partially_filled"), **more,
    }  # fmt: skip
    return VenueOrder(id=name, side=Side(side), status=status, qty=qty, time_ms=START + round(minute * MINUTE), **given)


def a_fill(name: str, order: str, side: str, qty: str, *, minute: float = 0) -> Fill:
    return Fill(name, order, "BTC/USD", Side(side), Decimal(qty), Decimal(100), START + round(minute * MINUTE))


def a_row(name: str, side: str, status: str, qty: str = "1", *, minute: float = 0, **more: Any) -> dict[str, Any]:
    """One row of the bot's ledger: of profile p1 and trade TRD-1, an entry where it buys."""
    action = "ENTRY" if side == "buy" else "EXIT"
    at = START + round(minute * MINUTE)
    raw: dict[str, Any] = {
        "order_id": name, "profile_id": "p1", "user_id": "somebody", "symbol": "BTC/USD", "type": "market",
        "side": side, "qty": Decimal(qty), "quantity": Decimal(qty), "price": Decimal(100), "status": status,
        "timestamp": at, "trade_id": "TRD-1", "action": action, "source": "BOT", "exchange_order_id": None,
        "created_at": iso(at), "updated_at": iso(at), **more,
    }  # fmt: skip
    raw.setdefault("client_order_id", tag(raw["trade_id"], action, raw["profile_id"]))
    return raw


class Told:
    """The Venue port: it says what it was told; `asked` are the orders that it was asked for one by one."""

    def __init__(self, account: str) -> None:
        self.snapshot = Snapshot(account, START, coverage={**dict.fromkeys(Feed, COMPLETE), Feed.FILLS: NOT_GIVEN})
        self.down = False
        self.forgotten: tuple[VenueOrder, ...] = ()

    actions = None

    def export(self, scope: ReadScope = EVERYTHING) -> dict[str, object]:
        return {}

    def inspect(self) -> list[Any]:
        return []

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:
        if self.down:
            raise CannotKnow("The venue does not answer.", "Wait.")
        return self.snapshot

    def find_order(
        self, symbol: str, order_id: str | None = None, client_order_id: str | None = None, placed_ms: int | None = None
    ) -> OrderAnswer:
        if self.down:
            return OrderAnswer(why="the venue does not answer")
        for order in (*self.snapshot.orders, *self.forgotten):
            if order_id == order.id or (client_order_id and client_order_id == order.client_order_id):
                return OrderAnswer(order)
        return OrderAnswer(absent=True, why="the venue has no such order")


@dataclass
class Stage:
    """One account (or two), and everything that happens there; the clock is the newest cycle's."""

    rules: Rules = field(default_factory=Rules)
    profiles: dict[str, str] = field(default_factory=lambda: {"p1": "main", "p2": "main"})
    minute: float = 10

    def __post_init__(self) -> None:
        self.venues = {name: Told(name) for name in sorted(set(self.profiles.values()))}
        self.books = QuickBooks()
        self.app = self.books.begin(self._now, self.venues, self.profiles, self.rules)
        self.report: ReconcileReport | None = None

    def _now(self) -> int:
        return START + round(self.minute * MINUTE)

    def ledger(self, *rows: dict[str, Any]) -> None:
        """Let the bot write."""
        for row in rows:
            self.books.write(row)

    def venue(self, *orders: VenueOrder, held: str | None = None, account: str = "main", **more: Any) -> None:
        """Tell the venue what to say: its orders, and what it holds of BTC/USD."""
        told = self.venues[account]
        coverage = {**told.snapshot.coverage, **more.pop("coverage", {})}
        if "fills" in more:
            coverage[Feed.FILLS] = COMPLETE
        legs = (Leg("BTC/USD", Decimal(held), Decimal(105)),) if held is not None else ()
        told.snapshot = replace(told.snapshot, orders=orders, legs=legs, coverage=coverage, **more)

    def cycles(
        self, count: int = 1, request: ReconcileRequest | None = None, *, apart: float = 1, lag: float = 0
    ) -> ReconcileReport:
        """Run so many cycles, so many minutes apart, each on a new reading of the venue, which is `lag` minutes old."""
        for _ in range(count):
            self.minute += apart
            for venue in self.venues.values():
                venue.snapshot = replace(venue.snapshot, as_of_ms=self._now() - round(lag * MINUTE))
            self.report = run_reconcile(self.app, request or ReconcileRequest())
            for run in self.report.runs:
                assert run.error is None, run.error
        assert self.report is not None
        return self.report

    @property
    def rows(self) -> dict[str, str]:
        """What the ledger says: status and quantity by row; our own rows by the first letters of their ids."""
        return {
            name.split("-")[0] if name.startswith(("PRTY-", "BFILL-", "IMPRT-", "DIFF-")) else name:
            f"{row['status']} {row['qty'].normalize():f}"
            for name, row in self.books.rows().items()
        }  # fmt: skip

    @property
    def breaks(self) -> dict[str, str]:
        """The breaks that are not over: state by kind."""
        return {each["kind"]: each["state"] for each in self.books.breaks()}
