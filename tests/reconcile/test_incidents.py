"""What happened to others: each test is one incident, told by a ledger, a venue, and what the loop makes of them."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.reconcile.places import Rules
from tests.reconcile.stage import FAILED, MINUTE, START, Stage, a_fill, a_row, an_order, tag

from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.core.repair.policy import Flatness
from trueup.core.snapshot import Coverage, Feed, FeedState
from trueup.service.cycle import ReconcileRequest
from trueup.sim.exchange import Exchange, Market
from trueup.sim.venue import SimVenue

ENTRY, EXIT = tag("TRD-1", "ENTRY"), tag("TRD-1", "EXIT")
BOUGHT = an_order("x1", "buy", "filled", "1", client_order_id=ENTRY)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_query_failure_read_as_flat(stage: Stage) -> None:
    """The position query failed and came back empty, for many cycles."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(BOUGHT, coverage={Feed.POSITIONS: FAILED})
    report = stage.cycles(6)
    assert stage.rows == {"r1": "filled 1"}
    assert report.status == "INCONCLUSIVE"
    assert stage.breaks == {}


def test_synthetic_fill_flattening_a_real_position(stage: Stage) -> None:
    """The venue holds what the ledger holds; two empty looks in between prove nothing."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(BOUGHT)
    stage.cycles(2)
    assert stage.breaks["ghost_position"] == "waiting"
    stage.venue(BOUGHT, held="1")
    assert stage.cycles(1).status == "OK"
    stage.venue(BOUGHT)
    stage.cycles(2)
    assert stage.rows == {"r1": "filled 1"}


def test_a_ghost_is_closed_after_so_many_looks(stage: Stage) -> None:
    """The counterpart: what is flat at every look is closed, at no price, and the next run has nothing to do."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(BOUGHT)
    stage.cycles(3)
    assert stage.rows == {"r1": "filled 1", "PRTY": "filled 1"}
    audit = stage.books.audit()
    assert stage.cycles(2).status == "OK"
    assert stage.books.audit() == audit


@pytest.mark.parametrize(("lag", "apart"), [(2, 0.5), (0, 0.1)])
def test_positions_that_are_older_than_the_entry(stage: Stage, lag: float, apart: float) -> None:
    """The venue's reading is two minutes old, or the venue itself is slow: three looks say flat of a new position."""
    stage.ledger(a_row("r1", "buy", "filled", minute=10, exchange_order_id="x1"))
    stage.venue()
    stage.cycles(3, apart=apart, lag=lag)
    assert stage.rows == {"r1": "filled 1"}
    stage.venue(BOUGHT, held="1")
    assert stage.cycles(1).status == "OK"
    assert stage.rows == {"r1": "filled 1"}


def test_a_new_position_pauses_nobody() -> None:
    """It is worth more than the profile may be off by, and the venue's reading is older than it."""
    stage = Stage(Rules(capital="100"))
    stage.ledger(a_row("r1", "buy", "filled", minute=10, exchange_order_id="x1"))
    stage.venue()
    stage.cycles(3, apart=0.1, lag=0.5)
    assert stage.app.modes.current() == {}
    assert stage.breaks == {}


