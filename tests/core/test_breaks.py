"""Breaks: each kind, what is too small to count, and what cannot be compared."""

from decimal import Context, Decimal, localcontext
from hashlib import md5

import pytest
from tests.core.world import FAILED, GRACE, NOW, PARTIAL, World, entry, fill, leave, leg, order, short

from trueup.core.breaks import Break, BreakKind, Comparison, compare
from trueup.core.repair.plan import Wanted, plan_account
from trueup.core.times import iso

BTC = frozenset({"BTCUSD"})
BOTH = frozenset({"p1", "p2"})


def compared(world: World, tokens: frozenset[str] | None = None, profiles: frozenset[str] = BOTH) -> Comparison:
    plan = plan_account(world.facts, Wanted(BOTH), world.policy)
    return compare(world.facts, plan, world.policy, tokens, profiles)


def only(world: World) -> Break:
    [found] = compared(world).breaks
    return found


def kinds(world: World, **scope: frozenset[str]) -> list[str]:
    return [found.kind.value for found in compared(world, **scope).breaks]


def managing(**facts: object) -> World:
    """A profile that manages BTC/USD alone."""
    return World(managed={"p1": BTC}, **facts)


def test_books_that_agree_have_no_breaks() -> None:
    assert compared(World(rows=[entry(qty="2"), entry("B"), leave("B")], legs=[leg("2")])) == Comparison()
    assert compared(World()) == Comparison()


def test_a_ghost_is_what_the_ledger_holds_beyond_the_venue() -> None:
    assert only(World(rows=[entry(qty="2")], legs=[leg("0.5")])) == Break(
        BreakKind.GHOST_POSITION, "main", "BTC/USD", Decimal(2), Decimal("0.5"),
        "the ledger holds 1.5 more than the venue, in TRD-1", "p1", "TRD-1", None,
    )  # fmt: skip
    found = only(World(rows=[short(qty="2")], legs=[leg("-0.5")]))
    assert (found.kind, found.ledger, found.venue) == ("ghost_position", -2, Decimal("-0.5"))
    assert "holds 1.5 more" in found.detail


def test_a_ghost_names_its_trades_and_its_profile_where_there_is_one_only() -> None:
    several = only(World(rows=[entry(f"T{n}", profile_id="p2") for n in range(5)]))
    assert several.detail == "the ledger holds 5 more than the venue, in T0, T1, T2, T3, T4"
    assert (several.profile_id, several.trade_id) == (None, None)
    many = only(World(rows=[entry(f"T{n}") for n in range(6)]))
    assert many.detail == "the ledger holds 6 more than the venue, in T0, T1, T2, T3, T4 …"


def test_a_trade_that_exited_too_much_is_no_open_trade_and_counts() -> None:
    found = only(World(rows=[entry(), leave(qty="3")]))
    assert (found.kind, found.ledger, found.venue) == ("ghost_position", -2, 0)
    assert found.detail == "the ledger holds 2 more than the venue, in no open trade"
    assert (found.profile_id, found.trade_id) == (None, None)
    assert compared(World(rows=[entry(), leave(qty="1.00000001")]).under(dust_abs="0")) == Comparison()
    assert kinds(World(rows=[entry(), leave(qty="1.000000011")]).under(dust_abs="0")) == ["ghost_position"]


def test_an_unbooked_position_is_what_the_venue_holds_beyond_the_ledger() -> None:
    found = only(World(rows=[entry(qty="0.5")], legs=[leg("2")]))
    assert (found.kind, found.ledger, found.venue) == ("unbooked_position", Decimal("0.5"), 2)
    assert found.detail == "the venue holds 1.5 that no open trade of the ledger accounts for"
    assert (found.profile_id, found.trade_id) == ("p1", "TRD-1")
    assert only(World(rows=[short(qty="0.5")], legs=[leg("-2")])).detail == found.detail


