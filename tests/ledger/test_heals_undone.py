"""A run's heals are taken back and put in force again: to the last digit, audited, idempotent, refused where edited."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.ledger.attached import BOTH, POSTGRES, SQLITE, Form
from tests.ledger.bot import DERIVED, Bot, leave, row, sold
from tests.ledger.healing import RUN, added, audit, audited, canceled, filled, heal, proof, rows_of
from tests.ledger.test_heal import number, the_row, working
from tests.ledger.test_invariants import tries

from trueup.core.audit import AuditDecision, closing, verify
from trueup.core.errors import Refused
from trueup.core.repair.plan import Wanted, plan_account
from trueup.service.gather import gather
from trueup.service.undo import reapply, revert


def orders(bot: Bot) -> list[dict[str, Any]]:
    """The ledger without the times of its writing."""
    return [{k: v for k, v in found.items() if k != "updated_at"} for found in bot.db.table("orders")]


def healed(bot: Bot) -> Any:
    """A working entry that executed, a canceled exit, and an order that was missing."""
    app = bot.ready(
        working(), leave("TRD-1", "1", 3, order_id="w2", status="new", exchange_order_id="X2"),
        working(order_id="w3", trade_id=None, exchange_order_id="X3", status="Accepted"),
    )  # fmt: skip
    rows = rows_of(bot)
    before = orders(bot)
    gone = replace(canceled(rows["w3"]), proof=proof("X3", None, None, rule="working_dead"))
    heal(app, filled(rows["w1"], "1.5"), canceled(rows["w2"]), gone, added("IMPRT-1", "0.5", trade_id="TRD-2"))
    return app, before


def test_a_runs_heals_are_taken_back_and_put_in_force_again(bot: Bot) -> None:
    app, before = healed(bot)
    after, derived = orders(bot), bot.db.derived()
    done = revert(app, RUN, "wrong")
    assert (set(done.changed), done.unchanged) == ({"w1", "w2", "w3", "IMPRT-1"}, ())
    assert [found for found in orders(bot) if found["order_id"] != "IMPRT-1"] == before
    assert the_row(bot, "IMPRT-1")["status"] == "canceled"
    assert {number(found["qty"]) for found in bot.db.table("positions")} == {"0"}
    assert {number(found["entry_qty"]) for found in bot.db.table("trade_history")} == {"0"}
    [capital] = bot.db.table("capital_ledger")
    assert (number(capital["reserved"]), number(capital["deployed"])) == ("400", "0")
    again = revert(app, RUN, "again")
    assert (again.changed, set(again.unchanged)) == ((), set(done.changed))

    assert set(reapply(app, RUN, "right").changed) == set(done.changed)
    assert reapply(app, RUN, "again").changed == ()
    assert orders(bot) == after
    assert bot.db.derived() == derived
    assert verify(app.journal.audit_rows()).ok
    assert [decision for decision, *_ in audit(app)] == [
        *["PENDING_HEAL"] * 4, *["HEALED"] * 4, *["REVERTED"] * 4, *["REAPPLIED"] * 4,
    ]  # fmt: skip
    revert(app, RUN, "wrong after all")
    assert the_row(bot)["status"] == "NEW"
    assert verify(app.journal.audit_rows()).ok


def test_what_was_taken_back_is_told_so_that_nothing_makes_it_again(bot: Bot) -> None:
    app, _ = healed(bot)
    assert app.journal.healed_and_reverted(["p1"]) == frozenset()
    revert(app, RUN, "wrong")
    told = {
        ("p1", "w1", "working_filled"), ("p1", "w2", "working_dead"), ("p1", "w3", "working_dead"),
        ("p1", "IMPRT-1", "unknown_ours"),
    }  # fmt: skip
    assert app.journal.healed_and_reverted(["p1"]) == told
    assert app.journal.healed_and_reverted(["p2"]) == frozenset()
    assert app.journal.applied(["X1", "X9"]) == []
    assert app.journal.reverted(["p1"]) == {("p1", "TRD-1", "X1"), ("p1", "TRD-2", "X9")}
    reapply(app, RUN, "right")
    assert app.journal.healed_and_reverted(["p1"]) == frozenset()


def test_the_backfill_does_not_book_what_an_operator_took_back_of_the_heals(bot: Bot) -> None:
    exit_row = {"order_id": "w2", "status": "new", "exchange_order_id": "X1"}
    app = bot.ready(row("TRD-1"), leave("TRD-1", "1", 3, **exit_row))
    heal(app, filled(rows_of(bot)["w2"]))
    revert(app, RUN, "wrong")
    bot.db.run("UPDATE orders SET status = 'canceled' WHERE order_id = 'w2'")
    bot.sells(sold("X1", "1", 30, trade_id="TRD-1"))
    facts = gather(app, "main").facts
    [decision] = plan_account(facts, Wanted(frozenset({"p1"})), app.backfill.policy).profiles["p1"].decisions
    assert decision.reason == "reverted_by_operator"


EDITS = {
    "qty": "UPDATE orders SET qty = 7, quantity = 7", "status": "UPDATE orders SET status = 'rejected'",
    "price": "UPDATE orders SET price = 1", "side": "UPDATE orders SET side = 'sell'",
    "client_order_id": "UPDATE orders SET client_order_id = 'mine'", "user_id": "UPDATE orders SET user_id = 'u9'",
    "order_qty": "UPDATE orders SET order_qty = 9", "timestamp": "UPDATE orders SET timestamp = timestamp + 1",
    "order_id": "UPDATE orders SET order_id = 'other'", "filled_at": "UPDATE orders SET filled_at = NULL",
}  # fmt: skip


@pytest.mark.parametrize("undo", [revert, reapply])
@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("order_id", ["w1", "IMPRT-1"])
def test_a_row_that_somebody_edited_keeps_the_whole_run_as_it_is(
    sqlite_bot: Bot, undo: Any, name: str, order_id: str
) -> None:
    app, _ = healed(sqlite_bot)
    if undo is reapply:
        revert(app, RUN, "wrong")
    sqlite_bot.db.run(f"{EDITS[name]} WHERE order_id = '{order_id}'")
    if undo is reapply and order_id == "w1" and name == "filled_at":
        return  # taking it back left it NULL
    before = orders(sqlite_bot), sqlite_bot.db.derived(), app.journal.head()
    with pytest.raises(Refused, match=f"the row {order_id} is not what the batch made of it"):
        undo(app, RUN, "as it is")
    assert (orders(sqlite_bot), sqlite_bot.db.derived(), app.journal.head()) == before


def test_the_refusal_names_the_column_of_the_heal_that_is_different(bot: Bot) -> None:
    app, _ = healed(bot)
    bot.db.run("UPDATE orders SET status = 'canceled' WHERE order_id = 'w1'")
    with pytest.raises(Refused, match="its status is canceled, not FILLED"):
        revert(app, RUN, "wrong")


@pytest.mark.parametrize("undo", [revert, reapply])
def test_a_trade_that_changed_since_keeps_the_run_as_it_is(bot: Bot, undo: Any) -> None:
    app, _ = healed(bot)
    if undo is reapply:
        revert(app, RUN, "wrong")
    bot.db.orders(leave("TRD-1", "0.1", 40))
    before = orders(bot), app.journal.head()
    with pytest.raises(Refused, match="TRD-1 changed since"):
        undo(app, RUN, "as it is")
    assert (orders(bot), app.journal.head()) == before


def test_what_somebody_else_booked_since_is_not_booked_again(bot: Bot) -> None:
    app, _ = healed(bot)
    revert(app, RUN, "wrong")
    bot.db.orders(row("TRD-9", "0.4", 50, exchange_order_id="X1"))
    with pytest.raises(Refused, match="exchange order X1 was booked by another row since"):
        reapply(app, RUN, "right")
    bot.db.run("UPDATE orders SET status = 'canceled' WHERE trade_id = 'TRD-9'")
    assert reapply(app, RUN, "right").changed


def test_of_two_runs_that_healed_one_row_the_later_is_taken_back_and_put_back_alone(bot: Bot) -> None:
    app = bot.ready(working())
    heal(app, filled(rows_of(bot)["w1"], "0.5", "partially_filled"))
    heal(app, filled(rows_of(bot)["w1"], "2", proof=proof(executed="2", booked="0.5")), run_id="RUN-2")
    with pytest.raises(Refused, match="the row w1 is not what the batch made of it"):
        revert(app, RUN, "the earlier first")
    revert(app, "RUN-2", "wrong")
    assert [item.qty for item in app.journal.applied(["X1"])] == [Decimal("0.5")]
    assert number(the_row(bot)["qty"]) == "0.5"
    bot.db.orders(row("TRD-9", "0.4", 50, exchange_order_id="X1"))
    with pytest.raises(Refused, match="exchange order X1 was booked by another row since"):
        reapply(app, "RUN-2", "right")
    bot.db.run("UPDATE orders SET status = 'canceled' WHERE trade_id = 'TRD-9'")
    reapply(app, "RUN-2", "right")
    assert number(the_row(bot)["qty"]) == "2"
    revert(app, "RUN-2", "wrong")
    revert(app, RUN, "wrong too")
    assert (the_row(bot)["status"], number(the_row(bot)["qty"]), the_row(bot)["quantity"]) == ("NEW", "2", None)


def test_a_row_that_one_run_healed_twice_is_taken_back_to_its_beginning(bot: Bot) -> None:
    app = bot.ready(working())
    before = orders(bot)
    heal(app, filled(rows_of(bot)["w1"], "0.5", "partially_filled"))
    heal(app, filled(rows_of(bot)["w1"], "2", proof=proof(executed="2", booked="0.5")))
    after = orders(bot)
    revert(app, RUN, "wrong")
    assert orders(bot) == before
    reapply(app, RUN, "right")
    assert orders(bot) == after


def test_the_history_forgets_where_a_price_was_from_when_the_heal_is_taken_back(bot: Bot) -> None:
    said = {"order_id": "w1", "status": "partially_filled", "order_qty": "1", "exchange_order_id": "X1"}
    app = bot.ready(row("TRD-1"), leave("TRD-1", "0.5", 3, **said))

    def source() -> object:
        return bot.db.value("SELECT price_source FROM trade_history")

    heal(app, filled(rows_of(bot)["w1"], "1", proof=proof(executed="1", booked="0.5")))
    assert source() == "order"
    revert(app, RUN, "wrong")
    assert source() == "ledger"
    reapply(app, RUN, "right")
    assert source() == "order"


def test_a_run_is_in_the_list_of_batches(bot: Bot) -> None:
    app, _ = healed(bot)
    [batch] = app.journal.batches()
    assert (batch.batch_id, batch.state, batch.rows) == (RUN, "applied", 4)
    assert batch.decisions == {"HEALED": 4, "PENDING_HEAL": 4}
    revert(app, RUN, "wrong")
    assert app.journal.batches()[0].state == "reverted"


def test_heals_that_were_announced_and_never_made_are_told_and_closed(bot: Bot) -> None:
    app = bot.ready(working())
    heal(app, canceled(rows_of(bot)["w1"]), rehearse=True)
    assert app.journal.interrupted(["p1"]) == []
    change = filled(rows_of(bot)["w1"], "0.5", "partially_filled")
    bot.db.run("UPDATE orders SET status = 'held'")
    assert heal(app, change).stale == ("w1",)
    assert [found["backfill_order_id"] for found in app.journal.interrupted(["p1"])] == ["w1"]
    assert app.journal.batches()[0].state == "pending"
    app.journal.close_batch(RUN, lambda found: closing(found, "stale"))
    assert app.journal.interrupted(["p1"]) == []
    assert [found["reason"] for found in audited(app, AuditDecision.INTERRUPTED)] == ["stale"]
    assert app.journal.batches()[0].state == "interrupted"
    with pytest.raises(Refused, match="applied no row"):
        revert(app, RUN, "nothing")


def test_nothing_is_deleted_by_a_heal_or_its_undoing(bot: Bot) -> None:
    seen: list[str] = []

    def note(*said: object) -> None:
        seen.append(str(said[2]).lstrip().upper())

    event.listen(Engine, "before_cursor_execute", note)
    try:
        app, _ = healed(bot)
        revert(app, RUN, "wrong")
        reapply(app, RUN, "right")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any(statement.startswith("UPDATE ORDERS") for statement in seen)
    assert not [statement for statement in seen if statement.startswith(("DELETE", "TRUNCATE", "DROP", "REPLACE"))]


def undone_form(bot: Bot, form: Form) -> None:
    """Every value of somebody else's table is as it was, its type too."""
    app = form.attach(bot).init()
    named = "exchange_order_id" not in form.without
    bot.db.run("UPDATE deals SET state = 'new' WHERE id = 'o1'")
    before = bot.db.table("deals")
    qty = "2" if form.qty.upper().startswith("INT") else "0.25"
    change = filled(rows_of(bot)["o1"], qty, exchange_order_id=None, proof=proof("V1" if named else None, qty))
    heal(app, change, added(qty="0.5", proof=proof("X9" if named else None, "0.5")))
    after = bot.db.table("deals")
    revert(app, RUN, "wrong")
    now = bot.db.table("deals")
    assert repr([found for found in now if found["id"] != "IMPRT-1"]) == repr(before)
    assert [found["state"] for found in now if found["id"] == "IMPRT-1"] == ["canceled"]
    reapply(app, RUN, "right")
    assert repr(bot.db.table("deals")) == repr(after)


