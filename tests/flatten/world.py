"""A bot at the simulated exchange that is to be flattened, with whatever may go wrong in between, all from one seed.

What trueup's own orders do is held against the exchange's truth as it happens: a fill that adds to a position or turns
it round is a defect, and so is an order for more than the last reading said is held, or a second one beside another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Any

from tests.reconcile.memory import MemoryLeases, MemoryModes, MemoryOutbox
from tests.reconcile.places import PREFIX, QuickBooks, Rules

from trueup.core.errors import CannotKnow, Refused
from trueup.core.flatten.record import Entry, FlattenRules, What
from trueup.core.holdings import Holdings
from trueup.core.modes import Mode
from trueup.core.orders import Side
from trueup.core.snapshot import Coverage, Feed, FeedState, Snapshot
from trueup.core.times import iso
from trueup.ports import ActionReport, ClosingAnswer, ClosingOrder, Lease, ModeChange, OrderAnswer, ReadScope
from trueup.service.app import App, SafetyConfig
from trueup.service.flattening import Flattened, flatten_account
from trueup.sim.acting import LEGS, SimActions
from trueup.sim.exchange import Exchange, Fill, Kind, Leg, Market, NotAllowed, Order, OrderRequest
from trueup.sim.venue import SimVenue, spelt

NOW = 1_772_000_000_000
OURS = "f1a7"
DUST = Decimal("0.001")
LEASE = Lease("account:main", "me", 1, 2**62)


class Killed(BaseException):
    """The process is gone."""


class MemoryFlattenings:
    """The FlattenBook port; `after` is called when an entry is on record."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.after: Callable[[Entry], None] = lambda _: None

    def story(self, episode: str) -> Sequence[Entry]:
        return [entry for entry in self.entries if entry.episode == episode]

    def add(self, entry: Entry, lease: Lease) -> None:
        if entry.what is What.CLOSING and any(
            known.what is What.CLOSING and known.client_order_id == entry.client_order_id for known in self.entries
        ):
            raise Refused("twice")
        self.entries.append(replace(entry, seq=len(self.entries) + 1))
        self.after(entry)

    def newest(self) -> Sequence[Entry]:
        return self.entries[-1:]

    def closings(self, account: str, since_ms: int) -> Sequence[Entry]:
        return [entry for entry in self.entries if entry.client_order_id is not None]


class SeenModes(MemoryModes):
    """The Modes port, of which the newest change of a scope is asked for."""

    def since(self, scope: str) -> ModeChange | None:
        return next((change for change in reversed(self.changes) if change.scope == scope), None)


