"""What the venue holds of a symbol: legs, balances, and when that is unknown."""

from decimal import Context, Decimal, localcontext

import pytest
from tests.core.world import COMPLETE, FAILED, PARTIAL, World, entry, fill, leg, order

from trueup.core.holdings import Holding, Holdings
from trueup.core.snapshot import NOT_GIVEN, Coverage, Feed, Snapshot, unreadable
from trueup.core.symbols import Symbols

DUST = Decimal("0.001")


def held(world: World, symbol: str = "BTC/USD") -> Holding:
    return Holdings(world.snapshot).of(symbol)


def test_a_symbol_without_legs_is_flat() -> None:
    assert held(World()) == Holding(())
    assert held(World()).is_flat(Decimal(0))


def test_legs_are_found_by_token() -> None:
    found = held(World(legs=[leg("0.5", "BTCUSD", mark="97000"), leg("9", "ETH/USD")]), "btc-usd")
    assert found == Holding((Decimal("0.5"),), Decimal(97000))
    assert (found.gross, found.signed) == (Decimal("0.5"), Decimal("0.5"))


def test_two_legs_net_and_add_up() -> None:
    found = held(World(legs=[leg("3"), leg("-1")]))
    assert (found.gross, found.signed, found.is_flat(DUST)) == (4, 2, False)


@pytest.mark.parametrize(
    ("legs", "flat"), [(["0.001"], True), (["-0.0011"], False), (["0.001", "-0.001"], True), (["0", "0.01"], False)]
)
def test_flat_is_at_most_dust_on_each_leg(legs: list[str], flat: bool) -> None:
    assert held(World(legs=[leg(qty) for qty in legs])).is_flat(DUST) is flat


def test_an_identical_leg_counts_once_and_two_of_one_side_are_unknown() -> None:
    assert held(World(legs=[leg("1"), leg("1")])).signed == 1
    twice = held(World(legs=[leg("1"), leg("2"), leg("0")]))
    assert twice.unknown == (
        "the venue lists BTC/USD twice on one side: positions[BTC/USD 0], positions[BTC/USD 1], positions[BTC/USD 2]"
    )
    assert not twice.is_flat(Decimal(9))
    assert held(World(legs=[leg("-1"), leg("-2")])).unknown is not None
    assert held(World(legs=[leg("0"), leg("0", mark="1")])).unknown is None


@pytest.mark.parametrize(
    ("coverage", "why"),
    [
        (PARTIAL, "the position feed is partial: page limit"),
        (Coverage(FAILED.state), "the position feed is failed: no reason"),
        (None, "the position feed is failed: not given"),
    ],
)
def test_an_incomplete_position_feed_is_unknown(coverage: Coverage | None, why: str) -> None:
    assert held(World(coverage={"positions": coverage})).unknown == why


def test_a_symbol_that_could_not_be_read_is_unknown_and_no_other() -> None:
    world = World(unknown_symbols={"BTCUSD": "positions[0]: qty is NaN"})
    assert held(world).unknown == "positions[0]: qty is NaN"
    assert held(world, "ETH/USD").unknown is None


def test_balances_stand_in_only_where_positions_are_not_given() -> None:
    spot = World(balances={"BTC": "0.5"})
    assert held(spot) == Holding((Decimal("0.5"),))
    assert held(spot, "ETH/USD") == Holding((Decimal(0),))
    assert held(spot.having(coverage={"positions": FAILED})).unknown == "the position feed is failed: timeout"
    assert held(spot.having(coverage={"positions": COMPLETE})) == Holding(())
    assert held(spot.having(coverage={"balances": PARTIAL})).unknown == "the position feed is partial: page limit"
    assert held(spot.having(coverage={"balances": None})).unknown == "the position feed is failed: not given"


def test_a_balance_that_could_not_be_read_is_unknown() -> None:
    world = World(balances={}, unknown_assets={"BTC": "balances.BTC is text"})
    assert held(world).unknown == "balances.BTC is text"
    assert held(world, "ETH/USD").unknown is None
    unknown = World(balances={}, unknown_symbols={"BTCUSD": "no"})
    assert held(unknown).unknown == "no"


def test_a_base_asset_that_is_unclear_is_unknown() -> None:
    unclear = "the base asset of AAPL is unclear, and the venue gives balances only"
    assert held(World(balances={}), "AAPL").unknown == unclear
    assert held(World(balances={}), "BTC/USDT:USDT").unknown is not None


