"""What is counted across runs and restarts: misses of an order, looks at a ghost, and what resets or holds them."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.ledger.bot import Bot, at, row, sold

from trueup.core.times import iso
from trueup.service.explain import explain
from trueup.service.open_trades import OpenTrades
from trueup.service.reconcile import ReconcileRequest, reconcile_account, run_reconcile
from trueup.service.reconcile_report import RunReport
from trueup.service.undo import reapply, revert

TAG = "bytelyst-p1-TRD-1-entry"
ENTRY = row("TRD-1", client_order_id=TAG, exchange_order_id="E1")
BOUGHT = sold("E1", side="buy", minute=0, client_order_id=TAG, filled_avg_price="100")
LOST = row("TRD-1", None, 5, status="new", action="EXIT", side="sell", exchange_order_id="L1", order_id="L", price=None)
HELD = [{"symbol": "BTC/USD", "qty": "1", "side": "long", "mark_price": "97"}]
PARTIAL = {"closed_orders": {"state": "partial", "reason": "page limit"}}


class Loop:
    """A bot's loop; each look is made by a program that was started anew, or by a worker with a `memory`."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.minute = 600.0
        self.memory: OpenTrades | None = None

    def look(self, *orders: Mapping[str, object], later: float = 1, **said: Any) -> RunReport:
        """Look at the venue, whose clock has gone on by some minutes; HELD is held unless told otherwise."""
        self.minute += later
        sections = {
            "positions": HELD,
            "open_orders": [],
            "as_of": iso(at(self.minute)),
            "closed_orders": [BOUGHT, *orders],
            **said,
        }
        self.bot.venue(**sections)
        app = self.bot.app()
        if self.memory is None:
            [run] = run_reconcile(app, ReconcileRequest()).runs
            return run
        with app.leases.hold("account:main", 0) as lease:
            assert lease is not None
            [run] = reconcile_account(app, "main", ReconcileRequest(), lease, self.memory).runs
        return run

    def counts(self, *orders: Mapping[str, object], **said: Any) -> list[tuple[str, str, int]]:
        run = self.look(*orders, **said)
        return [(r.kind, r.state.value, r.confirmations) for r in run.breaks]

    def status(self, order_id: str) -> str:
        return str(self.bot.db.value("SELECT status FROM orders WHERE order_id = :id", id=order_id))

    def booked(self) -> list[dict[str, Any]]:
        return self.bot.db.rows("SELECT * FROM orders WHERE order_id LIKE 'PRTY-%'")


@pytest.fixture
def loop(sqlite_bot: Bot) -> Loop:
    sqlite_bot.init()
    return Loop(sqlite_bot)


def missed(count: int, state: str = "waiting") -> list[tuple[str, str, int]]:
    return [("missing_from_exchange", state, count)]


def test_the_third_miss_cancels_an_order(loop: Loop) -> None:
    loop.bot.db.orders(ENTRY, LOST)
    assert loop.counts() == missed(1)
    assert loop.counts() == missed(2)
    assert loop.status("L") == "new"
    assert loop.counts() == missed(3, "healed")
    assert loop.status("L") == "canceled"
    assert loop.counts() == []


def test_a_miss_counts_only_on_a_newer_reading(loop: Loop) -> None:
    loop.bot.db.orders(ENTRY, LOST)
    assert [loop.counts(later=later) for later in (1, 0, 0, 0)] == [missed(1)] * 4
    assert loop.counts(later=-1) == missed(1)
    assert loop.counts(later=1) == missed(1)
    assert loop.counts() == missed(2)


def test_a_look_that_cannot_tell_holds_the_misses(loop: Loop) -> None:
    loop.bot.db.orders(ENTRY, LOST)
    assert loop.counts() == missed(1)
    run = loop.look(coverage=PARTIAL)
    assert run.status == "INCONCLUSIVE"
    assert [(r.state.value, r.confirmations) for r in run.breaks] == [("unresolved", 1)]
    assert loop.counts() == missed(2)
    assert loop.status("L") == "new"
    assert loop.counts() == missed(3, "healed")


def test_an_order_that_is_found_again_is_missed_anew_although_something_else_is_not_known(loop: Loop) -> None:
    unread = row("TRD-2", "1", symbol="ETH/USD", quantity="2", order_id="odd")
    loop.bot.db.orders(ENTRY, LOST, unread)
    misses = [("missing_from_exchange", "waiting", n) for n in (1, 2)]
    assert [misses[n] in loop.counts() for n in (0, 1)] == [True, True]
    there = sold("L1", "0", minute=5, status="new")
    assert ("missing_from_exchange", "resolved", 2) in loop.counts(open_orders=[there])
    assert misses[0] in loop.counts()
    assert loop.status("L") == "new"