def test_a_ghost_that_grew_is_confirmed_anew(stage: Stage) -> None:
    """What two looks said of one quantity is no proof of another one."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(BOUGHT)
    stage.cycles(2)
    stage.ledger(a_row("r3", "buy", "filled", minute=12, exchange_order_id="x3"))
    stage.venue(BOUGHT, an_order("x3", "buy", "filled", "1", minute=12, client_order_id=ENTRY))
    stage.cycles(1)
    assert stage.rows == {"r1": "filled 1", "r3": "filled 1"}
    stage.cycles(2)
    assert stage.rows == {"r1": "filled 1", "r3": "filled 1"}
    stage.cycles(1)
    assert stage.rows == {"r1": "filled 1", "r3": "filled 1", "PRTY": "filled 2"}


@pytest.mark.parametrize("asked", [{"profiles": ("p1",)}, {"trade_ids": ("TRD-1",)}])
@pytest.mark.parametrize("whose", ["p1", "p2"])
def test_run_about_a_part_of_an_account(stage: Stage, asked: dict[str, tuple[str, ...]], whose: str) -> None:
    """The account nets a long with a short that the ledger lacks, and the run is not about the short."""
    short = an_order("x2", "sell", "filled", "1", minute=2, client_order_id=tag("TRD-2", "ENTRY", whose))
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(BOUGHT, short)
    stage.cycles(5, ReconcileRequest(**asked))
    assert "PRTY" not in stage.rows
    assert stage.cycles(2).status == "OK"
    assert stage.rows == {"r1": "filled 1", "IMPRT": "filled 1"}


def test_partial_fill_and_position_double_counted(stage: Stage) -> None:
    """A partial fill is booked by what it executed, and not again when the rest comes."""
    stage.ledger(a_row("r1", "buy", "new", exchange_order_id="x1"))
    stage.venue(an_order("x1", "buy", "partially_filled", "0.4", client_order_id=ENTRY), held="0.4")
    stage.cycles()
    assert stage.rows == {"r1": "partially_filled 0.4"}
    stage.venue(BOUGHT, held="1")
    assert stage.cycles(2).status == "OK"
    assert stage.rows == {"r1": "filled 1"}


def test_fast_filled_order_marked_rejected(stage: Stage) -> None:
    """The order filled before the bot's request returned with an error."""
    stage.ledger(a_row("r1", "buy", "rejected", exchange_order_id="x1"))
    stage.venue(BOUGHT, held="1")
    stage.cycles()
    assert stage.rows == {"r1": "filled 1"}


def test_time_out_taken_as_cancel(stage: Stage) -> None:
    """The bot never heard of its order again: it is not canceled while the venue may know it."""
    stage.ledger(a_row("r1", "buy", "pending_new", minute=10))
    stage.venues["main"].down = True
    stage.cycles(4)
    assert stage.rows == {"r1": "pending_new 1"}
    stage.venues["main"].down = False
    stage.venues["main"].forgotten = (an_order("x1", "buy", "filled", "1", minute=10, client_order_id=ENTRY),)
    stage.venue(held="1", coverage={Feed.CLOSED_ORDERS: Coverage(FeedState.COMPLETE, since_ms=START)})
    stage.cycles()
    assert stage.rows == {"r1": "filled 1"}


def test_order_that_never_reached_the_venue(stage: Stage) -> None:
    """The counterpart: what the venue, asked for it, does not know three times is canceled."""
    stage.ledger(a_row("r1", "buy", "pending_new"))
    stage.cycles(2)
    assert stage.rows == {"r1": "pending_new 1"}
    assert stage.breaks == {"missing_from_exchange": "waiting"}
    stage.cycles()
    assert stage.rows == {"r1": "canceled 1"}


