"""The commands of lifecycle integrity as a person and a program see them, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.program import Answer, Program
from tests.ledger.bot import NOW, Bot, a_bot, at, row, sold

from trueup.core.times import iso

MALFORMED = row("1234", order_id="w1", status="open", exchange_order_id="X1")


@pytest.fixture
def bot(tmp_path: Path, ledger_url: str) -> Iterator[Bot]:
    with a_bot(tmp_path, ledger_url) as made:
        made.init()
        yield made


@pytest.fixture
def program(bot: Bot) -> Program:
    return Program(bot)


def test_the_way_from_a_snapshot_to_applied_and_back_in_json(bot: Bot, program: Program) -> None:
    bot.db.orders(row("TRD-1"), MALFORMED)
    refused = program("integrity", "apply")
    assert (refused.code, "snapshot" in refused.err, refused.out) == (1, True, "")
    taken = program("integrity", "snapshot", "--format", "json")
    assert taken.code == 0
    assert (taken.json["number"], taken.json["tables"]["orders"]) == (1, {"p1": 2})
    assert [item["rule"] for item in taken.json["breaking"] if item["total"]] == ["chk_orders_trade_id_format"]
    dry = program("integrity", "apply", "--dry-run", "--format", "json").json
    assert (dry["dry_run"], dry["stage"]) == (True, "snapshot")
    applied = program("integrity", "apply", "--format", "json").json
    assert (applied["phase"], applied["stage"], applied["cut_short"]) == ("apply", "applied", None)
    assert bool(applied["warnings"]) is (not bot.db.is_sqlite)
    assert program("integrity", "validate").code == 1
    status = program("integrity", "status", "--format", "json").json
    assert status["stage"] == "applied"
    assert status["next"]["command"] == "trueup integrity backfill --dry-run"
    kinds = {item["kind"] for item in status["objects"]}
    assert kinds == ({"trigger", "index"} if bot.db.is_sqlite else {"constraint", "index"})
    assert {item["state"] for item in status["objects"]} == {"not_valid", "valid"}
    assert status["record"][-1]["state"] == "ended"
    back = program("integrity", "rollback", "--format", "json").json
    assert (back["stage"], back["next"]["command"]) == ("rolled_back", "trueup integrity apply")


def test_the_way_from_a_snapshot_to_applied_and_back_as_text(bot: Bot, program: Program) -> None:
    bot.db.orders(row("TRD-1"), MALFORMED)
    said = program("integrity", "snapshot").out
    assert "Snapshot 1" in said
    assert "integrity apply" in said
    assert "chk_orders_trade_id_format" in program("integrity", "apply", "--dry-run").out
    said = program("integrity", "apply").out
    assert all(name in said for name in ("chk_orders_action_lifecycle", "idx_orders_lifecycle", "built"))
    said = program("integrity", "status").out
    assert "Stage: applied" in said
    assert "dropped" in program("integrity", "rollback").out
    assert "Stage: rolled_back" in program("integrity", "status").out


def test_a_ghost_whose_id_breaks_a_rule_is_quarantined_by_its_name_and_written_by_no_reconcile(
    bot: Bot, program: Program
) -> None:
    bot.environ["RECON_SETTLE_WINDOW_SECONDS"] = "0"
    ghosts = [("1234", "E1"), ("TRD-12345678", "E2")]
    bot.db.orders(
        *(row(trade, client_order_id=f"bytelyst-p1-{trade}-entry", exchange_order_id=name) for trade, name in ghosts)
    )
    program("integrity", "snapshot")
    program("integrity", "apply")
    bought = [
        sold(name, side="buy", minute=0, client_order_id=f"bytelyst-p1-{trade}-entry", filled_avg_price="100")
        for trade, name in ghosts
    ]

    def look(minute: int) -> Answer:
        bot.venue(closed_orders=bought, open_orders=[], as_of=iso(at(NOW + minute)))
        return program("reconcile", "--format", "json")

    states = [{found["trade_id"]: found["state"] for found in look(n).json["runs"][0]["breaks"]} for n in range(4)]
    assert states[0]["1234"] == "waiting"
    assert states[3]["1234"] == "quarantined"
    assert {found["trade_id"] for found in bot.db.table("orders") if found["action"] == "EXIT"} == {"TRD-12345678"}
    written = len(bot.db.table("reconciliation_backfill_audit"))
    said = look(4)
    [left] = said.json["runs"][0]["breaks"]
    assert "refused_by_rule: chk_orders_trade_id_format" in left["reason"]
    assert "integrity report" in left["reason"]
    assert (said.code, said.json["runs"][0]["status"]) == (1, "MISMATCH")
    assert said.json["runs"][0]["counts"]["parity_quarantined_trades"] == 1
    assert len(bot.db.table("reconciliation_backfill_audit")) == written
    assert program("audit", "verify").code == 0
    program("integrity", "rollback")
    assert look(5).code == 0
    assert len(bot.db.table("orders")) == 4


def test_a_fill_whose_trades_id_breaks_a_rule_is_quarantined_by_its_name_and_the_others_are_booked(
    bot: Bot, program: Program
) -> None:
    bot.db.orders(MALFORMED, row("TRD-2", order_id="w2", status="open", exchange_order_id="X2"))
    program("integrity", "snapshot")
    program("integrity", "apply")
    held = [{"symbol": "BTC/USD", "qty": "2", "side": "long", "mark_price": "97"}]
    filled = [sold(name, side="buy", minute=0) for name in ("X1", "X2")]
    bot.venue(closed_orders=filled, open_orders=[], positions=held)
    program("reconcile")
    written = len(bot.db.table("reconciliation_backfill_audit"))
    said = program("reconcile", "--format", "json")
    assert said.code == 1
    [left] = [found for found in said.json["runs"][0]["breaks"] if found["trade_id"] == "1234"]
    assert (left["state"], "refused_by_rule: chk_" in left["reason"], "trade_id_format" in left["reason"]) == (
        "quarantined", True, True,
    )  # fmt: skip
    assert {found["order_id"]: found["status"] for found in bot.db.table("orders")} == {"w1": "open", "w2": "filled"}
    assert len(bot.db.table("reconciliation_backfill_audit")) == written
    program("integrity", "rollback")
    program("reconcile")
    assert {found["status"] for found in bot.db.table("orders")} == {"filled"}


def test_a_row_that_says_a_blank_is_left_alone_where_the_database_would_refuse_it(bot: Bot, program: Program) -> None:
    bot.db.orders(row("TRD-1", order_id="w1", status="open", exchange_order_id="X1", action=" "))
    program("integrity", "snapshot")
    program("integrity", "apply")
    held = [{"symbol": "BTC/USD", "qty": "1", "side": "long", "mark_price": "97"}]
    bot.venue(closed_orders=[sold("X1", side="buy", minute=0)], open_orders=[], positions=held)
    said = program("reconcile", "--format", "json")
    [found] = [found for found in said.json["runs"][0]["breaks"] if found["kind"] == "status_mismatch"]
    if bot.db.is_sqlite:
        assert (said.code, found["state"]) == (0, "healed")
    else:
        assert (said.code, found["state"]) == (1, "quarantined")
        assert "chk_orders_action_lifecycle" in found["reason"]