@pytest.mark.parametrize(
    "rows",
    [{"orders": [order(symbol="DOT-USD")]}, {"fills": [fill(symbol="DOT/USD")]}, {"orders": [order(symbol="DOT_USD")]}],
)
def test_the_venues_own_spelling_splits_a_joined_symbol(rows: dict[str, object]) -> None:
    world = World(balances={"DOT": "2"}, **rows)
    assert held(world, "DOTUSD").signed == 2
    assert held(world.having(orders=[order(symbol="DOTUSD")], fills=[]), "DOTUSD").unknown is not None
    assert held(world, "DO/TUSD").signed == 0


@pytest.mark.parametrize(
    "symbol",
    [
        "BTC-PERP", "BTC-27JUN25", "BTC_USDT_240628", "BTC-USDT-SWAP", "BTCPERP", "BTCUSDT.P", "PF_XBTUSD", "BTC/ABC",
        "BTCUSDTUSDT", "BTCUSDBTC", "BTC-27JUN25-100000-C",
    ],
)  # fmt: skip
def test_a_contract_is_not_the_balance_of_its_base(symbol: str) -> None:
    for balances in ({}, {"BTC": "1"}):
        found = held(World(balances=balances), symbol)
        assert found.unknown == f"the base asset of {symbol} is unclear, and the venue gives balances only"
    spelt_by_the_venue = World(balances={}, orders=[order(symbol="BTC-PERP")])
    assert held(spelt_by_the_venue, "BTCPERP").unknown is not None


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTC.M", "XBT/USD"), ("XBT.M", "BTC/USD"), ("BTC.F", "BTCUSDT"), ("LDBTC", "BTC/USDT"), ("DOT28.S", "DOT/EUR"),
        ("ETH2", "ETH/USD"), ("ETH2.S", "ETH/USD"), ("SOL.HOLD", "SOL/USD"), ("LDAR", "AR/USDT"),
    ],
)  # fmt: skip
def test_a_coin_that_earns_elsewhere_is_unknown_and_never_flat(name: str, symbol: str) -> None:
    for amount in ("0.5", "-0.5", "0.00000001"):
        found = held(World(balances={name: amount, "USD": "9"}), symbol)
        assert found.unknown is not None
        assert name in found.unknown
        assert not found.is_flat(DUST)
    assert held(World(balances={name: "0", "USD": "9"}), symbol).is_flat(DUST)
    assert held(World(balances={name: "1"}), "XRP/USD").is_flat(DUST)
    assert held(World(balances={}, unknown_assets={name: "is text"}), symbol).unknown is not None


def test_an_asset_that_only_looks_like_a_form_of_another_is_its_own() -> None:
    assert held(World(balances={"LDO": "1", "STETH": "1", "ETHW": "1"}), "ETH/USD").is_flat(DUST)
    assert held(World(balances={"LDO": "1"}), "LDO/USD").signed == 1
    assert held(World(balances={"LDO": "1"}), "O/USD").is_flat(DUST)


def test_a_held_contract_hides_behind_a_joined_spelling() -> None:
    world = World(legs=[leg("1", "BTC/USDT:USDT")])
    assert held(world, "BTCUSDT").unknown == "BTCUSDT may mean BTC/USDT:USDT, which the venue holds"
    assert held(world, "BTC/USDT").is_flat(DUST)
    assert held(world, "BTC/USDT:USDT").signed == 1
    assert held(World(legs=[leg("0", "BTC/USDT:USDT")]), "BTCUSDT").is_flat(DUST)
    assert held(World(legs=[leg("1", "BTC/USDT:USDT"), leg("2", "BTCUSDT")]), "BTCUSDT").signed == 2


@pytest.mark.parametrize(
    ("symbol", "other"),
    [
        ("BTC/USDT:USDT", "BTCUSDT"), ("BTC/USDT:USDT", "BTC-USDT-SWAP"), ("BTCUSDT", "BTC-USDT-SWAP"),
        ("XBT/USD:USD", "PF_XBTUSD"), ("BTC-PERP", "BTC/USD:USD"), ("BTCPERP", "BTCUSDT"), ("BTCUSDT.P", "BTCUSDT"),
        ("BTCUSDT.P", "BTC/USDT:USDT"), ("BTC/USDT:USDT-250627", "BTC-USDT-250627"),
        ("BTC/USDT:USDT-250627", "BTCUSDT"),
        ("BTC-27JUN25", "BTC/USD:BTC-250627"), ("FI_XBTUSD_250627", "BTC/USD:BTC-250627"),
    ],
)  # fmt: skip
def test_a_market_that_may_be_held_under_another_name_is_unknown_both_ways(symbol: str, other: str) -> None:
    for ours, theirs in ((symbol, other), (other, symbol)):
        found = held(World(legs=[leg("1", theirs)]), ours)
        assert found.unknown == f"{ours} may mean {theirs}, which the venue holds"
        assert held(World(legs=[leg("0", theirs)]), ours).is_flat(DUST)