def test_restart_duplicating(stage: Stage) -> None:
    """After a restart the bot wrote a second row of the same order: the later one gives way."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "buy", "filled", minute=1, exchange_order_id="x1"))
    stage.venue(BOUGHT, held="1")
    assert stage.cycles(2).status == "OK"
    assert stage.rows == {"r1": "filled 1", "r2": "canceled 1"}


def test_replayed_fill_booked_three_times(stage: Stage) -> None:
    """The stream replayed a fill, and each time the bot booked it."""
    stage.ledger(*(a_row(f"r{n}", "buy", "filled", minute=n, exchange_order_id="x1") for n in (1, 2, 3)))
    stage.venue(BOUGHT, held="1")
    stage.cycles()
    assert stage.rows == {"r1": "filled 1", "r2": "canceled 1", "r3": "canceled 1"}


def test_replayed_fill_with_other_numbers(stage: Stage) -> None:
    """Where the rows differ, which of them is wrong cannot be told."""
    stage.ledger(a_row("r1", "buy", "filled", "1", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "buy", "filled", "0.4", minute=1, exchange_order_id="x1"))
    stage.venue(BOUGHT, held="1")
    stage.cycles(6)
    assert stage.rows == {"r1": "filled 1", "r2": "filled 0.4"}
    assert stage.breaks["duplicate"] == "quarantined"


def test_a_fill_that_is_newer_than_the_venue_s_reading(stage: Stage) -> None:
    """A row for each fill, of one size: the second is no double of the first because the venue's reading lacks it."""
    stage.ledger(a_row("r1", "buy", "filled", "0.5", minute=1, exchange_order_id="x1"))
    stage.ledger(a_row("r2", "buy", "filled", "0.5", minute=11, exchange_order_id="x1"))
    stage.venue(an_order("x1", "buy", "partially_filled", "0.5", minute=1, client_order_id=ENTRY), held="0.5")
    stage.cycles(1, lag=0.1)
    assert stage.rows == {"r1": "filled 0.5", "r2": "filled 0.5"}
    stage.venue(an_order("x1", "buy", "filled", "1", minute=11, client_order_id=ENTRY), held="1")
    assert stage.cycles().status == "OK"
    assert stage.rows == {"r1": "filled 0.5", "r2": "filled 0.5"}


def test_doubles_of_an_order_that_may_still_fill(stage: Stage) -> None:
    """The rows have the order's time, not the fills': a double is one only if the venue says so look after look."""
    stage.ledger(a_row("r1", "buy", "filled", "0.5", exchange_order_id="x1"))
    for count in range(1, 6):
        stage.ledger(a_row(f"f{count}", "buy", "filled", "0.5", exchange_order_id="x1"))
        executed = str(count * Decimal("0.5"))
        stage.venue(an_order("x1", "buy", "partially_filled", executed, client_order_id=ENTRY), held=executed)
        stage.cycles()
    assert set(stage.rows.values()) == {"filled 0.5"}
    assert stage.breaks["duplicate"] == "waiting"
    assert stage.cycles(3).status == "OK"
    assert sorted(stage.rows.values()) == ["canceled 0.5"] + ["filled 0.5"] * 5


def test_difference_of_an_order_in_two_trades(stage: Stage) -> None:
    """Whose the rest is, nobody knows."""
    stage.ledger(a_row("r1", "buy", "filled", "0.5", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "buy", "filled", "0.3", exchange_order_id="x1", trade_id="TRD-2", profile_id="p2"))
    stage.venue(an_order("x1", "buy", "filled", "1"), held="1")
    stage.cycles(2)
    assert stage.rows == {"r1": "filled 0.5", "r2": "filled 0.3"}
    assert stage.breaks["quantity_mismatch"] == "quarantined"


def test_broker_view_omitting_an_asset(stage: Stage) -> None:
    """The list of positions lacks a coin whose balance the account has."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(BOUGHT, balances={"BTC": START * 0 + 1, "USD": 1000})
    assert stage.cycles(6).status == "INCONCLUSIVE"
    assert stage.rows == {"r1": "filled 1"}


@pytest.mark.parametrize("symbol", ["BTCUSD_PERP", "tBTCUSD", "BTC/USDC"])
def test_symbol_that_the_venue_calls_otherwise(stage: Stage, symbol: str) -> None:
    """The venue lists the entry, and holds the position, under a name that is not the ledger's."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1", symbol=symbol))
    stage.venue(BOUGHT, held="1")
    report = stage.cycles(6)
    assert stage.rows == {"r1": "filled 1"}
    assert report.status == "INCONCLUSIVE"


