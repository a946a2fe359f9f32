"""A whole reading through the real ccxt over HTTP, against an exchange whose truth is known."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.sim.worlds import BOT, KEY, NOW, SECRET, buy, futures_exchange, sell, spot_exchange
from tests.venues.ccxt.accounts import SWAP_DAYS, THREE_DAYS, canned, served, venue
from tests.venues.ccxt.test_envelopes import WELL

from trueup.core.errors import CannotKnow
from trueup.core.holdings import Holdings
from trueup.core.orders import Side
from trueup.core.snapshot import EventKind, Feed, FeedState, Snapshot
from trueup.core.symbols import Symbols
from trueup.ports import ReadScope
from trueup.service.snapshot import as_text
from trueup.sim.exchange import Exchange, Leg, Market, Origin
from trueup.sim.faults import FaultKind, FaultPlan
from trueup.venues.ccxt.client import Answer
from trueup.venues.ccxt.envelopes import BadEnvelope
from trueup.venues.documents.snapshots import snapshot_of_answers
from trueup.venues.file import FileVenue

DAY_MS = 86_400_000


def truth(exchange: Exchange, symbol: str = "BTCUSDT") -> dict[str, Decimal]:
    """Return what the exchange executed, by order id."""
    found: dict[str, Decimal] = {}
    for fill in exchange.fills_of(BOT):
        if fill.order.symbol == symbol:
            found[fill.order.id] = found.get(fill.order.id, Decimal(0)) + fill.qty
    return found


def filled(snapshot: Snapshot, symbol: str = "BTC/USDT") -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for fill in snapshot.fills:
        if fill.symbol == symbol:
            found[fill.order_id] = found.get(fill.order_id, Decimal(0)) + fill.qty
    return found


def traded(count: int) -> Exchange:
    exchange = spot_exchange()
    for number in range(count):
        buy(exchange, "BTCUSDT", "0.01", client_order_id=f"bytelyst-bot-TRD-{number}-entry")
        exchange.advance(700)
    sell(exchange, "BTCUSDT", "0.015", client_order_id="bytelyst-bot-TRD-0-exit")
    buy(exchange, "ETHUSDT", "2", type="limit", limit_price=Decimal(10), client_order_id="resting")
    return exchange


@pytest.mark.parametrize("page", [3, 7, 500])
def test_spot_is_read_completely_and_each_row_once(page: int) -> None:
    exchange = traded(20)
    with served(exchange) as url:
        snapshot = venue(url, page_limit=page, max_pages=100).read(THREE_DAYS)
    assert filled(snapshot) == truth(exchange)
    assert snapshot.malformed == ()
    assert (snapshot.as_of_ms, snapshot.as_of_source) == (exchange.now_ms, "venue")
    assert snapshot.balances == {
        "BTC": exchange.accounts[BOT].balance("BTC"),
        "USDT": exchange.accounts[BOT].balance("USDT"),
    }
    for feed in (Feed.OPEN_ORDERS, Feed.CLOSED_ORDERS, Feed.FILLS, Feed.BALANCES):
        coverage = snapshot.feed(feed)
        assert coverage.complete
        assert coverage.since_ms is None or coverage.since_ms <= (THREE_DAYS.since_ms or 0)
    working = [order for order in snapshot.orders if order.working]
    assert [(order.symbol, order.client_order_id, order.qty) for order in working] == [("ETH/USDT", "resting", 0)]
    assert {order.client_order_id for order in snapshot.orders} >= {"bytelyst-bot-TRD-0-exit", "resting"}
    assert len(snapshot.orders) == len({(order.symbol, order.id) for order in snapshot.orders}) == 22


def test_spot_has_balances_and_no_positions() -> None:
    with served(traded(5)) as url:
        snapshot = venue(url).read(THREE_DAYS)
    positions = snapshot.feed(Feed.POSITIONS)
    assert (positions.state, positions.given) == (FeedState.FAILED, False)
    assert Holdings(snapshot).of("BTCUSDT").signed == snapshot.balances["BTC"] > 0  # type: ignore[index]  # read above


def test_a_dump_of_the_document_read_as_a_file_is_the_same_snapshot(tmp_path: Path) -> None:
    exchange = traded(6)
    futures = futures_exchange()
    buy(futures, "BTCUSDT", "0.5")
    sell(futures, "BTCUSD_PERP", "3")
    with served(exchange, futures) as url:
        for name, scope in (("binance", THREE_DAYS), ("binanceusdm", SWAP_DAYS), ("binancecoinm", SWAP_DAYS)):
            live = venue(url, name)
            document = live.export(scope)
            text = json.dumps(document)
            assert not any(isinstance(value, float) for value in _leaves(json.loads(text)))
            path = tmp_path / f"{name}.json"
            path.write_text(text)
            again = FileVenue("main", path, live.account.symbols).read()
            assert again == snapshot_of_answers("main", document, live.account.symbols)
            assert again.coverage == live.read(scope).coverage


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]


def test_a_burst_over_http_is_read_whole() -> None:
    """The trap: fills of one market order share a millisecond, and pages are full of them."""
    exchange = spot_exchange(depth="0.001")
    buy(exchange, "BTCUSDT", "0.3")
    assert len({fill.time_ms for fill in exchange.fills_of(BOT)}) == 1
    assert len(exchange.fills_of(BOT)) == 300
    with served(exchange) as url:
        snapshot = venue(url, page_limit=50, max_pages=20).read(THREE_DAYS)
    assert filled(snapshot) == truth(exchange)
    assert snapshot.feed(Feed.FILLS).complete


def test_pages_that_run_out_say_since_when() -> None:
    exchange = traded(40)
    with served(exchange) as url:
        snapshot = venue(url, page_limit=5, max_pages=2).read(THREE_DAYS)
    fills = snapshot.feed(Feed.FILLS)
    assert fills.since_ms is not None
    assert fills.since_ms > (THREE_DAYS.since_ms or 0)
    assert "stopped after 2 pages" in fills.reason
    late = {fill.order.id for fill in exchange.fills_of(BOT) if fill.time_ms >= fills.since_ms}
    assert late
    assert late <= filled(snapshot).keys()


def test_what_is_external_is_not_the_bots() -> None:
    exchange = traded(5)
    exchange.deposit(BOT, "BTC", "2")
    with served(exchange) as url:
        snapshot = venue(url, external_assets={"BTC": Decimal(2)}).read(THREE_DAYS)
        short = venue(url, external_assets={"BTC": Decimal(9), "SOL": Decimal(1)}).read(THREE_DAYS)
    assert snapshot.balances is not None
    assert snapshot.balances["BTC"] == exchange.accounts[BOT].balance("BTC") - 2
    assert "declared as external" in (Holdings(short).of("BTC/USDT").unknown or "")
    assert short.unknown_assets.keys() == {"BTC", "SOL"}


def test_a_symbol_that_the_venue_does_not_list_is_said_and_the_others_count() -> None:
    exchange = traded(3)
    with served(exchange) as url:
        snapshot = venue(url).read(ReadScope(THREE_DAYS.since_ms, ("NOPE/USDT", "btc-usdt")))
    assert any("lists no market NOPE/USDT" in note for note in snapshot.notes)
    assert snapshot.feed(Feed.FILLS).complete
    assert filled(snapshot) == truth(exchange)


@pytest.mark.parametrize("exchange", ["binance", "binanceusdm"])
def test_a_symbol_that_the_venue_does_not_list_is_unknown_and_not_flat(exchange: str, tmp_path: Path) -> None:
    """The trap: nothing was asked about it, and an account without such a coin has no balance of it."""
    with canned(WELL) as (url, _):
        document = venue(url, exchange).export(ReadScope(THREE_DAYS.since_ms, ("NOPE/USDT",), ("NOPE/USDT",)))
    kept = tmp_path / "kept.json"
    kept.write_text(as_text(document))
    for snapshot in (snapshot_of_answers("main", document, Symbols()), FileVenue("main", kept).read()):
        assert Holdings(snapshot).of("nope-usdt").unknown == (
            f"{exchange} lists no such market, so that its orders cannot be asked for"
        )
        assert Holdings(snapshot).of("BTC/USDT" if exchange == "binance" else "BTC/USDT:USDT").unknown is None
        assert not snapshot.malformed
        assert not any("NOPE" in note for note in snapshot.notes)


def test_one_symbol_that_fails_makes_the_feed_partial_by_name() -> None:
    exchange = traded(3)
    with served(exchange) as url:
        account = venue(url)
        call = account.client.call

        def broken(method: str, symbol: object = None, *args: object) -> Answer:
            if method == "fetch_my_trades" and symbol == "ETH/USDT":
                raise BadEnvelope("the venue answered a page of HTML")
            return call(method, symbol, *args)

        account.client.call = broken  # type: ignore[method-assign,assignment]  # one symbol of a venue breaks
        snapshot = account.read(THREE_DAYS)
    fills = snapshot.feed(Feed.FILLS)
    assert fills.state is FeedState.PARTIAL
    assert "ETH/USDT" in fills.reason
    assert "HTML" in fills.reason
    assert snapshot.feed(Feed.CLOSED_ORDERS).complete
    assert filled(snapshot) == truth(exchange)


def swap_world(**more: Any) -> Exchange:
    futures = futures_exchange(**more)
    futures.advance(1000)
    return futures


def test_a_swap_is_read_in_base_units_under_the_ledgers_name() -> None:
    futures = swap_world()
    buy(futures, "BTCUSDT", "0.5", client_order_id="bytelyst-bot-TRD-1-entry")
    sell(futures, "BTCUSDT", "0.2")
    with served(spot_exchange(), futures) as url:
        snapshot = venue(url, "binanceusdm").read(ReadScope(NOW - DAY_MS, ("BTCUSDT",)))
    assert [(leg.symbol, leg.qty) for leg in snapshot.legs] == [("BTCUSDT", Decimal("0.3"))]
    assert Holdings(snapshot).of("BTCUSDT").signed == Decimal("0.3")
    assert [(fill.symbol, fill.side, fill.qty) for fill in snapshot.fills] == [
        ("BTCUSDT", Side.BUY, Decimal("0.5")), ("BTCUSDT", Side.SELL, Decimal("0.2")),
    ]  # fmt: skip
    assert snapshot.feed(Feed.POSITIONS).complete


def test_a_ledger_that_spells_the_swap_out_keeps_its_name() -> None:
    futures = swap_world()
    buy(futures, "BTCUSDT", "0.5")
    with served(spot_exchange(), futures) as url:
        snapshot = venue(url, "binanceusdm").read(SWAP_DAYS)
    assert Holdings(snapshot).of("BTC/USDT:USDT").signed == Decimal("0.5")


def test_hedge_mode_has_two_legs_and_is_flat_only_if_both_are() -> None:
    """The trap: a short and a long of one size net to nothing and are two open legs."""
    futures = swap_world(hedged=True)
    buy(futures, "BTCUSDT", "0.3", leg=Leg.LONG)
    sell(futures, "BTCUSDT", "0.3", leg=Leg.SHORT)
    with served(spot_exchange(), futures) as url:
        held = Holdings(venue(url, "binanceusdm").read(SWAP_DAYS)).of("BTC/USDT:USDT")
    assert sorted(held.legs) == [Decimal("-0.3"), Decimal("0.3")]
    assert held.signed == 0
    assert not held.is_flat(Decimal("0.001"))


def test_an_inverse_contract_is_recognised_and_not_guessed() -> None:
    """The trap: contracts × contractSize of an inverse contract is quote currency, not the base quantity."""
    futures = swap_world()
    sell(futures, "BTCUSD_PERP", "3")
    with served(spot_exchange(), futures) as url:
        for symbol in ("BTC/USD:BTC", "BTCUSD_PERP"):
            snapshot = venue(url, "binancecoinm").read(ReadScope(NOW - DAY_MS, (symbol,)))
            assert Holdings(snapshot).of(symbol).unknown is not None
            assert snapshot.legs == snapshot.fills == ()
            assert "inverse" in " ".join(bad.why for bad in snapshot.malformed)


def test_a_liquidation_is_an_event_with_its_order() -> None:
    """The trap: fetchClosedOrders and a bot's own list leave out what the exchange closed by itself."""
    futures = swap_world()
    buy(futures, "BTCUSDT", "0.5")
    order = futures.close_by_force(BOT, "BTCUSDT", origin=Origin.LIQUIDATION)
    with served(spot_exchange(), futures) as url:
        snapshot = venue(url, "binanceusdm").read(SWAP_DAYS)
    assert [(event.kind, event.order_id, event.symbol) for event in snapshot.events] == [
        (EventKind.LIQUIDATION, order.id, "BTC/USDT:USDT")
    ]
    assert order.id in {fill.order_id for fill in snapshot.fills}