@pytest.mark.parametrize("name", [*BOTH, *SQLITE])
def test_an_attached_table_on_sqlite_gets_back_what_it_had(sqlite_bot: Bot, name: str) -> None:
    undone_form(sqlite_bot, {**BOTH, **SQLITE}[name])


@pytest.mark.postgres
@pytest.mark.parametrize("name", [*BOTH, *POSTGRES])
def test_an_attached_table_on_postgres_gets_back_what_it_had(postgres_bot: Bot, name: str) -> None:
    undone_form(postgres_bot, {**BOTH, **POSTGRES}[name])


def test_a_column_without_a_type_gets_back_the_number_that_it_had(sqlite_bot: Bot) -> None:
    app = Form(qty="").attach(sqlite_bot).init()
    sqlite_bot.db.run("UPDATE deals SET state = 'new', amount = 0.5, cost = 7 WHERE id = 'o1'")
    look = "SELECT amount, typeof(amount) AS a, cost, typeof(cost) AS c FROM deals WHERE id = 'o1'"
    before = sqlite_bot.db.rows(look)
    assert (before[0]["a"], before[0]["c"]) == ("real", "integer")
    heal(app, filled(rows_of(sqlite_bot)["o1"], "0.25", exchange_order_id=None, proof=proof("V1", "0.25")))
    revert(app, RUN, "wrong")
    assert sqlite_bot.db.rows(look) == before


