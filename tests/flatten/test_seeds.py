"""Seeded flattenings with whatever goes wrong: flat, or HALT with what is left named; never an opposite position."""

from collections import Counter

import pytest
from tests.flatten.playing import play

COUNT = 300


@pytest.mark.parametrize("first", range(0, COUNT, 60))
def test_seeded_flattenings_end_flat_or_in_halt(first: int) -> None:
    """Invariants 4 and 5: what is sent is held against the last reading, each fill against the exchange's truth."""
    outcomes = [play(seed) for seed in range(first, first + 60)]
    assert [str(outcome) for outcome in outcomes if outcome.wrong] == []
    counts = sum((outcome.counts for outcome in outcomes), Counter())
    assert counts["flat"] > 30
    assert counts["halted"] > 0


def test_the_same_seed_plays_the_same() -> None:
    assert play(17).counts == play(17).counts