@pytest.mark.parametrize(
    ("symbol", "other"),
    [
        ("BTC/USDT:USDT", "BTC/USDT"), ("BTC/USDT:USDT", "BTC/USDT:USDT-250627"), ("BTC-USDT-SWAP", "BTC-USDT"),
        ("BTC-USDT-SWAP", "BTC-USDT-250627"), ("BTCUSDT", "ETH/USDT:USDT"), ("BTCUSDT", "BTC/USDC:USDC"),
        ("BTC/USDT:USDT", "BTCUSDC"), ("BTC-PERP", "BTCX"), ("BTC", "BTCUSDT"), ("BAC.P", "BAC"),
    ],
)  # fmt: skip
def test_markets_that_are_two_are_kept_apart(symbol: str, other: str) -> None:
    for ours, theirs in ((symbol, other), (other, symbol)):
        assert held(World(legs=[leg("1", theirs)]), ours).is_flat(DUST), (ours, theirs)


def test_the_mark_price_is_the_first_that_is_known() -> None:
    assert held(World(legs=[leg("1"), leg("-1", mark="5")])).mark_price == 5
    assert held(World(legs=[leg("1")])).mark_price is None


def test_held_symbols_in_the_venues_spelling() -> None:
    world = World(legs=[leg("1", "BTC-USD"), leg("0", "ETH/USD"), leg("0", "XRP/USD"), leg("-1", "XRPUSD")])
    assert Holdings(world.snapshot).symbols() == {"BTCUSD": "BTC-USD", "XRPUSD": "XRP/USD"}


def test_hidden_contracts_are_looked_up_whatever_the_callers_context() -> None:
    with localcontext(Context(prec=3)):
        assert held(World(legs=[leg("1.00001")])).legs == (Decimal("1.00001"),)


def test_a_feed_that_a_snapshot_does_not_mention_is_not_given() -> None:
    snapshot = Snapshot("main", 0)
    assert {snapshot.feed(feed) for feed in Feed} == {NOT_GIVEN}
    assert (NOT_GIVEN.given, NOT_GIVEN.complete) == (False, False)


def test_an_account_that_could_not_be_read_has_failed_feeds_alone() -> None:
    own = Symbols({})
    snapshot = unreadable("main", 7, "timeout", own)
    assert (snapshot.account, snapshot.as_of_ms, snapshot.as_of_source) == ("main", 7, "clock")
    assert {snapshot.feed(feed) for feed in Feed} == {FAILED}
    assert snapshot.symbols is own
    assert unreadable("main", 7, "x").symbols == Symbols()
    assert Holdings(snapshot).of("BTC/USD").unknown == "the position feed is failed: timeout"


@pytest.mark.parametrize(
    ("ours", "theirs"), [("BTC/USDT:USDT", "BTCUSDT"), ("BTC-USDT-SWAP", "BTC/USDT:USDT"), ("BTCUSDT", "BTC/USDT:USDT")]
)
def test_a_position_that_cannot_be_read_leaves_every_spelling_of_its_market_unknown(ours: str, theirs: str) -> None:
    world = World(rows=[entry(symbol=ours)], orders=[order(symbol=ours, trade_id="TRD-1")])
    unread = world.having(unknown_symbols={theirs: "qty 'abc' is not a number"})
    assert unread.says() == ["TRD-1: NO_GO venue_position_unknown"]
    assert held(unread, ours).unknown == (
        f"{ours} may mean {theirs}, whose position cannot be read: qty 'abc' is not a number"
    )
    assert unread.having(legs=[leg("0", ours)]).booked()
    assert world.having(unknown_symbols={"ETH/USDT": "no"}).booked()


@pytest.mark.parametrize("held", [{"DO": "5"}, {"DOT": "5"}])
def test_a_symbol_that_the_venue_spells_out_in_two_ways_is_unknown_in_any_order(held: dict[str, str]) -> None:
    two = [order("X1", symbol="DOT/USD", trade_id="TRD-1"), order("X2", symbol="DO/TUSD")]
    for orders in (two, two[::-1]):
        world = World(rows=[entry(symbol="DOTUSD")], orders=orders, balances={"USD": "1", **held})
        assert world.says() == ["TRD-1: NO_GO venue_position_unknown"]
        assert world.having(balances={"USD": "1"}).booked()