def test_a_position_of_a_symbol_without_open_trade_counts_where_a_profile_manages_it() -> None:
    found = only(managing(legs=[leg("2", "BTCUSD"), leg("3", "ETH/USD")]))
    assert (found.symbol, found.ledger, found.venue, found.profile_id) == ("BTCUSD", 0, 2, None)
    every = World(legs=[leg("3", "ETH/USD"), leg("2"), leg("0", "SOL/USD")], managed={"p1": BTC, "p2": None})
    assert [found.symbol for found in compared(every).breaks] == ["BTC/USD", "ETH/USD"]
    assert compared(World(legs=[leg("2")])) == Comparison()


def test_a_side_flip() -> None:
    found = only(World(rows=[entry(qty="0.5")], legs=[leg("-2")]))
    assert (found.kind, found.ledger, found.venue) == ("side_flip", Decimal("0.5"), -2)
    assert found.detail == "the ledger and the venue hold opposite sides"
    assert kinds(World(rows=[short()], legs=[leg("1")])) == ["side_flip"]


@pytest.mark.parametrize(
    ("held", "found"), [("0.999", []), ("0.9989", ["ghost_position"]), ("1.001", []), ("1.0011", ["unbooked_position"])]
)
def test_a_difference_up_to_the_dust_quantity_is_none(held: str, found: list[str]) -> None:
    assert kinds(World(rows=[entry()], legs=[leg(held)])) == found


def test_without_a_hedge_at_the_venue_longs_and_shorts_net() -> None:
    assert kinds(World(rows=[entry("A", "3"), short("B", "1")], legs=[leg("2")])) == []
    assert kinds(World(rows=[entry("A", "3"), short("B", "1")], legs=[leg("2"), leg("0", mark="1")])) == []


def test_a_hedge_is_compared_side_by_side() -> None:
    both = [entry("A", "3"), short("B", "1")]
    assert kinds(World(rows=both, legs=[leg("3"), leg("-1")])) == []
    found = compared(World(rows=both, legs=[leg("2"), leg("-4")])).breaks
    assert [(b.kind.value, b.account, b.symbol, b.ledger, b.venue, b.trade_id) for b in found] == [
        ("ghost_position", "main", "BTC/USD", 3, 2, "A"),
        ("unbooked_position", "main", "BTC/USD", -1, -4, "B"),
    ]
    one = compared(World(rows=both[:1], legs=[leg("3"), leg("-1")])).breaks
    assert [(b.kind.value, b.ledger, b.venue, b.trade_id) for b in one] == [("unbooked_position", 0, -1, None)]


def test_balances_stand_for_positions() -> None:
    assert kinds(World(rows=[entry()], balances={"BTC": "1"})) == []
    assert kinds(World(rows=[entry()], balances={"BTC": "0.4"})) == ["ghost_position"]


def test_a_symbol_whose_position_is_unknown_is_said_and_not_compared() -> None:
    world = World(rows=[entry(), entry("E", symbol="ETH/USD")], unknown_symbols={"BTCUSD": "row 1 cannot be read"})
    found = compared(world)
    assert found.unknown == (("BTC/USD", "row 1 cannot be read"),)
    assert [b.symbol for b in found.breaks] == ["ETH/USD"]


def test_each_spelling_of_a_symbol_is_asked() -> None:
    rows = [entry("A", symbol="BTC/USDT"), entry("B", symbol="BTCUSDT")]
    found = compared(World(rows=rows, legs=[leg("2", "BTC/USDT:USDT")]))
    assert found == Comparison((), (("BTC/USDT", "BTCUSDT may mean BTC/USDT:USDT, which the venue holds"),))
    assert kinds(World(rows=rows)) == ["ghost_position"]


