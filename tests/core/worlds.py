"""Random worlds for the invariants: several profiles on one account, right, wrong and foreign tags, chains, doubles.

Everything is drawn from few values, so that the same order, trade or quantity meets itself often.
"""

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import strategies as st
from tests.core.world import FAILED, PARTIAL, World, applied, entry, fill, leave, leg, order, reaches, row, working

from trueup.core.orders import LedgerOrder, Side
from trueup.core.repair.policy import BackfillPolicy, Flatness
from trueup.core.repair.slices import slices_of
from trueup.core.snapshot import Coverage, Fill, VenueOrder
from trueup.core.symbols import Symbols

PROFILES = ("p1", "p2", "p1-x")
SYMBOLS = ("BTC/USD", "BTC/USD", "BTC/USD", "BTCUSD", "ETH/USD")
TRADES = ("TRD-SAME-A", "TRD-SAME-B", "TRD-ALPHA", "TRD-BETA", "TRD-exit")
QUANTITIES = ("1", "1", "0.5", "0.3", "1.0005", "2", "0.0007", "0.000000005")
DEGRADED: tuple[Coverage | None, ...] = (PARTIAL, FAILED, None)

early, late = st.integers(0, 20), st.integers(12, 40)
seldom = st.sampled_from((*[False] * 14, True))
ANY_POLICY = st.sampled_from(Flatness)
sometimes = st.sampled_from((False, False, False, True))


@st.composite
def policies(draw: st.DrawFn, flatness: st.SearchStrategy[Flatness]) -> BackfillPolicy:
    return BackfillPolicy(
        flatness=draw(flatness),
        strong_attribution=draw(st.booleans()),
        heuristic_match=draw(st.booleans()),
        dust_rel=Decimal(draw(st.sampled_from(("0.002", "0", "0.1")))),
    )


@dataclass(frozen=True)
class Trade:
    profile_id: str
    trade_id: str
    symbol: str
    side: str
    qty: str

    @property
    def exit_side(self) -> str:
        return Side(self.side).opposite.value


@st.composite
def trades(draw: st.DrawFn) -> Trade:
    return Trade(
        draw(st.sampled_from(PROFILES)), draw(st.sampled_from(TRADES)), draw(st.sampled_from(SYMBOLS)),
        draw(st.sampled_from(("buy", "buy", "sell"))), draw(st.sampled_from(QUANTITIES)),
    )  # fmt: skip


@st.composite
def ledgers(draw: st.DrawFn, of: list[Trade]) -> list[LedgerOrder]:
    """The rows of some trades: entries, exits in part or too much, without action, working, unreadable."""
    rows = []
    for n, trade in enumerate(of):
        said = {"profile_id": trade.profile_id, "symbol": trade.symbol, "side": trade.side}
        action = draw(st.sampled_from(("ENTRY", "ENTRY", None)))
        rows.append(row(trade.trade_id, trade.qty, draw(early), order_id=f"L{n}", action=action, **said))
        if draw(seldom):
            rows.append(working(trade.trade_id, profile_id=trade.profile_id, order_id=f"W{n}"))
        if draw(seldom):
            rows.append(entry(trade.trade_id, "1", order_id=f"D{n}", **said | {"quantity": "2"}))
        if draw(seldom):
            out = {**said, "side": trade.exit_side, "order_id": f"E{n}"}
            rows.append(leave(trade.trade_id, draw(st.sampled_from(QUANTITIES)), draw(early), **out))
    return rows


@st.composite
def tags(draw: st.DrawFn, of: Trade) -> dict[str, str]:
    """Marks of an order: mostly of its own trade, sometimes of another trade or of another profile."""
    trade = draw(st.sampled_from((of.trade_id, of.trade_id, of.trade_id, *TRADES, "TRD-GONE")))
    profile = draw(st.sampled_from((of.profile_id, of.profile_id, of.profile_id, *PROFILES, "unknown")))
    marks = {
        "trade_id": draw(st.sampled_from((None, None, trade, of.trade_id))),
        "sub_tag": draw(
            st.sampled_from((None, f"bytelyst:{profile}:{trade}", f"Bytelyst:{profile}:{of.trade_id[:8]}", "desk-7"))
        ),
        "client_order_id": draw(
            st.sampled_from(
                (None, None, f"bytelyst-{profile}-{trade}-exit", f"bytelyst-{profile}-{trade}-entry", "c-1")
            )
        ),
    }
    return {name: mark for name, mark in marks.items() if mark is not None}