class KeptOutbox(MemoryOutbox):
    """An outbox that keeps what was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    def change(self, key: str, decide: Any, now_ms: int) -> Any:
        change = decide(())
        if change.added is not None:
            self.told.append((change.added.sighting.severity.value, change.added.sighting.text))
        return change


@dataclass
class Troubles:
    """How often something goes wrong, as ratios; `bot` is how often the bot acts between two looks."""

    unread: float = 0
    partial: float = 0
    stale: float = 0
    lost_looks: float = 0
    reject: float = 0
    not_sent: float = 0
    unanswered: float = 0
    late: float = 0
    rests: float = 0
    cancel_fails: float = 0
    killed: float = 0
    bot: float = 0


@dataclass
class Late:
    """An order that is under way to the exchange."""

    due_ms: int
    order: ClosingOrder


@dataclass
class World:
    """One account at one kind of exchange; `held` are profiles' open quantities by symbol, negative for short."""

    seed: int = 0
    kind: Kind = Kind.LINEAR
    hedged: bool = False
    troubles: Troubles = field(default_factory=Troubles)
    rules: FlattenRules = field(default_factory=FlattenRules)
    profiles: tuple[str, ...] = ("p1",)
    allow: bool = True
    names_orders: bool = True

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)
        self.exchange = Exchange(NOW, ids="per_symbol" if self.kind is not Kind.EQUITY else "uuid")
        self.holder = self.exchange.open_account("main", hedged=self.hedged)
        for name in ("BTC", "ETH"):
            self.exchange.list_market(self._market(name), "100")
        self.exchange.deposit("main", "USDT", "1000000", margin=self.kind is Kind.LINEAR)
        self.venue = Shaky(self)
        self.books = QuickBooks()
        self.modes, self.outbox, self.record = SeenModes(), KeptOutbox(), MemoryFlattenings()
        self.app = self._app()
        self.late: list[Late] = []
        self.wrong: list[str] = []
        self.flat_ms = 0
        self.trade = 0
        self.bot_acts = True
        self.exchange.listeners.append(self._hear)

    def _market(self, name: str) -> Market:
        quote = "USDT"
        symbol = name if self.kind is Kind.EQUITY else f"{name}{quote}"
        return Market(symbol=symbol, base=name, quote=quote, kind=self.kind, lot=Decimal("0.001"))

    def _app(self) -> App:
        made = self.books.begin(
            lambda: self.exchange.now_ms, {"main": self.venue}, dict.fromkeys(self.profiles, "main"), Rules()
        )
        self.books.clock.sleep = self.sleep
        return replace(
            made, modes=self.modes, outbox=self.outbox, flattenings=self.record,
            safety=SafetyConfig(flatten=self.rules), leases=MemoryLeases(),
        )  # fmt: skip

    # The bot

    def symbol(self, name: str) -> str:
        return spelt(self._market(name))

    def hold(self, profile: str, name: str, qty: str, *, booked: bool = True) -> None:
        """Let a profile hold something, at the exchange and in its ledger."""
        amount = Decimal(qty)
        side = Side.BUY if amount > 0 else Side.SELL
        self.submit(name, side, abs(amount))
        if booked:
            self.book(profile, name, side, abs(amount))

    def book(self, profile: str, name: str, side: Side, qty: Decimal) -> None:
        """Write an entry into the ledger."""
        self.trade += 1
        at = self.exchange.now_ms
        row = {
            "order_id": f"row-{self.trade}", "profile_id": profile, "user_id": "somebody", "symbol": self.symbol(name),
            "type": "market", "side": side.value, "qty": qty, "quantity": qty, "price": Decimal(100),
            "status": "filled", "timestamp": at, "trade_id": f"TRD-{self.trade}", "action": "ENTRY", "source": "BOT",
            "client_order_id": f"{PREFIX}-{profile}-TRD-{self.trade}-entry", "exchange_order_id": f"x{self.trade}",
            "created_at": iso(at), "updated_at": iso(at),
        }  # fmt: skip
        self.books.write(row)

    def submit(
        self, name: str, side: Side, qty: Decimal, *, limit: str | None = None, client: str | None = None
    ) -> Order | None:
        """Send an order of the bot's; None where the exchange refuses it."""
        market = self._market(name)
        leg = Leg.BOTH
        if self.hedged:
            leg = Leg.LONG if side is Side.BUY else Leg.SHORT
        request = OrderRequest(
            symbol=market.symbol, side=side, qty=qty, type="limit" if limit else "market",
            limit_price=Decimal(limit) if limit else None, client_order_id=client, leg=leg,
        )  # fmt: skip
        try:
            return self.exchange.submit("main", request)
        except NotAllowed:
            return None

    def rest(self, profile: str, name: str, qty: str = "0.5") -> Order:
        """Let a profile's order wait far below the price."""
        self.trade += 1
        tag = f"{PREFIX}-{profile}-TRD-{self.trade}-entry"
        made = self.submit(name, Side.BUY, Decimal(qty), limit="1", client=tag)
        assert made is not None
        return made

    def _bot(self) -> None:
        name, side = self.chance.choice(("BTC", "ETH")), self.chance.choice(list(Side))
        qty = Decimal(self.chance.randrange(1, 900)) / 1000
        if self.kind is Kind.SPOT and side is Side.SELL:
            qty = min(qty, self.holder.balance(name))
        limit = "1" if side is Side.BUY else "10000"
        self.submit(name, side, qty, limit=limit if self.chance.random() < 0.5 else None)

    # Time

    def sleep(self, seconds: float) -> None:
        self.tick(int(seconds * 1000))
        if self.bot_acts and self.chance.random() < self.troubles.bot:
            self._bot()
        self.note_flat()

    def tick(self, ms: int) -> None:
        """Let time pass: orders under way arrive, those that rest fill."""
        self.exchange.advance(ms)
        for late in [late for late in self.late if late.due_ms <= self.exchange.now_ms]:
            self.late.remove(late)
            self.venue.acting.arrive(late.order)
        for order in self.exchange.working("main"):
            if (order.client_order_id or "").startswith(OURS) and self.chance.random() < 0.3:
                self._fill_more(order)

    def _fill_more(self, order: Order) -> None:
        market = self.exchange.markets[order.symbol]
        held = abs(self.qty(market.base, order.request.leg))
        part = min(order.remaining, held)
        if part > 0 and (self.qty(market.base, order.request.leg) > 0) is (order.side is Side.SELL):
            self.exchange.fill(order, part)
        elif order.status.working:
            self.exchange.expire(order)

    def note_flat(self) -> None:
        if not self.left():
            self.flat_ms = self.exchange.now_ms

    # The truth

    def qty(self, name: str, leg: Leg = Leg.BOTH) -> Decimal:
        if self.kind is Kind.SPOT:
            return self.holder.balance(name)
        return self.holder.position(self._market(name).symbol, leg).qty

    def left(self) -> list[str]:
        """Name what is held or works by the truth."""
        legs = (Leg.LONG, Leg.SHORT) if self.hedged else (Leg.BOTH,)
        held = [self.symbol(name) for name in ("BTC", "ETH") for leg in legs if abs(self.qty(name, leg)) > DUST]
        return held + [f"order {order.id}" for order in self.exchange.working("main")]

    def _hear(self, what: str, order: Order, fill: Fill | None) -> None:
        if fill is None or not (order.client_order_id or "").startswith(OURS) or self.kind is Kind.SPOT:
            return
        before = fill.after - (fill.qty if fill.order.side is Side.BUY else -fill.qty)
        if before * fill.after < 0 or abs(fill.after) >= abs(before):
            self.wrong.append(f"an order of ours moved {order.symbol} from {before} to {fill.after}")

    # What is done

    def demand(self, scope: str = "account:main", mode: Mode = Mode.FLATTEN) -> None:
        change = ModeChange(scope, mode, Mode.NORMAL, "operator", "tester", "a test", iso(self.exchange.now_ms))
        self.modes.set(change)

    def flatten(self, stop: Callable[[], bool] = lambda: False) -> list[Flattened]:
        """Do what is due; a worker that is killed is followed by another."""
        for _ in range(200):
            try:
                return flatten_account(self.app, "main", LEASE, stop)
            except Killed:
                self.tick(self.chance.randrange(0, 20_000))
        raise AssertionError("it is killed for ever")

    def maybe_kill(self) -> None:
        if self.chance.random() < self.troubles.killed:
            raise Killed


