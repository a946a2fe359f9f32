"""Raw exports: a venue's bare list, told by its rows and its name, and folders of files."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.venues.exports import (
    AS_OF,
    AS_OF_MS,
    DROP,
    SWAP,
    alpaca_activity,
    alpaca_order,
    alpaca_position,
    ccxt_order,
    ccxt_position,
    ccxt_trade,
    document,
    native_fill,
    native_order,
    read,
    read_folder,
    unknown_by_token,
    write,
)

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import Coverage, Feed, FeedState, Malformed
from trueup.venues.file import FileVenue

COMPLETE = Coverage(FeedState.COMPLETE)
SHORT_POSITION = {"symbol": "BTC/USD", "qty": "0.5"}


class TestLists:
    @pytest.mark.parametrize(
        ("rows", "feed"),
        [
            ([native_order()], Feed.CLOSED_ORDERS),
            ([alpaca_order()], Feed.CLOSED_ORDERS),
            ([ccxt_order()], Feed.CLOSED_ORDERS),
            ([{"order_id": "o-1", "symbol": "A", "side": "buy", "status": "canceled"}], Feed.CLOSED_ORDERS),
            ([native_order(status=DROP)], Feed.CLOSED_ORDERS),
            ([native_order(order_id="o-2")], Feed.CLOSED_ORDERS),
            ([native_order(status=DROP, id=DROP, order_id="o-2")], Feed.CLOSED_ORDERS),
            ([native_fill()], Feed.FILLS),
            ([native_fill(order_id=DROP, order="o-1")], Feed.FILLS),
            ([native_fill(order_id=DROP, orderId="o-1")], Feed.FILLS),
            ([native_fill(qty=DROP, filled="0.4")], Feed.FILLS),
            ([alpaca_activity()], Feed.FILLS),
            ([alpaca_activity(activity_type="DIV", status="executed", order_id=DROP)], Feed.FILLS),
            ([ccxt_trade()], Feed.FILLS),
            ([alpaca_position()], Feed.POSITIONS),
            ([ccxt_position()], Feed.POSITIONS),
            ([SHORT_POSITION], Feed.POSITIONS),
            ([{"symbol": "A", "side": "long", "size": 1}], Feed.POSITIONS),
            ([{"symbol": "A", "positionQty": 1, "id": 5}], Feed.POSITIONS),
            ([{"symbol": "A", "mark_price": 1}], Feed.POSITIONS),
            ([native_order(), 5, None, {}], Feed.CLOSED_ORDERS),
        ],
    )
    def test_are_told_by_their_rows(self, tmp_path: Path, rows: list[Any], feed: Feed) -> None:
        assert read(tmp_path, rows).coverage.keys() == {feed}

    @pytest.mark.parametrize(
        "rows",
        [
            [native_order(), native_fill()],
            [alpaca_order(), alpaca_position()],
            [ccxt_trade(), ccxt_position()],
        ],
    )
    def test_of_several_kinds_are_refused(self, tmp_path: Path, rows: list[Any]) -> None:
        with pytest.raises(CannotKnow, match=r"positions\.json: the list holds rows of several kinds \("):
            read(tmp_path, rows, "positions.json")

    @pytest.mark.parametrize(
        "rows",
        [
            [1],
            [None],
            [{}],
            [{"name": "x"}],
            [{"symbol": "A"}],
            [{"qty": 1}],
            [{"id": 1, "symbol": "A", "qty": 1}],
            [{"status": "open", "symbol": "A", "entry_price": 1}],
            [[native_order()]],
        ],
    )
    def test_of_nothing_known_are_refused(self, tmp_path: Path, rows: list[Any]) -> None:
        with pytest.raises(CannotKnow, match=r"export\.json: nothing in the list looks like an order") as error:
            read(tmp_path, rows)
        assert "Alpaca" in error.value.do

    def test_keep_their_rows_and_name_their_place(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, [alpaca_order(id="a"), {"id": "b"}, 5], "my orders.json")
        assert [order.where for order in snapshot.orders] == ["my orders.json[0] (id a)"]
        assert snapshot.malformed == (
            Malformed("closed_orders", "my orders.json[1] (id b)", "symbol is missing", "b"),
            Malformed("closed_orders", "my orders.json[2]", "the row is 5, not an object"),
        )
        assert (snapshot.as_of_ms, snapshot.as_of_source) == (AS_OF_MS, "file_time")

    def test_a_malformed_position_in_a_list_is_unknown_and_not_flat(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, [alpaca_position(), alpaca_position(symbol="ETHUSD", qty="x")])
        assert unknown_by_token(snapshot).keys() == {"ETHUSD"}
        assert read(tmp_path, [alpaca_position(), 5]).feed(Feed.POSITIONS).state is FeedState.PARTIAL


class TestNames:
    @pytest.mark.parametrize(
        ("name", "feed"),
        [
            ("positions.json", Feed.POSITIONS),
            ("Alpaca-Positions-2026.JSON", Feed.POSITIONS),
            ("position.json", Feed.POSITIONS),
            ("open_positions.json", Feed.POSITIONS),
            ("closed_trades.json", Feed.FILLS),
            ("open_orders.json", Feed.OPEN_ORDERS),
            ("openOrders.json", Feed.OPEN_ORDERS),
            ("orders-open.json", Feed.OPEN_ORDERS),
            ("closed orders.json", Feed.CLOSED_ORDERS),
            ("orders.json", Feed.CLOSED_ORDERS),
            ("open_closed_orders.json", Feed.CLOSED_ORDERS),
            ("fills.json", Feed.FILLS),
            ("myTrades.json", Feed.FILLS),
            ("account_activities.json", Feed.FILLS),
            ("fills and trades.json", Feed.FILLS),
        ],
    )
    def test_tell_an_empty_list(self, tmp_path: Path, name: str, feed: Feed) -> None:
        assert read(tmp_path, [], name).coverage.keys() == {feed}

    @pytest.mark.parametrize(
        "name", ["x.json", "export.json", "fillsorders.json", "positions_orders.json", "open.json"]
    )
    def test_that_do_not_tell_it(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(CannotKnow, match="an empty list does not say what it is empty of") as error:
            read(tmp_path, [], name)
        assert "positions.json" in error.value.do

    @pytest.mark.parametrize("name", ["positions.json", "open_orders.json", "closed_orders.json", "fills.json"])
    def test_an_empty_list_that_says_what_it_is_empty_of_is_complete(self, tmp_path: Path, name: str) -> None:
        assert list(read(tmp_path, [], name).coverage.values()) == [COMPLETE]

    def test_an_empty_list_of_orders_may_be_of_open_ones_only(self, tmp_path: Path) -> None:
        coverage = read(tmp_path, [], "orders.json").feed(Feed.CLOSED_ORDERS)
        assert coverage.state is FeedState.PARTIAL
        assert coverage.reason == "an empty list of orders may be a list of open orders only (Alpaca's default)"

    def test_tell_a_list_whose_rows_do_not(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, [{"symbol": "BTC/USD"}, None], "positions.json")
        assert snapshot.feed(Feed.POSITIONS).state is FeedState.PARTIAL
        assert unknown_by_token(snapshot).keys() == {"BTCUSD"}
        assert len(read(tmp_path, [{"id": "x"}], "fills.json").malformed) == 1

    def test_give_way_to_the_rows(self, tmp_path: Path) -> None:
        assert read(tmp_path, [native_order()], "trades.json").coverage.keys() == {Feed.CLOSED_ORDERS}
        assert read(tmp_path, [native_fill()], "orders.json").coverage.keys() == {Feed.FILLS}

    def test_tell_an_object(self, tmp_path: Path) -> None:
        ccxt = {"info": {"x": 1}, "BTC": {"free": 1, "used": 0, "total": 1}, "total": {"BTC": 1}}
        assert read(tmp_path, ccxt, "balance.json").balances == {"BTC": 1}
        assert read(tmp_path, {"BTC": "1"}, "balances.json").balances == {"BTC": 1}

    def test_an_object_with_a_documents_keys_is_a_document(self, tmp_path: Path) -> None:
        content = document(balances={"BTC": 1}, positions=[])
        assert read(tmp_path, content, "balances.json").coverage.keys() == {Feed.BALANCES, Feed.POSITIONS}

    @pytest.mark.parametrize(
        ("name", "feed"),
        [
            ("positions.json", Feed.POSITIONS),
            ("orders.json", Feed.CLOSED_ORDERS),
            ("open_orders.json", Feed.OPEN_ORDERS),
            ("fills.json", Feed.FILLS),
        ],
    )
    def test_an_answer_where_a_list_is_expected_has_failed(self, tmp_path: Path, name: str, feed: Feed) -> None:
        snapshot = read(tmp_path, {"code": 401, "message": "denied"}, name)
        assert snapshot.feed(feed).state is FeedState.FAILED
        assert "message is 'denied'" in snapshot.feed(feed).reason
        assert snapshot.malformed[0].where == name

    def test_a_list_where_balances_are_expected_has_failed(self, tmp_path: Path) -> None:
        assert read(tmp_path, ["BTC"], "balances.json").feed(Feed.BALANCES).state is FeedState.FAILED


class TestOrderLists:
    WORKING = alpaca_order(id="w", status="new", filled_qty="0", filled_avg_price=None)

    def test_all_still_working_are_open_orders_only(self, tmp_path: Path) -> None:
        rows = [self.WORKING, alpaca_order(status="partially_filled", filled_qty="0.1"), {"status": "Accepted"}]
        snapshot = read(tmp_path, rows)
        assert snapshot.coverage == {Feed.OPEN_ORDERS: COMPLETE}
        assert [order.working for order in snapshot.orders] == [True, True]
        assert snapshot.malformed[0].feed == "open_orders"

    @pytest.mark.parametrize("status", ["filled", "canceled", "expired", "replaced", "rejected", None])
    def test_one_that_is_over_makes_it_the_closed_orders(self, tmp_path: Path, status: str | None) -> None:
        rows = [self.WORKING, alpaca_order(status=status)]
        snapshot = read(tmp_path, rows)
        assert snapshot.coverage == {Feed.CLOSED_ORDERS: COMPLETE}
        assert [order.working for order in snapshot.orders] == [True, False]

    @pytest.mark.parametrize("status", ["done_for_day", "calculated", "stopped", "Suspended"])
    def test_orders_that_only_rest_do_not_make_it_the_closed_orders(self, tmp_path: Path, status: str) -> None:
        rows = [self.WORKING, alpaca_order(status=status, filled_qty="0", filled_avg_price=None)]
        assert read(tmp_path, rows, "orders.json").coverage == {Feed.OPEN_ORDERS: COMPLETE}

    def test_a_partly_filled_order_of_a_mixed_list_may_still_fill(self, tmp_path: Path) -> None:
        rows = [alpaca_order(), alpaca_order(status="partially_filled", filled_qty="0.1")]
        assert [order.working for order in read(tmp_path, rows).orders] == [False, True]
        assert [order.working for order in read(tmp_path, rows, "orders.json").orders] == [False, True]

    def test_the_name_may_say_that_they_are_closed(self, tmp_path: Path) -> None:
        rows = [alpaca_order(status="partially_filled", filled_qty="0.1")]
        snapshot = read(tmp_path, rows, "closed_orders.json")
        assert snapshot.coverage == {Feed.CLOSED_ORDERS: COMPLETE}
        assert [order.working for order in snapshot.orders] == [False]

    def test_the_name_may_say_that_they_are_open(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, [alpaca_order(), self.WORKING], "open_orders.json")
        assert snapshot.coverage == {Feed.OPEN_ORDERS: COMPLETE}
        assert [order.working for order in snapshot.orders] == [True, True]

    @pytest.mark.parametrize("row", [5, None, {"id": "x", "status": 7}])
    def test_a_row_that_says_nothing_does_not_make_it_the_closed_orders(self, tmp_path: Path, row: object) -> None:
        assert read(tmp_path, [self.WORKING, row]).coverage == {Feed.OPEN_ORDERS: COMPLETE}

    def test_ccxts_open_and_closed(self, tmp_path: Path) -> None:
        working = ccxt_order(status="open", filled=0, average=None)
        assert read(tmp_path, [working]).coverage.keys() == {Feed.OPEN_ORDERS}
        assert read(tmp_path, [working, ccxt_order()]).coverage.keys() == {Feed.CLOSED_ORDERS}


class TestPages:
    @pytest.mark.parametrize("rows", [50, 500])
    @pytest.mark.parametrize("mark", ["asset_id", "asset_class", "order_class", "extended_hours"])
    def test_a_full_page_of_alpaca_orders_is_partial(self, tmp_path: Path, rows: int, mark: str) -> None:
        order = native_order(**{mark: "x"})
        coverage = read(tmp_path, [order] * rows).feed(Feed.CLOSED_ORDERS)
        assert coverage == Coverage(FeedState.PARTIAL, f"a full page of {rows} rows: older orders may be missing")

    @pytest.mark.parametrize("name", ["closed_orders.json", "open_orders.json"])
    def test_whatever_its_name(self, tmp_path: Path, name: str) -> None:
        (coverage,) = read(tmp_path, [alpaca_order()] * 50, name).coverage.values()
        assert coverage.state is FeedState.PARTIAL

    @pytest.mark.parametrize("rows", [1, 49, 51, 100, 499, 501])
    def test_any_other_number_is_complete(self, tmp_path: Path, rows: int) -> None:
        assert read(tmp_path, [alpaca_order()] * rows).coverage == {Feed.CLOSED_ORDERS: COMPLETE}

    def test_legs_do_not_fill_a_page(self, tmp_path: Path) -> None:
        rows = [alpaca_order(legs=[alpaca_order()])] * 25
        assert read(tmp_path, rows).coverage == {Feed.CLOSED_ORDERS: COMPLETE}

    def test_a_full_page_of_activities_is_partial(self, tmp_path: Path) -> None:
        rows = [alpaca_activity()] * 60 + [alpaca_activity(activity_type="DIV")] * 40
        coverage = read(tmp_path, rows).feed(Feed.FILLS)
        assert coverage == Coverage(FeedState.PARTIAL, "a full page of 100 rows: older fills may be missing")

    @pytest.mark.parametrize(
        "rows",
        [
            [alpaca_activity()] * 99,
            [alpaca_activity(asset_id="x")] * 50,
            [ccxt_trade()] * 100,
            [native_fill()] * 100,
            [ccxt_order()] * 50,
            [native_order()] * 500,
            [alpaca_position()] * 50,
        ],
        ids=len,
    )
    def test_other_lists_have_no_page(self, tmp_path: Path, rows: list[Any]) -> None:
        assert list(read(tmp_path, rows).coverage.values()) == [COMPLETE]

    def test_a_documents_section_says_itself_whether_it_is_complete(self, tmp_path: Path) -> None:
        assert read(tmp_path, document(closed_orders=[alpaca_order()] * 50)).coverage == {Feed.CLOSED_ORDERS: COMPLETE}

    def test_a_declaration_in_the_folder_settles_it(self, tmp_path: Path) -> None:
        declared = {"coverage": {"closed_orders": {"state": "complete", "since": AS_OF}}}
        snapshot = read_folder(tmp_path, orders=[alpaca_order()] * 50, snapshot=declared)
        assert snapshot.feed(Feed.CLOSED_ORDERS) == Coverage(FeedState.COMPLETE, since_ms=AS_OF_MS)


class TestFolders:
    def test_every_file_counts(self, tmp_path: Path) -> None:
        snapshot = read_folder(
            tmp_path,
            snapshot={"as_of": AS_OF},
            positions=[ccxt_position(contractSize=None)],
            markets={SWAP: {"symbol": SWAP, "contractSize": 0.001}},
            closed_orders=[ccxt_order()],
            open_orders=[ccxt_order(id="8", status="open", filled=0, average=None)],
            trades=[ccxt_trade()],
            balance={"USDT": {"free": 1, "used": 0, "total": 1}},
        )
        assert snapshot.coverage == dict.fromkeys(Feed, COMPLETE)
        assert [row.where for row in (*snapshot.orders, *snapshot.fills, *snapshot.legs)] == [
            "closed_orders.json[0] (id 7)", "open_orders.json[0] (id 8)", "trades.json[0] (id t-7)", "positions.json[0]"
        ]  # fmt: skip
        assert snapshot.legs[0].qty * 2 == 1
        assert (snapshot.malformed, snapshot.notes, snapshot.as_of_source) == ((), (), "venue")

    def test_contract_sizes_may_be_a_file(self, tmp_path: Path) -> None:
        position = ccxt_position(contractSize=None)
        snapshot = read_folder(tmp_path, positions=[position], contract_sizes={SWAP: "0.002"})
        assert snapshot.legs[0].qty == 1

    def test_a_list_of_markets_may_be_a_file(self, tmp_path: Path) -> None:
        position = ccxt_position(contractSize=None)
        markets = [{"id": "BTCUSDT", "symbol": SWAP, "contractSize": 0.002}]
        assert read_folder(tmp_path, positions=[position], markets=markets).legs[0].qty == 1

    def test_a_document_in_it_names_its_file(self, tmp_path: Path) -> None:
        snapshot = read_folder(tmp_path, a=document(fills=[{}]), b={"open_orders": [native_order()], "x": 1})
        assert snapshot.malformed[0].where == "a.json: fills[0]"
        assert snapshot.orders[0].where == "b.json: open_orders[0] (id o-1)"
        assert snapshot.notes[0].startswith(f"{tmp_path / 'b.json'}: the key x is not known")

    def test_orders_and_fills_of_several_files_are_merged(self, tmp_path: Path) -> None:
        snapshot = read_folder(
            tmp_path,
            orders_1=[native_order(id="a")],
            orders_2=[native_order(id="b")],
            fills_1=[native_fill()],
            other=document(fills=[native_fill(id="f-2")]),
        )
        assert [order.id for order in snapshot.orders] == ["a", "b"]
        assert [fill.id for fill in snapshot.fills] == ["f-1", "f-2"]
        assert snapshot.coverage == {Feed.CLOSED_ORDERS: COMPLETE, Feed.FILLS: COMPLETE}

    def test_the_worst_of_several_files_counts(self, tmp_path: Path) -> None:
        page = [alpaca_order()] * 50
        snapshot = read_folder(tmp_path, orders_1=page, orders_2=[native_order()])
        assert snapshot.feed(Feed.CLOSED_ORDERS).state is FeedState.PARTIAL
        snapshot = read_folder(tmp_path, orders_3={"closed_orders": None})
        reason = "a full page of 50 rows: older orders may be missing; null in the document"
        assert snapshot.feed(Feed.CLOSED_ORDERS) == Coverage(FeedState.FAILED, reason)

    def test_what_one_file_declares_holds_for_the_others(self, tmp_path: Path) -> None:
        declared = {"coverage": {"positions": "partial", "fills": {"state": "complete", "since": 1_767_000_000}}}
        snapshot = read_folder(tmp_path, snapshot=declared, positions=[], fills=[], more_fills=[native_fill()])
        assert snapshot.feed(Feed.POSITIONS).state is FeedState.PARTIAL
        assert snapshot.feed(Feed.FILLS) == Coverage(FeedState.COMPLETE, since_ms=1_767_000_000_000)

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ({"positions": [alpaca_position()]}, {"my_positions": [alpaca_position()]}),
            ({"positions": []}, {"document": document(positions=None)}),
            ({"balances": {"BTC": 1}}, {"document": document(balances={"BTC": 1})}),
        ],
    )
    def test_two_files_of_positions_or_balances_are_refused(
        self, tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
    ) -> None:
        with pytest.raises(
            CannotKnow, match=r"(positions|balances) are given twice, in .*\.json.* and .*json"
        ) as error:
            read_folder(tmp_path, **first, **second)
        assert str(tmp_path) in error.value.what

    def test_two_declarations_must_agree(self, tmp_path: Path) -> None:
        one, other = {"coverage": {"fills": "partial"}}, {"coverage": {"fills": "failed"}}
        assert read_folder(tmp_path, a=one, b=one).feed(Feed.FILLS).state is FeedState.PARTIAL
        with pytest.raises(CannotKnow, match="the coverage of fills is declared twice, differently") as error:
            read_folder(tmp_path, c=other)
        assert error.value.what.startswith(str(tmp_path))

    def test_the_earliest_as_of_is_now(self, tmp_path: Path) -> None:
        later = {"as_of": AS_OF_MS + 5, "fills": []}
        snapshot = read_folder(tmp_path, a=later, b=document(positions=[]), c=document())
        assert snapshot.as_of_ms == AS_OF_MS
        assert snapshot.notes == (
            f"{tmp_path}: as_of differs between the files; the earliest, 2026-01-02T03:04:05.000Z, counts.",
        )

    def test_the_oldest_file_is_now_without_as_of_but_not_one_without_feeds(self, tmp_path: Path) -> None:
        for seconds, (name, content) in enumerate({"markets": {}, "fills": [], "positions": []}.items()):
            os.utime(write(tmp_path, content, f"{name}.json"), (AS_OF_MS // 1000 + seconds,) * 2)
        snapshot = FileVenue("main", tmp_path).read()
        assert (snapshot.as_of_ms, snapshot.as_of_source) == (AS_OF_MS + 1000, "file_time")
        assert "fills.json has no as_of" in snapshot.notes[0]
        assert len(snapshot.notes) == 1

    def test_a_folder_without_feeds_has_a_time_too(self, tmp_path: Path) -> None:
        assert read_folder(tmp_path, markets={}).as_of_ms == AS_OF_MS

    def test_other_files_and_hidden_ones_are_left_alone(self, tmp_path: Path) -> None:
        write(tmp_path, "not json", "README.md")
        write(tmp_path, "not json", ".positions.json")
        write(tmp_path, [], "positions.JSON")
        assert read_folder(tmp_path).coverage == {Feed.POSITIONS: COMPLETE}

    def test_one_unreadable_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CannotKnow, match=r"fills\.json, line 1: this is HTML"):
            read_folder(tmp_path, positions=[], fills="<html>")

    def test_a_file_that_nothing_tells_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CannotKnow, match=r"b\.json: an empty list does not say"):
            read_folder(tmp_path, positions=[], b=[])

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(CannotKnow, match=r"holds no \.json file"):
            FileVenue("main", tmp_path).read()

    def test_a_folder_that_is_called_like_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "fills.json").mkdir()
        with pytest.raises(CannotKnow, match=r"fills\.json cannot be read: Is a directory"):
            FileVenue("main", tmp_path).read()

    def test_a_folder_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "iterdir", refuse)
        with pytest.raises(CannotKnow, match="cannot be read: Permission denied"):
            FileVenue("main", tmp_path).read()

    def test_the_order_of_files_does_not_depend_on_the_disk(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("b", "c", "a"):
            write(tmp_path, document(fills=[native_fill(id=name)]), f"{name}.json")
        files = list(tmp_path.iterdir())
        monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(files, reverse=True)))
        assert [fill.id for fill in FileVenue("main", tmp_path).read().fills] == ["a", "b", "c"]
