"""Classification: what a break tells, what an incident is told by, how far it reaches, and what contains it."""

from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.core.breaks import BreakKind
from trueup.core.incidents.classes import (
    TELLINGS,
    BreakFacts,
    Pattern,
    Radius,
    classify,
    containment,
    smallest_scope,
    tell,
)
from trueup.core.incidents.policy import IncidentPolicy
from trueup.core.modes import Mode

RULES = IncidentPolicy()
GHOST = BreakFacts("B1", "ghost_position", "p1", "BTC/USD", "BTCUSD", Decimal(1), Decimal(0), settled=True)
LATE, TWICE = replace(GHOST, caught_up=True), replace(GHOST, twins=True)
MIXED_UP, YOUNG = replace(GHOST, reversed=True), replace(GHOST, settled=False)
STALE = replace(GHOST, stale_write=True)


@pytest.mark.parametrize(
    ("facts", "signal", "pattern"),
    [
        (GHOST, "never_arrived", Pattern.MISSING),
        (LATE, "caught_up_by_itself", Pattern.DELAY),
        (replace(LATE, settled=False), "caught_up_by_itself", Pattern.DELAY),
        (TWICE, "booked_twice", Pattern.DUP),
        (replace(GHOST, kind="duplicate"), "booked_twice", Pattern.DUP),
        (MIXED_UP, "exit_before_entry", Pattern.OUT_OF_ORDER),
        (STALE, "older_state_written_later", Pattern.OUT_OF_ORDER),
        (YOUNG, "too_young", None),
        (replace(GHOST, kind="side_flip"), "side_flip", None),
        (replace(GHOST, kind="price_mismatch"), "unclear", None),
        (replace(GHOST, kind="orphan_order"), "unclear", None),
        (
            replace(GHOST, kind="phantom_fill", ledger_qty=Decimal(2), venue_qty=Decimal(1)),
            "more_booked_than_executed", Pattern.DUP,
        ),
        (replace(GHOST, kind="phantom_fill", ledger_qty=Decimal(2), venue_qty=Decimal(0)), "unclear", None),
        (replace(GHOST, kind="phantom_fill", ledger_qty=Decimal(2), venue_qty=None), "unclear", None),
    ],
)  # fmt: skip
def test_what_a_break_tells(facts: BreakFacts, signal: str, pattern: Pattern | None) -> None:
    told = tell(facts)
    assert (told.signal, told.pattern, told.break_id) == (signal, pattern, "B1")


@pytest.mark.parametrize("kind", list(BreakKind))
def test_every_kind_is_told_by_some_row_and_a_graver_sign_is_never_hidden(kind: BreakKind) -> None:
    facts = replace(GHOST, kind=kind.value)
    assert tell(facts).signal in {row.name for row in TELLINGS}
    assert tell(replace(facts, reversed=True, twins=True, caught_up=True)).pattern is Pattern.OUT_OF_ORDER
    assert tell(replace(facts, settled=False, caught_up=False, twins=False)).pattern in (None, Pattern.DUP)


def named(*facts: BreakFacts) -> list[BreakFacts]:
    return [replace(item, break_id=f"B{number}") for number, item in enumerate(facts)]


def apart(*facts: BreakFacts) -> list[BreakFacts]:
    """Each of a symbol of its own."""
    return [replace(item, break_id=f"B{n}", symbol=f"S{n}/USD", token=f"S{n}USD") for n, item in enumerate(facts)]


def test_the_pattern_of_most_symbols_is_the_primary_one() -> None:
    verdict = classify(apart(GHOST, GHOST, TWICE), 1, RULES)
    assert (verdict.primary, verdict.secondary, verdict.unclear) == (Pattern.MISSING, Pattern.DUP, False)


def test_of_two_equal_ones_the_graver_is_the_primary_one() -> None:
    for order in permutations(apart(LATE, MIXED_UP)):
        verdict = classify(order, 1, RULES)
        assert (verdict.primary, verdict.secondary) == (Pattern.OUT_OF_ORDER, Pattern.DELAY)


def test_two_breaks_of_one_symbol_are_one_cause_with_the_graver_pattern() -> None:
    verdict = classify([*named(TWICE, TWICE, MIXED_UP), *apart(LATE)], 1, RULES)
    assert (verdict.primary, verdict.secondary) == (Pattern.OUT_OF_ORDER, Pattern.DELAY)


@pytest.mark.parametrize("kind", ["ghost_position", "unbooked_position", "side_flip", "balance_mismatch"])
def test_a_position_follows_from_an_order_of_its_symbol(kind: str) -> None:
    order, position = named(replace(GHOST, kind="duplicate"), replace(GHOST, kind=kind))
    elsewhere = replace(position, token="ETHUSD")
    follows = kind != "balance_mismatch"
    assert classify([order, position], 1, RULES).unclear is not follows
    if follows:
        verdict = classify([order, position], 1, RULES)
        assert (verdict.primary, verdict.secondary) == (Pattern.DUP, None)
        assert [signal.signal for signal in verdict.signals] == ["booked_twice", "follows_from_an_order"]
    assert classify([order, elsewhere], 1, RULES).primary is Pattern.MISSING


def test_a_young_position_follows_from_nothing() -> None:
    order, position = named(replace(GHOST, kind="duplicate"), YOUNG)
    assert classify([order, position], 1, RULES).unclear


