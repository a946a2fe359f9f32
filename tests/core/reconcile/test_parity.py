"""The parity heartbeat: what one look says of an open slice, the synthetic exit, and which ghosts may be closed."""

from decimal import Decimal
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.world import (
    FAILED,
    NOW,
    PARTIAL,
    World,
    at,
    entry,
    leave,
    leg,
    order,
    reaches,
    short,
    working,
)

from trueup.core.decimals import exactly
from trueup.core.holdings import Holding
from trueup.core.orders import LedgerOrder, Side
from trueup.core.reconcile.parity import (
    Look,
    ParityFacts,
    SliceLook,
    look,
    may_close,
    notional_of,
    synthetic_exit,
    tagged_trades,
)
from trueup.core.repair.plan import Wanted, plan_account
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.tags import TagReader

GHOST = World(rows=[entry()])
DUST = Decimal("0.001")


def looks(world: World, profiles: tuple[str, ...] = ("p1", "p2"), **said: object) -> list[SliceLook]:
    plan = plan_account(world.facts, Wanted(frozenset(world.profiles)), world.policy)
    facts = {
        "tagged": frozenset(), "touched": frozenset(), "needs_tag": True, "grace_ms": world.policy.grace_ms,
        "dust": world.policy.dust_abs, **said,
    }  # fmt: skip
    return look(ParityFacts(facts=world.facts, plan=plan, profiles=frozenset(profiles), **facts))


def states(world: World, **said: object) -> dict[str, str]:
    return {f"{each.trade.profile_id}/{each.trade.trade_id}": each.look.value for each in looks(world, **said)}


def only(world: World, **said: object) -> SliceLook:
    [each] = looks(world, **said)
    return each


def state(world: World, **said: object) -> tuple[str, str]:
    each = only(world, **said)
    return each.look.value, each.why


# One look.


def test_a_slice_whose_symbol_is_flat_is_a_ghost() -> None:
    assert state(GHOST) == ("ghost", "")
    assert state(World(rows=[short()])) == ("ghost", "")
    assert state(World(rows=[entry()], legs=[leg("0.001")])) == ("ghost", "")
    assert state(World(rows=[entry()], balances={"USD": "5"})) == ("ghost", "")


def test_a_slice_that_the_venue_holds_is_clean() -> None:
    assert state(GHOST.having(legs=[leg("1")])) == ("clean", "")
    assert state(GHOST.having(legs=[leg("0.0010001")])) == ("clean", "")
    assert state(GHOST.having(legs=[leg("-1")])) == ("clean", "")


def test_both_legs_of_a_hedge_must_be_flat() -> None:
    assert state(GHOST.having(legs=[leg("1"), leg("-1")])) == ("clean", "")
    assert state(GHOST.having(legs=[leg("0.001"), leg("-0.001")])) == ("ghost", "")


def test_longs_and_shorts_that_net_to_what_the_venue_holds_are_clean() -> None:
    hedged = World(rows=[entry("A"), short("B", profile_id="p2")])
    assert states(hedged) == {"p1/A": "clean", "p2/B": "clean"}
    near = World(rows=[entry("A"), short("B", "1.001", profile_id="p2")])
    assert states(near) == {"p1/A": "clean", "p2/B": "clean"}
    off = World(rows=[entry("A"), short("B", "1.0011", profile_id="p2")])
    assert states(off) == {"p1/A": "ghost", "p2/B": "ghost"}
    assert states(off, dust=Decimal("0.0011")) == {"p1/A": "clean", "p2/B": "clean"}


def test_another_symbol_agrees_by_itself() -> None:
    world = World(rows=[entry("A"), entry("B", symbol="ETH/USD")], legs=[leg("1", "ETH/USD")])
    assert states(world) == {"p1/A": "ghost", "p1/B": "clean"}


@pytest.mark.parametrize("coverage", [PARTIAL, FAILED, None])
def test_unknown_is_not_flat(coverage: object) -> None:
    assert state(GHOST.having(coverage={"positions": coverage}))[0] == "unknown"


def test_a_symbol_that_was_not_read_is_unknown_with_the_reason() -> None:
    assert state(GHOST.having(unknown_symbols={"BTC/USD": "malformed"})) == ("unknown", "malformed")
    assert state(GHOST.having(legs=[leg("1"), leg("2")]))[0] == "unknown"


def test_a_trade_that_cannot_be_read_or_compared_is_unknown() -> None:
    unreadable = World(rows=[entry(), entry(qty="1", quantity="2", minute=1)])
    assert state(unreadable)[0] == "unknown"
    assert "qty is 1 and quantity is 2" in state(unreadable)[1]
    assert state(World(rows=[entry(minute=605)]))[0] == "settling"
    newer = state(World(rows=[entry(minute=605 + 1 / 60_000)]))
    assert (newer[0], newer[1].startswith("the venue was read before")) == ("unknown", True)


