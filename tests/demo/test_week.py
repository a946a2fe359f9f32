import json
from collections import Counter
from pathlib import Path

from trueup.core.repair.decisions import ALREADY_EXISTS, REMAINDER_CASES, TRADE_CASES
from trueup.core.snapshot import Feed, Snapshot
from trueup.service.demo_folder import lay_down
from trueup.sim.week import world
from trueup.venues.file import FileVenue

WORLD = world()
BEYOND_THE_DESIGN = {"eligible", "unreadable_rows", "evidence_may_be_booked"}
"""Cases that the week need not show."""


def snapshot(folder: Path, account: str) -> Snapshot:
    lay_down(folder, WORLD)
    return FileVenue(account, folder / account).read()


def test_the_week_is_the_same_each_time() -> None:
    assert world() == WORLD


def test_every_case_of_the_decision_table_has_a_story() -> None:
    told = {reason.partition(":")[0] for story in WORLD.stories for _, reason in story.outcomes}
    cases = {case.name for case in (*TRADE_CASES, *REMAINDER_CASES)} - BEYOND_THE_DESIGN
    assert told == cases | {
        "quantity_columns_disagree", ALREADY_EXISTS, "trade_id", "sub_tag", "client_order_id", "dust"
    }  # fmt: skip


def test_most_trades_ended_well() -> None:
    trades = {row["trade_id"] for row in WORLD.orders}
    assert 40 <= len(trades) <= 60
    assert len(WORLD.stories) < len(trades) / 2


def test_ids_are_unique() -> None:
    counted = Counter(row["order_id"] for row in WORLD.orders)
    assert not [name for name, count in counted.items() if count > 1]


def test_the_alpaca_export_is_whole_but_for_one_position(tmp_path: Path) -> None:
    read = snapshot(tmp_path, "alpaca")
    assert all(read.feed(feed).complete for feed in (Feed.POSITIONS, Feed.CLOSED_ORDERS, Feed.FILLS))
    assert [row.where for row in read.malformed] == ["positions.json[5]"]
    assert read.as_of_source == "venue"
    assert not read.notes


def test_the_kraken_export_is_whole_and_takes_its_time_from_the_files(tmp_path: Path) -> None:
    read = snapshot(tmp_path, "kraken")
    assert all(read.feed(feed).complete for feed in (Feed.BALANCES, Feed.CLOSED_ORDERS, Feed.FILLS))
    assert not read.malformed
    assert read.as_of_source == "file_time"


def test_fills_add_up_to_their_orders(tmp_path: Path) -> None:
    for account in ("alpaca", "kraken"):
        read = snapshot(tmp_path, account)
        filled = Counter[str]()
        for fill in read.fills:
            filled[fill.order_id] += fill.qty  # type: ignore[assignment]  # decimals count as well as integers do
        assert {order.id: order.qty for order in read.orders if order.qty} == filled


def test_the_exports_have_the_venues_own_shapes() -> None:
    files = {file.name: json.loads(file.text) for file in WORLD.files}
    assert {"id", "client_order_id", "filled_avg_price", "asset_class"} <= files["alpaca/orders.json"][0].keys()
    assert {"activity_type", "transaction_time", "cum_qty"} <= files["alpaca/activities.json"][0].keys()
    assert {"asset_id", "qty_available", "side"} <= files["alpaca/positions.json"][0].keys()
    assert {"clientOrderId", "lastTradeTimestamp", "remaining"} <= files["kraken/orders.json"][0].keys()
    assert {"takerOrMaker", "order", "cost"} <= files["kraken/my_trades.json"][0].keys()
    assert {"free", "used", "total", "info"} <= files["kraken/balance.json"].keys()