def test_fills_of_an_order_that_is_not_listed_are_annotated_by_asking_for_it() -> None:
    """The trap: ccxt's trades carry no client order id; an order older than the list is asked for by its id."""
    futures = swap_world()
    order = buy(
        futures, "BTCUSDT", "0.5", type="limit", limit_price=Decimal(90_000), client_order_id="bytelyst-bot-TRD-9-exit"
    )
    futures.advance(5 * DAY_MS)
    futures.set_price("BTCUSDT", "89000")
    assert order.executed == Decimal("0.5")
    since = futures.now_ms - DAY_MS
    with served(spot_exchange(), futures) as url:
        snapshot = venue(url, "binanceusdm").read(ReadScope(since, ("BTC/USDT:USDT",)))
    assert [fill.order_id for fill in snapshot.fills] == [order.id]
    assert [row.client_order_id for row in snapshot.orders] == ["bytelyst-bot-TRD-9-exit"]


def test_a_futures_window_is_never_longer_than_a_request_may_span() -> None:
    """The trap: Binance's futures answer the last 7 days only unless asked window by window."""
    futures = swap_world()
    buy(futures, "BTCUSDT", "0.5", client_order_id="old")
    futures.advance(20 * DAY_MS)
    sell(futures, "BTCUSDT", "0.5", client_order_id="new")
    with served(spot_exchange(), futures) as url:
        snapshot = venue(url, "binanceusdm").read(ReadScope(NOW, ("BTC/USDT:USDT",)))
    assert [fill.side for fill in snapshot.fills] == [Side.BUY, Side.SELL]
    assert snapshot.feed(Feed.FILLS).since_ms == NOW