def ghost(count: int, state: str = "waiting") -> list[tuple[str, str, int]]:
    return [("ghost_position", state, count)]


def test_the_third_look_at_a_ghost_closes_it_at_the_last_looks_time(loop: Loop) -> None:
    loop.bot.db.orders(ENTRY)
    assert loop.counts(positions=[]) == ghost(1)
    assert loop.counts(positions=[], later=0) == ghost(1)
    assert loop.counts(positions=[]) == ghost(2)
    assert loop.booked() == []
    assert loop.counts(positions=[]) == ghost(3, "healed")
    [made] = loop.booked()
    assert (made["timestamp"], made["trade_id"], made["action"], made["side"]) == (at(603), "TRD-1", "EXIT", "sell")
    assert loop.counts(positions=[]) == []


def test_a_clean_look_resets_a_ghosts_count(loop: Loop) -> None:
    loop.bot.db.orders(ENTRY)
    assert [loop.counts(positions=[]) for _ in range(2)] == [ghost(1), ghost(2)]
    assert loop.counts() == ghost(2, "resolved")
    assert loop.counts(positions=[]) == ghost(1)


def test_a_clean_look_resets_a_ghosts_count_although_something_else_is_not_known(loop: Loop) -> None:
    """Three looks in a row, or none: what else the look could not read says nothing of this symbol."""
    unread = row("TRD-2", "1", symbol="ETH/USD", quantity="2", order_id="odd")
    loop.bot.db.orders(ENTRY, unread)
    for n in (1, 2):
        assert ("ghost_position", "waiting", n) in loop.counts(positions=[])
    assert ("ghost_position", "resolved", 2) in loop.counts()
    assert ("ghost_position", "waiting", 1) in loop.counts(positions=[])
    assert loop.booked() == []


def test_looks_at_a_venue_that_holds_some_of_it_confirm_no_ghost(loop: Loop) -> None:
    """The break is the same; flat is what is to be confirmed."""
    loop.bot.db.orders(ENTRY)
    half = [{**HELD[0], "qty": "0.5"}]
    assert [loop.counts(positions=half) for _ in range(3)] == [ghost(0, "quarantined")] * 3
    assert loop.counts(positions=[]) == ghost(1)
    assert loop.counts(positions=[]) == ghost(2)
    assert loop.counts(positions=half) == ghost(0, "quarantined")
    assert loop.counts(positions=[]) == ghost(1)
    assert loop.booked() == []


@pytest.mark.parametrize("blind", [{"positions": None}, {"coverage": PARTIAL, "positions": []}])
def test_an_inconclusive_look_holds_a_ghosts_count(loop: Loop, blind: dict[str, Any]) -> None:
    loop.bot.db.orders(ENTRY)
    assert [loop.counts(positions=[]) for _ in range(2)] == [ghost(1), ghost(2)]
    assert loop.look(**blind).status == "INCONCLUSIVE"
    assert loop.booked() == []
    assert loop.counts(positions=[]) == ghost(3, "healed")


def test_a_ghost_without_a_tag_is_for_a_person(loop: Loop) -> None:
    loop.bot.db.orders(row("TRD-1"))
    states = [loop.look(positions=[], closed_orders=[]).breaks[0].state.value for _ in range(4)]
    assert states == ["waiting", "waiting", "quarantined", "quarantined"]
    assert loop.booked() == []


def test_what_an_operator_took_back_stays_taken_back(loop: Loop) -> None:
    loop.bot.db.orders({**ENTRY, "qty": "2", "quantity": "2"})
    grown = {**BOUGHT, "filled_qty": "2"}
    out = sold("X9", minute=9, client_order_id="bytelyst-p1-TRD-1-exit")
    run = loop.look(closed_orders=[grown, out])
    [heal] = run.heals
    assert heal.rule == "import"
    revert(loop.bot.app(), run.run_id, "it was another's")
    again = loop.look(closed_orders=[grown, out], positions=HELD)
    assert again.heals == []
    [held] = [record for record in again.breaks if record.exchange_order_id == "X9"]
    assert (held.kind, held.state.value) == ("status_mismatch", "quarantined")
    assert held.reason == "reverted_by_operator: an operator took this heal back"
    assert loop.status(heal.order_id) == "canceled"