def test_an_incomplete_position_feed_makes_every_symbol_unknown() -> None:
    why = "the position feed is partial: page limit"
    world = World(rows=[entry()], coverage={"positions": PARTIAL})
    assert compared(world) == Comparison((), (("BTC/USD", why),))
    assert compared(World(coverage={"positions": PARTIAL})) == Comparison((), (("positions", why),))
    assert compared(managing(legs=[leg("1")], coverage={"positions": FAILED})).unknown == (
        ("BTC/USD", "the position feed is failed: timeout"),
    )


def test_trades_that_cannot_be_read_are_said_and_their_symbol_is_not_compared() -> None:
    rows = [entry("A"), entry("B"), entry("B", "x", order_id="o"), entry("E", symbol="ETH/USD")]
    found = compared(World(rows=rows))
    assert found.unknown == (("BTC/USD B", "order o: 'x' is not a number"),)
    assert [b.symbol for b in found.breaks] == ["ETH/USD"]


def test_executions_that_prove_exits_are_missing_in_the_ledger() -> None:
    rows = [entry("A", "2"), leave("A", "0.5", exchange_order_id="X1"), entry("B", profile_id="p2")]
    world = World(
        rows=rows,
        orders=[order("X1", "0.8", trade_id="A"), order("X2", trade_id="A"), order("X3", trade_id="B")],
        legs=[leg("2.5")],
    )
    found = compared(world).breaks
    assert found[0] == Break(
        BreakKind.MISSING_IN_DB, "main", "BTC/USD", Decimal("0.5"), Decimal("0.8"),
        "sell 0.3 executed and not booked, attributed by trade_id", "p1", "A", "X1",
    )  # fmt: skip
    assert [(b.trade_id, b.exchange_order_id, b.ledger, b.venue) for b in found[1:]] == [
        ("A", "X2", 0, 1),
        ("B", "X3", 0, 1),
    ]
    assert [b.trade_id for b in compared(world, profiles=frozenset({"p2"})).breaks] == ["B"]
    assert compared(world, tokens=frozenset({"ETHUSD"})).breaks == ()


def test_fills_that_do_not_add_up_to_their_order() -> None:
    world = World(
        orders=[order(qty="0.70"), order("X2", symbol="ETH/USD")],
        fills=[fill(qty="0.50"), fill("F2", "X2", "2", symbol="ETHUSD")],
    )
    first, second = compared(world).breaks
    assert first == Break(
        BreakKind.QUANTITY_MISMATCH, "main", "BTC/USD", None, Decimal("0.5"),
        "the order says 0.7, its fills add up to 0.5", None, None, "X1",
    )  # fmt: skip
    assert second.exchange_order_id == "X2"
    assert [b.exchange_order_id for b in compared(world, tokens=BTC).breaks] == ["X1"]


def test_breaks_are_of_the_wanted_symbols_in_their_order() -> None:
    rows = [entry("S", symbol="SOL/USD"), entry("B"), entry("E", symbol="ETH/USD")]
    world = World(rows=rows, unknown_symbols={"ETHUSD": "unread"})
    assert [b.symbol for b in compared(world).breaks] == ["BTC/USD", "SOL/USD"]
    assert compared(world, tokens=BTC).unknown == ()
    assert [b.symbol for b in compared(world, tokens=frozenset({"SOLUSD", "ETHUSD"})).breaks] == ["SOL/USD"]


def test_positions_come_before_evidence_and_evidence_before_disagreements() -> None:
    world = World(rows=[entry()], orders=[order(qty="0.7", trade_id="TRD-1")], fills=[fill(qty="0.5")])
    assert kinds(world) == ["ghost_position", "missing_in_db", "quantity_mismatch"]


def test_the_identity_is_of_what_does_not_change_from_run_to_run() -> None:
    full = Break(BreakKind.MISSING_IN_DB, "main", "BTC/USD", Decimal(1), Decimal(2), "words", "p1", "TRD-1", "X1")
    text = "missing_in_db:main:p1:BTC/USD:TRD-1:X1"
    assert full.break_id == "BRK-" + md5(text.encode(), usedforsecurity=False).hexdigest()
    bare = Break(BreakKind.SIDE_FLIP, "main", "BTC/USD", None, None, "")
    assert bare.break_id == "BRK-" + md5(b"side_flip:main::BTC/USD::", usedforsecurity=False).hexdigest()