def test_order_id_that_another_symbol_has_too(stage: Stage) -> None:
    """Some venues count the orders of each symbol by themselves: such an id says nothing."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(
        an_order("x1", "buy", "filled", "3", symbol="ETH/USD"), an_order("x1", "sell", "filled", "1", symbol="A/B")
    )
    stage.cycles(4)
    assert stage.rows == {"r1": "filled 1", "PRTY": "filled 1"}


@pytest.mark.parametrize(
    "named",
    [
        {"exchange_order_id": "fill-77"}, {"exchange_order_id": ENTRY, "client_order_id": None},
        {"exchange_order_id": "X1"}, {"exchange_order_id": "BTCUSD-x1"}, {"client_order_id": None},
        {"client_order_id": "the bot's own"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("parts", [("1",), ("0.4", "0.6")])
def test_rows_that_name_their_order_otherwise(
    stage: Stage, named: dict[str, str | None], parts: tuple[str, ...]
) -> None:
    """The entry stands in the ledger; other coins of the account leave room for it to be booked once more."""
    rows = [a_row(f"r{qty}", "buy", "filled", qty, **{"exchange_order_id": None, **named}) for qty in parts]
    stage.ledger(*rows)
    stage.venue(BOUGHT, held="6")
    stage.cycles(4)
    assert stage.rows == {f"r{qty}": f"filled {qty}" for qty in parts}
    assert stage.breaks["missing_in_db"] == "quarantined"


@pytest.mark.parametrize(
    ("late", "word", "executed"),
    [
        ("new 1", "new", "0"), ("new 1", "partially_filled", "0.4"), ("new 1", "filled", "1"),
        ("partially_filled 0.4", "partially_filled", "0.4"), ("partially_filled 0.3", "partially_filled", "0.4"),
        ("partially_filled 0.4", "filled", "1"),
    ],
)  # fmt: skip
def test_late_row_of_an_order_that_was_imported(stage: Stage, late: str, word: str, executed: str) -> None:
    """The bot writes its row after all, and then falls silent: it stands, whole, and nothing is booked twice."""
    status, qty = late.split()
    order = an_order("x1", "buy", word, executed, client_order_id=ENTRY)
    stage.venue(order, held=executed)
    assert stage.cycles().status == "OK"
    stage.ledger(a_row("r1", "buy", status, qty, exchange_order_id="x1"))
    assert stage.cycles(2).status == "OK"
    booked = [text for text in stage.rows.values() if text.startswith(("filled", "partially"))]
    assert booked == ([f"{word} {executed}"] if executed != "0" else [])
    stage.venue(BOUGHT, held="1")
    assert stage.cycles(2).status == "OK"
    assert sorted(text for text in stage.rows.values() if text.startswith("filled")) == ["filled 1"]


def test_late_row_that_knows_more_than_the_venue_s_reading(stage: Stage) -> None:
    """What the bot's row says already is not taken from it."""
    stage.venue(an_order("x1", "buy", "partially_filled", "0.4", client_order_id=ENTRY), held="0.4")
    stage.cycles()
    stage.ledger(a_row("r1", "buy", "partially_filled", "0.7", exchange_order_id="x1"))
    stage.cycles()
    assert stage.rows == {"IMPRT": "canceled 0.4", "r1": "partially_filled 0.7"}


@pytest.mark.parametrize("flatness", list(Flatness))
@pytest.mark.parametrize(("held", "left"), [("0.0005", True), ("0.0004995", True), ("0.0001", False), (None, False)])
def test_position_as_small_as_dust(flatness: Flatness, held: str | None, left: bool) -> None:
    """Half a thousandth of a bitcoin is a position for some: what the venue holds of it is not written off."""
    stage = Stage(Rules(flatness=flatness))
    stage.ledger(a_row("r1", "buy", "filled", "0.0005", exchange_order_id="x1"))
    stage.venue(an_order("x1", "buy", "filled", "0.0005", client_order_id=ENTRY), held=held)
    stage.cycles(3)
    assert ("BFILL" not in stage.rows) == left


def test_manual_close_outside_the_bot(stage: Stage) -> None:
    """A person sold the position: the order is never adopted, and the ghost is closed once it is confirmed."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(BOUGHT, an_order("x9", "sell", "filled", "1", minute=5))
    stage.cycles(3)
    assert stage.rows == {"r1": "filled 1", "PRTY": "filled 1"}
    assert stage.breaks == {"orphan_order": "quarantined"}


def test_manual_close_of_an_untagged_trade(stage: Stage) -> None:
    """Where no tag says that the bot entered it, a person decides."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1", client_order_id=None))
    stage.venue(an_order("x1", "buy", "filled", "1"))
    stage.cycles(6)
    assert stage.rows == {"r1": "filled 1"}
    assert stage.breaks == {"ghost_position": "quarantined"}


