"""What follows from the orders: positions, a trade's history, fees, and the capital at work."""

from decimal import Context, Decimal, localcontext

import pytest
from tests.core.world import at, entry, leave, short

from trueup.core.books import (
    Capital,
    ExitFacts,
    Position,
    TradeRecord,
    capital_of,
    fee_in_quote,
    positions_of,
    record_of,
)
from trueup.core.orders import LedgerOrder, Side
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.symbols import Symbols


def slices(*rows: LedgerOrder) -> list[Slice]:
    return slices_of(rows, Symbols())


def record(*rows: LedgerOrder, **facts: ExitFacts) -> TradeRecord:
    [piece] = slices(*rows)
    return record_of(piece, rows, facts)


def test_open_slices_of_one_symbol_and_side_are_one_position() -> None:
    found = slices(
        entry("A", "1", price="100"), entry("B", "4", price="200", symbol="BTCUSD"), leave("B", "1"),
        entry("C", "2", symbol="ETH/USD"), short("D", "4", price="50"), entry("E"), leave("E"),
    )  # fmt: skip
    assert positions_of(found) == [
        Position("BTC/USD", "BTCUSD", Side.BUY, Decimal(4), Decimal(175)),
        Position("BTC/USD", "BTCUSD", Side.SELL, Decimal(4), Decimal(50)),
        Position("ETH/USD", "ETHUSD", Side.BUY, Decimal(2), Decimal(100)),
    ]


def test_a_position_with_an_entry_without_price_has_none() -> None:
    [found] = positions_of(slices(entry("A", price=None), entry("B", "2", price="100")))
    assert (found.qty, found.avg_entry_price) == (3, None)


def test_what_is_unreadable_or_exited_too_much_is_no_position() -> None:
    assert positions_of(slices(entry("A", "x"), entry("B"), entry("B", "x", order_id="o"))) == []
    assert positions_of(slices(entry("A"), leave("A", "2"))) == []
    assert positions_of(slices(entry("A", "1.00000001"), leave("A", "1"))) == []
    assert [p.qty for p in positions_of(slices(entry("A", "1.000000011"), leave("A", "1")))] == [Decimal("1.1e-8")]


def test_the_record_of_a_closed_trade() -> None:
    rows = [
        entry(qty="2", price="100"),
        leave(qty="0.5", minute=5, price="120"),
        leave(qty="1.5", minute=7, price="140"),
    ]
    assert record(*rows) == TradeRecord(
        trade_id="TRD-1", symbol="BTC/USD", user_id="u1", side=Side.BUY, entry_qty=Decimal(2), exit_qty=Decimal(2),
        entry_price=Decimal(100), exit_price=Decimal(135), fees=None, realized_pnl=Decimal(70), price_source="ledger",
        opened_ms=at(0), closed_ms=at(7),
    )  # fmt: skip


def test_profit_of_a_short_trade_is_what_the_price_fell() -> None:
    found = record(short(qty="2", price="100"), leave(qty="1", side="buy", price="70"))
    assert (found.side, found.realized_pnl, found.exit_price, found.closed_ms) == ("sell", 30, 70, None)


def test_an_open_trade_has_no_time_of_closing_and_profit_of_its_exits() -> None:
    found = record(entry(qty="2", price="100"), leave(qty="0.5", price="120"))
    assert (found.closed_ms, found.realized_pnl, found.exit_qty) == (None, 10, Decimal("0.5"))
    assert record(entry(qty="1"), leave(qty="0.99999999")).closed_ms == at(1)
    assert record(entry(qty="1"), leave(qty="0.999999989")).closed_ms is None


def test_a_trade_that_cannot_be_read_is_not_closed() -> None:
    assert record(entry(), leave(), leave(qty="x", minute=9)).closed_ms is None


@pytest.mark.parametrize(
    "rows",
    [
        [entry(price=None), leave()],
        [entry(), leave(price=None)],
        [entry()],
        [entry(), leave(), leave(minute=2, price=None)],
    ],
)
def test_profit_is_unknown_where_a_price_is(rows: list[LedgerOrder]) -> None:
    assert record(*rows).realized_pnl is None


def test_an_exit_is_told_by_its_side_where_it_says_no_action_and_rows_that_do_not_count_are_left_out() -> None:
    rows = [
        entry(qty="3", price="100"), leave(price="130", action=None), leave(minute=2, price="900", status="canceled"),
        leave(minute=3, price="900", status="new"),
    ]  # fmt: skip
    assert record(*rows).exit_price == 130
    found = record(*rows, leave("TRD-1", "x", 4, price="900"))
    assert (found.exit_price, found.realized_pnl) == (130, 30)


def fees(*paid: str | None) -> dict[str, ExitFacts]:
    return {f"x{n}": ExitFacts("fills", None if fee is None else Decimal(fee)) for n, fee in enumerate(paid)}


def exits(count: int) -> list[LedgerOrder]:
    return [entry(qty="5", price="100"), *(leave(order_id=f"x{n}", minute=n + 1, price="110") for n in range(count))]


def test_fees_are_taken_from_the_profit() -> None:
    found = record(*exits(2), **fees("1.5", "0.25"))
    assert (found.fees, found.realized_pnl, found.price_source) == (Decimal("1.75"), Decimal("18.25"), "fills")
    rebate = record(*exits(1), **fees("-1"))
    assert (rebate.fees, rebate.realized_pnl) == (-1, 11)