def test_one_unclear_break_makes_the_incident_unclear_which_is_the_worst_case() -> None:
    verdict = classify(named(LATE, LATE, LATE, YOUNG), 1, RULES)
    assert (verdict.primary, verdict.secondary, verdict.unclear) == (Pattern.MISSING, Pattern.OUT_OF_ORDER, True)
    assert not verdict.understood
    assert classify([], 1, RULES).unclear


def test_a_position_that_is_there_still_does_not_follow_from_an_order_that_caught_up() -> None:
    late = replace(LATE, break_id="B2", kind="missing_in_db")
    verdict = classify([GHOST, late], 1, RULES)
    assert (verdict.understood, {signal.pattern for signal in verdict.signals}) == (
        False, {Pattern.MISSING, Pattern.DELAY},
    )  # fmt: skip
    assert containment("main", [GHOST, late], verdict, 1, RULES).mode is Mode.SAFE_MODE


FACTS = st.builds(
    replace, st.sampled_from([GHOST, LATE, TWICE, MIXED_UP, YOUNG, STALE]),
    break_id=st.sampled_from([f"B{n}" for n in range(9)]), kind=st.sampled_from([kind.value for kind in BreakKind]),
    profile_id=st.sampled_from(["p1", "p2", None]), token=st.sampled_from(["BTCUSD", "ETHUSD"]),
)  # fmt: skip


@given(st.lists(FACTS, max_size=6), st.integers(0, 9), st.randoms())
def test_deterministic_and_unclear_is_never_taken_for_a_milder_class(
    facts: list[BreakFacts], runs: int, dice: Random
) -> None:
    verdict = classify(facts, runs, RULES)
    shuffled = list(facts)
    dice.shuffle(shuffled)
    assert classify(shuffled, runs, RULES).primary == verdict.primary
    if any(signal.pattern is None for signal in verdict.signals):
        assert verdict.unclear
        assert containment("main", facts, verdict, runs, RULES).mode >= Mode.SAFE_MODE
    if verdict.unclear:
        assert {verdict.primary, verdict.secondary} == {Pattern.MISSING, Pattern.OUT_OF_ORDER}
    graver = {signal.pattern for signal in verdict.signals} & {Pattern.MISSING, Pattern.OUT_OF_ORDER}
    assert not (verdict.understood and graver)


@pytest.mark.parametrize(
    ("facts", "runs", "radius"),
    [
        ([GHOST], 1, Radius.LOW), ([GHOST], RULES.repeated_runs - 1, Radius.LOW),
        ([GHOST], RULES.repeated_runs, Radius.HIGH),
        ([GHOST, replace(GHOST, token="ETHUSD")], 1, Radius.MEDIUM),
        ([GHOST, replace(GHOST, profile_id="p2")], 1, Radius.HIGH), ([replace(GHOST, profile_id=None)], 1, Radius.HIGH),
    ],
)  # fmt: skip
def test_the_blast_radius(facts: list[BreakFacts], runs: int, radius: Radius) -> None:
    assert classify(named(*facts), runs, RULES).radius is radius


ETH = replace(GHOST, symbol="ETH/USD", token="ETHUSD")


@pytest.mark.parametrize(
    ("facts", "scope"),
    [
        ([GHOST], "symbol:p1:BTC/USD"), ([GHOST, GHOST], "symbol:p1:BTC/USD"), ([GHOST, ETH], "profile:p1"),
        ([GHOST, replace(GHOST, profile_id="p2")], "account:main"), ([replace(GHOST, profile_id=None)], "account:main"),
        ([replace(GHOST, symbol=None, token="")], "profile:p1"), ([], "account:main"),
        ([replace(GHOST, symbol="BTC/USDT:USDT", token="X")], "symbol:p1:BTC/USDT:USDT"),
    ],
)  # fmt: skip
def test_the_smallest_scope_that_holds_all(facts: list[BreakFacts], scope: str) -> None:
    assert smallest_scope("main", facts) == scope


@pytest.mark.parametrize(
    ("facts", "runs", "scope", "mode"),
    [
        ([GHOST], 1, "symbol:p1:BTC/USD", Mode.SAFE_MODE), ([TWICE], 1, "symbol:p1:BTC/USD", Mode.CLOSE_ONLY),
        ([LATE], 1, "symbol:p1:BTC/USD", Mode.CLOSE_ONLY), ([MIXED_UP], 1, "symbol:p1:BTC/USD", Mode.SAFE_MODE),
        ([YOUNG], 1, "symbol:p1:BTC/USD", Mode.SAFE_MODE),
        ([TWICE], RULES.repeated_runs, "profile:p1", Mode.SAFE_MODE),
        ([TWICE, ETH], 1, "profile:p1", Mode.SAFE_MODE),
        ([TWICE, replace(ETH, twins=True)], 1, "profile:p1", Mode.SAFE_MODE),
        ([TWICE, replace(ETH, twins=True)], RULES.repeated_runs, "account:main", Mode.SAFE_MODE),
        ([GHOST, replace(GHOST, profile_id="p2")], 1, "account:main", Mode.SAFE_MODE),
    ],
)  # fmt: skip
def test_containment_follows_class_and_radius(facts: list[BreakFacts], runs: int, scope: str, mode: Mode) -> None:
    found = containment("main", named(*facts), classify(named(*facts), runs, RULES), runs, RULES)
    assert (found.scope, found.mode) == (scope, mode)