def test_legs_smaller_than_one_are_a_hedge() -> None:
    rows = [entry("A", "0.3"), short("B", "0.1")]
    assert kinds(World(rows=rows, legs=[leg("0.2"), leg("-0.1")])) == ["ghost_position"]
    assert kinds(World(rows=rows, legs=[leg("0.2")])) == []
    assert kinds(World(rows=rows, legs=[leg("0.4"), leg("-0.2")])) == ["unbooked_position"] * 2


def test_comparing_is_exact_whatever_the_callers_context() -> None:
    world = World(rows=[entry(qty="100.002")], legs=[leg("100.0005")])
    facts, plan = world.facts, world.plan()
    with localcontext(Context(prec=3)):
        [found] = compare(facts, plan, world.policy, None, BOTH).breaks
    assert found.detail == "the ledger holds 0.0015 more than the venue, in TRD-1"


def test_positions_are_of_the_symbols_that_a_wanted_profile_holds_or_nobody() -> None:
    rows = [entry("A"), entry("B", profile_id="p2"), entry("E", symbol="ETH/USD", profile_id="p2")]
    world = World(rows=rows, legs=[leg("3", "SOL/USD")], managed={"p1": None})
    found = compared(world, profiles=frozenset({"p1"})).breaks
    assert [(b.symbol, b.ledger) for b in found] == [("BTC/USD", 2), ("SOL/USD", 0)]
    assert [b.symbol for b in compared(world).breaks] == ["BTC/USD", "ETH/USD", "SOL/USD"]


def test_a_trade_that_moved_after_the_snapshot_is_not_compared() -> None:
    assert kinds(World(rows=[entry(minute=NOW + GRACE)])) == ["ghost_position"]
    late = World(rows=[entry(minute=NOW + GRACE + 1 / 60_000)])
    [(name, why)] = compared(late).unknown
    assert (compared(late).breaks, name) == ((), "BTC/USD TRD-1")
    [newest] = late.facts.slices
    row = f"{newest.newest_id} of {iso(newest.newest_ms)}"
    assert why.startswith(f"the venue was read before the trade's newest row, {row};")
    assert newest.newest_id
    assert "without a zone, which is read as UTC" in why


def shared(rows: list[object], balance: str = "2", **facts: object) -> World:
    """A spot account whose balance of one coin is the position of every pair of it."""
    return World(rows=rows, balances={"BTC": balance, "USD": "7"}, **facts)


IN_TWO = [entry("D"), entry("E", "1", symbol="BTC/EUR", profile_id="p2")]


def test_pairs_of_one_coin_are_compared_with_its_balance_together() -> None:
    assert compared(shared(IN_TWO)) == Comparison()
    assert only(shared(IN_TWO, "0.5")) == Break(
        BreakKind.GHOST_POSITION, "main", "BTC/EUR + BTC/USD", Decimal(2), Decimal("0.5"),
        "the ledger holds 1.5 more than the venue, in E, D; the venue gives one balance of BTC for these symbols",
    )  # fmt: skip
    found = only(shared([entry("D"), entry("E", symbol="XBTEUR")], "5"))
    assert (found.kind, found.symbol, found.ledger, found.venue) == ("unbooked_position", "BTC/USD + XBTEUR", 2, 5)
    assert kinds(shared([*IN_TWO, entry("O", symbol="ETH/USD")])) == ["ghost_position"]
    assert only(shared([*IN_TWO, entry("O", symbol="ETH/USD")])).symbol == "ETH/USD"


