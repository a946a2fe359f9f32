"""Revert and reapply: by status, idempotent, audited, and refused where the trades or their evidence changed since."""

from collections.abc import Callable

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.ledger.bot import Bot, decisions, leave, only, row, run, sold

from trueup.core.audit import verify
from trueup.core.errors import CannotKnow, ConfigurationError, Refused
from trueup.service.app import App
from trueup.service.undo import reapply, revert

Undo = Callable[[App, str, str], object]


def applied(bot: Bot) -> tuple[App, str]:
    app = bot.ready(row("TRD-1"), row("TRD-2", "2.0005", 1), leave("TRD-2", "1", 2))
    bot.sells(sold("X1", trade_id="TRD-1"), sold("X3", "1", 12, trade_id="TRD-2"))
    batch = only(run(app, apply=True, profiles=("p1",))).batch_id
    assert batch is not None
    return app, batch


def statuses(bot: Bot) -> list[str]:
    return [found["status"] for found in bot.db.table("orders") if found["order_id"].startswith("BFILL-")]


def test_a_batch_is_taken_back_and_put_back_with_everything_that_follows_from_it(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    batch = only(run(app, apply=True)).batch_id
    orders, derived = bot.db.table("orders"), bot.db.derived()
    assert revert(app, batch, "wrong").changed
    assert statuses(bot) == ["canceled"]
    assert [f["qty"] for f in bot.db.table("positions")] in (["1"], [1])
    assert revert(app, batch, "again").changed == ()
    assert reapply(app, batch, "right").changed
    assert reapply(app, batch, "again").changed == ()
    shown = ("updated_at",)
    strip = [{k: v for k, v in f.items() if k not in shown} for f in bot.db.table("orders")]
    assert strip == [{k: v for k, v in f.items() if k not in shown} for f in orders]
    again = bot.db.derived()
    assert [position["qty"] for position in again.pop("positions")] in (["0"], [0])
    assert {**again, "positions": []} == derived
    assert [batch.state for batch in app.journal.batches()] == ["applied"]
    assert verify(app.journal.audit_rows()).ok


def test_a_reverted_repair_is_not_made_again_by_itself(bot: Bot) -> None:
    app, batch = applied(bot)
    revert(app, batch, "wrong")
    orders = bot.db.table("orders")
    entry = only(run(app, apply=True))
    assert {reason for *_, reason in decisions(entry)} == {"reverted_by_operator"}
    assert bot.db.table("orders") == orders
    assert app.journal.batches()[-1].state == "reverted"


@pytest.mark.parametrize("undo", [revert, reapply])
def test_a_trade_that_changed_since_is_refused(bot: Bot, undo: Undo) -> None:
    app, batch = applied(bot)
    if undo is reapply:
        revert(app, batch, "wrong")
    bot.db.orders(leave("TRD-1", "0.1", 30))
    kept = statuses(bot)
    with pytest.raises(Refused, match="TRD-1 changed since"):
        undo(app, batch, "too late")
    assert statuses(bot) == kept


@pytest.mark.parametrize("name", [{"exchange_order_id": "X1"}, {"order_id": "X1"}])
def test_evidence_that_was_booked_otherwise_since_cannot_be_booked_again(bot: Bot, name: dict[str, str]) -> None:
    app, batch = applied(bot)
    revert(app, batch, "wrong")
    bot.db.orders(leave("TRD-9", "1", 30, **name))
    with pytest.raises(Refused, match="X1 was booked"):
        reapply(app, batch, "too late")
    assert set(statuses(bot)) == {"canceled"}


def test_what_another_account_booked_of_an_order_of_the_same_id_does_not_matter(bot: Bot) -> None:
    bot.accounts = ["main", "other"]
    bot.profiles.append({"id": "p2", "account": "other"})
    bot.venue("other")
    app, batch = applied(bot)
    revert(app, batch, "wrong")
    bot.db.orders(leave("TRD-9", "1", 30, profile_id="p2", exchange_order_id="X1"))
    assert len(reapply(app, batch, "right").changed) == 3


def test_batches_of_one_trade_are_taken_back_newest_first(bot: Bot) -> None:
    app = bot.ready(row("TRD-1", "2"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    first = only(run(app, apply=True)).batch_id
    bot.sells(sold("X1", trade_id="TRD-1"), sold("X2", "1", 20, trade_id="TRD-1"))
    second = only(run(app, apply=True)).batch_id
    with pytest.raises(Refused, match="changed since"):
        revert(app, first, "not yet")
    revert(app, second, "newest first")
    revert(app, first, "now")
    with pytest.raises(Refused, match="changed since"):
        reapply(app, second, "not before the first")
    reapply(app, first, "oldest first")
    reapply(app, second, "now")
    assert statuses(bot) == ["filled", "filled"]


@pytest.mark.parametrize("undo", [revert, reapply])
def test_what_cannot_be_undone_is_told(bot: Bot, undo: Undo) -> None:
    app, batch = applied(bot)
    dry = only(run(app)).batch_id
    with pytest.raises(ConfigurationError, match="no batch 'BATCH-0'"):
        undo(app, "BATCH-0", "why")
    with pytest.raises(ConfigurationError, match="reason"):
        undo(app, batch, " ")
    if dry:
        with pytest.raises((Refused, ConfigurationError)):
            undo(app, dry, "why")
    with app.leases.hold("account:main", 0), pytest.raises(Refused, match="lease_held"):
        undo(app, batch, "why")


def test_a_row_that_somebody_removed_refuses_the_revert(bot: Bot) -> None:
    app, batch = applied(bot)
    bot.db.run("DELETE FROM orders WHERE exchange_order_id = 'X1'")
    with pytest.raises(Refused):
        revert(app, batch, "why")


def test_nothing_is_ever_deleted(bot: Bot) -> None:
    seen: list[str] = []

    def note(*said: object) -> None:
        seen.append(str(said[2]).lstrip().upper())

    event.listen(Engine, "before_cursor_execute", note)
    try:
        app, batch = applied(bot)
        revert(app, batch, "wrong")
        reapply(app, batch, "right")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any(statement.startswith("INSERT INTO ORDERS") for statement in seen)
    assert not [statement for statement in seen if statement.startswith(("DELETE", "TRUNCATE", "DROP", "REPLACE"))]


EDITS = {
    "qty": "UPDATE orders SET qty = '5', quantity = '5'",
    "quantity": "UPDATE orders SET quantity = '5'",
    "price": "UPDATE orders SET price = '1'",
    "trade_id": "UPDATE orders SET trade_id = 'TRD-2'",
    "side": "UPDATE orders SET side = 'buy'",
    "symbol": "UPDATE orders SET symbol = 'ETH/USD'",
    "action": "UPDATE orders SET action = 'ENTRY'",
    "exchange_order_id": "UPDATE orders SET exchange_order_id = 'X9'",
    "client_order_id": "UPDATE orders SET client_order_id = 'mine'",
    "time": "UPDATE orders SET timestamp = timestamp + 60000",
    "profile_id": "UPDATE orders SET profile_id = 'p2'",
    "status": "UPDATE orders SET status = 'new'",
}


@pytest.mark.parametrize("undo", [revert, reapply])
@pytest.mark.parametrize("name", EDITS)
def test_a_row_that_is_not_what_the_audit_applied_stays_as_it_is_and_says_why(bot: Bot, undo: Undo, name: str) -> None:
    app, batch = applied(bot)
    if undo is reapply:
        revert(app, batch, "wrong")
    bot.db.run(f"{EDITS[name]} WHERE exchange_order_id = 'X1'")
    before = bot.db.table("orders"), bot.db.derived(), app.journal.head()
    with pytest.raises(Refused, match=f"not what the audit applied.*{name}"):
        undo(app, batch, "as it is")
    assert (bot.db.table("orders"), bot.db.derived(), app.journal.head()) == before


HOLDS_ONE: dict[str, object] = {"positions": [{"symbol": "BTC/USD", "qty": "1", "side": "long"}]}


def test_explained_a_batch_is_not_put_back_past_the_venue(bot: Bot) -> None:
    bot.environ["RECON_EXIT_BACKFILL_FLATNESS"] = "explained"
    app = bot.ready(row("TRD-1"), row("TRD-2", minute=1))
    bot.sells(sold("X1", trade_id="TRD-1"), sold("X2", minute=11, trade_id="TRD-2"), **HOLDS_ONE)
    first = only(run(app, apply=True))
    assert ("TRD-1", "APPLIED", "inserted") in decisions(first)
    revert(app, first.batch_id, "wrong")
    second = only(run(app, apply=True))
    assert ("TRD-2", "APPLIED", "inserted") in decisions(second)
    before = bot.db.table("orders")
    with pytest.raises(Refused, match="TRD-1: would_overshoot_venue:0"):
        reapply(app, first.batch_id, "right after all")
    assert bot.db.table("orders") == before
    revert(app, second.batch_id, "the other way round")
    assert reapply(app, first.batch_id, "right after all").changed


def test_flat_a_batch_is_not_put_back_while_the_venue_holds_the_symbol(bot: Bot) -> None:
    app, batch = applied(bot)
    revert(app, batch, "wrong")
    bot.sells(sold("X1", trade_id="TRD-1"), **HOLDS_ONE)
    with pytest.raises(Refused, match="TRD-1: exchange_not_flat:1"):
        reapply(app, batch, "right")


def test_evidence_a_batch_is_put_back_whatever_the_venue_holds_but_dust_needs_flatness(bot: Bot) -> None:
    bot.environ["RECON_EXIT_BACKFILL_FLATNESS"] = "evidence"
    app, batch = applied(bot)
    revert(app, batch, "wrong")
    bot.sells(sold("X1", trade_id="TRD-1"), **HOLDS_ONE)
    with pytest.raises(Refused, match="put back: TRD-2: exchange_not_flat:1"):
        reapply(app, batch, "right")


@pytest.mark.parametrize("sections", [{"positions": None}, {"as_of": "2026-01-02T02:00:00Z"}])
def test_a_batch_is_not_put_back_where_the_venue_is_unknown(bot: Bot, sections: dict[str, object]) -> None:
    app, batch = applied(bot)
    revert(app, batch, "wrong")
    bot.venue(**sections)
    with pytest.raises(CannotKnow, match="venue_position_unknown"):
        reapply(app, batch, "right")
    assert set(statuses(bot)) == {"canceled"}