def test_not_found_is_not_absent_without_the_whole_order_feed_no_ghost() -> None:
    for coverage in (PARTIAL, FAILED, None, reaches(-4.99)):
        assert state(GHOST.having(coverage={"closed_orders": coverage}))[0] == "unknown"
    assert state(GHOST.having(coverage={"closed_orders": reaches(-5)})) == ("ghost", "")


def test_evidence_comes_first() -> None:
    proven = GHOST.having(orders=[order(trade_id="TRD-1")])
    assert state(proven) == ("waits", "evidence proves its exit: the backfill books it")
    partly = World(rows=[entry(qty="3")], orders=[order(trade_id="TRD-1")])
    assert state(partly)[0] == "waits"
    dust = World(rows=[entry(qty="0.0009"), entry("B", "5")])
    assert states(dust) == {"p1/TRD-1": "waits", "p1/B": "ghost"}


def test_a_working_order_of_the_trade_is_waited_for() -> None:
    found = state(World(rows=[entry(), working()]))
    assert (found[0], found[1].startswith("pending_order_blocker: ")) == ("waits", True)


def test_what_an_operator_took_back_is_waited_for() -> None:
    world = World(rows=[entry()], orders=[order(trade_id="TRD-1")], reverted=frozenset({("p1", "TRD-1", "X1")}))
    assert state(world)[0] == "waits"


def test_a_trade_that_was_healed_in_this_run_is_looked_at_in_the_next() -> None:
    assert state(GHOST, touched=frozenset({("p1", "TRD-1")})) == ("waits", "the trade was healed in this run")
    assert state(GHOST, touched=frozenset({("p2", "TRD-1")})) == ("ghost", "")
    assert state(GHOST.having(legs=[leg("1")]), touched=frozenset({("p1", "TRD-1")})) == ("clean", "")


def test_what_the_venue_may_not_show_yet_is_waited_for() -> None:
    read_just_then = World(rows=[entry(minute=NOW)])
    assert state(read_just_then) == ("ghost", "")
    found = state(World(rows=[entry(minute=NOW + 1 / 60_000)]))
    assert (found[0], found[1].startswith("the venue may not show the trade's newest row yet, p1/TRD-1")) == (
        "settling", True,
    )  # fmt: skip
    assert state(read_just_then, settle_ms=1)[0] == "settling"
    assert state(World(rows=[entry(minute=NOW - 0.5)]), settle_ms=30_000) == ("ghost", "")
    assert state(read_just_then.having(legs=[leg("1")]), settle_ms=1) == ("clean", "")


def test_an_order_of_the_symbol_that_is_not_settled_is_waited_for() -> None:
    said = {"BTCUSD": "quantity_mismatch of X1"}
    assert state(GHOST, unsettled=said) == ("waits", "an order of the symbol is not settled: quantity_mismatch of X1")
    assert state(GHOST, unsettled={"ETHUSD": "x"}) == ("ghost", "")
    assert state(GHOST.having(legs=[leg("1")]), unsettled=said) == ("clean", "")
    healed = state(GHOST, unsettled=said, touched=frozenset({("p1", "TRD-1")}))
    assert healed == ("waits", "the trade was healed in this run")


def test_a_coin_among_the_balances_that_the_positions_leave_out_is_not_flat() -> None:
    full = GHOST.snapshot.feed(next(iter(GHOST.snapshot.coverage)))
    both = {"coverage": {"positions": full, "balances": full}}
    omitted = GHOST.having(**both, balances={"BTC": "0.0011"})
    assert state(omitted) == ("unknown", "the venue lists no position in BTC/USD, and a balance of 0.0011 BTC")
    assert state(omitted.having(balances={"BTC": "-2"}))[0] == "unknown"
    assert state(omitted.having(balances={"BTC": "0.001", "USD": "9"})) == ("ghost", "")
    assert state(omitted.having(balances={"ETH": "5"})) == ("ghost", "")
    assert state(omitted.having(legs=[leg("1")])) == ("clean", "")


def test_only_open_slices_of_the_profiles_are_looked_at_oldest_first() -> None:
    rows = [
        entry("B", minute=2), entry("A", minute=3), entry("C", minute=1, profile_id="p2"), entry("D"), leave("D"),
        entry("E"), leave("E", "2"),
    ]  # fmt: skip
    world = World(rows=rows)
    assert [each.trade.trade_id for each in looks(world)] == ["C", "B", "A"]
    assert list(states(world, profiles=("p1",))) == ["p1/B", "p1/A"]
    assert list(states(world.having(rows=rows[::-1]))) == ["p2/C", "p1/B", "p1/A"]