def test_manual_close_of_one_of_two_trades(stage: Stage) -> None:
    """The venue still holds half: which trade is gone cannot be told."""
    other = tag("TRD-2", "ENTRY", "p2")
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "buy", "filled", exchange_order_id="x2", profile_id="p2", trade_id="TRD-2"))
    stage.venue(BOUGHT, an_order("x2", "buy", "filled", "1", client_order_id=other), held="1")
    stage.cycles(6)
    assert stage.rows == {"r1": "filled 1", "r2": "filled 1"}
    assert stage.breaks["ghost_position"] == "quarantined"


def test_long_and_short_at_a_flat_venue(stage: Stage) -> None:
    """A venue that nets them is flat with both open; when one more is gone, which it is cannot be told."""
    stage.ledger(a_row("r1", "buy", "filled", "2", exchange_order_id="x1"))
    stage.ledger(
        a_row("r2", "sell", "filled", exchange_order_id="x2", profile_id="p2", trade_id="TRD-2", action="ENTRY")
    )
    short = an_order("x2", "sell", "filled", "1", client_order_id=tag("TRD-2", "ENTRY", "p2"))
    stage.venue(an_order("x1", "buy", "filled", "2", client_order_id=ENTRY), short)
    stage.cycles(6)
    assert stage.rows == {"r1": "filled 2", "r2": "filled 1"}
    assert stage.breaks == {"ghost_position": "quarantined"}


def test_liquidation(stage: Stage) -> None:
    """The venue closed the position by an order of its own."""
    forced = an_order("x9", "sell", "filled", "1", minute=5, client_order_id="autoclose-1")
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(BOUGHT, forced)
    stage.cycles(4)
    assert stage.rows == {"r1": "filled 1", "PRTY": "filled 1"}
    assert stage.breaks == {"orphan_order": "quarantined"}


def test_two_accounts_with_one_symbol() -> None:
    """What one account holds says nothing about the other, not even where their order ids are the same."""
    stage = Stage(profiles={"p1": "main", "p2": "other"})
    stage.ledger(a_row("r1", "buy", "new", exchange_order_id="7"))
    stage.ledger(a_row("r2", "buy", "new", exchange_order_id="7", profile_id="p2", trade_id="TRD-2"))
    stage.venue(an_order("7", "buy", "filled", "1", client_order_id=ENTRY), held="1")
    stage.venue(an_order("7", "buy", "canceled", client_order_id=tag("TRD-2", "ENTRY", "p2")), account="other")
    stage.cycles()
    assert stage.rows == {"r1": "filled 1", "r2": "canceled 1"}


def test_two_profiles_of_one_account(stage: Stage) -> None:
    """One position, two trades: a missed exit of one is booked, and the other one's stays."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "buy", "filled", exchange_order_id="x2", profile_id="p2", trade_id="TRD-2"))
    orders = [BOUGHT, an_order("x2", "buy", "filled", "1", client_order_id=tag("TRD-2", "ENTRY", "p2"))]
    stage.venue(*orders, an_order("x3", "sell", "filled", "1", minute=5, client_order_id=EXIT), held="1")
    assert stage.cycles(2).status == "OK"
    assert stage.rows == {"r1": "filled 1", "r2": "filled 1", "IMPRT": "filled 1"}


def test_fill_arriving_before_its_order(stage: Stage) -> None:
    """The venue tells fills before it lists their order: nobody can say whose they are, until it does."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    early = a_fill("f1", "x3", "sell", "1", minute=10.9)
    stage.venue(BOUGHT, fills=(a_fill("f0", "x1", "buy", "1"), early))
    stage.cycles()
    assert stage.rows == {"r1": "filled 1"}
    sold = an_order("x3", "sell", "filled", "1", minute=10.9, client_order_id=EXIT)
    stage.venue(BOUGHT, sold, fills=(a_fill("f0", "x1", "buy", "1"), early))
    assert stage.cycles(2).status == "OK"
    assert stage.rows == {"r1": "filled 1", "IMPRT": "filled 1"}