def test_a_synthetic_exit_that_an_operator_took_back_is_not_booked_again(loop: Loop) -> None:
    """Not by itself, and not after the bot traded on; the ghost waits for a person."""
    loop.bot.db.orders(ENTRY)
    runs = [loop.look(positions=[]) for _ in range(3)]
    [exit_row] = loop.booked()
    revert(loop.bot.app(), runs[-1].run_id, "the coins are in another wallet")
    audit = loop.bot.db.table("reconciliation_backfill_audit")
    for _ in range(4):
        run = loop.look(positions=[])
        [ghost] = run.breaks
        assert (run.status, ghost.state.value) == ("MISMATCH", "quarantined")
        assert ghost.reason == "reverted_by_operator: an operator took its synthetic exit back"
    sale = {"minute": 604, "client_order_id": "bytelyst-p1-TRD-1-exit"}
    loop.bot.db.orders(row("TRD-1", "0.2", 604, action="EXIT", side="sell", exchange_order_id="X4"))
    for _ in range(4):
        loop.look(sold("X4", "0.2", **sale), positions=[])
    assert [found["status"] for found in loop.booked()] == ["canceled"]
    assert loop.booked()[0]["order_id"] == exit_row["order_id"]
    assert loop.bot.db.table("reconciliation_backfill_audit") == audit


def test_a_ghost_is_closed_on_the_whole_ledger_alone(loop: Loop) -> None:
    """A short that nets the long at the venue was committed late, with the time of its execution: nobody remembers."""
    loop.memory = OpenTrades("main")
    loop.bot.db.orders({**ENTRY, "updated_at": iso(at(0))})
    assert loop.look().status == "OK"
    passed = {"trade": "TRD-5", "price": "110", "updated_at": iso(at(590))}
    loop.bot.db.orders(row(minute=589, exchange_order_id="E5", **passed))
    loop.bot.db.orders(row(minute=590, exchange_order_id="X5", action="EXIT", side="sell", **passed))
    orders = [sold("E5", side="buy", minute=589), sold("X5", minute=590), sold("E9", minute=500)]
    assert loop.look(*orders[:2]).status == "OK"
    loop.bot.db.orders(
        row("TRD-9", minute=500, side="sell", price="110", exchange_order_id="E9", updated_at=iso(at(500)))
    )
    for _ in range(5):
        loop.look(*orders, positions=[])
    assert loop.booked() == []
    assert loop.look(*orders, positions=[]).status == "OK"


def test_a_real_exit_takes_the_synthetic_ones_place(loop: Loop) -> None:
    """The venue was slow to list the bot's exit, and the bot to write it; what an operator put back stays."""
    loop.bot.db.orders(ENTRY)
    for _ in range(3):
        loop.look(positions=[])
    [exit_row] = loop.booked()
    out = sold("X3", minute=590, client_order_id="bytelyst-p1-TRD-1-exit")
    late = row("TRD-1", "1", 590, action="EXIT", side="sell", price="110", exchange_order_id="X3")
    loop.bot.db.orders(late)
    assert loop.look(out, positions=[], later=0.1).heals == []
    run = loop.look(out, positions=[])
    assert [(heal.rule, heal.order_id) for heal in run.heals] == [("synthetic_exit_superseded", exit_row["order_id"])]
    assert [found["status"] for found in loop.booked()] == ["canceled"]
    [closed] = loop.bot.db.table("trade_history")
    assert str(closed["exit_price"]) == "110"
    assert loop.look(out, positions=[]).status == "OK"
    revert(loop.bot.app(), run.run_id, "it was both")
    for _ in range(3):
        assert loop.look(out, positions=[]).heals == []
    assert [found["status"] for found in loop.booked()] == ["filled"]


@pytest.mark.parametrize(
    ("said", "late"),
    [
        ({}, {"exchange_order_id": "unheard of"}),
        ({}, {"qty": "0.4", "quantity": "0.4"}),
        ({"positions": [{"symbol": "BTC/USD", "qty": "-1", "side": "short"}]}, {}),
        ({"positions": None}, {}),
    ],
)
def test_a_synthetic_exit_stays_where_the_real_one_is_in_doubt(
    loop: Loop, said: dict[str, Any], late: dict[str, Any]
) -> None:
    loop.bot.db.orders(ENTRY)
    for _ in range(3):
        loop.look(positions=[])
    out = sold("X3", minute=590, client_order_id="bytelyst-p1-TRD-1-exit")
    left = row("TRD-1", "1", 590, action="EXIT", side="sell", price="110", exchange_order_id="X3")
    loop.bot.db.orders({**left, **late})
    for _ in range(3):
        loop.look(out, **{"positions": [], **said})
    assert [found["status"] for found in loop.booked()] == ["filled"]


