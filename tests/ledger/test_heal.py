"""Heals: rows change or are added in one transaction with the audit and what follows, or nothing is written."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.ledger.attached import BOTH, POSTGRES, SQLITE, Form, schema_of
from tests.ledger.bot import DERIVED, Bot, at, leave, row
from tests.ledger.healing import (
    RUN,
    added,
    audit,
    audited,
    batch_of,
    canceled,
    filled,
    heal,
    leased,
    proof,
    rows_of,
)

from trueup.core.audit import verify
from trueup.core.decimals import plain
from trueup.core.errors import ConfigurationError, Refused
from trueup.core.orders import Action, Side, StatusClass
from trueup.core.repair.slices import fingerprint
from trueup.core.times import iso
from trueup.ports import Profile

WORKING = {"order_id": "w1", "status": "NEW", "order_qty": "2", "exchange_order_id": "X1", "price": "100"}


def working(**more: Any) -> dict[str, Any]:
    return row("TRD-1", "2", **{**WORKING, "quantity": None, **more})


def the_row(bot: Bot, order_id: str = "w1") -> dict[str, Any]:
    [found] = bot.db.rows("SELECT * FROM orders WHERE order_id = :id", id=order_id)
    return found


def number(value: object) -> str:
    return plain(Decimal(str(value)))


def everything(bot: Bot) -> Any:
    return {name: bot.db.table(name) for name in ("orders", *DERIVED, "reconciliation_backfill_audit")}


def test_a_working_order_that_executed_is_booked_with_all_that_follows(bot: Bot) -> None:
    app = bot.ready(working())
    before = rows_of(bot)["w1"]
    result = heal(app, filled(before, "1.5"))
    now = the_row(bot)
    assert (now["status"], number(now["qty"]), number(now["quantity"]), number(now["price"])) == (
        "FILLED", "1.5", "1.5", "101",
    )  # fmt: skip
    assert (now["timestamp"], number(now["order_qty"])) == (at(0), "2")
    healed = rows_of(bot)["w1"]
    assert healed == replace(
        before, status=StatusClass.FILLED, word="filled", qty=Decimal("1.5"), price=Decimal(101), side=Side.BUY,
        action=Action.ENTRY, time_ms=at(0), order_price=None,
    )  # fmt: skip
    [position] = bot.db.table("positions")
    assert (position["side"], number(position["qty"]), number(position["avg_entry_price"])) == ("long", "1.5", "101")
    [history] = bot.db.table("trade_history")
    assert (history["trade_id"], number(history["entry_qty"]), number(history["exit_qty"])) == ("TRD-1", "1.5", "0")
    [capital] = bot.db.table("capital_ledger")
    assert [number(capital[name]) for name in ("reserved", "deployed", "available")] == ["0", "151.5", "9848.5"]
    [effect] = result.applied
    assert (effect.order_id, effect.trade_id, effect.rule) == ("w1", "TRD-1", "working_filled")
    assert effect.before["status"] == "NEW"
    assert effect.after["status"] == "FILLED"
    assert effect.before["quantity"] is None
    assert set(effect.before) == set(effect.after) == {"status", "qty", "quantity", "price", "filled_at"}


def test_the_audit_has_the_intent_then_the_heal_with_its_proof_and_both_states(bot: Bot) -> None:
    app = bot.ready(working())
    result = heal(app, filled(rows_of(bot)["w1"], "1.5"), plan_hash="hash")
    assert audit(app) == [
        ("PENDING_HEAL", "heal:working_filled", "w1"),
        ("HEALED", "healed:working_filled", "w1"),
    ]
    [written] = audited(app, "HEALED")
    assert list(result.audit) == [written]
    said = [written[name] for name in ("batch_id", "profile_id", "symbol", "trade_id", "exchange_order_id", "actor")]
    assert said == [RUN, "p1", "BTC/USD", "TRD-1", "X1", "loop"]
    assert [written[name] for name in ("filled_qty", "filled_price", "filled_at", "applied_at", "plan_hash")] == [
        "1.5", "101", iso(at(30)), iso(at(600)), "hash",
    ]  # fmt: skip
    facts = json.loads(str(written["metadata"]))
    assert (facts["rule"], facts["executed"], facts["bookedBefore"], facts["change"]) == (
        "working_filled", "1.5", "0", "changed",
    )  # fmt: skip
    assert (facts["before"]["status"], facts["after"]["status"]) == ("NEW", "FILLED")
    assert facts["tradeFingerprint"] == fingerprint(rows_of(bot).values())
    assert verify(app.journal.audit_rows()).ok
    assert app.journal.interrupted(["p1"]) == []


def test_a_canceled_order_releases_its_reservation_and_rows_without_a_trade_do_too(bot: Bot) -> None:
    app = bot.ready(working(), working(order_id="w2", trade_id=None, exchange_order_id="X2"))
    rows = rows_of(bot)
    heal(app, canceled(rows["w1"]))
    assert [number(found["reserved"]) for found in bot.db.table("capital_ledger")] == ["200"]
    heal(app, canceled(rows["w2"]), run_id="RUN-2")
    assert [number(found["reserved"]) for found in bot.db.table("capital_ledger")] == ["0"]
    assert (the_row(bot)["status"], number(the_row(bot)["qty"]), the_row(bot)["quantity"]) == ("CANCELED", "2", None)
    assert audited(app, "HEALED")[1]["trade_id"] == ""
    assert [found["filled_qty"] for found in audited(app, "HEALED")] == ["0", "0"]


def test_an_order_that_the_ledger_lacked_is_added_and_a_second_time_it_is_there(bot: Bot) -> None:
    app = bot.ready()
    assert [effect.order_id for effect in heal(app, added(qty="0.5")).applied] == ["IMPRT-1"]
    now = the_row(bot, "IMPRT-1")
    same = ("status", "side", "action", "trade_id", "exchange_order_id", "timestamp", "source", "type")
    assert [now[name] for name in same] == ["filled", "buy", "ENTRY", "TRD-1", "X9", at(30), "BOT", "market"]
    assert [number(now[name]) for name in ("qty", "quantity", "order_qty", "price")] == ["0.5", "0.5", "0.5", "101"]
    assert [number(found["qty"]) for found in bot.db.table("positions")] == ["0.5"]
    again = heal(app, added(qty="0.5", proof=proof("X9", "0.5", "0.5")), run_id="RUN-2")
    assert (again.applied, again.existing, again.stale) == ((), ("IMPRT-1",), ())
    assert [decision for decision, *_ in audit(app)][-2:] == ["PENDING_HEAL", "SKIP_EXISTING"]
    assert app.journal.interrupted(["p1"]) == []


def test_a_working_order_that_the_ledger_lacked_reserves_what_was_ordered(bot: Bot) -> None:
    app = bot.ready()
    heal(app, added(qty="0", status="new", order_qty=Decimal(3)))
    now = the_row(bot, "IMPRT-1")
    assert [now["status"], number(now["qty"]), number(now["order_qty"]), now["type"], now["filled_at"]] == [
        "new", "3", "3", "limit", None,
    ]  # fmt: skip
    assert [number(found["reserved"]) for found in bot.db.table("capital_ledger")] == ["303"]
    assert rows_of(bot)["IMPRT-1"].qty == 0


STALE = {
    "qty": "UPDATE orders SET qty = 3, order_qty = NULL", "status": "UPDATE orders SET status = 'canceled'",
    "price": "UPDATE orders SET price = 99", "side": "UPDATE orders SET side = 'sell'",
    "order_qty": "UPDATE orders SET order_qty = 4", "trade": "UPDATE orders SET trade_id = 'TRD-9'",
    "id": "UPDATE orders SET exchange_order_id = 'X7'", "time": "UPDATE orders SET timestamp = timestamp + 1000",
    "word": "UPDATE orders SET status = 'accepted'", "action": "UPDATE orders SET action = 'EXIT'",
    "gone": "UPDATE orders SET order_id = 'other'",
}  # fmt: skip


@pytest.mark.parametrize("name", STALE)
@pytest.mark.parametrize("rehearse", [True, False])
def test_a_row_that_is_not_what_it_was_makes_the_whole_batch_stale(bot: Bot, name: str, rehearse: bool) -> None:
    app = bot.ready(working(), working(order_id="w2", trade_id="TRD-2", exchange_order_id="X2"))
    rows = rows_of(bot)
    bot.db.run(f"{STALE[name]} WHERE order_id = 'w1'")
    state = everything(bot)
    result = heal(app, canceled(rows["w2"]), canceled(rows["w1"]), announce=False, rehearse=rehearse)
    assert (result.stale, result.applied, result.audit) == (("w1",), (), ())
    assert everything(bot) == state


def test_what_somebody_else_booked_of_the_order_makes_a_heal_stale(bot: Bot) -> None:
    app = bot.ready(working())
    change = filled(rows_of(bot)["w1"], "1")
    bot.db.orders(row("TRD-2", "0.4", order_id="other", exchange_order_id="X1"))
    assert heal(app, change, announce=False).stale == ("w1",)
    assert heal(app, added(proof=proof("X1")), announce=False).stale == ("IMPRT-1",)
    assert heal(app, replace(change, proof=proof(booked=None)), announce=False).stale == ()


def test_a_row_of_another_account_has_booked_another_order(bot: Bot) -> None:
    app = bot.ready(working())
    change = filled(rows_of(bot)["w1"], "1")
    bot.db.orders(row("TRD-2", "0.4", order_id="other", exchange_order_id="X1", profile_id="far"))
    assert heal(app, change, announce=False, rehearse=True).stale == ("w1",)
    assert heal(app, change, announce=False, elsewhere=frozenset({"far"})).stale == ()


def test_a_trade_that_a_decision_rests_on_may_not_have_changed(bot: Bot) -> None:
    app = bot.ready(working(), row("TRD-1", "1", 5), working(order_id="w2", trade_id=None))
    rows = rows_of(bot)
    marks = {"TRD-1": fingerprint(one for one in rows.values() if one.trade_id)}
    bot.db.orders(leave("TRD-1", "1", 9))
    changes = (canceled(rows["w1"]), canceled(rows["w2"]))
    assert heal(app, *changes, announce=False, fingerprints=marks).stale == ("w1",)
    assert heal(app, *changes, announce=False).stale == ()


def test_a_rehearsal_is_the_same_and_leaves_nothing(bot: Bot) -> None:
    app = bot.ready(working())
    state, changes = everything(bot), (filled(rows_of(bot)["w1"], "1.5"), added())
    rehearsed = heal(app, *changes, rehearse=True)
    assert everything(bot) == state
    done = heal(app, *changes)
    assert rehearsed.applied == done.applied
    assert len(done.applied) == 2


def test_a_heal_needs_the_lease_and_the_pause_where_one_is_asked_for(bot: Bot) -> None:
    app = bot.init()
    bot.db.orders(working())
    state, change = everything(bot), canceled(rows_of(bot)["w1"])
    with leased(app) as lease:
        with pytest.raises(Refused, match="taken over"):
            app.ledger.heal(batch_of(app, replace(lease, fence=9), [change]), rehearse=False)
        with pytest.raises(Refused, match="pause ended"):
            app.ledger.heal(batch_of(app, lease, [change], require_pause=("global",)), rehearse=False)
    assert everything(bot) == state


def test_a_row_is_changed_once_in_a_batch_and_is_of_its_profile(bot: Bot) -> None:
    app = bot.ready(working())
    change = canceled(rows_of(bot)["w1"])
    with pytest.raises(AssertionError, match="two changes"):
        heal(app, change, change, announce=False)
    with leased(app) as lease:
        batch = replace(batch_of(app, lease, [change]), profile=Profile("p2", "main"))
        with pytest.raises(AssertionError, match="another profile"):
            app.ledger.heal(batch, rehearse=False)


def test_a_row_that_cannot_be_read_when_it_is_filled_is_not_written(bot: Bot) -> None:
    app = bot.ready(working(side="up"))
    state = everything(bot)
    with pytest.raises(ConfigurationError, match="neither buy nor sell"):
        heal(app, filled(rows_of(bot)["w1"]), announce=False)
    assert everything(bot) == state


def test_a_row_that_a_trigger_keeps_otherwise_is_not_written(sqlite_bot: Bot) -> None:
    app = sqlite_bot.ready(working())
    sqlite_bot.db.run(
        "CREATE TRIGGER other AFTER UPDATE ON orders WHEN new.qty <> '7'"
        " BEGIN UPDATE orders SET qty = '7', quantity = '7' WHERE order_id = new.order_id; END"
    )
    state = everything(sqlite_bot)
    with pytest.raises(ConfigurationError, match="keeps w1 otherwise than it was written: its qty is 7, not 1"):
        heal(app, filled(rows_of(sqlite_bot)["w1"]), announce=False)
    assert everything(sqlite_bot) == state


def test_a_row_whose_id_has_blanks_around_it_is_found(bot: Bot) -> None:
    app = bot.ready(working(order_id=" w1 "))
    heal(app, canceled(rows_of(bot)["w1"]))
    assert the_row(bot, " w1 ")["status"] == "CANCELED"


def test_a_partial_fill_grows_and_keeps_what_was_ordered(bot: Bot) -> None:
    app = bot.ready(working())
    heal(app, filled(rows_of(bot)["w1"], "0.5", "partially_filled"))
    assert the_row(bot)["status"] == "PARTIALLY_FILLED"
    more = filled(rows_of(bot)["w1"], "2", proof=proof(executed="2", booked="0.5"))
    assert more.moved == Decimal("1.5")
    heal(app, more, run_id="RUN-2")
    assert (the_row(bot)["status"], number(the_row(bot)["qty"])) == ("FILLED", "2")
    assert [found["filled_qty"] for found in audited(app, "HEALED")] == ["0.5", "2"]
    [booked] = app.journal.applied(["X1"])
    assert (booked.order_id, booked.qty) == ("w1", 2)


def test_what_a_heal_booked_is_booked_also_where_somebody_changes_the_row(bot: Bot) -> None:
    """Invariant 2 (Once)."""
    app = bot.ready(working())
    heal(app, filled(rows_of(bot)["w1"], "1.5"))
    bot.db.run("UPDATE orders SET status = 'canceled'")
    assert [(item.order_id, item.qty) for item in app.journal.applied(["X1"])] == [("w1", Decimal("1.5"))]
    bot.db.run("UPDATE orders SET status = 'filled'")
    doubled = replace(canceled(rows_of(bot)["w1"]), proof=proof("X1", None, "1.5", rule="duplicate"))
    heal(app, doubled, run_id="RUN-2")
    assert app.journal.applied(["X1"]) == []


def test_the_trade_history_says_where_a_healed_exit_has_its_price_from(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"), leave("TRD-1", **{**WORKING, "quantity": None, "order_qty": "1"}))
    heal(app, filled(rows_of(bot)["w1"]))
    [history] = bot.db.table("trade_history")
    assert (history["price_source"], number(history["realized_pnl"]), number(history["exit_qty"])) == (
        "order",
        "1",
        "1",
    )


def healed_form(bot: Bot, form: Form) -> None:
    """An entry that is working, healed; and an order added, in the table's own forms."""
    app = form.attach(bot).init()
    named = "exchange_order_id" not in form.without
    bot.db.run("UPDATE deals SET state = 'new' WHERE id = 'o1'")
    shape, before, kinds = schema_of(bot.db, "deals"), rows_of(bot), types(bot)
    change = filled(before["o1"], "2" if form.qty.upper().startswith("INT") else "0.25", exchange_order_id=None,
                    proof=proof("V1" if named else None, "0.25"))  # fmt: skip
    new = added(qty="0.5", proof=proof("X9" if named else None, "0.5"))
    result = heal(app, change, new)
    assert [effect.order_id for effect in result.applied] == ["o1", "IMPRT-1"]
    after = rows_of(bot)
    assert (after["o1"].word, after["o1"].time_ms) == ("filled", at(1))
    assert abs(after["o1"].qty - Decimal("0.25")) < Decimal("1e-7")
    assert (after["IMPRT-1"].qty, after["IMPRT-1"].trade_id) == (Decimal("0.5"), "TRD-1")
    assert {name: one for name, one in after.items() if name in ("o0", "o2", "o3", "o4")} == {
        name: one for name, one in before.items() if name != "o1"
    }
    assert types(bot) == kinds
    assert schema_of(bot.db, "deals") == shape


