"""The loop's decision table: the design's rows literally, every pair of states, and which row comes first."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from tests.core.reconcile.looking import added, buy, findings, found, only, tag
from tests.core.world import PARTIAL, World, at, entry, fill, leave, reaches, row

from trueup.core.breaks import BreakKind
from trueup.core.orders import DEAD, FILLED, WORKING, LedgerOrder, Side, StatusClass
from trueup.core.reconcile.comparing import OTHERS_UNLISTED
from trueup.core.reconcile.matching import Standing
from trueup.core.reconcile.table import TABLE, Booked, Do, Facts, Rule, rule_for

VENUE_WORDS = {
    "working": {"status": "new", "working": True},
    "canceled": {"status": "canceled"},
    "expired": {"status": "expired"},
    "rejected": {"status": "rejected"},
    "filled": {"status": "filled"},
    "replaced": {"status": "replaced", "replaced_by": "Y"},
    "a word that nobody knows": {"status": "calculated"},
}  # fmt: skip
QUANTITIES = {"none": "0", "less": "0.4", "as much": "0.7", "more": "1"}


def facts(ledger: Booked, venue: Standing, booked: str = "0", executed: str = "0", **said: object) -> Facts:
    return Facts(ledger, venue, Decimal(booked), Decimal(executed), **said)


def decided(ledger: Booked, venue: Standing, booked: str = "0", executed: str = "0", **said: object) -> tuple[str, Do]:
    rule = rule_for(facts(ledger, venue, booked, executed, **said))
    return rule.name, rule.do


def kind_of(ledger: Booked, venue: Standing, booked: str = "0", executed: str = "0", **said: object) -> object:
    return rule_for(facts(ledger, venue, booked, executed, **said)).kind


# Eleven rows of the design, each as it stands there.


def test_working_and_more_filled_books_the_fill() -> None:
    for ledger, venue in product((Booked.WORKING, Booked.PARTIAL), (Standing.WORKING, Standing.UNKNOWN)):
        booked = "0" if ledger is Booked.WORKING else "0.4"
        assert decided(ledger, venue, booked, "0.5") == ("partial_fill", Do.BOOK)
        assert kind_of(ledger, venue, booked, "0.5") is BreakKind.QUANTITY_MISMATCH


def test_working_and_filled_books_the_fill_and_closes_the_order() -> None:
    for ledger in (Booked.WORKING, Booked.PARTIAL):
        assert decided(ledger, Standing.FILLED, "0.4", "1") == ("filled_at_venue", Do.BOOK_AND_CLOSE)
        assert kind_of(ledger, Standing.FILLED, "0.4", "1") is BreakKind.STATUS_MISMATCH
    assert decided(Booked.PARTIAL, Standing.FILLED, "1", "1") == ("closed_at_venue", Do.BOOK_AND_CLOSE)
    assert kind_of(Booked.PARTIAL, Standing.FILLED, "1", "1") is BreakKind.STATUS_MISMATCH


def test_working_and_dead_with_executions_books_them_and_closes_the_order() -> None:
    assert decided(Booked.WORKING, Standing.DEAD, "0", "0.4") == ("dead_with_executions", Do.BOOK_AND_CLOSE)
    assert decided(Booked.PARTIAL, Standing.DEAD, "0.4", "0.4") == ("dead_with_executions", Do.BOOK_AND_CLOSE)
    assert decided(Booked.PARTIAL, Standing.DEAD, "0.4", "0.5") == ("dead_with_executions", Do.BOOK_AND_CLOSE)
    assert kind_of(Booked.WORKING, Standing.DEAD, "0", "0.4") is BreakKind.STATUS_MISMATCH


def test_working_and_dead_with_none_executed_releases_the_reservation() -> None:
    assert decided(Booked.WORKING, Standing.DEAD) == ("dead_at_venue", Do.CANCEL)
    assert kind_of(Booked.WORKING, Standing.DEAD) is BreakKind.STATUS_MISMATCH
    assert decided(Booked.WORKING, Standing.DEAD, "0.4", "0.4") == ("dead_at_venue", Do.CANCEL)
    assert decided(Booked.WORKING, Standing.FILLED, "0.4", "0.4") == ("dead_at_venue", Do.CANCEL)


def test_working_and_replaced_by_an_order_that_is_not_listed_is_unresolved() -> None:
    for ledger in (Booked.WORKING, Booked.PARTIAL):
        assert decided(ledger, Standing.REPLACED, "0", "0.4") == ("replaced_by_unlisted", Do.UNRESOLVED)
        assert decided(ledger, Standing.REPLACED) == ("replaced_by_unlisted", Do.UNRESOLVED)
        assert kind_of(ledger, Standing.REPLACED) is BreakKind.STATUS_MISMATCH


def test_working_and_not_found_waits_then_is_unresolved_or_asked_for() -> None:
    gone = Standing.NOT_FOUND
    assert decided(Booked.WORKING, gone, settled=False, covered=False, named=False) == ("settling", Do.WAIT)
    assert kind_of(Booked.WORKING, gone, settled=False) is None
    assert decided(Booked.WORKING, gone, covered=False, named=False) == ("not_found_unknown", Do.UNRESOLVED)
    assert decided(Booked.WORKING, gone, named=False) == ("no_id_to_ask_for", Do.QUARANTINE)
    assert decided(Booked.WORKING, gone) == ("not_found", Do.ASK)
    for said in ({"covered": False}, {"named": False}, {}):
        assert kind_of(Booked.WORKING, gone, **said) is BreakKind.MISSING_FROM_EXCHANGE


def test_dead_in_the_ledger_and_filled_is_a_missed_fill() -> None:
    for venue in (Standing.FILLED, Standing.DEAD):
        assert decided(Booked.DEAD, venue, "0", "0.4") == ("missed_fill", Do.BOOK_AND_CLOSE)
    for venue in (Standing.WORKING, Standing.REPLACED, Standing.UNKNOWN):
        assert decided(Booked.DEAD, venue, "0", "0.4") == ("missed_partial_fill", Do.BOOK)
    assert {kind_of(Booked.DEAD, v, "0", "1") for v in (Standing.FILLED, Standing.WORKING)} == {
        BreakKind.STATUS_MISMATCH
    }


def test_filled_and_more_filled_books_the_difference() -> None:
    for venue in (Standing.FILLED, Standing.DEAD, Standing.WORKING, Standing.UNKNOWN, Standing.REPLACED):
        assert decided(Booked.FILLED, venue, "0.4", "1") == ("difference", Do.BOOK_DIFFERENCE)
    assert kind_of(Booked.FILLED, Standing.FILLED, "0.4", "1") is BreakKind.QUANTITY_MISMATCH


def test_filled_and_fewer_filled_is_a_phantom_fill_that_is_never_undone() -> None:
    for ledger in (Booked.FILLED, Booked.PARTIAL):
        for venue, executed in product((Standing.FILLED, Standing.DEAD, Standing.WORKING), ("0", "0.4")):
            assert decided(ledger, venue, "1", executed) == ("phantom_fill", Do.QUARANTINE)
            assert kind_of(ledger, venue, "1", executed) is BreakKind.PHANTOM_FILL
        assert decided(ledger, Standing.NOT_FOUND, "1") == ("phantom_fill", Do.QUARANTINE)
        assert decided(ledger, Standing.NOT_FOUND, "1", covered=False) == ("not_found_unknown", Do.UNRESOLVED)
        assert decided(ledger, Standing.NOT_FOUND, "1", settled=False) == ("settling", Do.WAIT)


def test_one_order_booked_twice_gives_up_the_later_row() -> None:
    for ledger, venue in product((Booked.FILLED, Booked.PARTIAL, Booked.WORKING), (Standing.FILLED, Standing.WORKING)):
        assert decided(ledger, venue, "2", "1", several=True) == ("booked_twice", Do.CANCEL_DUPLICATE)
        assert kind_of(ledger, venue, "2", "1", several=True) is BreakKind.DUPLICATE
    assert decided(Booked.FILLED, Standing.FILLED, "1", "1", several=True) == ("agreed", Do.NOTHING)
    assert decided(Booked.FILLED, Standing.NOT_FOUND, "2", several=True) == ("phantom_fill", Do.QUARANTINE)


def test_an_order_that_the_ledger_lacks_is_imported_where_it_is_ours() -> None:
    for venue, executed in (
        (Standing.FILLED, "1"), (Standing.DEAD, "0.4"), (Standing.WORKING, "0"), (Standing.WORKING, "0.4"),
        (Standing.UNKNOWN, "0"), (Standing.REPLACED, "0.4"),
    ):  # fmt: skip
        assert decided(Booked.NONE, venue, "0", executed, ours=True) == ("import", Do.IMPORT)
        assert decided(Booked.NONE, venue, "0", executed, ours=True, settled=False) == ("import_soon", Do.WAIT)
        assert kind_of(Booked.NONE, venue, "0", executed, ours=True) is BreakKind.MISSING_IN_DB
        assert kind_of(Booked.NONE, venue, "0", executed, ours=True, settled=False) is BreakKind.MISSING_IN_DB


def test_an_order_that_is_not_ours_is_an_orphan_and_never_adopted() -> None:
    for venue, executed in ((Standing.FILLED, "1"), (Standing.DEAD, "0.4"), (Standing.WORKING, "0")):
        for settled in (True, False):
            assert decided(Booked.NONE, venue, "0", executed, settled=settled) == ("orphan", Do.QUARANTINE)
    assert kind_of(Booked.NONE, Standing.FILLED, "0", "1") is BreakKind.ORPHAN_ORDER


# What else must hold.


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("venue", [Standing.FILLED, Standing.DEAD, Standing.REPLACED])
def test_an_order_that_never_executed_and_never_will_changes_nothing(venue: Standing, ours: bool) -> None:
    assert decided(Booked.NONE, venue, ours=ours) == ("never_executed", Do.NOTHING)
    assert decided(Booked.NONE, venue, "0", "0.00000001", ours=ours) == ("never_executed", Do.NOTHING)
    name, _ = decided(Booked.NONE, venue, "0", "0.000000011", ours=ours)
    assert name == ("import" if ours else "orphan")


def test_what_cannot_be_told_comes_before_everything() -> None:
    for ledger, venue in product(Booked, Standing):
        said = {"doubt": "listed twice", "settled": False, "covered": False, "ours": True}
        assert decided(ledger, venue, "1", "2", **said) == ("order_unclear", Do.QUARANTINE)
        assert decided(Booked.UNREADABLE, venue, "1", "2", settled=False, several=True)[0] == "row_unreadable"
        assert decided(Booked.SEVERAL, venue, "2", "1", settled=False, several=True)[0] == "several_live_rows"
    assert kind_of(Booked.NONE, Standing.FILLED, doubt="two") is BreakKind.QUANTITY_MISMATCH
    assert kind_of(Booked.UNREADABLE, Standing.FILLED) is BreakKind.STATUS_MISMATCH
    assert kind_of(Booked.SEVERAL, Standing.FILLED) is BreakKind.DUPLICATE


def test_where_both_say_the_same_nothing_is_done() -> None:
    assert decided(Booked.WORKING, Standing.WORKING)[0] == "agreed_working"
    assert decided(Booked.PARTIAL, Standing.UNKNOWN, "0.4", "0.4")[0] == "agreed_working"
    assert decided(Booked.FILLED, Standing.FILLED, "1", "1")[0] == "agreed"
    assert decided(Booked.FILLED, Standing.FILLED, "1", "1.00000001")[0] == "agreed"
    assert decided(Booked.FILLED, Standing.FILLED, "1.00000001", "1")[0] == "agreed"
    assert decided(Booked.FILLED, Standing.FILLED, "1", "1.000000011")[0] == "difference"
    assert decided(Booked.FILLED, Standing.FILLED, "1.000000011", "1")[0] == "phantom_fill"
    for venue in (Standing.DEAD, Standing.NOT_FOUND, Standing.UNKNOWN, Standing.REPLACED):
        assert decided(Booked.DEAD, venue) == ("agreed_dead", Do.NOTHING)
    assert {rule_for(facts(Booked.DEAD, v)).kind for v in Standing if v is not Standing.WORKING} <= {
        None,
        BreakKind.STATUS_MISMATCH,
    }


def test_an_order_that_lives_at_the_venue_and_is_dead_in_the_ledger_is_for_a_person() -> None:
    assert decided(Booked.DEAD, Standing.WORKING) == ("alive_at_venue", Do.QUARANTINE)
    assert kind_of(Booked.DEAD, Standing.WORKING) is BreakKind.STATUS_MISMATCH


def test_a_price_is_looked_at_where_the_quantities_agree() -> None:
    assert decided(Booked.FILLED, Standing.FILLED, "1", "1", same_price=False) == ("price_differs", Do.QUARANTINE)
    assert kind_of(Booked.FILLED, Standing.FILLED, "1", "1", same_price=False) is BreakKind.PRICE_MISMATCH
    assert decided(Booked.FILLED, Standing.FILLED, "1", "2", same_price=False)[0] == "difference"
    assert decided(Booked.FILLED, Standing.FILLED, "2", "1", same_price=False)[0] == "phantom_fill"


def test_what_a_successor_executed_that_is_not_listed_is_not_known() -> None:
    """A row may book what the successor executed: it is neither a phantom nor a double."""
    for several in (False, True):
        said = decided(Booked.FILLED, Standing.REPLACED, "1", "0.4", several=several)
        assert said == ("executed_unknown", Do.UNRESOLVED)
    assert decided(Booked.PARTIAL, Standing.REPLACED, "1", "0.4")[1] is Do.UNRESOLVED
    assert kind_of(Booked.FILLED, Standing.REPLACED, "1", "0.4") is BreakKind.QUANTITY_MISMATCH


def test_fewer_executions_than_booked_say_nothing_where_they_are_not_covered() -> None:
    for ledger, several in product((Booked.FILLED, Booked.PARTIAL), (False, True)):
        said = decided(ledger, Standing.UNKNOWN, "1", "0.4", covered=False, several=several)
        assert said == ("executed_unknown", Do.UNRESOLVED)
    assert decided(Booked.FILLED, Standing.UNKNOWN, "1", "0.4")[0] == "phantom_fill"
    assert decided(Booked.FILLED, Standing.UNKNOWN, "2", "1", several=True)[0] == "booked_twice"


def test_a_filled_order_of_which_nothing_was_executed_is_for_a_person() -> None:
    """The venue contradicts itself: neither a fill nor a cancel follows from it."""
    for ledger in (Booked.WORKING, Booked.PARTIAL):
        assert decided(ledger, Standing.FILLED) == ("filled_of_nothing", Do.QUARANTINE)
    assert kind_of(Booked.WORKING, Standing.FILLED) is BreakKind.QUANTITY_MISMATCH


def test_every_pair_of_states_has_a_decided_outcome_and_books_no_more_than_was_executed() -> None:
    booking = {Do.BOOK, Do.BOOK_AND_CLOSE, Do.BOOK_DIFFERENCE, Do.IMPORT}
    choices = product(Booked, Standing, ("0", "0.4", "1"), ("0", "0.4", "1"), *[(True, False)] * 6)
    for ledger, venue, booked, executed, ours, settled, covered, named, several, same_price in choices:
        state = facts(
            ledger, venue, booked, executed, ours=ours, settled=settled, covered=covered, named=named,
            several=several, same_price=same_price,
        )  # fmt: skip
        rule = rule_for(state)
        if venue is Standing.NOT_FOUND:
            assert rule.do not in booking - {Do.IMPORT} or executed > booked
        if rule.do in booking and ledger is not Booked.NONE:
            assert not state.fewer
            assert state.more or rule.name in ("dead_with_executions", "closed_at_venue")
        if rule.do is Do.IMPORT:
            assert (ledger, ours, settled) == (Booked.NONE, True, True)
        if rule.do is Do.CANCEL:
            assert ledger is Booked.WORKING
            assert state.over
            assert not state.more
        if rule.do is Do.ASK:
            assert (ledger, venue, settled, covered, named) == (Booked.WORKING, Standing.NOT_FOUND, True, True, True)
        if rule.do is Do.CANCEL_DUPLICATE:
            assert several
            assert state.fewer


def test_what_the_venue_s_reading_may_be_too_old_for_is_waited_for() -> None:
    for venue in (Standing.WORKING, Standing.UNKNOWN, Standing.REPLACED):
        for several in (True, False):
            assert decided(Booked.FILLED, venue, "1", "0.4", several=several, ahead=True)[0] == "booked_ahead"
            assert decided(Booked.FILLED, venue, "1", "0.4", several=several)[0] != "booked_ahead"
    for venue in (Standing.FILLED, Standing.DEAD):
        assert decided(Booked.FILLED, venue, "1", "0.4", ahead=True) == ("phantom_fill", Do.QUARANTINE)
        assert decided(Booked.FILLED, venue, "1", "0.4", several=True, ahead=True)[1] is Do.CANCEL_DUPLICATE
    assert decided(Booked.FILLED, Standing.WORKING, "0.4", "1", ahead=True)[1] is Do.BOOK_DIFFERENCE


def test_ours_gives_way_to_the_bots_own_row() -> None:
    assert decided(Booked.SEVERAL, Standing.WORKING, "0.8", "0.4", twin=True) == ("own_row_beside", Do.GIVE_WAY)
    assert decided(Booked.SEVERAL, Standing.WORKING, twin=True)[1] is Do.GIVE_WAY
    assert decided(Booked.PARTIAL, Standing.FILLED, "1.4", "1", twin=True, several=True)[1] is Do.GIVE_WAY
    assert decided(Booked.PARTIAL, Standing.FILLED, "0.6", "1", twin=True)[0] == "filled_at_venue"
    assert decided(Booked.FILLED, Standing.FILLED, "1.4", "1", twin=True)[0] == "phantom_fill"
    assert decided(Booked.SEVERAL, Standing.WORKING, "0.8", "0.4")[0] == "several_live_rows"


@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.name)
def test_every_row_says_why_and_is_of_use(rule: Rule) -> None:
    assert rule.why.endswith(".")
    assert rule.ledger
    assert rule.venue
    assert (rule.kind is None) == (rule.do is Do.NOTHING or rule.name in ("settling", "booked_ahead"))


def test_no_row_stands_twice_and_every_row_is_reached() -> None:
    names = [rule.name for rule in TABLE]
    assert len(set(names)) == len(names)
    said = ("ours", "settled", "covered", "named", "several", "same_price", "ahead", "twin", "untold")
    reached = {
        rule_for(facts(ledger, venue, booked, executed, **dict(zip(said, flags, strict=True)))).name
        for ledger, venue, booked, executed in product(Booked, Standing, ("0", "1"), ("0", "0.4", "1", "2"))
        for flags in product((True, False), repeat=9)
    }
    reached |= {decided(Booked.FILLED, Standing.FILLED, "1", "1", turned=True)[0]}
    reached |= {decided(Booked.NONE, Standing.FILLED, "0", "1", ours=True, inferred=True, reached=False)[0]}
    assert reached | {"order_unclear"} == set(names)


@pytest.mark.parametrize("words", list(product(sorted(FILLED | WORKING | DEAD), sorted(VENUE_WORDS))), ids=" at ".join)
def test_every_word_of_the_ledger_meets_every_word_of_the_venue(words: tuple[str, str]) -> None:
    """Nothing is booked past what was executed, nothing canceled that may fill, whatever the two say."""
    ledger, venue = words
    for executed in QUANTITIES.values():
        said = VENUE_WORDS[venue]
        world = World(
            rows=[row("TRD-1", "0.7", status=ledger, exchange_order_id="X1")],
            orders=[buy("X1", executed, price="100", **said)],
        )
        for finding in findings(world):
            assert finding.why
            for change in finding.changes:
                total = finding.facts.booked + change.moved
                assert total <= max(Decimal(executed), finding.facts.booked)
                if finding.do is Do.CANCEL:
                    assert said["status"] in ("canceled", "expired", "rejected")
        assert all(f.do is not Do.ASK for f in findings(world))


@pytest.mark.parametrize("ledger", sorted(FILLED | WORKING | DEAD))
def test_every_word_of_the_ledger_meets_an_order_that_is_not_found(ledger: str) -> None:
    world = World(rows=[row("TRD-1", "0.7", status=ledger, exchange_order_id="X1")])
    expected = {"dead": [], "working": ["not_found"], "filled": ["phantom_fill"]}
    kind = "dead" if ledger in DEAD else "working" if ledger in WORKING else "filled"
    assert found(world) == expected[kind]
    unknown = {"dead": [], "working": ["not_found_unknown"], "filled": []}[kind]
    assert found(world.having(coverage={"closed_orders": PARTIAL})) == unknown
    assert found(world.having(coverage={"closed_orders": reaches(-4.99)})) == unknown
    assert found(world.having(coverage={"closed_orders": reaches(-5)})) == expected[kind]


def test_a_row_without_an_id_of_the_venue_is_no_phantom_and_cannot_be_asked_for() -> None:
    assert found(World(rows=[entry()])) == []
    nameless = World(rows=[row("TRD-1", None, status="new")])
    assert found(nameless) == ["no_id_to_ask_for"]
    assert found(World(rows=[row("TRD-1", None, status="new", client_order_id="c")])) == ["not_found"]


def test_an_order_settles_in_exactly_the_window() -> None:
    world = World(rows=[row("TRD-1", None, 599.5, status="new", exchange_order_id="X1")])
    assert found(world) == ["not_found"]
    younger = World(rows=[row("TRD-1", None, 599.5 + 1 / 60_000, status="new", exchange_order_id="X1")])
    assert found(younger) == ["settling"]
    assert only(younger).as_break("main") is None
    timeless = World(rows=[row("TRD-1", None, status="new", exchange_order_id="X1", timestamp=None)])
    assert found(timeless) == ["not_found_unknown"]


def test_a_price_may_differ_by_the_tolerance_exactly() -> None:
    def priced(ledger: object, venue: str | None) -> list[str]:
        return found(World(rows=[entry(exchange_order_id="X1", price=ledger)], orders=[buy("X1", price=venue)]))

    assert priced("100.5", "100") == priced("99.5", "100") == []
    assert priced("100.51", "100") == priced("99.49", "100") == ["price_differs"]
    assert priced(None, "100") == priced("0", "100") == priced("7", None) == []
    parts = [entry(qty="0.5", exchange_order_id="X1", price=p, order_id=p) for p in ("7", "8")]
    assert found(World(rows=parts, orders=[buy("X1", price="100")])) == []


def test_exits_and_entries_alike_are_compared() -> None:
    world = World(
        rows=[entry(exchange_order_id="X1"), leave(exchange_order_id="X2")],
        orders=[buy("X1", price="100"), buy("X2", "0.4", side="sell", price="100")],
    )
    assert found(world) == ["phantom_fill"]
    assert only(world).trade_id == "TRD-1"


def test_fills_that_add_up_to_less_than_the_order_says_prove_neither() -> None:
    """A feed of fills that was cut must not make a phantom, a double or a cancel."""
    twice = [entry(qty="0.5", exchange_order_id="X1", order_id=name) for name in "AB"]
    cut = World(rows=twice, orders=[buy("X1", "1", price="100")], fills=[fill(qty="0.5", side="buy", price="100")])
    assert found(cut) == ["order_unclear"]
    assert only(cut).why == "the order says 1, its fills add up to 0.5"
    more = cut.having(orders=[buy("X1", "0.4", price="100")], fills=[fill(qty="1", side="buy", price="100")])
    assert found(more) == []


UNLISTED = {"closed_orders": PARTIAL}


def named(name: str, **said: object) -> LedgerOrder:
    """One of two rows of half an order: it names the order by its id."""
    return entry(qty="0.5", order_id=name, exchange_order_id="X1", **said)


def tagged(name: str, client: str = "c1", **said: object) -> LedgerOrder:
    """The other one: it has a client order id alone."""
    return entry(order_id=name, client_order_id=client, **{"qty": "0.5"} | said)


ONE = fill(qty="1", side="buy", price="100")


def test_an_order_of_which_only_fills_are_listed_has_the_client_order_id_that_its_rows_say() -> None:
    """Invariant 2 (Once): what an earlier difference completed is not booked again where the order is missing."""
    for client in ("c1", tag("TRD-1"), tag("trd-1").upper()):
        whole = World(rows=[named("DIFF-1", client_order_id=client), tagged("A", client)], fills=[ONE])
        assert found(whole) == []
        assert found(whole.having(coverage=UNLISTED)) == []
    lacking = World(rows=[named("DIFF-1", client_order_id="c1"), tagged("A", qty="0.3")], fills=[ONE])
    assert found(lacking) == ["difference"]
    assert added(lacking).qty == Decimal("0.2")


@pytest.mark.parametrize("status", ["filled", "partially_filled", "weird"])
def test_nothing_is_booked_where_a_row_that_cannot_be_found_may_have_booked_it(status: str) -> None:
    world = World(rows=[named("A"), tagged("B", status=status)], fills=[ONE])
    assert "booked_unknown" in found(world.having(coverage=UNLISTED))
    assert "booked_by_another_name" in found(world)
    assert not any(finding.changes for finding in findings(world))
    assert "booked_by_another_name" not in found(world.having(orders=[buy("X1", price="100", client_order_id="c2")]))
    mute = world.having(orders=[buy("X1", price="100")])
    assert "booked_by_another_name" in found(mute)
    assert found(World(rows=[named("A")], fills=[ONE])) == ["difference"]


@pytest.mark.parametrize(
    "other",
    [
        tagged("B", symbol="ETH/USD"), leave(qty="0.5", order_id="B", client_order_id="c1"),
        tagged("B", status="new"), tagged("B", status="canceled"), tagged("B", exchange_order_id="X9"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_about_an_order_does_not_keep_it_from_being_booked(other: LedgerOrder) -> None:
    world = World(rows=[named("A"), other], fills=[ONE], coverage=UNLISTED)
    assert "difference" in found(world)


def test_a_row_whose_client_order_id_the_venue_lists_is_about_that_order() -> None:
    other = buy("X2", "0.5", price="100", client_order_id="c1")
    world = World(rows=[named("A"), tagged("B")], orders=[other], fills=[ONE, replace(ONE, id="F2", order_id="X2")])
    assert "difference" in found(world)


def test_an_order_whose_successor_is_not_listed_may_be_booked_under_the_successors_name() -> None:
    old = buy("X1", status="replaced", replaced_by="X2", price="100", client_order_id=tag("TRD-1"))
    whole = tagged("A", "c2", qty="1.5")
    assert found(World(rows=[whole], orders=[old], coverage=UNLISTED)) == ["booked_unknown"]
    assert found(World(rows=[named("B"), whole], orders=[old], coverage=UNLISTED)) == ["booked_unknown"]
    assert found(World(rows=[entry(minute=1)], orders=[old], coverage=UNLISTED)) == ["import"]
    young = replace(old, time_ms=at(599.9))
    assert found(World(rows=[whole], orders=[young], coverage=UNLISTED)) == ["import_soon"]


def test_a_row_of_ours_gives_way_to_one_that_may_be_anothers_only_where_all_are_listed() -> None:
    ours = entry(order_id="IMPRT-1", exchange_order_id="X1")
    world = World(
        rows=[ours, entry(order_id="A", client_order_id="c1")], orders=[buy("X1", price="100", client_order_id="c1")]
    )
    assert found(world) == ["booked_twice"]
    [finding] = findings(world)
    assert [change.order_id for change in finding.changes] == ["IMPRT-1"]
    assert found(world.having(coverage=UNLISTED)) == [f"booked_twice -> QUARANTINE: {OTHERS_UNLISTED}"]


def test_fills_of_an_order_that_is_not_listed_prove_a_double_only_where_they_are_all_there() -> None:
    twice = [entry(qty="0.5", exchange_order_id="X1", order_id=name) for name in "AB"]
    world = World(rows=twice, fills=[fill(qty="0.5", side="buy", price="100")])
    assert found(world) == ["booked_twice"]
    for feed in ("fills", "closed_orders"):
        assert found(world.having(coverage={feed: PARTIAL})) == ["executed_unknown"]
        assert found(world.having(coverage={feed: reaches(-4.99)})) == ["executed_unknown"]
        assert found(world.having(coverage={feed: reaches(-5)})) == ["booked_twice"]


HALF = replace(named("A"), qty=Decimal("0.7"))
SUCCESSOR = entry(qty="0.5", minute=11, order_id="B", exchange_order_id="X2", client_order_id="c2")


def test_what_an_order_lacks_may_be_booked_for_its_successor_while_the_chain_is_not_listed() -> None:
    """The whole chain was seen once, and what was missing booked in its newest row; then only the fills are given."""
    fills = [ONE, fill("F2", "X2", "0.2", 11, side="buy", price="100")]
    chain = [
        buy("X1", "1", price="100", status="replaced", replaced_by="X2"),
        buy("X2", "0.2", 11, price="100", replaces="X1", client_order_id="c2"),
    ]
    assert found(World(rows=[HALF, SUCCESSOR], orders=chain, fills=fills)) == []
    assert found(World(rows=[HALF, SUCCESSOR], fills=fills, coverage=UNLISTED)) == [
        "booked_unknown",
        "executed_unknown",
    ]
    assert found(World(rows=[HALF, SUCCESSOR], fills=fills)) == ["booked_by_another_name", "phantom_fill"]
    unheard = World(rows=[HALF, SUCCESSOR], fills=[ONE], coverage=UNLISTED)
    assert found(unheard) == ["booked_unknown"]
    severed = replace(chain[0], replaced_by=None)
    assert found(unheard.having(orders=[severed])) == ["booked_unknown"]
    ours = replace(severed, client_order_id=tag("TRD-1"))
    assert found(World(rows=[SUCCESSOR], orders=[ours], fills=[ONE], coverage=UNLISTED)) == ["booked_unknown"]


@pytest.mark.parametrize(
    "other",
    [
        replace(SUCCESSOR, time_ms=at(9)), replace(SUCCESSOR, side=Side.SELL), replace(SUCCESSOR, trade_id="TRD-2"),
        replace(SUCCESSOR, profile_id="p2"), replace(SUCCESSOR, status=StatusClass.DEAD),
        replace(SUCCESSOR, qty=Decimal("0.2")),
    ],
)  # fmt: skip
def test_another_row_that_cannot_be_the_successors_keeps_nothing_from_being_booked(other: LedgerOrder) -> None:
    fills = [ONE, fill("F2", "X2", "0.2", 11, side="buy", price="100")]
    assert "difference" in found(World(rows=[HALF, other], fills=fills, coverage=UNLISTED))


def test_an_order_that_is_listed_whole_lacks_what_its_rows_lack() -> None:
    listed = World(rows=[HALF, SUCCESSOR], orders=[buy("X1", price="100")], fills=[ONE], coverage=UNLISTED)
    assert found(listed) == ["difference"]
    exits = [entry(qty="3"), leave(qty="0.7", minute=1, exchange_order_id="X1")]
    later = leave(qty="0.5", minute=11, order_id="B", exchange_order_id="X2", side="buy")
    left = World(rows=[*exits, later], fills=[fill(qty="1", price="100")], coverage=UNLISTED)
    assert found(left) == ["booked_unknown"]