def test_a_look_says_whether_the_entry_is_attributed() -> None:
    assert not only(GHOST).attributed
    assert only(GHOST, tagged=frozenset({("p1", "TRD-1")})).attributed
    assert not only(GHOST, tagged=frozenset({("p2", "TRD-1"), ("p1", "TRD-2")})).attributed
    assert only(GHOST, needs_tag=False).attributed


def test_a_look_says_what_the_slice_is_worth() -> None:
    assert only(GHOST).notional == 100
    marked = GHOST.having(legs=[leg("0", mark="90")])
    assert (only(marked).notional, only(marked).holding) == (90, Holding((Decimal(0),), Decimal(90)))
    assert only(World(rows=[entry(qty="2", price=None)])).notional is None
    assert only(World(rows=[short(qty="2", price="50")])).notional == 100
    [piece] = pieces([entry(qty="2"), leave(qty="0.5")])
    assert (notional_of(piece, None), notional_of(piece, Holding())) == (150, 150)


# The synthetic exit.


def pieces(rows: list[LedgerOrder]) -> list[Slice]:
    world = World(rows=rows)
    return slices_of(rows, world.fresh_symbols)


def test_the_id_of_a_synthetic_exit_is_exactly_the_designs() -> None:
    [piece] = pieces([entry(qty="2.50"), leave(qty="1", minute=7)])
    made = synthetic_exit(piece, Holding((), Decimal("97.5")), at(NOW))
    text = f"p1:TRD-1:1.5:{at(7)}"
    assert made.order_id == "PRTY-" + md5(text.encode()).hexdigest()


def test_a_synthetic_exit_closes_the_whole_slice_at_the_mark_at_the_last_look() -> None:
    [piece] = pieces([entry(qty="2.50"), leave(qty="1", minute=7)])
    made = synthetic_exit(piece, Holding((), Decimal("97.5")), at(NOW))
    assert (made.profile_id, made.user_id, made.symbol, made.trade_id) == ("p1", "u1", "BTC/USD", "TRD-1")
    assert (made.side, made.qty, made.evidence_qty) == (Side.SELL, Decimal("1.5"), Decimal("1.5"))
    assert (made.price, made.price_source, made.filled_ms) == (Decimal("97.5"), "mark", at(NOW))
    assert (made.exchange_order_id, made.matched_by) == ("PARITY-TRD-1", "parity")
    assert (made.client_order_id, made.sub_tag, made.fee) == (None, None, None)


@pytest.mark.parametrize("holding", [None, Holding(), Holding((Decimal(0),))])
def test_a_price_without_a_mark_is_none(holding: Holding | None) -> None:
    [piece] = pieces([short(qty="2")])
    made = synthetic_exit(piece, holding, at(NOW))
    assert (made.price, made.price_source, made.side) == (0, "none", Side.BUY)


def test_what_is_written_is_cut_and_never_more_than_is_open() -> None:
    [piece] = pieces([entry(qty="0." + "6" * 30)])
    made = synthetic_exit(piece, Holding((), Decimal("1." + "5" * 30)), at(NOW))
    assert made.qty == Decimal("0." + "6" * 18)
    assert made.price == Decimal("1." + "5" * 17 + "6")
    assert made.order_id == "PRTY-" + md5(f"p1:TRD-1:0.{'6' * 30}:{at(0)}".encode()).hexdigest()


# Which of them may be closed.


def closable(rows: list[LedgerOrder], *ghosts: str, dust: Decimal = DUST) -> list[str]:
    world = World(rows=rows)
    found = {piece.trade_id: SliceLook(piece, Look.GHOST) for piece in pieces(rows)}
    chosen = may_close([found[name] for name in ghosts], world.facts, dust)
    return [each.trade.trade_id for each in chosen]


def test_ghosts_of_one_side_are_closed_together() -> None:
    assert closable([entry("A")], "A") == ["A"]
    assert closable([short("A"), short("B")], "A", "B") == ["A", "B"]
    assert closable([entry("A"), entry("B", symbol="ETH/USD")], "A", "B") == ["A", "B"]
    assert closable([entry("A"), entry("B", "2")], "A") == ["A"]
    assert closable([]) == []


def test_where_both_sides_are_open_which_is_gone_cannot_be_told() -> None:
    assert closable([entry("A"), short("B", "3")], "A", "B") == []
    assert closable([entry("A"), short("B", "3")], "B") == []
    assert closable([entry("A"), short("B", "3", profile_id="p2")], "A") == []
    assert closable([entry("A"), short("B", "3", symbol="ETH/USD")], "A", "B") == ["A", "B"]
    assert closable([entry("A"), short("B", "3"), leave("B", "3", side="buy")], "A") == ["A"]