def test_pairs_of_one_coin_are_compared_together_whichever_of_them_is_wanted() -> None:
    for wanted in (BTC, frozenset({"BTCEUR"})):
        assert compared(shared(IN_TWO), tokens=wanted) == Comparison()
        assert [b.symbol for b in compared(shared(IN_TWO, "1"), tokens=wanted).breaks] == ["BTC/EUR + BTC/USD"]
    assert kinds(shared(IN_TWO, "1"), profiles=frozenset({"p2"})) == ["ghost_position"]
    assert kinds(shared(IN_TWO, "1"), profiles=frozenset({"p3"})) == []


def test_a_pair_whose_balance_is_also_that_of_one_that_cannot_be_compared_is_unknown() -> None:
    rows = [*IN_TWO, entry("E", "x", symbol="BTC/EUR", order_id="o", profile_id="p2")]
    assert compared(shared(rows, "0.5")) == Comparison(
        (),
        (
            ("BTC/EUR E", "order o: 'x' is not a number"),
            ("BTC/USD", "its balance is also that of BTC/EUR, which cannot be compared"),
        ),
    )
    unclear = World(rows=[entry("A", symbol="DOT/EUR"), entry("B", symbol="DOTUSD")], balances={"DOT": "2"})
    assert [what for what, _ in compared(unclear).unknown] == ["DOTUSD", "DOT/EUR"]
    assert compared(unclear).breaks == ()


def test_symbols_that_may_be_pairs_of_one_coin_of_which_nothing_is_held_are_one_ghost() -> None:
    rows = [entry("A", symbol="DO/EUR"), entry("B", symbol="DOT/EUR"), entry("C", symbol="DOTUSD")]
    found = only(World(rows=rows, balances={"USD": "1"}))
    assert (found.symbol, found.ledger, found.venue) == ("DO/EUR + DOT/EUR + DOTUSD", 3, 0)


def test_what_several_pairs_share_is_listed_in_full() -> None:
    rows = [*IN_TWO, *(entry(f"E{n}", "x", symbol=f"BTC/{q}", order_id=q) for n, q in enumerate(("EUR", "GBP")))]
    [*_, (_, why)] = compared(shared(rows, "0.5")).unknown
    assert why == "its balance is also that of BTC/EUR, BTC/GBP, which cannot be compared"
    rows = [entry("A", symbol="DO/EUR"), entry("C", symbol="DOTUSD")]
    found = only(World(rows=rows, balances={"USD": "1"}))
    assert found.detail.endswith("; the venue gives one balance of DO for these symbols")


def test_a_trade_with_a_defect_says_what_is_wrong_or_at_least_that_it_is() -> None:
    [(_, why)] = compared(World(rows=[entry(qty="1", quantity="2")], legs=[leg("1")])).unknown
    assert "quantity" in why


def test_an_unmanaged_symbol_that_the_ledger_holds_is_compared() -> None:
    held = World(rows=[entry("E", "2", symbol="ETH/USD")], legs=[leg("2", "ETH/USD")], managed={"p1": BTC})
    assert kinds(held) == []
    assert kinds(held.having(legs=[leg("3", "ETH/USD")])) == ["unbooked_position"]


def test_evidence_of_the_wanted_symbols_and_profiles_is_told() -> None:
    world = World(rows=[entry()], orders=[order(trade_id="TRD-1")])
    assert kinds(world, tokens=BTC) == ["ghost_position", "missing_in_db"]
    assert kinds(world, tokens=frozenset({"ETHUSD"})) == []
    assert kinds(world, profiles=frozenset({"p2"})) == []


def test_where_the_venue_gives_positions_each_pair_has_its_own() -> None:
    found = compared(World(rows=IN_TWO, legs=[leg("2", "BTC/USD")])).breaks
    assert [(b.kind.value, b.symbol) for b in found] == [
        ("ghost_position", "BTC/EUR"),
        ("unbooked_position", "BTC/USD"),
    ]
