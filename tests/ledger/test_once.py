"""Invariant 2 (Once) against the database: what a row booked counts, however its ids are padded."""

import pytest
from tests.ledger.attached import Form
from tests.ledger.bot import Bot, at, decisions, leave, only, pause, row, run, sold

from trueup.service.undo import reapply, revert

PADDED = [" X1", "X1\t\n"]
NO_PROOF = [("TRD-1", "NO_GO", "missing_fill_evidence_for_large_remainder")]
NAMES = ["exchange_order_id", "order_id", "client_order_id"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spelt", PADDED)
def test_what_a_row_with_a_padded_id_booked_is_not_booked_again(bot: Bot, name: str, spelt: str) -> None:
    app = bot.ready(row("TRD-1"), row("TRD-2"), leave("TRD-2", **{name: spelt}))
    bot.sells(sold("X1", trade_id="TRD-1", client_order_id="X1"))
    before = bot.db.table("orders")
    assert decisions(only(run(app, apply=True))) == NO_PROOF
    assert bot.db.table("orders") == before


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_row_that_came_after_the_plan_stops_the_repair(bot: Bot, name: str) -> None:
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1", client_order_id="X1"))
    record = app.journal.record

    def somebody_books_it(drafts: object) -> object:
        app.journal.record = record
        bot.db.orders(leave("TRD-2", **{name: " X1 "}))
        return record(drafts)

    app.journal.record = somebody_books_it
    assert decisions(only(run(app, apply=True))) == [("TRD-1", "NO_GO", "slice_changed")]
    assert [found for found in bot.db.table("orders") if found["order_id"].startswith("BFILL-")] == []


def test_a_time_that_was_corrected_after_the_plan_stops_the_repair(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    record = app.journal.record

    def somebody_corrects_it(drafts: object) -> object:
        app.journal.record = record
        bot.db.run("UPDATE orders SET timestamp = :t", {"t": at(200)})
        return record(drafts)

    app.journal.record = somebody_corrects_it
    assert decisions(only(run(app, apply=True))) == [("TRD-1", "NO_GO", "slice_changed")]
    assert len(bot.db.table("orders")) == 1


def test_a_padded_row_that_booked_the_order_since_keeps_a_reverted_repair_back(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    batch = only(run(app, apply=True)).batch_id
    revert(app, batch, "wrong")
    bot.db.orders(leave("TRD-9", "1", 30, exchange_order_id="X1 "))
    with pytest.raises(Exception, match="X1 was booked"):
        reapply(app, batch, "too late")


@pytest.mark.parametrize("kind", ["TEXT", "VARCHAR(40)", "CHAR(40)"])
def test_padded_ids_of_an_attached_table_count_too(bot: Bot, kind: str) -> None:
    app = Form(more=(f"own_id {kind}",), without=frozenset({"exchange_order_id"})).attach(bot)
    bot.columns["exchange_order_id"] = "own_id"
    bot.db.run("UPDATE deals SET own_id = ' X1' WHERE id = 'o4'")
    app = bot.init()
    pause(app)
    bot.sells(sold("X1", "0.3", trade_id="TRD-1"))
    assert decisions(only(run(app, apply=True)))[0] == NO_PROOF[0]
    assert len(bot.db.table("deals")) == 5


@pytest.mark.parametrize("spelt", ["bytelyst-p1-TRD-1-exit", " ByteLyst-p1-trd-1-EXIT\t"])
def test_a_row_with_a_tag_in_another_case_has_booked_the_order_of_that_tag(bot: Bot, spelt: str) -> None:
    app = bot.ready(row("TRD-1"), row("TRD-2"), leave("TRD-2", client_order_id=spelt))
    bot.sells(sold("X1", client_order_id="BYTELYST-P1-TRD-1-EXIT"))
    assert decisions(only(run(app, apply=True))) == NO_PROOF


def test_a_row_with_the_tag_in_another_case_that_came_after_the_plan_stops_the_repair(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", client_order_id="BYTELYST-P1-TRD-1-EXIT"))
    record = app.journal.record

    def somebody_books_it(drafts: object) -> object:
        app.journal.record = record
        bot.db.orders(leave("TRD-2", client_order_id="bytelyst-p1-trd-1-exit"))
        return record(drafts)

    app.journal.record = somebody_books_it
    assert decisions(only(run(app, apply=True))) == [("TRD-1", "NO_GO", "slice_changed")]


def test_what_was_booked_under_the_heir_of_a_replaced_order_is_not_booked_again(bot: Bot) -> None:
    app = bot.ready(row("TRD-1", "2"), leave("TRD-1", "1", 12, exchange_order_id="X2"))
    bot.sells(sold("X1", "0.4", trade_id="TRD-1", status="replaced", replaced_by="X2"))
    assert decisions(only(run(app, apply=True))) == NO_PROOF


@pytest.mark.parametrize("section", ["open_orders", "closed_orders"])
def test_what_is_booked_by_client_order_id_counts_where_only_the_fills_say_that_the_order_executed(
    bot: Bot, section: str
) -> None:
    tag = {"client_order_id": "bytelyst-p1-TRD-1-exit"}
    app = bot.ready(row("TRD-1", "2"), leave("TRD-1", "1", 10, **tag), row("TRD-9"))
    fill = {"id": "F1", "order_id": "X1", "symbol": "BTC/USD", "side": "sell", "qty": "1", "price": "110",
            "filled_at": sold("X1")["filled_at"]}  # fmt: skip
    sections = {"open_orders": [], "closed_orders": [sold("X9", trade_id="TRD-9")]}
    sections[section].append(sold("X1", "0", status="new", **tag))
    bot.venue(fills=[fill], **sections)
    assert decisions(only(run(app, apply=True))) == [
        *NO_PROOF,
        ("TRD-9", "APPLIED", "inserted"),
    ]


def test_an_exit_whose_trade_id_has_a_blank_too_many_leaves_its_trade_unresolved(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"), leave("TRD-1 ", "1", 10))
    bot.sells(sold("X1", trade_id="TRD-1"))
    assert {found[1:] for found in decisions(only(run(app, apply=True)))} == {("NO_GO", "malformed_ledger_row")}


@pytest.mark.parametrize("tag", ["TRD-BTC-1", "trd-btc-1"])
def test_the_order_of_a_trade_that_was_closed_by_hand_is_not_booked_to_one_with_a_longer_id(bot: Bot, tag: str) -> None:
    app = bot.ready(row("TRD-BTC-1"), leave("TRD-BTC-1", "1", 5), row("TRD-BTC-10", "1", 3))
    bot.sells(sold("X1", sub_tag=f"bytelyst:p1:{tag}"))
    [(_, decision, reason)] = decisions(only(run(app, apply=True)))
    assert (decision, reason) == NO_PROOF[0][1:]
