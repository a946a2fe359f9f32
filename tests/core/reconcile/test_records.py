"""Breaks across looks: identity, age, confirmations, resolution, and what a person took over."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.core.breaks import Break, BreakKind
from trueup.core.reconcile.records import BreakRecord, BreakState, Sighting, advance, confirmations

GHOST = Break(
    BreakKind.GHOST_POSITION, "main", "BTC/USD", Decimal("1.50"), Decimal(0), "holds 1.5 too much", "p1", "TRD-1", "X1"
)
WAITING, OPEN, HEALED = BreakState.WAITING, BreakState.OPEN, BreakState.HEALED
NOT_OVER = [state for state in BreakState if not state.ends]


def sees(state: BreakState = WAITING, found: Break = GHOST, *, counts: bool = True) -> Sighting:
    return Sighting(found, state, f"it {state.value}", Decimal("150.0"), counts=counts)


def looked(
    records: list[BreakRecord], *sightings: Sighting, as_of: int = 100, now: int = 1000, run: str = "RUN-1",
    conclusive: Callable[[BreakRecord], bool] = lambda _: True,
) -> list[BreakRecord]:  # fmt: skip
    known = {record.break_id: record for record in records}
    return advance(known, sightings, conclusive, run_of=lambda _: run, as_of_ms=as_of, now_ms=now)


def first(state: BreakState = WAITING, **said: bool) -> BreakRecord:
    [record] = looked([], sees(state, **said))
    return record


def test_a_break_as_it_is_first_seen() -> None:
    assert first() == BreakRecord(
        break_id=GHOST.break_id, kind="ghost_position", scope="profile:p1", account="main", state=WAITING,
        profile_id="p1", symbol="BTC/USD", trade_id="TRD-1", exchange_order_id="X1", reason="it waiting",
        ledger_qty="1.5", venue_qty="0", notional=Decimal("150.0"),
        detail={"settled": True, "what": "holds 1.5 too much"}, confirmations=1, as_of_ms=100, first_run_id="RUN-1",
        last_run_id="RUN-1", first_seen_ms=1000, last_seen_ms=1000,
    )  # fmt: skip


def test_a_break_of_nobody_is_of_its_account() -> None:
    nobodys = replace(GHOST, profile_id=None, ledger=None, venue=None)
    [record] = looked([], sees(found=nobodys))
    assert (record.scope, record.profile_id, record.ledger_qty, record.venue_qty) == ("account:main", None, None, None)


def test_a_break_keeps_its_identity_and_its_age_while_its_quantities_change() -> None:
    more = replace(GHOST, ledger=Decimal(3), detail="more")
    [record] = looked([first()], sees(OPEN, more), as_of=200, now=2000, run="RUN-2")
    assert (record.break_id, record.first_seen_ms, record.first_run_id) == (GHOST.break_id, 1000, "RUN-1")
    assert (record.last_seen_ms, record.last_run_id, record.as_of_ms) == (2000, "RUN-2", 200)
    assert (record.ledger_qty, record.detail, record.state, record.confirmations) == (
        "3",
        {"settled": True, "what": "more"},
        OPEN,
        2,
    )
    assert record.resolved_ms is None
    other = replace(GHOST, trade_id="TRD-2")
    assert other.break_id != GHOST.break_id


def test_a_look_confirms_only_on_a_newer_reading_of_the_venue() -> None:
    record = first()
    for as_of, count in ((100, 1), (99, 1), (101, 2), (101, 2), (100, 2), (101, 2), (102, 3)):
        [record] = looked([record], sees(), as_of=as_of)
        assert record.confirmations == count, as_of


def test_an_older_reading_that_comes_later_does_not_make_the_newer_one_count_again() -> None:
    [record] = looked([first()], sees(), as_of=50)
    assert (record.as_of_ms, record.confirmations) == (100, 1)
    [record] = looked([record], sees(), as_of=100)
    assert record.confirmations == 1


def test_a_look_that_does_not_count_holds_the_confirmations() -> None:
    [record] = looked([first()], sees(), as_of=200)
    [held] = looked([record], sees(counts=False), as_of=300)
    assert (held.confirmations, held.state, held.as_of_ms) == (2, WAITING, 300)
    [record] = looked([held], sees(), as_of=400)
    assert record.confirmations == 3
    assert first(counts=False).confirmations == 0
    [record] = looked([first(counts=False)], sees(), as_of=200)
    assert record.confirmations == 1


def test_a_look_that_sees_that_it_is_not_so_begins_the_count_anew() -> None:
    resets = replace(sees(BreakState.QUARANTINED), resets=True)
    [record] = looked([first()], resets, as_of=200)
    assert (record.confirmations, record.first_seen_ms, record.state) == (0, 1000, BreakState.QUARANTINED)
    [record] = looked([record], sees(), as_of=300)
    assert record.confirmations == 1
    [record] = looked([], resets)
    assert record.confirmations == 0


def test_a_record_without_a_reading_counts_the_next_one() -> None:
    assert confirmations(None, 100) == 1
    assert confirmations(replace(first(), as_of_ms=None), 100) == 2
    assert confirmations(first(), 101) == 2
    for state in BreakState:
        assert confirmations(replace(first(), state=state, confirmations=7), 101) == (1 if state.over else 8)


def test_a_conclusive_look_that_does_not_see_a_break_resolves_it() -> None:
    [record] = looked([first()], as_of=200, now=2000, run="RUN-2")
    assert record == replace(
        first(), state=BreakState.RESOLVED, resolution="no longer seen", resolved_ms=2000, as_of_ms=200,
        last_run_id="RUN-2",
    )  # fmt: skip
    assert record.last_seen_ms == 1000


def test_an_inconclusive_look_that_does_not_see_a_break_changes_nothing() -> None:
    assert looked([first()], conclusive=lambda _: False) == []


def test_what_is_conclusive_is_asked_for_each_record() -> None:
    other = replace(first(), break_id="BRK-2", profile_id="p2")
    [record] = looked([first(), other], conclusive=lambda each: each.profile_id == "p2")
    assert (record.break_id, record.state) == ("BRK-2", BreakState.RESOLVED)


@pytest.mark.parametrize("state", [HEALED, BreakState.RESOLVED])
def test_a_break_that_is_over_is_left_out_until_it_is_seen_again(state: BreakState) -> None:
    done = replace(first(), state=state, resolved_ms=1500, resolution="done", owner="ann", confirmations=3)
    assert looked([done]) == []
    [again] = looked([done], sees(), as_of=300, now=3000, run="RUN-3")
    assert again == replace(
        first(), first_seen_ms=3000, last_seen_ms=3000, first_run_id="RUN-3", last_run_id="RUN-3", as_of_ms=300
    )
    [held] = looked([done], sees(counts=False), as_of=300)
    assert held.confirmations == 0


def test_a_healed_break_is_over() -> None:
    [record] = looked([first()], sees(HEALED), as_of=200, now=2000)
    assert (record.state, record.resolution, record.resolved_ms, record.first_seen_ms) == (HEALED, "healed", 2000, 1000)
    assert record.state.over
    at_once = first(HEALED)
    assert (at_once.resolved_ms, at_once.resolution) == (1000, "healed")


def test_what_a_person_took_over_stays_so_until_it_is_over() -> None:
    taken = replace(first(), state=BreakState.ACKNOWLEDGED, owner="ann")
    for state in NOT_OVER:
        [record] = looked([taken], sees(state), as_of=200)
        assert (record.state, record.owner, record.confirmations) == (BreakState.ACKNOWLEDGED, "ann", 2)
    [record] = looked([taken], sees(HEALED), as_of=200)
    assert (record.state, record.owner) == (HEALED, "ann")
    [record] = looked([taken])
    assert (record.state, record.owner) == (BreakState.RESOLVED, "ann")


def test_a_resolution_that_a_person_gave_stays() -> None:
    [record] = looked([replace(first(), resolution="sold by hand")])
    assert record.resolution == "sold by hand"
    [record] = looked([replace(first(), resolution="sold by hand")], sees(), as_of=200)
    assert record.resolution is None


@pytest.mark.parametrize("state", BreakState)
def test_only_healed_and_resolved_are_over(state: BreakState) -> None:
    assert state.over == (state.value in ("healed", "resolved"))


def test_a_record_for_printing() -> None:
    printed = replace(first(), notional=Decimal("150.500"), owner="ann").as_json(5000)
    assert printed == {
        "break_id": GHOST.break_id, "kind": "ghost_position", "state": "waiting", "scope": "profile:p1",
        "account": "main", "profile_id": "p1", "symbol": "BTC/USD", "trade_id": "TRD-1", "exchange_order_id": "X1",
        "ledger": "1.5", "venue": "0", "notional": "150.5", "reason": "it waiting", "confirmations": 1,
        "owner": "ann", "resolution": None, "age_ms": 4000, "detail": {"settled": True, "what": "holds 1.5 too much"},
        "history": [], "first_seen": "1970-01-01T00:00:01.000Z", "last_seen": "1970-01-01T00:00:01.000Z",
        "resolved_at": None,
    }  # fmt: skip
    over = replace(first(), state=HEALED, resolved_ms=1700, notional=None).as_json(5000)
    assert (over["age_ms"], over["notional"]) == (700, None)


LOOKS = st.lists(
    st.tuples(st.sampled_from(("ghost", "holds", "clean", "inconclusive")), st.integers(0, 2)), max_size=12
)


@given(LOOKS)
def test_confirmations_are_the_newer_readings_since_the_last_clean_look(looks: list[tuple[str, int]]) -> None:
    """As the design says: clean resets, inconclusive holds, and the same reading counts once."""
    records: list[BreakRecord] = []
    as_of = 100
    model: tuple[int, int] | None = None
    for what, later in looks:
        as_of += later
        sighting = [sees(counts=what == "ghost")] if what in ("ghost", "holds") else []
        found = looked(records, *sighting, as_of=as_of, conclusive=lambda _, what=what: what == "clean")
        records = found or records
        if what == "clean":
            model = None
        elif sighting:
            count, newest = model or (0, as_of - 1 if what == "ghost" else as_of)
            model = (count + (what == "ghost" and as_of > newest), as_of)
        alive = [record.confirmations for record in records if not record.state.over]
        assert alive == ([] if model is None else [model[0]])