def test_the_venues_memory_bounds_what_is_claimed() -> None:
    """The trap: Binance's futures forget orders after 90 days: older than that is not "never existed"."""
    futures = swap_world()
    futures.advance(200 * DAY_MS)
    with served(spot_exchange(), futures) as url:
        snapshot = venue(url, "binanceusdm", max_pages=100).read(ReadScope(NOW, ("BTC/USDT:USDT",)))
    orders = snapshot.feed(Feed.CLOSED_ORDERS)
    assert orders.since_ms == snapshot.as_of_ms - 90 * DAY_MS


def test_a_clock_that_is_off_is_corrected_for() -> None:
    """The trap: -1021 is the clock, and no refusal."""
    with served(traded(2), check_time=True) as url:
        snapshot = venue(url).read(THREE_DAYS)
    assert snapshot.feed(Feed.BALANCES).complete


def test_a_revoked_key_is_no_answer_at_all() -> None:
    with served(traded(2)) as url:
        account = venue(url, secrets={"key": KEY, "secret": "wrong"})
        with pytest.raises(CannotKnow) as error:
            account.read(THREE_DAYS)
    assert "cannot be read" in str(error.value)
    assert SECRET not in str(error.value)


def test_nothing_listens() -> None:
    with pytest.raises(CannotKnow):
        venue("http://127.0.0.1:9").read(THREE_DAYS)