def types(bot: Bot) -> set[tuple[str, ...]]:
    wanted = ("amount", "at", "state")
    rows = bot.db.rows("SELECT amount, at, state FROM deals")
    if bot.db.is_sqlite:
        rows = bot.db.rows(f"SELECT {', '.join(f'typeof({name}) AS {name}' for name in wanted)} FROM deals")
        return {tuple("real" if one[name] == "integer" and name == "amount" else one[name] for name in wanted)
                for one in rows}  # fmt: skip
    return {tuple(type(one[name]).__name__ for name in wanted) for one in rows}


@pytest.mark.parametrize("name", [*BOTH, *SQLITE])
def test_an_attached_table_on_sqlite_is_healed_in_its_own_forms(sqlite_bot: Bot, name: str) -> None:
    healed_form(sqlite_bot, {**BOTH, **SQLITE}[name])


@pytest.mark.postgres
@pytest.mark.parametrize("name", [*BOTH, *POSTGRES])
def test_an_attached_table_on_postgres_is_healed_in_its_own_forms(postgres_bot: Bot, name: str) -> None:
    healed_form(postgres_bot, {**BOTH, **POSTGRES}[name])


@pytest.mark.parametrize(
    ("own", "others", "wanted"),
    [("NEW", "Filled", "CANCELED"), ("New", "Filled", "Canceled"), ("new", "cancelled", "cancelled"),
     ("Pending-New", "CANCELLED", "CANCELLED"), ("new", "filled", "canceled")],
)  # fmt: skip
def test_a_status_is_spelt_as_the_table_spells_it(bot: Bot, own: str, others: str, wanted: str) -> None:
    app = Form().attach(bot).init()
    bot.db.run(f"UPDATE deals SET state = '{others}'")
    bot.db.run(f"UPDATE deals SET state = '{own}' WHERE id = 'o1'")
    heal(app, canceled(rows_of(bot)["o1"]), announce=False)
    assert bot.db.value("SELECT state FROM deals WHERE id = 'o1'") == wanted


@pytest.mark.postgres
def test_a_status_is_a_label_of_the_enumeration_or_is_refused(postgres_bot: Bot) -> None:
    labels = "CREATE TYPE state AS ENUM ('New', 'Filled', 'Cancelled', 'new', 'filled')"
    app = Form(status="state", before=(labels,)).attach(postgres_bot).init()
    postgres_bot.db.run("UPDATE deals SET state = 'New' WHERE id IN ('o1', 'o2')")
    rows = rows_of(postgres_bot)
    heal(app, canceled(rows["o1"]), announce=False)
    assert postgres_bot.db.value("SELECT state FROM deals WHERE id = 'o1'") == "Cancelled"
    with pytest.raises(ConfigurationError, match="no label for partially_filled"):
        heal(app, filled(rows["o2"], status="partially_filled"), announce=False)
