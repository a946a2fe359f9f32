"""The search for open trades never misses one: whatever stands in the ledger, it finds all that the core calls open."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledger.bot import Bot, at, row

from trueup.core.orders import StatusClass
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.symbols import Symbols
from trueup.ledger.reading import open_rows, read_rows

COLUMNS = (
    "order_id",
    "profile_id",
    "symbol",
    "side",
    "qty",
    "quantity",
    "price",
    "status",
    "timestamp",
    "trade_id",
    "action",
)
FORMS = {
    "sqlite_bot": ("TEXT", "REAL", "NATIVE"),
    "postgres_bot": ("TEXT", "DOUBLE PRECISION", "NATIVE"),
}
ORDINARY = ["0.1", "0.2", "0.3", "1", "0.6", "1e-8", "0.00000001", "0.000000015", "0.000000005", "100000000000.1"]
GARBAGE = ["", "x", "1.2.3", "-1", "NaN", "inf", " 1", "1e3", "0x10", ".", "٣", "1,5", "0", "5."]
STATUSES = ["filled", "FILLED", "Filled", "partially_filled", "Partially Filled", "PARTIALLY-FILLED", " filled ", "new",
            "pending new", "canceled", "Cancelled", "expired", "done_for_day", "", None]  # fmt: skip
ACTIONS = ["ENTRY", "EXIT", "entry", "Exit", " EXIT ", "eNtRy", "", "CLOSE", None]
SIDES = ["buy", "sell", "BUY", "Sell", "long", "short", "sell_short", "hold", "", None]
SYMBOLS = ["BTC/USD", "BTCUSD", "ETH/USD", "btc-usd", "", " ", None]


def rarely(usual: list[Any], odd: list[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.sampled_from(usual), st.sampled_from(usual), st.sampled_from(odd))


def ledgers(qty: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.fixed_dictionaries({
        "trade_id": rarely(["TRD-1", "TRD-2"], ["TRD-3", "", " ", None]),
        "profile_id": rarely(["p1"], ["p2", "P1"]),
        "symbol": rarely(["BTC/USD"], SYMBOLS),
        "side": rarely(["buy", "sell"], SIDES),
        "qty": qty,
        "quantity": st.one_of(st.none(), st.just("same"), qty),
        "status": rarely(["filled"], STATUSES),
        "timestamp": rarely([at(0), at(1), at(2)], [0, -5, None]),
        "action": rarely(["ENTRY", "EXIT"], ACTIONS),
    })  # fmt: skip
    return st.lists(one, min_size=1, max_size=7)


def quantities(kind: str, name: str) -> st.SearchStrategy[Any]:
    if kind == "TEXT" or (kind == "NATIVE" and name == "sqlite_bot"):
        return rarely([*ORDINARY, None], GARBAGE)
    if kind in ("REAL", "DOUBLE PRECISION"):
        floats = [0.1, 0.2, 0.1 + 0.2, 1e-8, 1.5e-8, 1e-300, 1e19, 1e22, 0.0, -1.0]
        if kind != "REAL":
            floats += [float("nan"), float("inf")]
        return st.one_of(st.sampled_from([*floats, None]), st.floats(1e-9, 1e6))
    return rarely([*(q for q in ORDINARY if q != "1e-8"), None], ["0", "-1", "12345678901234567890.123456789012345678"])


def open_slices(rows: Any) -> dict[tuple[str, str, str], Slice]:
    rows = sorted(rows, key=lambda row: row.order_id)
    return {(s.profile_id, s.trade_id, s.token): s for s in slices_of(rows, Symbols()) if s.is_open}


@pytest.fixture(params=[
    pytest.param((name, kind), id=f"{name[:-4]}-{kind}", marks=[pytest.mark.postgres] if "post" in name else [])
    for name, kinds in FORMS.items() for kind in kinds
])  # fmt: skip
def form(request: pytest.FixtureRequest) -> tuple[Bot, str, str]:
    name, kind = request.param
    bot: Bot = request.getfixturevalue(name)
    if kind != "NATIVE":
        if bot.db.is_sqlite:
            (bot.folder / "ledger.db").touch()
        types = dict.fromkeys(("qty", "quantity"), kind) | {"timestamp": "BIGINT"}
        columns = ", ".join(f"{column} {types.get(column, 'TEXT')}" for column in COLUMNS)
        bot.db.run(f"CREATE TABLE orders ({columns})")
    bot.init()
    return bot, name, kind


def check(bot: Bot, rows: list[dict[str, Any]]) -> None:
    """Every open slice of the whole ledger is among what the search finds, the same to the last field."""
    store = bot.store
    with store.books.writing() as connection:
        table = store.orders(connection)
        for count, given_row in enumerate(rows):
            values = {**given_row, "order_id": f"o{count}", "price": None}
            if values["quantity"] == "same":
                values["quantity"] = values["qty"]
            connection.exec_driver_sql(
                f"INSERT INTO orders ({', '.join(COLUMNS)}) VALUES ({', '.join([mark(bot)] * len(COLUMNS))})",
                tuple(values[name] for name in COLUMNS),
            )
        everything = read_rows(connection, table, table.rows)
        found = open_rows(connection, table, ["p1"])
        connection.exec_driver_sql("DELETE FROM orders")
    wanted = {key: s for key, s in open_slices(everything).items() if key[0] == "p1"}
    assert {key: s for key, s in open_slices(found).items() if key in wanted} == wanted
    assert set(open_slices(found)) <= set(wanted) | {k for k in open_slices(found) if k[0] != "p1"}
    assert all(row.status is not StatusClass.DEAD for row in found)


def mark(bot: Bot) -> str:
    return "?" if bot.db.is_sqlite else "%s"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=25)
@given(data=st.data())
def test_no_open_trade_is_missed(form: tuple[Bot, str, str], data: st.DataObject) -> None:
    bot, name, kind = form
    check(bot, data.draw(ledgers(quantities(kind, name))))


SMALL = {
    "just more than nothing": (("ENTRY", "0.0000000101"),),
    "a small rest of a large trade": (("ENTRY", "1000.00000002"), ("EXIT", "1000")),
    "a rest that doubles lose": (("ENTRY", "100000000000.1"), ("EXIT", "100000000000.09999998")),
    "a sum that doubles round": (("ENTRY", "0.1"), ("ENTRY", "0.2"), ("EXIT", "0.29999998")),
}
CLOSED = {
    "closed exactly": (("ENTRY", "0.1"), ("ENTRY", "0.2"), ("EXIT", "0.3")),
    "closed in thirds": (("ENTRY", "1"), ("EXIT", "0.333333333333333333"), ("EXIT", "0.666666666666666667")),
}


@pytest.mark.parametrize("trade", [*SMALL, *CLOSED])
def test_a_trade_is_found_down_to_what_is_nothing_and_a_closed_one_is_not_read(bot: Bot, trade: str) -> None:
    app = bot.init()
    rows = {**SMALL, **CLOSED}[trade]
    bot.db.orders(*(row("TRD-1", qty, number, action=action) for number, (action, qty) in enumerate(rows)))
    assert bool(app.ledger.open_trade_rows(["p1"])) == (trade in SMALL)