def test_fees_are_unknown_where_one_of_our_exits_has_none_and_count_only_what_is_known() -> None:
    assert (record(*exits(2), **fees("1.5", None)).fees, record(*exits(1), **fees(None)).fees) == (None, None)
    assert record(*exits(2), **fees("1.5", None)).realized_pnl == 20
    assert record(*exits(2), **fees("1.5")).fees == Decimal("1.5")
    assert record(*exits(1)).fees is None
    assert record(*exits(1), **fees("0")).fees == 0


@pytest.mark.parametrize(
    ("sources", "weakest"),
    [
        (["fills", "order"], "order"), (["order", "none"], "none"), (["limit", "order"], "limit"),
        (["mark", "limit"], "mark"), (["last_evidence", "mark"], "last_evidence"), (["none", "last_evidence"], "none"),
        (["ledger", "fills"], "fills"), (["fills", "odd"], "odd"), ([], "none"),
    ],
)  # fmt: skip
def test_the_price_source_of_a_trade_is_its_weakest(sources: list[str], weakest: str) -> None:
    facts = {f"x{n}": ExitFacts(source, None) for n, source in enumerate(sources)}
    assert record(*exits(len(sources)), **facts).price_source == weakest
    assert record(*exits(len(sources) + 1), **facts).price_source == (weakest if sources else "ledger")


def test_the_books_are_exact_whatever_the_callers_context() -> None:
    rows = [entry(qty="2", price="100.00001"), leave(qty="2", price="100.00002", order_id="x0")]
    with localcontext(Context(prec=3)):
        found = record(*rows, **fees("0.00001"))
        held = positions_of(slices(entry(qty="1.00001", price="3")))
        fee = fee_in_quote(Decimal("0.10001"), "BTC", Decimal(3), "BTC/USD", Symbols())
        capital = capital_of(Decimal(100000), slices(entry(qty="1.00001", price="3")), [])
    assert (found.exit_price, found.realized_pnl) == (Decimal("100.00002"), Decimal("0.00001"))
    assert (held[0].qty, held[0].avg_entry_price, fee) == (Decimal("1.00001"), 3, Decimal("0.30003"))
    assert (capital.deployed, capital.available) == (Decimal("3.00003"), Decimal("99996.99997"))


@pytest.mark.parametrize(
    ("fee", "asset", "price", "symbol", "quote"),
    [
        ("0.5", "USD", "100", "BTC/USD", "0.5"), ("0.5", "ZUSD", None, "BTC/USD", "0.5"),
        ("0.01", "XBT", "100", "BTC/USD", "1"), ("0.01", "BTC", None, "BTC/USD", None),
        ("0.01", "BTC", "0", "BTC/USD", None), ("1", "BNB", "100", "BTC/USD", None),
        (None, "USD", "1", "BTC/USD", None),
        ("1", None, "1", "BTC/USD", None), ("-0.5", "USD", "1", "BTC/USD", "-0.5"), ("0", "BTC", "9", "BTC/USD", "0"),
        ("1", "USDT", "100", "BTC/USDT:USDT", "1"), ("1", "BTC", "100", "BTC/USDT:USDT", None),
        ("1", "DOT", "100", "DOTUSD", None),
    ],
)  # fmt: skip
def test_fees_in_quote(fee: str | None, asset: str | None, price: str | None, symbol: str, quote: str | None) -> None:
    numbers = [None if text is None else Decimal(text) for text in (fee, price)]
    found = fee_in_quote(numbers[0], asset, numbers[1], symbol, Symbols())
    assert found == (None if quote is None else Decimal(quote))


def number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def test_capital_is_deployed_by_open_trades_and_reserved_by_working_orders() -> None:
    trades = slices(
        entry("A", "2", price="100"), leave("A", "0.5"), entry("B"), leave("B"), short("C", "1", price="30")
    )
    working = [(Decimal(2), Decimal(10)), (Decimal(1), Decimal(5))]
    assert capital_of(Decimal(1000), trades, working) == Capital(
        Decimal(1000), reserved=Decimal(25), deployed=Decimal(180), available=Decimal(795)
    )
    assert capital_of(Decimal(0), [], []) == Capital(Decimal(0), Decimal(0), Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    ("allocated", "trades", "working", "known"),
    [
        (None, [entry()], [("1", "2")], (None, "2", "100", None)),
        ("9", [entry(price=None), entry("B")], [("1", "2")], ("9", "2", None, None)),
        ("9", [entry("A", "x"), entry("B")], [], ("9", "0", None, None)),
        ("999", [entry()], [(None, "2"), ("1", "1")], ("999", None, "100", None)),
        ("999", [entry()], [("1", "1"), ("1", None)], ("999", None, "100", None)),
        ("999", [entry(price=None), leave()], [], ("999", "0", "0", "999")),
    ],
)  # fmt: skip
def test_what_is_not_known_of_the_capital_is_not_invented(
    allocated: str | None,
    trades: list[LedgerOrder],
    working: list[tuple[str | None, str | None]],
    known: tuple[str | None, ...],
) -> None:
    orders = [(number(qty), number(price)) for qty, price in working]
    assert capital_of(number(allocated), slices(*trades), orders) == Capital(*map(number, known))


def test_an_entry_that_says_no_action_is_no_exit() -> None:
    found = record(entry(action=None, price="100"), leave(price="130"))
    assert (found.exit_price, found.realized_pnl) == (130, 30)


def test_a_fee_in_the_base_asset_counts_at_any_price() -> None:
    assert fee_in_quote(Decimal(2), "DOGE", Decimal("0.1"), "DOGE/USD", Symbols()) == Decimal("0.2")