def test_dns_outage_leaving_a_position_with_no_fills_in_the_ledger(stage: Stage) -> None:
    """The bot sent orders and lost the network: none of it is in the ledger, and all of it is tagged."""
    stage.venues["main"].down = True
    stage.cycles(3)
    assert stage.rows == {}
    stage.venues["main"].down = False
    stage.venue(BOUGHT, held="1")
    assert stage.cycles(2).status == "OK"
    assert stage.rows == {"IMPRT": "filled 1"}


def test_dns_outage_with_untagged_orders(stage: Stage) -> None:
    """Without a tag the position is told, and never adopted."""
    stage.venue(an_order("x1", "buy", "filled", "1"), held="1")
    stage.cycles(6)
    assert stage.rows == {}
    assert stage.breaks == {"orphan_order": "quarantined", "unbooked_position": "quarantined"}


# What random histories broke


def test_row_without_an_id_is_not_booked_a_second_time(stage: Stage) -> None:
    """The bot booked an entry and lost its ids, and an exit is missing as well, which makes room for another entry."""
    stage.ledger(a_row("r1", "buy", "filled", "2", client_order_id=None))
    stage.ledger(a_row("r2", "buy", "filled", "1", exchange_order_id="x2", profile_id="p2", trade_id="TRD-2"))
    stage.venue(
        an_order("x1", "buy", "filled", "2", client_order_id=ENTRY),
        an_order("x2", "buy", "filled", "1", client_order_id=tag("TRD-2", "ENTRY", "p2")),
        an_order("x3", "buy", "filled", "2"), held="5",
    )  # fmt: skip
    stage.cycles(6)
    assert stage.rows == {"r1": "filled 2", "r2": "filled 1"}
    assert stage.breaks["missing_in_db"] == "quarantined"


def test_exit_that_leads_away_from_the_venue_is_not_backfilled_either(stage: Stage) -> None:
    """The venue closed all by force: what a missed exit of the short trade would add, only a person can place."""
    stage.ledger(a_row("r1", "buy", "filled", "2", exchange_order_id="x1"))
    short = {"profile_id": "p2", "trade_id": "TRD-2"}
    stage.ledger(a_row("r2", "sell", "filled", exchange_order_id="x2", action="ENTRY", **short))
    stage.ledger(a_row("r3", "buy", "canceled", minute=5, exchange_order_id="x3", action="EXIT", **short))
    stage.venue(
        an_order("x1", "buy", "filled", "2", client_order_id=ENTRY),
        an_order("x2", "sell", "filled", "1", client_order_id=tag("TRD-2", "ENTRY", "p2")),
        an_order("x3", "buy", "filled", "1", minute=5, client_order_id=tag("TRD-2", "EXIT", "p2")),
        an_order("x9", "sell", "filled", "2", minute=6, client_order_id="autoclose-1"),
    )  # fmt: skip
    stage.cycles(5)
    assert stage.rows == {"r1": "filled 2", "r2": "filled 1", "r3": "canceled 1"}
    assert stage.breaks["status_mismatch"] == "quarantined"


def test_replaced_order_that_may_have_carried_its_executions_is_told(stage: Stage) -> None:
    """Without fills nobody can say whether 0.3 or 0.6 was bought, and the venue holds 0.6."""
    stage.ledger(a_row("r1", "buy", "canceled", "0.3", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "buy", "partially_filled", "0.3", minute=1, exchange_order_id="x2"))
    old = an_order("x1", "buy", "replaced", "0.3", client_order_id=ENTRY, replaced_by="x2")
    new = an_order("x2", "buy", "partially_filled", "0.3", minute=1, client_order_id=ENTRY, replaces="x1")
    stage.venue(old, new, held="0.6")
    stage.cycles(4)
    assert stage.rows == {"r1": "canceled 0.3", "r2": "partially_filled 0.3"}
    assert stage.breaks == {"unbooked_position": "quarantined", "quantity_mismatch": "quarantined"}
    stage.venue(old, new, held="0.3")
    assert stage.cycles().status == "OK"
    assert stage.breaks == {}


