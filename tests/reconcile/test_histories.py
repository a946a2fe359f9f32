"""Random histories of bots whose writes fail, at a venue whose feeds fail: what the loop does is never wrong.

Each seed is a history that can be played again: `python -m tests.reconcile 1 SEED`.
"""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from tests.reconcile.places import QuickBooks, SqlBooks, books
from tests.reconcile.playing import play

NUMBERS = ("qty", "quantity", "price", "order_qty")


@pytest.fixture(scope="module")
def database() -> Iterator[SqlBooks]:
    with books() as made:
        yield made


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_nothing_is_wrong_and_nothing_that_proof_heals_is_left(first: int) -> None:
    memory = QuickBooks()
    outcomes = [play(seed, memory) for seed in range(first, first + 50)]
    assert [str(outcome) for outcome in outcomes if not outcome.well] == []
    assert sum(outcome.counts["heals"] for outcome in outcomes) > 10


FOUND = {
    2099: "a trade of which the entry's row was overwritten, and the exit's was not",
    7652: "a trade of one profile that cannot be read, and another one that holds the same symbol",
    11157: "an order of which only the fills are listed, booked under its client order id",
    13657: "two orders of a chain, each with a row that books the same execution",
    20891: "replaced orders without fills, of which the orders alone do not say what was executed",
    20977: "a missed exit beside another profile's trade whose entry's side is unclear, at a venue of balances",
    21212: "an exit whose first fill is booked without an id, and its row with the id booked whole",
    21313: "a missed entry beside another profile's trade whose entry's side is unclear",
    22131: "an exit that leads away from a venue that liquidated, refused by the loop and booked by its backfill",
    23283: "a second row of an order under its client order id, while the venue lists fills alone",
    61741: "an exit under the client order id of an entry that never was: the heal is right",
    200072: "an exit whose row has its position's side, of a trade whose entry was never booked: nobody can tell",
    1002493: "two ghosts of one symbol, which are confirmed one after the other",
    1008284: "a bot that names no actions, whose entry still works in its books while its exit lacks a part",
    1016031: "a working order without a row of a bot that names nothing",
    1029602: "an entry that came after its trade's dust was written off, and has no row",
    1035021: "an exit whose row has its position's side, of a trade whose entry another row overwrote",
    1053724: "replaced orders of which one is not told, beside a doubled row that makes up for it",
    1126742: "a profile that the watchdog resumes",
    2015651: "a missed exit that the loop waited for and its backfill booked, beyond a venue that is flat",
    2023362: "replaced orders of which one is not told, of a trade whose entry nobody can tell",
    2059008: "a doubled row that lost its ids, beside another doubled row that makes up for it",
    3024612: "a row that names the order which replaced another, while the venue's reading is older than it",
    3026681: "a bot that names no actions, whose entry is dead in its books while its exit lacks a part",
    4053861: "a chain of replaced orders, its lack booked in the newest row, of which only the fills are told later",
    5067647: "a bot that names no actions, whose entry was lost, and its exit executed in the very same moment",
    9054570: "a bot that names no actions, whose entry's row has the time of its last fill, after the exit's",
    8010266: "a row without ids of replaced orders, of which the venue gives no fills, so that they add up to less",
    6051186: "an order with two live rows of the bot, of which a person decides, and what its rows lack",
    6055042: "a bot that names no actions and no trades, whose entry was lost; its exit's row lacks a part",
    7000214: "a row that a heal completed and the bot overwrote with less",
    405887: "an entry whose row another one overwrote: it is older than the exit that is left, and books no exit",
}
"""Histories that once went wrong."""


@pytest.mark.parametrize("seed", FOUND)
def test_what_went_wrong_once_does_not_again(seed: int, database: SqlBooks) -> None:
    outcomes = play(seed, QuickBooks()), play(seed, database)
    assert [str(outcome) for outcome in outcomes if not outcome.well] == []


@pytest.mark.parametrize("seed", [3, 8, 22, 47, 359, 398, 1025])
def test_a_database_and_memory_end_alike(seed: int, database: SqlBooks) -> None:
    memory = QuickBooks()
    outcomes = play(seed, memory), play(seed, database)
    assert [str(outcome) for outcome in outcomes if not outcome.well] == []
    for name, row in memory.rows().items():
        kept = database.rows()[name]
        assert {k: v for k, v in kept.items() if k not in NUMBERS} == {k: v for k, v in row.items() if k not in NUMBERS}
        assert {k: _number(kept[k]) for k in NUMBERS} == {k: _number(row[k]) for k in NUMBERS}
    assert memory.rows().keys() == database.rows().keys()
    assert [row[:3] for row in memory.audit()] == [row[:3] for row in database.audit()]
    assert _standing(memory) == _standing(database)


def test_heals_are_taken_back_run_by_run(database: SqlBooks) -> None:
    """A revert is refused only where the bot wrote the row or its trade again since."""
    outcomes = [play(seed, database, take_back=True) for seed in range(2006, 2020)]
    assert [str(outcome) for outcome in outcomes if not outcome.well] == []
    assert sum(outcome.counts["reverts"] for outcome in outcomes) > 10


def _number(value: object) -> Decimal | None:
    return Decimal(str(value)) if value is not None else None


def _standing(ledger: QuickBooks | SqlBooks) -> dict[str, tuple[str, str]]:
    return {each["break_id"]: (each["state"], each["reason"]) for each in ledger.breaks(over=True)}