def test_a_ghost_whose_exit_would_take_the_ledger_past_flat_stays() -> None:
    """A trade that exited too much counts against the others."""
    assert closable([entry("A", "3"), entry("B"), leave("B", "1.001")], "A") == ["A"]
    assert closable([entry("A", "3"), entry("B"), leave("B", "1.0011")], "A") == []
    assert closable([short("A", "3"), short("B"), leave("B", "1.0011", side="buy")], "A") == []
    assert closable([short("A", "3"), short("B"), leave("B", "1.001", side="buy")], "A") == ["A"]


def test_else_one_by_one_in_their_order_as_far_as_they_lead_to_flat() -> None:
    over = [entry("C"), leave("C", "3")]
    assert closable([entry("A", "2"), entry("B", "3"), *over], "A", "B") == ["A"]
    assert closable([entry("A", "2"), entry("B", "3"), *over], "B", "A") == ["B"]
    assert closable([entry("A", "1"), entry("B", "0.5"), *over], "A", "B") == []


def test_what_each_step_may_be_off_does_not_add_up() -> None:
    rows = [*(entry(f"T{n}", "0.001", n) for n in range(9)), entry("S"), leave("S", "1.0075")]
    chosen = closable(rows, *(f"T{n}" for n in range(9)))
    assert len(chosen) == 2
    assert Decimal("0.0015") - Decimal("0.001") * len(chosen) >= -DUST


QUANTITIES = st.sampled_from(("1", "2", "0.5", "0.001", "0.0009"))


@given(st.lists(st.tuples(st.booleans(), QUANTITIES, st.booleans()), max_size=7))
@exactly
def test_never_past_the_truth_closing_ghosts_leads_to_flat_and_not_beyond(
    trades: list[tuple[bool, str, bool]],
) -> None:
    rows = [entry(f"T{n}", qty, n) for n, (_, qty, _) in enumerate(trades)]
    rows += [leave(f"T{n}", "2.5", n) for n, (over, _, _) in enumerate(trades) if over]
    ghosts = [f"T{n}" for n, (over, _, ghost) in enumerate(trades) if ghost and not over]
    by_name = {piece.trade_id: piece.signed_open for piece in pieces(rows)}
    before = sum(by_name.values(), Decimal(0))
    chosen = closable(rows, *ghosts)
    after = before - sum((by_name[name] for name in chosen), Decimal(0))
    assert min(before, Decimal(0)) - DUST <= after <= max(before, Decimal(0)) + DUST
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(ghosts)


# Tags.

READER = TagReader("bytelyst", ["p1", "p1-x", "p2"])


def tagged(*said: tuple[str | None, str | None], trade: str = "TRD-ABCDE", profile: str = "p1") -> bool:
    return (profile, trade) in tagged_trades({(profile, trade): said}, READER)


def test_an_entry_is_attributed_by_its_client_order_id_or_its_sub_tag() -> None:
    assert tagged(("bytelyst-p1-TRD-ABCDE-entry", None))
    assert tagged(("BYTELYST-P1-trd-abcde", None))
    assert tagged((None, "bytelyst:p1:TRD-ABCDE"))
    assert tagged((None, "bytelyst:p1:TRD-ABCD"))
    assert tagged((None, None), ("bytelyst-p1-TRD-ABCDE-entry", None))
    assert tagged(("bytelyst-p1-TRD-ABCDE-entry", "bytelyst:p1:TRD-ABCD"))
    assert tagged(("something", "bytelyst:p1:TRD-ABCDE"))


def test_what_names_another_profile_or_trade_or_nothing_attributes_nothing() -> None:
    assert not tagged()
    assert not tagged((None, None), ("something", "else"))
    assert not tagged(("bytelyst-p2-TRD-ABCDE", None))
    assert not tagged(("bytelyst-p1-x-TRD-ABCDE", None))
    assert not tagged(("bytelyst-p1-TRD-OTHER", None))
    assert not tagged(("bytelyst-p1-TRD-ABCD", None))
    assert not tagged((None, "bytelyst:p1:TRD-ABC"))
    assert not tagged((None, "bytelyst:p9:TRD-ABCDE"))
    assert not tagged((None, "bytelyst:p1:"))
    assert tagged((None, "bytelyst:p1:TRD-A"), trade="TRD-A")


def test_tags_that_contradict_each_other_attribute_nothing() -> None:
    assert not tagged(("bytelyst-p1-TRD-ABCDE", "bytelyst:p2:TRD-ABCDE"))
    assert not tagged(("bytelyst-p1-TRD-ABCDE", "bytelyst:p1:TRD-OTHER"))


def test_each_trade_is_attributed_by_its_own_entries() -> None:
    entries = {("p1", "A"): [("bytelyst-p1-A", None)], ("p2", "A"): [("bytelyst-p1-A", None)], ("p1", "B"): []}
    assert tagged_trades(entries, READER) == {("p1", "A")}