class Shaky:
    """The venue, as shaky as the world's troubles make it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sim = SimVenue(world.exchange, "main", allow_flatten=True, coins_are_positions=False)
        self.read_last: Snapshot | None = None
        self.older: list[Snapshot] = []
        self.was_stale = False
        self.acting = ShakyActions(world, self)
        self.external: dict[str, Decimal] = {}

    @property
    def actions(self) -> "ShakyActions | None":
        return self.acting if self.world.allow else None

    def read(self, scope: ReadScope) -> Snapshot:
        world, troubles = self.world, self.world.troubles
        world.tick(world.chance.randrange(10, 400))
        world.note_flat()
        if world.chance.random() < troubles.unread:
            raise CannotKnow("The venue does not answer.", "")
        found = self.sim.read(scope)
        stale = self.older and not self.was_stale and world.chance.random() < troubles.stale
        self.was_stale = bool(stale)
        answer = replace(self.older[-1], as_of_ms=found.as_of_ms) if stale else found
        self.older = [*self.older[-1:], found]
        if world.chance.random() < troubles.partial:
            feed = world.chance.choice((Feed.POSITIONS, Feed.BALANCES, Feed.OPEN_ORDERS))
            state = world.chance.choice((FeedState.PARTIAL, FeedState.FAILED))
            answer = replace(answer, coverage={**answer.coverage, feed: Coverage(state, "cut short")})
            lost = {Feed.POSITIONS: {"legs": ()}, Feed.BALANCES: {"balances": None}}
            answer = replace(answer, **lost.get(feed, {"orders": ()}))
        self.read_last = answer
        return answer

    def find_order(
        self, symbol: str, order_id: str | None = None, client: str | None = None, placed: int | None = None
    ) -> OrderAnswer:
        if self.world.chance.random() < self.world.troubles.lost_looks:
            return OrderAnswer(why="the venue does not answer")
        return self.sim.find_order(symbol, order_id, client, placed)

    def stream(self, on_update: Any, on_gap: Any) -> None:
        return None


class ShakyActions(SimActions):
    """The actions, as shaky."""

    def __init__(self, world: World, venue: Shaky) -> None:
        super().__init__(world.exchange, "main", venue.sim.symbols)
        self.world = world
        self.venue = venue
        self.sent: list[ClosingOrder] = []

    @property
    def names_orders(self) -> bool:
        return self.world.names_orders

    def cancel_all(self, symbols: Any = None) -> ActionReport:
        self._may_fail()
        return super().cancel_all(symbols)

    def cancel(self, symbol: str, order_id: str) -> ActionReport:
        self._may_fail()
        return super().cancel(symbol, order_id)

    def _may_fail(self) -> None:
        self.world.maybe_kill()
        if self.world.chance.random() < self.world.troubles.cancel_fails:
            raise CannotKnow("The venue does not answer.", "")

    def close(self, order: ClosingOrder) -> ClosingAnswer:
        self._check(order)
        world, troubles, dice = self.world, self.world.troubles, self.world.chance
        world.maybe_kill()
        self.sent.append(order)
        drawn = dice.random()
        for name in ("reject", "not_sent", "unanswered", "late", "rests"):
            drawn -= getattr(troubles, name)
            if drawn < 0:
                return self._trouble(name, order)
        answer = super().close(order)
        world.maybe_kill()
        return answer

    def _trouble(self, name: str, order: ClosingOrder) -> ClosingAnswer:
        world = self.world
        if name == "reject":
            return ClosingAnswer(False, why="the venue refuses it")
        if name == "not_sent":
            return ClosingAnswer(None, why="connection reset")
        if name == "late":
            world.late.append(Late(self.exchange.now_ms + world.chance.randrange(100, 8000), order))
            return ClosingAnswer(None, why="timed out")
        if name == "rests":
            return self.arrive(order, match=False)
        super().close(order)
        world.tick(2000)
        return ClosingAnswer(None, why="timed out")

    def arrive(self, order: ClosingOrder, *, match: bool = True) -> ClosingAnswer:
        """Let an order come to the exchange; one that does not match at once fills a part of itself."""
        request = self.request(order)
        if request is None:
            return ClosingAnswer(False, why="there is nothing to reduce")
        try:
            made = self.exchange.submit("main", request, match=match)
        except NotAllowed as error:
            return ClosingAnswer(False, why=str(error))
        if not match and made.remaining > Decimal("0.002"):
            self.exchange.fill(made, (made.remaining / 2).quantize(Decimal("0.001")))
        return ClosingAnswer(True, made.id)

    def _check(self, order: ClosingOrder) -> None:
        """Hold what is sent against the last reading, and against what is under way."""
        world = self.world
        market = self._market(order.symbol)
        leg = LEGS[order.side] if world.hedged else Leg.BOTH
        under_way = [late for late in world.late if late.order.symbol == order.symbol]
        works = [o for o in self.exchange.working("main", market.symbol) if (o.client_order_id or "").startswith(OURS)]
        if under_way or works:
            world.wrong.append(f"{order} beside another one")
        assert self.venue.read_last is not None
        holding = Holdings(self.venue.read_last).of(order.symbol)
        sign = 1 if order.side is Side.SELL else -1
        held = sum((abs(x) for x in holding.legs if x * sign > 0), Decimal(0))
        if order.qty > held:
            world.wrong.append(f"{order} where {leg} holds {held}")