@st.composite
def executions(draw: st.DrawFn, of: list[Trade]) -> tuple[list[VenueOrder], list[Fill]]:
    """Orders of the venue, most of them with what closes a trade, as orders, as fills or as both."""
    orders: list[VenueOrder] = []
    fills: list[Fill] = []
    for n in range(draw(st.integers(1, 6))):
        trade = draw(st.sampled_from(of))
        qty = draw(st.sampled_from((trade.qty, trade.qty, trade.qty, trade.qty, *QUANTITIES)))
        said: dict[str, object] = {"side": trade.exit_side, "symbol": trade.symbol}
        if draw(seldom):
            said["side"] = trade.side
        name, minute = f"X{draw(st.sampled_from((n, n, n, n, 0)))}", draw(late)
        form = draw(st.sampled_from(("order", "order", "both", "fills")))
        if form != "fills":
            chain = {"replaces": f"X{draw(st.integers(0, 4))}"} if draw(seldom) else {}
            orders.append(order(name, qty, minute, **said | chain | draw(tags(trade))))
        if form != "order":
            half = Decimal(qty) / 2
            missing = draw(seldom)
            fills += [fill(f"{name}a{n}", name, str(half), minute, fee="0.1", fee_asset="USD", **said)]
            fills += [] if missing else [fill(f"{name}b{n}", name, str(half), minute + 1, **said)]
        if draw(seldom) and orders:
            orders.append(draw(st.sampled_from(orders)))
    return orders, fills


@st.composite
def bookings(draw: st.DrawFn, of: list[Trade], orders: list[VenueOrder]) -> list[LedgerOrder]:
    """Exits that the ledger has already of some of the venue's orders, in part or in whole."""
    rows = []
    for n, done in enumerate(orders):
        if draw(sometimes):
            trade = draw(st.sampled_from(of))
            qty = draw(st.sampled_from((done.qty, done.qty / 2, Decimal("0.0003"))))
            said = {"profile_id": trade.profile_id, "symbol": done.symbol, "side": done.side.value}
            named = draw(st.sampled_from(({"exchange_order_id": done.id}, {"order_id": done.id})))
            rows.append(leave(trade.trade_id, str(qty), done_minute(done), **{"order_id": f"B{n}"} | said | named))
    return rows


def done_minute(done: VenueOrder) -> float:
    return (done.time_ms - order(minute=0).time_ms) / 60_000


@st.composite
def worlds(draw: st.DrawFn, flatness: st.SearchStrategy[Flatness] = ANY_POLICY, complete: bool = False) -> World:
    of = draw(st.lists(trades(), min_size=1, max_size=4, unique_by=lambda t: (t.profile_id, t.trade_id, t.symbol)))
    orders, fills = draw(executions(of))
    rows = draw(ledgers(of)) + draw(bookings(of, orders))
    world = World(
        rows=list({r.order_id: r for r in rows}.values()),
        orders=orders,
        fills=fills,
        profiles=PROFILES,
        policy=draw(policies(flatness)),
        applied=[applied(of[0].trade_id, "X0", "0.2", profile_id=of[0].profile_id)] if draw(seldom) else [],
        managed={"p2": frozenset({"BTCUSD"})} if draw(seldom) else {},
    )
    world = draw(positions(world))
    return world if complete else world.having(coverage=draw(coverages(world)))


@st.composite
def positions(draw: st.DrawFn, world: World) -> World:
    """What the venue holds: nothing, dust, what the ledger has or a part of it, two legs, or a balance."""
    btc = sum((s.signed_open for s in slices_of(world.rows, Symbols()) if s.token == "BTCUSD"), Decimal(0))
    held = draw(
        st.sampled_from((None, None, None, None, None, None, "0.0005", "-0.001", str(btc), str(btc / 2), "1", "-0.5"))
    )
    if held is None or not Decimal(held):
        return world
    form = draw(st.sampled_from(("leg", "leg", "leg", "legs", "balance", "unknown")))
    if form == "balance":
        return world.having(balances={"BTC": held, "USD": "1000"})
    if form == "unknown":
        return world.having(unknown_symbols={"BTCUSD": "positions[0] cannot be read"})
    other = [leg(str(-Decimal(held) / 2), "BTCUSD")] if form == "legs" else []
    return world.having(legs=[leg(held), *other])


@st.composite
def coverages(draw: st.DrawFn, world: World) -> dict[str, Coverage | None]:
    if not draw(sometimes):
        return {}
    feed = draw(st.sampled_from(("positions", "closed_orders", "open_orders", "fills")))
    if feed == "positions" and world.balances is not None:
        feed = "balances"
    return {feed: draw(st.sampled_from((*DEGRADED, reaches(10))))}