def test_order_that_an_unfound_row_may_book_is_not_guessed_by_the_backfill(stage: Stage) -> None:
    """Only its fill is listed, and a row books the rest of it under a client order id that the venue does not list."""
    backfill = stage.app.backfill
    policy = replace(backfill.policy, strong_attribution=False, heuristic_match=True)
    stage.app = replace(stage.app, backfill=replace(backfill, policy=policy))
    stage.ledger(a_row("r1", "buy", "filled", "1.6", exchange_order_id="x1"))
    stage.ledger(a_row("x2", "sell", "filled", "0.4", minute=5, client_order_id=None))
    stage.ledger(a_row("r3", "sell", "filled", "0.6", minute=5))
    bought = an_order("x1", "buy", "filled", "1.6", client_order_id=ENTRY)
    stage.venue(bought, fills=(a_fill("f1", "x1", "buy", "1.6"), a_fill("f2", "x2", "sell", "1", minute=5)))
    stage.cycles(4)
    assert stage.rows == {"r1": "filled 1.6", "x2": "filled 0.4", "r3": "filled 0.6"}


def test_part_of_an_exit_without_an_id_is_not_booked_a_second_time(stage: Stage) -> None:
    """The bot wrote the exit's first fill and no id, and beside it a row with the id that it left at that."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "sell", "partially_filled", "0.3", minute=5, client_order_id=None))
    stage.ledger(a_row("r2+", "sell", "new", "0.5", minute=5, exchange_order_id="x2"))
    stage.ledger(a_row("r4", "buy", "filled", exchange_order_id="x4", profile_id="p2", trade_id="TRD-2"))
    stage.venue(
        BOUGHT, an_order("x2", "sell", "filled", "0.5", minute=6, client_order_id=EXIT),
        an_order("x4", "buy", "filled", "1", client_order_id=tag("TRD-2", "ENTRY", "p2")),
        an_order("x5", "sell", "filled", "0.5", minute=6), held="1",
    )  # fmt: skip
    stage.cycles(5)
    assert stage.rows == {"r1": "filled 1", "r2": "partially_filled 0.3", "r2+": "new 0.5", "r4": "filled 1"}
    assert stage.breaks["status_mismatch"] == "quarantined"


def test_order_in_dispute_keeps_ghosts_open(stage: Stage) -> None:
    """As long as a booked fill is in dispute, what is open of the symbol is not known."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "buy", "filled", "0.4", minute=1, exchange_order_id="x1"))
    stage.venue(BOUGHT)
    stage.cycles(6)
    assert stage.rows == {"r1": "filled 1", "r2": "filled 0.4"}
    assert stage.breaks == {"duplicate": "quarantined", "ghost_position": "waiting"}


def test_second_exit_with_the_first_ones_client_order_id(stage: Stage) -> None:
    """Bots name their exits alike, one after the other: the new exit is not the old one that has filled."""
    stage.ledger(a_row("r1", "buy", "filled", "2", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "sell", "filled", "1", minute=5))
    stage.ledger(a_row("r3", "sell", "new", "1", minute=10.9))
    first = an_order("x2", "sell", "filled", "1", minute=5, client_order_id=EXIT)
    stage.venue(an_order("x1", "buy", "filled", "2", client_order_id=ENTRY), first, held="1")
    stage.cycles()
    assert stage.rows == {"r1": "filled 2", "r2": "filled 1", "r3": "new 1"}