@pytest.mark.parametrize("seed", range(6))
def test_with_faults_on_the_wire_nothing_false_is_told(seed: int) -> None:
    """Invariant 5: whatever a client can notice of the faults, it is told less, and never something false."""
    kinds = (
        FaultKind.HTML_5XX, FaultKind.JSON_5XX, FaultKind.HTML_200, FaultKind.EMPTY_200, FaultKind.NULL_200,
        FaultKind.OBJECT_200, FaultKind.RESET, FaultKind.REORDER, FaultKind.DUPLICATE, FaultKind.MAINTENANCE,
    )  # fmt: skip
    exchange = traded(15)
    plan = FaultPlan(seed=seed, rates=dict.fromkeys(kinds, Decimal("0.03")))
    with served(exchange, plan=plan) as url:
        try:
            snapshot = venue(url, page_limit=4, max_pages=50).read(THREE_DAYS)
        except CannotKnow:
            return
    expected = truth(exchange)
    if snapshot.feed(Feed.FILLS).complete and (snapshot.feed(Feed.FILLS).since_ms or 0) <= NOW:
        assert filled(snapshot) == expected
    assert all(qty <= expected[order] for order, qty in filled(snapshot).items())
    if snapshot.feed(Feed.BALANCES).complete:
        assert snapshot.balances is not None
        assert snapshot.balances.get("BTC") == exchange.accounts[BOT].balance("BTC")


def test_two_markets_of_one_name_are_both_read() -> None:
    exchange = Exchange(NOW, ids="per_symbol")
    exchange.open_account(BOT, KEY, SECRET)
    for quote in ("USDT", "USDC"):
        exchange.list_market(Market(symbol=f"BTC{quote}", base="BTC", quote=quote), "100000")
    exchange.deposit(BOT, "USDT", "100000")
    exchange.deposit(BOT, "USDC", "100000")
    buy(exchange, "BTCUSDT", "0.1")
    buy(exchange, "BTCUSDC", "0.2")
    with served(exchange) as url:
        snapshot = venue(url).read(ReadScope(NOW - DAY_MS, ("BTCUSDT", "BTCUSDC")))
    assert filled(snapshot, "BTC/USDT").keys() == filled(snapshot, "BTC/USDC").keys() == {"1000001"}
    assert Holdings(snapshot).of("BTCUSDT").signed == Decimal("0.3")


def test_a_market_that_is_listed_no_more_is_unknown() -> None:
    """The trap: Binance answers per symbol, and one that is delisted cannot be asked for."""
    with served(traded(2)) as url:
        snapshot = venue(url).read(ReadScope(THREE_DAYS.since_ms, ("BTC/USDT", "LUNA/USDT")))
    assert snapshot.feed(Feed.CLOSED_ORDERS).state is FeedState.COMPLETE
    assert "lists no such market" in str(Holdings(snapshot).of("LUNA/USDT").unknown)
    assert Holdings(snapshot).of("BTC/USDT").unknown is None