@pytest.mark.parametrize("written", [True, False])
def test_an_average_price_without_end_is_rounded(loop: Loop, written: bool) -> None:
    """0.1 at 100 and 0.2 at 101: the audit takes no number of a hundred places."""
    if written:
        loop.bot.db.orders(row("TRD-1", "0.3", status="new", exchange_order_id="E1", order_id="R"))
    fills = [
        {"id": f"f{price}", "order_id": "E1", "symbol": "BTC/USD", "side": "buy", "qty": qty, "price": price,
         "filled_at": iso(at(0))}
        for qty, price in (("0.1", "100"), ("0.2", "101"))
    ]  # fmt: skip
    held = [{"symbol": "BTC/USD", "qty": "0.3", "side": "long"}]
    bought = {**BOUGHT, "filled_qty": "0.3"}
    run = loop.look(closed_orders=[bought], fills=fills, positions=held)
    assert [heal.rule for heal in run.heals] == ["filled_at_venue" if written else "import"]
    [found] = loop.bot.db.table("orders")
    assert str(found["price"]) == "100.666666666666666667"
    assert {str(said["filled_price"]) for said in loop.bot.db.table("reconciliation_backfill_audit")} == {
        "100.666666666666666667"
    }


def test_a_close_that_an_operator_took_back_is_theirs_until_they_put_it_back(loop: Loop) -> None:
    """It is neither booked again nor reported so; the trade stays a break, and an alert is not over."""
    loop.bot.db.orders(ENTRY)
    closed = [loop.look(positions=[]) for _ in range(3)][-1]
    assert (closed.status, closed.counts()["healed"]) == ("OK", 1)
    [made] = loop.booked()
    revert(loop.bot.app(), closed.run_id, "the mark was wrong")
    for _ in range(4):
        run = loop.look(positions=[])
        [held] = run.breaks
        assert (held.state.value, run.status) == ("quarantined", "MISMATCH")
        assert held.reason == "reverted_by_operator: an operator took its synthetic exit back"
        counts = run.counts()
        assert (counts["healed"], counts["parity_auto_closed_trades"], counts["parity_quarantined_trades"]) == (0, 0, 1)
    assert loop.status(made["order_id"]) == "canceled"
    said = [row["decision"] for row in loop.bot.app().journal.audit_of_trade("p1", "TRD-1")]
    assert said == ["PENDING_APPLY", "APPLIED", "REVERTED"]
    told = explain(loop.bot.app(), "TRD-1").as_json()
    assert [(one["order_id"], one["batch_id"]) for one in told["taken_back"]] == [(made["order_id"], closed.run_id)]
    [alert] = [a for a in loop.bot.app().outbox.page(10) if "ghost_position" in a.key and a.count >= 4]
    assert alert.severity.value != "resolved"

    reapply(loop.bot.app(), closed.run_id, "it was right after all")
    run = loop.look(positions=[])
    assert (run.status, [r.state.value for r in run.breaks]) == ("OK", ["resolved"])
    assert explain(loop.bot.app(), "TRD-1").taken_back == ()
    assert loop.status(made["order_id"]) == "filled"


def test_a_close_whose_row_stands_in_the_ledger_already_is_not_called_booked(loop: Loop) -> None:
    loop.bot.db.orders(ENTRY)
    for _ in range(3):
        loop.look(positions=[])
    [made] = loop.booked()
    loop.bot.db.run("UPDATE orders SET status = 'canceled' WHERE order_id = :id", {"id": made["order_id"]})
    runs = [loop.look(positions=[]) for _ in range(4)]
    assert [run.status for run in runs] == ["MISMATCH"] * 4
    [held] = runs[-1].breaks
    assert (held.state.value, held.reason.partition(":")[0]) == ("quarantined", "already_exists")
    assert runs[-1].counts()["healed"] == 0
    assert len(loop.bot.app().journal.audit_of_trade("p1", "TRD-1")) == 2
