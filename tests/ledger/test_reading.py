"""Reading by ids, in any number, and numbers that come back as they were written."""

from decimal import Decimal

import pytest
from sqlalchemy import event
from tests.ledger.bot import Bot, at, decisions, leave, native, only, row, run, sold

from trueup.core.decimals import plain
from trueup.core.errors import Refused

TAG = "bytelyst"
LONGEST = "12345678901234567890.123456789012345678"
NUMBERS = ["0", "1", "0.1", "0.000000000000000001", LONGEST, "99999999999999999999.999999999999999999", "100", "0.10"]


def test_ids_are_found_however_many_are_asked_for(bot: Bot) -> None:
    """More than either database takes as parameters of one statement."""
    app = bot.init()
    names = [f"o{number}" for number in range(70_000)]
    there = names[::7_000]
    bot.db.orders(
        *(row("TRD-1", order_id=name, exchange_order_id=f"X{name}", client_order_id=f"c{name}") for name in there)
    )
    assert app.ledger.existing_ids(names) == frozenset(there)
    found = app.ledger.rows_booking([f"X{name}" for name in names], [], "bytelyst")
    assert sorted(r.order_id for r in found) == sorted(there)
    for exchange_ids, client_ids in ((["o0", "X"], []), (["Xo0"], []), ([], ["co0"]), (["o0", "Xo0"], ["co0"])):
        assert [r.order_id for r in app.ledger.rows_booking(exchange_ids, client_ids, "bytelyst")] == ["o0"]
    assert app.ledger.existing_ids([]) == frozenset()
    assert app.ledger.rows_booking([], [], "bytelyst") == []


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_the_native_table_come_back_exactly(bot: Bot, number: str) -> None:
    app = bot.init()
    bot.db.orders(row("TRD-1", number, price=number, status="filled"))
    [found] = app.ledger.trade_rows("TRD-1")
    assert found.defect is None
    assert found.qty == Decimal(number)
    assert found.price == (Decimal(number) or None)


def test_a_repair_is_written_exactly_to_the_last_place(bot: Bot) -> None:
    app = bot.ready(row("TRD-1", LONGEST))
    part, rest = "12345678901234567890.000000000000000001", "0.123456789012345677"
    bot.sells(
        sold("X1", part, trade_id="TRD-1", filled_avg_price="0.000000000000000001"),
        sold("X2", rest, 11, trade_id="TRD-1"),
    )
    entry = only(run(app, apply=True))
    assert [plain(Decimal(str(f["filled_qty"]))) for f in entry.audit if f["decision"] == "APPLIED"] == [part, rest]
    booked = {r.exchange_order_id: r for r in app.ledger.trade_rows("TRD-1") if r.exchange_order_id}
    assert [plain(booked[name].qty) for name in ("X1", "X2")] == [part, rest]
    assert plain(booked["X1"].price) == "0.000000000000000001"
    assert entry.validation.still_open == ()


def test_rows_of_a_trade_come_oldest_first_dead_ones_included(bot: Bot) -> None:
    app = bot.init()
    bot.db.orders(
        row("TRD-1", minute=5), leave("TRD-1", minute=9, status="canceled"), row("TRD-1", minute=1, profile_id="p2")
    )
    assert [r.time_ms for r in app.ledger.trade_rows("TRD-1") if r.time_ms] == [at(1), at(5)]
    assert len(app.ledger.trade_rows("TRD-1")) == 3
    assert len(app.ledger.trade_rows("TRD-1", ["p1"])) == 2


def test_orders_for_a_demonstration_go_into_an_empty_ledger_only(bot: Bot) -> None:
    app = bot.init()
    app.setup.add_orders([native(row("TRD-1"))])
    with pytest.raises(Refused):
        app.setup.add_orders([native(row("TRD-2"))])
    assert len(bot.db.table("orders")) == 1


