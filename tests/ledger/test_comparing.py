"""What is read for a comparison is what the whole ledger would have given, and costs what is recent or unfinished."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from tests.ledger.attached import BOTH, POSTGRES, SQLITE, Form
from tests.ledger.bot import Bot, at, native, row

from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.times import iso, to_datetime
from trueup.ledger.comparing import OVERLAP_MS, recent_rows, statuses_of, unfinished
from trueup.ledger.reading import read_rows
from trueup.ledger.schema import orders

SINCE = at(100)
STATUSES = [
    "new", "NEW", " pending_new ", "Pending  New", "pEnDiNg", "partially_filled", "Partially-Filled", "filled",
    "Filled", "FILLED", "canceled", "Cancelled", "expired", "settling", "", None,
]  # fmt: skip
MINUTES = [-60 * 24 * 40, 0, 99, 100, 101, 600]


def times(minute: int) -> list[int | None]:
    ms = at(minute)
    return [ms, ms, ms // 1000, ms * 1000, ms * 10**6, None]


@st.composite
def a_row(draw: st.DrawFn) -> dict[str, Any]:
    minute = draw(st.sampled_from(MINUTES))
    stamp = draw(st.sampled_from(times(minute)))
    filled = draw(st.sampled_from([None, iso(at(draw(st.sampled_from(MINUTES))))]))
    if stamp is None:
        filled = draw(st.sampled_from([None, iso(at(minute))]))
    return row(
        "TRD-1", "1", profile_id=draw(st.sampled_from(["p1", "p1", "p2", "p3"])),
        status=draw(st.sampled_from(STATUSES)), timestamp=stamp, filled_at=filled,
        created_at=draw(st.sampled_from([None, iso(at(minute))])),
        exchange_order_id=draw(st.sampled_from([None, "X1", "X2", " X1 "])),
        client_order_id=draw(st.sampled_from([None, None, "bytelyst-p1-TRD-1"])),
    )  # fmt: skip


def wanted(found: LedgerOrder, profiles: Sequence[str], exchange_ids: Sequence[str], since_ms: int = SINCE) -> bool:
    """What the port promises, for one row of the whole ledger."""
    if found.exchange_order_id in exchange_ids:
        return True
    if found.profile_id not in profiles:
        return False
    if found.status is StatusClass.WORKING or found.word == "partially_filled":
        return True
    recent = found.order_ms is None or found.order_ms >= since_ms
    with_id = found.exchange_order_id is not None or found.client_order_id is not None
    return recent and (found.status is StatusClass.UNKNOWN or (found.status is StatusClass.FILLED and with_id))


def everything(bot: Bot) -> list[LedgerOrder]:
    with bot.store.books.reading() as connection:
        table = bot.store.orders(connection)
        return read_rows(connection, table, table.rows)


def test_the_rows_to_compare_are_those_of_the_whole_ledger_each_once(bot: Bot) -> None:
    app = bot.init()

    @settings(suppress_health_check=list(HealthCheck), max_examples=40)
    @given(
        rows=st.lists(a_row(), min_size=1, max_size=25),
        profiles=st.lists(st.sampled_from(["p1", "p2"]), max_size=2),
        ids=st.sampled_from([(), ("X1",), ("X2",), ("X1", "X2")]),
    )
    def check(rows: list[dict[str, Any]], profiles: list[str], ids: tuple[str, ...]) -> None:
        bot.db.orders(*({**given_row, "order_id": f"o{n}"} for n, given_row in enumerate(rows)))
        try:
            whole = everything(bot)
            found = app.ledger.orders_to_compare(profiles, SINCE, ids, (), "bytelyst")
        finally:
            bot.db.run("DELETE FROM orders")
        names = sorted(one.order_id for one in whole if wanted(one, profiles, ids))
        assert sorted(one.order_id for one in found) == names
        assert found == sorted(found, key=lambda one: (one.profile_id, one.order_id))

    check()


CASES = {
    "an old working one": ({"status": " pEnDiNg "}, 0, True),
    "an old partly filled one without ids": ({"status": "Partially-Filled"}, 0, True),
    "an old filled one": ({"exchange_order_id": "X1"}, 99, False),
    "a new filled one": ({"exchange_order_id": "X1"}, 100, True),
    "a new filled one by its client order id": ({"client_order_id": "c"}, 100, True),
    "a new filled one without ids": ({}, 100, False),
    "a new canceled one": ({"status": "canceled", "exchange_order_id": "X1"}, 101, False),
    "a new one of unknown status": ({"status": "settling"}, 101, True),
    "an old one of unknown status": ({"status": "settling"}, 99, False),
    "a new one without status": ({"status": None}, 101, True),
    "another profile's": ({"profile_id": "p2", "exchange_order_id": "X1"}, 101, False),
}


def test_what_is_compared_and_what_is_not(bot: Bot) -> None:
    app = bot.init()
    bot.db.orders(*(
        row("TRD-1", "1", minute, order_id=name, **columns) for name, (columns, minute, _) in CASES.items()
    ))  # fmt: skip
    found = {one.order_id for one in app.ledger.orders_to_compare(["p1"], SINCE, (), (), "bytelyst")}
    assert found == {name for name, (*_, wanted_one) in CASES.items() if wanted_one}


def test_a_row_is_found_by_its_client_order_id_too(bot: Bot) -> None:
    app = bot.init()
    bot.db.orders(row("TRD-1", status="canceled", client_order_id="BYTELYST-p1-TRD-1", profile_id="p9"))
    assert len(app.ledger.orders_to_compare(["p1"], SINCE, (), ("bytelyst-p1-TRD-1",), "bytelyst")) == 1
    assert app.ledger.orders_to_compare([], SINCE, (), (), "bytelyst") == []


@pytest.mark.parametrize("name", [*BOTH, *SQLITE])
def test_attached_tables_on_sqlite(sqlite_bot: Bot, name: str) -> None:
    attached(sqlite_bot, {**BOTH, **SQLITE}[name])


@pytest.mark.postgres
@pytest.mark.parametrize("name", [*BOTH, *POSTGRES])
def test_attached_tables_on_postgres(postgres_bot: Bot, name: str) -> None:
    attached(postgres_bot, {**BOTH, **POSTGRES}[name])


def attached(bot: Bot, form: Form) -> None:
    """Five filled rows, one a minute, from the first minute on; the second working."""
    app = form.attach(bot).init()
    bot.db.run("UPDATE deals SET state = 'new' WHERE id = 'o1'")
    named = "exchange_order_id" not in form.without
    for since, expected in ((0, ["o0", "o1", "o2", "o3", "o4"]), (3, ["o1", "o3", "o4"]), (9, ["o1"])):
        found = app.ledger.orders_to_compare(["p1"], at(since), (), (), "bytelyst")
        assert [one.order_id for one in found] == (expected if named else ["o1"]), since
    assert app.ledger.changed_trades(["p1"], None, at(5)).why == "the orders table has no updated_at"


TEXTS = [
    "2026-01-02T04:40:00Z", "2026-01-02 04:39:59.9", "2026-01-02T06:40:00+02:00", "2026-01-02T00:40:00-04:00",
    "20260102T044000Z", "1767328800", "1767328800000.5", "soon", "", None,
]  # fmt: skip
"""SINCE is 04:40; what cannot be read may be recent."""


@pytest.mark.parametrize("kind", ["TEXT", "DATETIME", "", "VARCHAR(40)"])
def test_times_as_text_of_any_form(bot: Bot, kind: str) -> None:
    if not bot.db.is_sqlite and kind in ("DATETIME", ""):
        pytest.skip("Postgres knows no such type")
    if bot.db.is_sqlite:
        (bot.folder / "ledger.db").touch()
    bot.db.run(
        f"CREATE TABLE deals (order_id TEXT, profile_id TEXT, symbol TEXT, side TEXT, qty TEXT, status TEXT,"
        f" timestamp {kind}, created_at TEXT, trade_id TEXT, exchange_order_id TEXT)"
    )
    bot.ledger["orders_table"] = "deals"
    app = bot.init()
    for n, moment in enumerate(TEXTS):
        same = {"profile_id": "p1", "symbol": "BTC/USD", "side": "buy", "qty": "1", "status": "filled", "trade_id": "T"}
        bot.db.insert("deals", [{"order_id": f"o{n}", "timestamp": moment, "exchange_order_id": f"V{n}", **same}])
    whole = everything(bot)
    found = app.ledger.orders_to_compare(["p1"], SINCE, (), (), "bytelyst")
    assert [one.order_id for one in found] == sorted(one.order_id for one in whole if wanted(one, ["p1"], ()))
    assert {one.order_id for one in found} >= {"o0", "o2", "o3", "o4", "o5", "o6", "o7", "o8", "o9"}


def many(bot: Bot, count: int) -> None:
    """A long history of filled orders, of which 100 work and 500 are recent; two profiles."""
    rows = []
    for n in range(count):
        recent, works = n >= count - 500, n % (count // 100) == 7
        minute = 101 + n / count if recent else -n - 10
        status = "Pending-New" if works and not recent else ("filled", "canceled", "filled")[n % 3]
        profile = "p1" if n % 2 else "p2"
        given_row = row("TRD-1", "1", minute, order_id=f"o{n}", status=status, profile_id=profile)
        rows.append({**given_row, "exchange_order_id": f"X{n}", "updated_at": iso(given_row["timestamp"])})
    with bot.db.engine.begin() as connection:
        connection.execute(orders.insert(), [native(one) for one in rows])
    bot.db.run("ANALYZE")


def plan_of(bot: Bot, connection: Any, query: Any) -> str:
    compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
    how = "EXPLAIN QUERY PLAN " if bot.db.is_sqlite else "EXPLAIN "
    return "\n".join(str(tuple(line)) for line in connection.execute(text(how + str(compiled).replace(":", r"\:"))))


def test_a_long_history_is_not_read(bot: Bot) -> None:
    app = bot.init()
    many(bot, 20_000)
    plans: dict[str, str] = {}
    with bot.store.books.reading() as connection:
        table = bot.store.orders(connection)
        spelt = statuses_of(connection, table, ["p1", "p2"])
        assert spelt == sorted(["Pending-New", "canceled", "filled"])
        queries = {
            "status": unfinished(table, ["p1", "p2"], spelt),
            "timestamp": recent_rows(table, ["p1", "p2"], spelt, SINCE, connection.dialect.name),
        }
        for name, query in queries.items():
            plans[name] = plan_of(bot, connection, query)
            assert f"idx_orders_profile_id_{name}" in plans[name], plans[name]
            assert "SCAN orders" not in plans[name], plans[name]
            assert "Seq Scan" not in plans[name], plans[name]
            assert len(read_rows(connection, table, query)) < 1100, name
    found = app.ledger.orders_to_compare(["p1", "p2"], SINCE, (), (), "bytelyst")
    assert 400 <= len(found) <= 700


def test_the_statuses_are_found_without_reading_the_rows(bot: Bot) -> None:
    bot.init()
    many(bot, 20_000)
    with bot.store.books.reading() as connection:
        table = bot.store.orders(connection)
        seen: list[Any] = []
        keep = connection.execute

        def note(statement: Any, *more: Any, **named: Any) -> Any:
            seen.append(statement)
            return keep(statement, *more, **named)

        connection.scalars = lambda statement: note(statement).scalars()
        statuses_of(connection, table, ["p1", "p2"])
        plan = plan_of(bot, connection, seen[0])
    assert "idx_orders_profile_id_status" in plan
    assert "Seq Scan" not in plan


def changes(bot: Bot, since: str | None, now: float = 600) -> Any:
    return bot._apps[-1].ledger.changed_trades(["p1"], since, at(now))


def updated(trade: str, minute: float, **columns: Any) -> dict[str, Any]:
    return row(trade, "1", minute, updated_at=iso(at(minute)), **columns)


def test_changed_trades_are_those_updated_since_the_watermark(bot: Bot) -> None:
    bot.init()
    bot.db.orders(updated("TRD-1", 0), updated("TRD-2", 5), updated("TRD-3", 9, profile_id="p2"))
    first = changes(bot, None)
    assert (first.trades, first.watermark) == (None, iso(at(5) - OVERLAP_MS))
    again = changes(bot, first.watermark)
    assert (again.trades, again.watermark, again.why) == (frozenset({("p1", "TRD-2")}), first.watermark, "")
    bot.db.run("UPDATE orders SET updated_at = :at WHERE trade_id = 'TRD-1'", {"at": stored(bot, at(20))})
    later = changes(bot, first.watermark)
    assert later.trades == {("p1", "TRD-1"), ("p1", "TRD-2")}
    assert changes(bot, later.watermark).trades == {("p1", "TRD-1")}


def stored(bot: Bot, ms: int) -> Any:
    return iso(ms) if bot.db.is_sqlite else to_datetime(ms)


def test_a_row_from_the_future_does_not_carry_the_watermark_past_now(bot: Bot) -> None:
    bot.init()
    bot.db.orders(updated("TRD-1", 0), updated("TRD-2", 10**6))
    assert changes(bot, None).watermark == iso(at(600) - OVERLAP_MS)


def test_an_empty_ledger_has_a_watermark(bot: Bot) -> None:
    bot.init()
    assert changes(bot, None).watermark == iso(at(600) - OVERLAP_MS)
    assert changes(bot, iso(at(0))).trades == frozenset()


def test_rows_without_updated_at_make_the_answer_unknown_where_they_are_new(bot: Bot) -> None:
    bot.init()
    bot.db.orders(row("TRD-0", "1", -600), *(updated(f"TRD-{n}", n / 1000) for n in range(1, 250)))
    mark = changes(bot, None).watermark
    assert mark is not None
    assert changes(bot, mark).trades is not None
    bot.db.orders(row("TRD-X", "1", 3))
    told = changes(bot, mark)
    assert (told.trades, told.watermark, told.why) == (None, None, "rows were written without updated_at")
    assert changes(bot, None).watermark is None


def test_rows_that_were_filled_after_their_updated_at_make_the_answer_unknown(bot: Bot) -> None:
    bot.init()
    bot.db.orders(updated("TRD-1", 0, filled_at=iso(at(0) + OVERLAP_MS)))
    assert changes(bot, None).watermark is not None
    bot.db.orders(updated("TRD-2", 0, filled_at=iso(at(0) + OVERLAP_MS + 1)))
    told = changes(bot, None)
    assert (told.trades, told.watermark) == (None, None)
    assert "filled after their updated_at" in told.why


@pytest.mark.parametrize("form", ["{0:%Y-%m-%d %H:%M:%S}", "{0:%Y-%m-%dT%H:%M:%S}", "{0:%Y-%m-%dT%H:%M:%SZ}"])
def test_updated_at_may_be_text_of_several_forms(sqlite_bot: Bot, form: str) -> None:
    app = sqlite_bot.init()
    for minute in (-1500, -1, 4, 5, 1500):
        moment = datetime.fromtimestamp(at(minute) / 1000, UTC)
        raw = native(updated(f"TRD{minute}", minute))
        with sqlite_bot.db.engine.begin() as connection:
            connection.execute(orders.insert(), [{**raw, "updated_at": form.format(moment)}])
    found = app.ledger.changed_trades(["p1"], iso(at(5)), at(9999))
    assert found.trades == {("p1", "TRD5"), ("p1", "TRD1500")}
    assert Decimal(1) == Decimal(everything(sqlite_bot)[0].qty)