QTYS = st.sampled_from(["0.1", "1", "2", "0.000000000000000001", "1.500000000000000001"])


def test_reversible_any_mixture_of_heals_is_undone_to_the_last_digit_and_redone(bot: Bot) -> None:
    """Invariant 8 (Reversible)."""
    app = bot.init()
    heals = st.lists(
        st.tuples(
            st.sampled_from(["fill", "part", "cancel", "add"]), QTYS, st.sampled_from(["TRD-1", "TRD-2", None]),
            st.sampled_from(["new", "HELD", "Pending New"]), st.sampled_from([None, "qty"]),
            st.sampled_from([None, "0.30", "1e2"]),
        ),
        min_size=1, max_size=6,
    )  # fmt: skip
    runs = iter(range(10**6))

    @tries(20)
    @given(wanted=heals)
    def check(wanted: list[tuple[str, str, str | None, str, str | None, str | None]]) -> None:
        run = f"RUN-{next(runs)}"
        for name in ("orders", *DERIVED):
            bot.db.run(f"DELETE FROM {name}")
        bot.db.orders(*(
            {
                **working(order_id=f"{run}w{n}", status=status, order_qty=None, exchange_order_id=f"{run}X{n}"),
                "trade_id": trade, "price": price, "qty": qty, "quantity": qty if both else None,
            }
            for n, (_, qty, trade, status, both, price) in enumerate(wanted)
        ))  # fmt: skip
        before, rows, changes = orders(bot), rows_of(bot), []
        for n, (kind, qty, trade, *_) in enumerate(wanted):
            row_before, said = rows[f"{run}w{n}"], proof(f"{run}X{n}", qty)
            if kind == "cancel":
                changes.append(replace(canceled(row_before), proof=proof(f"{run}X{n}", None, None)))
            elif kind == "add":
                changes.append(added(f"{run}I{n}", qty, trade_id=trade, proof=proof(f"{run}Y{n}", qty)))
            else:
                status = "filled" if kind == "fill" else "partially_filled"
                changes.append(filled(row_before, qty, status, proof=said, exchange_order_id=None))
        assert not heal(app, *changes, run_id=run).stale
        after, derived = orders(bot), bot.db.derived()
        revert(app, run, "wrong")
        assert [found for found in orders(bot) if f"{run}I" not in found["order_id"]] == before
        assert {number(found["qty"]) for found in bot.db.table("positions")} <= {"0"}
        reapply(app, run, "right")
        assert orders(bot) == after
        assert bot.db.derived() == derived

    check()
    assert verify(app.journal.audit_rows()).ok
    assert json.loads(str(audited(app, "HEALED")[0]["metadata"]))["rule"]
