"""Giving trade ids while the bot goes on writing, and taking them back then: no trade is broken or torn apart by it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integrity.playing import Place, a_place
from tests.integrity.test_trade_ids import PAIR, ids, ready
from tests.ledger.bot import a_bot, at, leave, row

from trueup.core.errors import ConfigurationError, Refused
from trueup.core.times import iso
from trueup.service import integrity, trade_ids
from trueup.service.integrity_report import report
from trueup.service.trade_ids import ByHand, IdReport, IdRequest, backfill, by_hand, revert

TAG = "bytelyst-p1-TRD-7"
ENTRY = row("TRD-7", order_id="a", symbol="ETH/USD")
EXIT = leave(None, order_id="b", symbol="ETH/USD", client_order_id=f"{TAG}-exit")


@pytest.fixture
def place(tmp_path: Path, ledger_url: str) -> Iterator[Place]:
    with a_place(tmp_path, ledger_url) as made:
        yield made


def reasons(found: IdReport) -> dict[str, str]:
    return {row.order_id: item.why.value for item in found.left for row in item.rows}


def while_it_decides(place: Place, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> IdReport:
    """Apply, and let the bot write between the reading and the writing."""
    real = trade_ids._give

    def meanwhile(*given: Any) -> None:
        act()
        real(*given)

    monkeypatch.setattr(trade_ids, "_give", meanwhile)
    return backfill(place.app, IdRequest(apply=True))


def test_rows_that_came_meanwhile_leave_what_they_bear_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    late = (row(None, "1", 0.5, order_id="e2"), leave(None, "1", 0.7, order_id="x2"))
    exit_of_the_bot = leave("TRD-7", "1", 2, order_id="c", symbol="ETH/USD")
    other = (row(None, order_id="s", symbol="SOL/USD"), leave(None, order_id="t", symbol="SOL/USD"))
    ready(place, *PAIR, ENTRY, EXIT, *other)
    given = while_it_decides(place, monkeypatch, lambda: place.bot.db.orders(*late, exit_of_the_bot))
    assert reasons(given) == dict.fromkeys(("e", "x", "b"), "changed_meanwhile")
    found = ids(place.bot)
    assert found["b"] is found["e"] is found["x"] is None
    assert found["s"] == found["t"] is not None
    assert "over_exit" not in report(place.app).counts


def test_rows_that_came_after_a_lifecycle_have_no_hand_in_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    ready(place, *PAIR)
    after = (row(None, "1", 5, order_id="e2"), row(None, "1", 0.5, order_id="s", symbol="SOL/USD"))
    given = while_it_decides(place, monkeypatch, lambda: place.bot.db.orders(*after))
    assert [len(naming.rows) for naming in given.namings] == [2]


@pytest.mark.parametrize(
    "said", ["client_order_id = 'bytelyst-p1-TRD-9-exit'", "source = 'MANUAL'", "exchange_order_id = 'V1'"]
)
def test_a_row_whose_owner_or_tag_changed_meanwhile_is_left(
    place: Place, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    ready(place, ENTRY, EXIT)
    update = f"UPDATE orders SET {said} WHERE order_id = 'b'"
    given = while_it_decides(place, monkeypatch, lambda: place.bot.db.run(update))
    assert reasons(given) == {"b": "changed_meanwhile"}
    assert ids(place.bot)["b"] is None


def test_what_a_person_decides_rests_on_the_trade_as_it_was_looked_at(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(place, ENTRY, {**EXIT, "client_order_id": None})
    real = trade_ids._fitting

    def meanwhile(*given: Any) -> Any:
        fitting = real(*given)
        place.bot.db.orders(leave("TRD-7", "1", 2, order_id="c", symbol="ETH/USD"))
        return fitting

    monkeypatch.setattr(trade_ids, "_fitting", meanwhile)
    with pytest.raises(Refused, match="nothing was written"):
        by_hand(place.app, ByHand(("b=TRD-7",), (), "because"))
    assert ids(place.bot)["b"] is None


@pytest.mark.parametrize(
    ("assign", "what"), [(("e=TRD-1", "e=TRD-2"), "assigned twice"), (("e=TRD-a", "x=TRD-A"), "case alone")]
)
def test_what_a_person_says_twice_and_differently_is_refused(place: Place, assign: tuple[str, ...], what: str) -> None:
    ready(place, *PAIR)
    with pytest.raises(ConfigurationError, match=what):
        by_hand(place.app, ByHand(assign, (), "because"))
    assert set(ids(place.bot).values()) == {None}


def test_a_trade_is_not_torn_apart_by_taking_back_what_it_was_given_before(place: Place) -> None:
    entry = {**row(None, order_id="a"), "client_order_id": f"{TAG}-entry"}
    ready(place, entry)
    first = backfill(place.app, IdRequest(apply=True)).batch_id or ""
    assert place.bot.db.table("trade_history") == []
    place.bot.db.orders({**EXIT, "symbol": "BTC/USD"})
    second = backfill(place.app, IdRequest(apply=True)).batch_id or ""
    with pytest.raises(Refused, match="TRD-7 came or changed since"):
        revert(place.app, first, "wrong")
    assert ids(place.bot) == {"a": "TRD-7", "b": "TRD-7"}
    revert(place.app, second, "wrong")
    revert(place.app, first, "wrong")
    assert set(ids(place.bot).values()) == {None}
    assert all(told["entry_qty"] == told["exit_qty"] for told in place.bot.db.table("trade_history"))


def test_the_history_of_an_exit_whose_entry_lost_its_id_again_tells_of_nothing(place: Place) -> None:
    ready(place, {**row(None, order_id="a"), "client_order_id": f"{TAG}-entry"}, leave("TRD-7", order_id="b"))
    batch = backfill(place.app, IdRequest(apply=True)).batch_id or ""
    [told] = place.bot.db.table("trade_history")
    assert float(told["exit_qty"]) == 1
    revert(place.app, batch, "wrong")
    [told] = place.bot.db.table("trade_history")
    assert float(told["entry_qty"]) == float(told["exit_qty"]) == 0
    assert told["closed_at"] is told["realized_pnl"] is None


def test_rows_of_a_trade_that_is_closed_but_for_them_are_not_made_another_trade(place: Place) -> None:
    others = (row("TRD-1", "1", -1, order_id="a"), leave("TRD-1", "1", 9, order_id="b"))
    ready(place, *PAIR, *others)
    assert set(reasons(backfill(place.app, IdRequest(apply=True))).values()) == {"other_trade_overlaps"}
    assert ids(place.bot)["e"] is None


def told(name: str | None, symbol: str) -> dict[str, Any]:
    return {
        "id": f"h{symbol}", "profile_id": "p1", "trade_id": name, "symbol": symbol, "side": "long", "entry_qty": "1",
        "exit_qty": "1", "realized_pnl": "5", "opened_at": iso(at(0)), "closed_at": iso(at(1)),
    }  # fmt: skip


@pytest.mark.parametrize("name", [None, " "])
def test_a_profit_that_the_history_tells_without_an_id_is_not_told_twice(place: Place, name: str | None) -> None:
    sol = [{**made, "order_id": f"s{made['order_id']}", "symbol": "SOL/USD"} for made in PAIR]
    place.bot.db.insert("trade_history", [told(name, "BTC/USD")])
    ready(place, *PAIR, *sol)
    assert backfill(place.app, IdRequest(apply=True)).named_rows == 4
    rows = place.bot.db.table("trade_history")
    assert sorted(found["symbol"] for found in rows) == ["BTC/USD", "SOL/USD"]
    assert report(place.app).counts == {"missing_history": 1}


def test_a_lifecycle_that_the_history_tells_of_by_its_id_gets_no_other(place: Place) -> None:
    place.bot.db.insert("trade_history", [told("TRD-5", "BTCUSD")])
    ready(place, *PAIR)
    assert set(reasons(backfill(place.app, IdRequest(apply=True))).values()) == {"history_of_another_id"}
    place.bot.db.run("UPDATE trade_history SET entry_qty = 0, exit_qty = 0, closed_at = NULL")
    assert backfill(place.app, IdRequest()).named_rows == 2
    place.bot.db.run("UPDATE trade_history SET entry_qty = 1, exit_qty = 1")
    by_hand(place.app, ByHand(("e=TRD-5", "x=TRD-5"), (), "the history says so"))
    assert report(place.app).clean


def test_a_row_that_the_ledger_refuses_stops_nothing_else(place: Place) -> None:
    bad = row(None, order_id="t", symbol="SOL/USD", client_order_id=f"{TAG}-entry", action=" ")
    blank = (row(" ", order_id="m", source="MANUAL", action="CLOSE"), row("", order_id="n", source="me"))
    ready(place, *PAIR, bad, *({**made, "symbol": "XRP/USD"} for made in blank))
    dry = backfill(place.app, IdRequest())
    given = backfill(place.app, IdRequest(apply=True))
    found = ids(place.bot)
    assert found["e"] == found["x"] is not None
    assert found["n"] is None
    if place.bot.db.is_sqlite:
        assert (found["t"], found["m"], given.exit_code) == ("TRD-7", None, 0)
        return
    for made in (dry, given):
        assert reasons(made) == {"t": "refused_by_ledger"}
        assert [item.row_id for item in made.blanks_left] == ["m"]
        assert "chk_orders_action_lifecycle" in made.blanks_why
        assert made.exit_code == 1
    assert (found["t"], found["m"]) == (None, " ")


COLUMNS = (
    "order_id text, profile_id text, symbol text, side text, qty numeric, status text, timestamp bigint, trade_id text,"
    " action text"
)


@pytest.mark.parametrize("form", ["text", "mixed"])
def test_trades_in_the_time_of_others_are_seen_however_the_table_writes_times(
    tmp_path: Path, sqlite_url: str, form: str
) -> None:
    with a_bot(tmp_path, sqlite_url) as bot:
        bot.db.run(f"CREATE TABLE fills ({COLUMNS.replace('bigint', '')})")
        lives = {"TRD-1": ((0, 9), "BTC/USD"), None: ((2, 3), "BTC/USD"), "": ((20, 21), "BTC/USD")}
        for number, (name, (minutes, symbol)) in enumerate(lives.items()):
            for made in (row(name, "1", minutes[0]), leave(name, "1", minutes[1])):
                ms = made["timestamp"]
                when = iso(ms) if form == "text" else ms // 1000 if number % 2 else ms
                names = ("profile_id", "symbol", "side", "qty", "status", "trade_id", "action")
                kept = {key: made[key] for key in names} | {"symbol": symbol, "timestamp": when}
                bot.db.insert("fills", [{"order_id": f"{made['action']}{number}", **kept}])
        bot.ledger = {"orders_table": "fills"}
        found = backfill(bot.init(), IdRequest())
        assert {named.order_id for naming in found.namings for named in naming.rows} == {"ENTRY2", "EXIT2"}
        assert set(reasons(found).values()) == {"other_trade_overlaps"}


def test_a_blank_id_that_cannot_be_emptied_ends_all_the_same(tmp_path: Path, ledger_url: str) -> None:
    with a_bot(tmp_path, ledger_url) as bot:
        bot.db.run(f"CREATE TABLE fills ({COLUMNS})")
        made = row(" ")
        names = ("profile_id", "symbol", "side", "qty", "status", "timestamp", "action", "trade_id")
        for order_id in (None, "k"):
            bot.db.insert("fills", [{"order_id": order_id, **{name: made[name] for name in names}}])
        bot.ledger = {"orders_table": "fills"}
        app = bot.init()
        integrity.take_snapshot(app, keep=True)
        integrity.apply(app, wait_s=10.0, dry_run=False)
        given = backfill(app, IdRequest(apply=True))
        assert given.blanks == {"orders": 1}
        assert [item.row_id for item in given.blanks_left] == [""]
        with pytest.raises(Refused, match="no column"):
            by_hand(app, ByHand((), ("k",), "mine"))