def test_a_repair_makes_positions_history_and_capital_anew(bot: Bot) -> None:
    bot.profiles[0]["allocated_capital"] = "1000"
    app = bot.ready(
        row("TRD-1", "2"), row("TRD-2", "3", 1, price="50"), row("TRD-3", "1", 2, status="new"),
        row("TRD-4", "1", 3, symbol="ETH/USD"),
    )  # fmt: skip
    bot.db.insert("positions", [
        {"profile_id": "p1", "symbol": "BTCUSD", "side": "long", "qty": 5},
        {"profile_id": "p1", "symbol": "ETH/USD", "side": "long", "qty": 7},
        {"profile_id": "p2", "symbol": "BTC/USD", "side": "long", "qty": 9},
    ])  # fmt: skip
    bot.sells(sold("X1", "2", trade_id="TRD-1", fee="1.5", fee_asset="USD"))
    assert ("TRD-1", "APPLIED", "inserted") in decisions(only(run(app, apply=True)))

    held = {(f["profile_id"], f["symbol"]): plain(Decimal(str(f["qty"]))) for f in bot.db.table("positions")}
    assert held == {("p1", "BTCUSD"): "3", ("p1", "ETH/USD"): "7", ("p2", "BTC/USD"): "9"}
    [history] = bot.db.table("trade_history")
    numbers = ("entry_qty", "exit_qty", "entry_price", "exit_price", "fees", "realized_pnl")
    assert [plain(Decimal(str(history[name]))) for name in numbers] == ["2", "2", "100", "110", "1.5", "18.5"]
    assert (history["trade_id"], history["side"], history["price_source"]) == ("TRD-1", "long", "order")
    assert history["closed_at"] is not None
    [capital] = bot.db.table("capital_ledger")
    amounts = [plain(Decimal(str(capital[name]))) for name in ("allocated", "reserved", "deployed", "available")]
    assert amounts == ["1000", "100", "250", "650"]


BLANKS = [" {}", "{} ", "\t{}\r\n", "\u00a0{}\u3000", "   {}                    ", "\x1f{}"]
ID_COLUMNS = ("order_id", "exchange_order_id", "client_order_id")


@pytest.mark.parametrize("column", ID_COLUMNS)
def test_an_id_with_blanks_around_it_is_found_without_them(bot: Bot, column: str) -> None:
    app = bot.init()
    wanted = ([], ["X"]) if column == "client_order_id" else (["X"], [])
    others = [
        row("TRD-9", **{"order_id": f"o{n}", column: name}) for n, name in enumerate(["XX", " Y", "X X", "ü", ""])
    ]
    bot.db.orders(
        *others, *(row("TRD-1", n, **{"order_id": f"p{n}", column: b.format("X")}) for n, b in enumerate(BLANKS))
    )
    found = app.ledger.rows_booking(*wanted, "bytelyst")
    assert sorted(int(r.qty) for r in found) == list(range(len(BLANKS)))
    assert {getattr(r, column) for r in found} == {"X"}


@pytest.mark.parametrize("column", ["exchange_order_id", "client_order_id"])
def test_a_row_that_names_an_order_plainly_and_with_blanks_is_found_once(bot: Bot, column: str) -> None:
    app = bot.init()
    bot.db.orders(row("TRD-1", order_id="X", **{column: " X"}), row("TRD-1", order_id=" X ", minute=1, **{column: "X"}))
    assert sorted(r.order_id for r in app.ledger.rows_booking(["X"], ["X"], "bytelyst")) == ["X", "X"]


def test_the_rows_of_trades_are_found_in_any_case_and_whatever_their_status(bot: Bot) -> None:
    app = bot.init()
    said = (("TRD-1", "filled"), ("trd-1", "canceled"), ("Trd-1", "new"), ("TRD-11", "filled"), (None, "filled"))
    bot.db.orders(*(row(trade, order_id=str(at), status=status) for at, (trade, status) in enumerate(said)))
    assert sorted(r.order_id for r in app.ledger.rows_spelt(["p1"], ["trd-1"])) == ["0", "1", "2"]
    assert app.ledger.rows_spelt(["p2"], ["trd-1"]) == app.ledger.rows_spelt(["p1"], []) == []


def test_ids_are_looked_up_by_the_indexes_of_the_native_table(bot: Bot) -> None:
    """Also those with blanks and in another case: no statement of the look-up reads the whole table."""
    app = bot.init()
    seen: list[tuple[str, object]] = []
    engine = bot.store.books._engine
    event.listen(engine, "before_cursor_execute", lambda *said: seen.append((said[2], said[3])))
    app.ledger.rows_booking(["X"], ["X", "bytelyst-p1-x"], "bytelyst")
    app.ledger.trades_spelt(["p1"], ["trd-1"])
    app.ledger.rows_spelt(["p1"], ["trd-1"])
    queries = [given for given in seen if "FROM orders" in given[0]]
    assert len(queries) == 7
    with bot.store.books.reading() as connection:
        if not bot.db.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if bot.db.is_sqlite else "EXPLAIN "
        for query, values in queries:
            plan = " ".join(str(line) for line in connection.exec_driver_sql(explain + query, values))
            assert "INDEX" in plan.upper(), plan
            assert "Seq Scan" not in plan, plan