def test_exit_named_like_its_entry(stage: Stage) -> None:
    """Client order ids without an ending name entry and exit alike: a side tells them apart."""
    bare = "bot-p1-TRD-1"
    stage.ledger(a_row("r1", "buy", "filled", client_order_id=bare))
    stage.ledger(a_row("r2", "sell", "new", minute=10.5, client_order_id=bare))
    stage.venue(an_order("x1", "buy", "filled", "1", client_order_id=bare), held="1")
    stage.cycles()
    assert stage.rows == {"r1": "filled 1", "r2": "new 1"}


def test_twins_by_client_order_id_alone_are_not_duplicates(stage: Stage) -> None:
    """Two exits of one size and price under one name; the venue lists one, and the other may be missing there."""
    stage.ledger(a_row("r1", "buy", "filled", "2", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "sell", "filled", "1", minute=5), a_row("r3", "sell", "filled", "1", minute=6))
    first = an_order("x2", "sell", "filled", "1", minute=5, client_order_id=EXIT)
    stage.venue(an_order("x1", "buy", "filled", "2", client_order_id=ENTRY), first, held="1")
    stage.cycles(6)
    assert stage.rows == {"r1": "filled 2", "r2": "filled 1", "r3": "filled 1"}
    assert stage.breaks["duplicate"] == "quarantined"


def test_own_id_says_more_than_a_client_order_id(stage: Stage) -> None:
    """A bot whose row ids are the venue's reuses its client order id: each row is about the order of its id."""
    stage.ledger(a_row("r1", "buy", "filled", "2", exchange_order_id="x1"))
    stage.ledger(a_row("x2", "sell", "filled", "1", minute=5), a_row("x3", "sell", "new", "1", minute=6))
    stage.venue(
        an_order("x1", "buy", "filled", "2", client_order_id=ENTRY),
        an_order("x2", "sell", "filled", "1", minute=5, client_order_id=EXIT),
        an_order("x3", "sell", "filled", "1", minute=7, client_order_id=EXIT),
    )  # fmt: skip
    assert stage.cycles(2).status == "OK"
    assert stage.rows == {"r1": "filled 2", "x2": "filled 1", "x3": "filled 1"}


def test_lost_entry_of_a_trade_whose_other_order_works(stage: Stage) -> None:
    """A trade of which nothing is booked yet is not a closed one."""
    stage.ledger(a_row("r2", "buy", "new", "1", minute=5, exchange_order_id="x2"))
    working = an_order("x2", "buy", "new", minute=5, client_order_id=ENTRY)
    stage.venue(BOUGHT, working, held="1")
    assert stage.cycles(2).status == "OK"
    assert stage.rows == {"r2": "new 1", "IMPRT": "filled 1"}


def test_dry_run_of_the_heartbeat_confirms_and_closes_nothing() -> None:
    stage = Stage(Rules(loop=ReconcilePolicy(parity_dry_run=True)))
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.venue(BOUGHT)
    stage.cycles(5)
    assert stage.rows == {"r1": "filled 1"}
    assert stage.breaks == {"ghost_position": "confirmed"}
    assert stage.books.audit() == []


def test_simulated_venue_with_contracts_lists_its_coins_too() -> None:
    """Beside positions nobody looks at a balance."""
    from trueup.core.holdings import Holdings
    from trueup.sim.exchange import Kind, OrderRequest, Side

    exchange = Exchange(START, ids="per_symbol")
    exchange.open_account("main")
    exchange.deposit("main", "USD", "1000")
    exchange.list_market(Market(symbol="BTC/USD", base="BTC", quote="USD"), "100")
    exchange.list_market(Market(symbol="ETHUSDT", base="ETH", quote="USDT", kind=Kind.LINEAR), "50")
    exchange.submit("main", OrderRequest(symbol="BTC/USD", side=Side.BUY, qty=exchange.prices["BTC/USD"] / 100))
    assert Holdings(SimVenue(exchange, "main").read()).of("BTC/USD").signed == 1


def test_minutes_are_what_they_say() -> None:
    assert an_order("x", "buy", "new", minute=1).time_ms == START + MINUTE
