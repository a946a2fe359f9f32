"""The equity tie-out, worked by hand."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.core.world import FAILED, PARTIAL, World, at, entry, fill, leave, leg, order, short

from trueup.core.reconcile.equity import BooksFacts, TieOut, marks_of, tie_out
from trueup.core.repair.slices import slices_of
from trueup.core.snapshot import EventKind, Snapshot, VenueEvent

NO_FEES = "fees: the fills are not known"
NEVER: Mapping[str, Decimal] = {}
SEVERAL = ("the account trades against several currencies, or none is known",)


def event(kind: EventKind, amount: str | None, asset: str | None = "USD", name: str = "E") -> VenueEvent:
    return VenueEvent(name, kind, at(5), amount=None if amount is None else Decimal(amount), asset=asset)


def tied(
    world: World, allocated: tuple[str | None, ...] = ("1000",), realized: str | None = "0",
    broken: Mapping[str, str] = NEVER, events: tuple[VenueEvent, ...] = (),
) -> TieOut:  # fmt: skip
    slices = tuple(slices_of(world.rows, world.fresh_symbols))
    capital = [None if text is None else Decimal(text) for text in allocated]
    books = BooksFacts(capital, None if realized is None else Decimal(realized), slices)
    snapshot = replace(world.snapshot, events=events)
    return tie_out(snapshot, books, {token: Decimal(qty) for token, qty in broken.items()})


def spot(cash: str = "900", coins: str = "1", mark: str = "110", **facts: object) -> World:
    """One bitcoin bought at 100 of 1000 dollars, worth 110 by its last execution."""
    said = {"rows": [entry()], "fills": [fill(side="buy", price=mark)], **facts}
    return World(balances={"USD": cash, "BTC": coins}, **said)


def margin(cash: str = "1000", qty: str = "1", mark: str | None = "110", **facts: object) -> World:
    return World(**{
        "rows": [entry()], "legs": [leg(qty, mark=mark)], "balances": {"USD": cash},
        "coverage": {"positions": FULL, "balances": FULL, "fills": FULL}, **facts,
    })  # fmt: skip


FULL = World().snapshot.feed(next(iter(World().snapshot.coverage)))


def test_spot_cash_and_coins_at_their_marks() -> None:
    found = tied(spot())
    assert (found.exchange, found.internal, found.difference) == (1010, 1010, 0)
    assert (found.unexplained, found.open_breaks, found.currency, found.notes) == (0, 0, "USD", ())


def test_the_difference_is_exchange_less_internal() -> None:
    more = tied(spot(cash="925"))
    assert (more.difference, more.unexplained) == (25, 25)
    less = tied(spot(cash="875"))
    assert (less.difference, less.unexplained) == (-25, -25)


def test_positions_are_worth_their_quantity_at_the_mark() -> None:
    found = tied(margin(cash="900"))
    assert (found.exchange, found.internal, found.difference) == (1010, 1010, 0)
    down = tied(World(
        rows=[short(qty="2")], legs=[leg("-2", mark="90")], balances={"USD": "1200"},
        coverage={"positions": FULL, "balances": FULL, "fills": FULL},
    ))  # fmt: skip
    assert (down.exchange, down.internal, down.difference) == (1020, 1020, 0)


def test_other_coins_do_not_count_twice_where_positions_are_given() -> None:
    world = margin(cash="900")
    assert tied(world.having(balances={"USD": "900", "BTC": "1"})).exchange == 1010


def test_open_trades_are_worth_what_is_left_of_them() -> None:
    world = spot(rows=[entry(qty="3"), leave(qty="1")], cash="800", coins="2")
    assert tied(world, realized="0").internal == 1020
    assert tied(world, realized="7.5").internal == Decimal("1027.5")
    closed = spot(rows=[entry("A", price="50"), leave("A"), entry()])
    assert tied(closed).internal == 1010


def test_the_capital_of_several_profiles_adds_up() -> None:
    rows = [entry("A"), entry("B", profile_id="p2", price="120")]
    found = tied(spot(rows=rows, cash="2780", coins="2"), allocated=("1000", "2000"))
    assert (found.exchange, found.internal, found.difference) == (3000, 3000, 0)


def test_an_account_without_any_trade_is_its_cash() -> None:
    found = tied(World(orders=[order("X1", "0")], balances={"USD": "1000"}))
    assert (found.exchange, found.internal, found.difference, found.notes) == (1000, 1000, 0, (NO_FEES,))
    assert tied(World(orders=[order("X1", "0")], balances={"BTC": "0", "USD": "7"})).exchange == 7


def test_names_without_a_quote_are_in_dollars_where_the_account_has_any() -> None:
    shares = World(
        rows=[entry(symbol="AAPL")], legs=[leg("1", "AAPL", mark="110")], balances={"USD": "900"},
        coverage={"positions": FULL, "balances": FULL, "fills": FULL},
    )  # fmt: skip
    assert (tied(shares).currency, tied(shares).difference) == ("USD", 0)
    assert tied(shares.having(balances={"EUR": "900"})) == TieOut(notes=SEVERAL)


def test_several_currencies_have_no_single_equity() -> None:
    world = spot(rows=[entry(), entry("B", symbol="ETH/EUR")])
    assert tied(world) == TieOut(notes=SEVERAL)
    assert tied(World(balances={"USD": "5"})) == TieOut(notes=SEVERAL)
    closed = spot(rows=[entry(), entry("B", symbol="ETH/EUR"), leave("B", symbol="ETH/EUR")])
    assert tied(closed).currency == "USD"
    assert tied(spot(orders=[order(symbol="ETH/EUR")])) == TieOut(notes=SEVERAL)
    assert tied(margin(legs=[leg("1", mark="110"), leg("1", "ETH/EUR", mark="2")])) == TieOut(notes=SEVERAL)


@pytest.mark.parametrize("coverage", [PARTIAL, FAILED])
def test_balances_that_are_not_known_leave_the_exchange_unknown(coverage: object) -> None:
    found = tied(spot(coverage={"balances": coverage}))
    assert (found.exchange, found.internal, found.difference, found.unexplained) == (None, 1010, None, None)
    assert found.notes == ("exchange: the balances are not known",)
    without = tied(World(rows=[entry()], legs=[leg("1", mark="110")]))
    assert (without.exchange, without.notes) == (None, ("exchange: the balances are not known", NO_FEES))


@pytest.mark.parametrize("coverage", [PARTIAL, FAILED])
def test_positions_that_are_not_all_known_leave_the_exchange_unknown(coverage: object) -> None:
    found = tied(margin(coverage={"positions": coverage, "balances": FULL, "fills": FULL}))
    assert found.exchange is None
    assert found.notes == ("exchange: the positions are not known",)


def test_what_could_not_be_read_leaves_the_exchange_unknown() -> None:
    positions = tied(margin(unknown_symbols={"ETH/USD": "malformed"}))
    assert (positions.exchange, positions.notes[0]) == (None, "exchange: the positions are not known")
    coins = tied(spot(unknown_assets={"USD": "malformed"}))
    assert (coins.exchange, coins.notes) == (None, ("exchange: the balances are not known",))


def test_a_holding_without_a_price_leaves_the_exchange_unknown() -> None:
    bare = tied(margin(mark=None))
    assert (bare.exchange, bare.internal) == (None, None)
    assert bare.notes == (
        "exchange: what the position in BTC/USD is worth is not known",
        "internal: what TRD-1 is worth is not known",
    )
    coin = spot().having(balances={"USD": "900", "BTC": "1", "DOGE": "5"})
    assert tied(coin).notes == ("exchange: no price of DOGE in USD is known",)
    assert tied(coin.having(balances={"USD": "900", "BTC": "1", "DOGE": "0"})).exchange == 1010
    assert tied(margin(qty="0", mark=None, rows=[])).exchange == 1000


def test_a_contract_is_worth_what_no_snapshot_says() -> None:
    world = margin(rows=[entry()], legs=[leg("1", "BTC/USDT:USDT", mark="110"), leg("1", mark="110")])
    assert tied(world).notes == ("exchange: what the position in BTC/USDT:USDT is worth is not known",)


def test_books_that_are_not_known_leave_the_internal_equity_unknown() -> None:
    assert tied(spot(), allocated=("1000", None)).notes == ("internal: a profile has no allocated capital",)
    assert tied(spot(), realized=None).notes == ("internal: the profit of a closed trade is not known",)
    unpriced = tied(spot(rows=[entry(price=None)]))
    assert (unpriced.exchange, unpriced.internal, unpriced.difference) == (1010, None, None)
    assert unpriced.notes == ("internal: what TRD-1 is worth is not known",)
    unread = tied(spot(rows=[entry(), entry(qty="1", quantity="2", minute=1)]))
    assert unread.internal is None


# What explains the difference.


def test_fees_in_the_currency_explain_what_they_took() -> None:
    paid = spot(cash="897.5", fills=[fill(side="buy", fee="2.5", fee_asset="usd")])
    found = tied(paid)
    assert (found.difference, found.fees, found.unexplained) == (Decimal("-2.5"), Decimal("-2.5"), 0)
    coin = tied(spot(fills=[fill(side="buy", fee="2.5", fee_asset="BTC")]))
    assert (coin.fees, coin.unexplained) == (0, 0)
    nothing = tied(spot(fills=[fill(side="buy", fee="2.5")]))
    assert nothing.fees == 0
    billed = tied(spot(cash="896"), events=(event(EventKind.FEE, "-4"),))
    assert (billed.fees, billed.unexplained) == (-4, 0)


@pytest.mark.parametrize("coverage", [PARTIAL, FAILED])
def test_fees_are_unknown_where_the_fills_are(coverage: object) -> None:
    found = tied(spot(cash="897.5", coverage={"fills": coverage}))
    assert (found.fees, found.difference, found.unexplained) == (None, Decimal("-2.5"), Decimal("-2.5"))
    assert found.notes == (NO_FEES,)


def test_funding_and_transfers_explain_what_they_moved() -> None:
    happened = (
        event(EventKind.FUNDING, "-1.5", name="A"), event(EventKind.FUNDING, "0.25", name="B"),
        event(EventKind.TRANSFER, "200", name="C"), event(EventKind.FUNDING, "9", "BTC", name="D"),
        event(EventKind.TRANSFER, None, name="F"), event(EventKind.OTHER, "7", name="G"),
        event(EventKind.TRANSFER, "3", None, name="H"),
    )  # fmt: skip
    found = tied(spot(cash="1098.75"), events=happened)
    assert (found.difference, found.funding, found.transfers) == (Decimal("198.75"), Decimal("-1.25"), 200)
    assert found.unexplained == 0


def test_open_breaks_explain_what_the_venue_holds_beyond_the_books() -> None:
    """The venue sold the bitcoin at 110 and the ledger does not know: cash is there, the coin is not."""
    found = tied(spot(cash="1010", coins="0", mark="120"), broken={"BTCUSD": "-1"})
    assert (found.exchange, found.internal, found.difference) == (1010, 1020, -10)
    assert found.open_breaks == -120
    more = tied(spot(cash="900", coins="2"), broken={"BTCUSD": "1", "ETHUSD": "0"})
    assert (more.difference, more.open_breaks, more.unexplained) == (110, 110, 0)
    unpriced = tied(spot(), broken={"ETHUSD": "1"})
    assert (unpriced.open_breaks, unpriced.difference, unpriced.unexplained) == (None, 0, 0)
    assert unpriced.notes == ("open breaks: no price of ETHUSD is known",)


def test_what_nothing_explains_is_what_is_left() -> None:
    tie = TieOut(Decimal(100), Decimal(60), Decimal(-2), Decimal(5), Decimal(7), Decimal(11), "USD")
    assert (tie.difference, tie.unexplained) == (40, 19)
    assert replace(tie, open_breaks=None, fees=None).unexplained == 28
    assert replace(tie, internal=None).unexplained is None
    assert replace(tie, exchange=None).difference is None


def test_a_tie_out_by_the_names_of_the_interface() -> None:
    tie = TieOut(Decimal("100.50"), Decimal(60), Decimal(-2), None, Decimal(0), Decimal("1e1"), "USD", ("a note",))
    assert tie.as_json() == {
        "exchange_equity": "100.5", "internal_equity": "60", "difference": "40.5", "equity_currency": "USD",
        "explained_by": {
            "fees": "-2", "funding": None, "transfers": "0", "open_breaks": "10", "unexplained": "32.5",
        },
        "equity_notes": ["a note"],
    }  # fmt: skip
    empty = TieOut().as_json()
    assert (empty["exchange_equity"], empty["difference"], empty["equity_notes"]) == (None, None, [])


# Marks.


def marks(snapshot: Snapshot) -> dict[str, str]:
    return {token: str(price) for token, price in marks_of(snapshot).items()}


def test_a_mark_of_the_venue_comes_before_an_execution_and_the_newest_before_others() -> None:
    fills = [fill("F2", minute=11, price="2"), fill("F1", minute=10, price="1"), fill("F3", minute=12, price=None)]
    assert marks(World(fills=fills).snapshot) == {"BTCUSD": "2"}
    assert marks(World(fills=fills[::-1]).snapshot) == {"BTCUSD": "2"}
    assert marks(World(fills=fills, legs=[leg("1", "BTCUSD", mark="3")]).snapshot) == {"BTCUSD": "3"}
    assert marks(World(fills=fills, legs=[leg("1")]).snapshot) == {"BTCUSD": "2"}
    twice = [fill("F2", minute=10, price="2"), fill("F1", minute=10, price="1")]
    assert marks(World(fills=twice).snapshot) == {"BTCUSD": "2"}
    assert marks(World(legs=[leg("1", "ETH/USD", mark="4")]).snapshot) == {"ETHUSD": "4"}
