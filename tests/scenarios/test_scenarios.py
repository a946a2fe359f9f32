"""Faults on the wire, alone and in mixtures: nothing false is claimed, and nothing is proposed that the truth refutes.

`make scenarios` plays ten thousand of these; here is a share of them, and each fault by itself.
"""

from collections.abc import Iterator

import pytest
from tests.scenarios.worlds import KINDS, Stage, play, stages

from trueup.sim.faults import FaultKind
from trueup.sim.weeks import WeekKind

MIXTURES = 25


@pytest.fixture(scope="module", params=KINDS)
def weeks(request: pytest.FixtureRequest) -> Iterator[list[Stage]]:
    kind: WeekKind = request.param
    with stages(kind) as made:
        yield made


def test_without_a_fault_everything_is_known_and_every_missing_exit_is_proposed(weeks: list[Stage]) -> None:
    for stage in weeks:
        stage.quiet = True
        outcome = play(stage, 0)
        stage.quiet = False
        assert (outcome.complete, outcome.overclaimed, outcome.refuted) == (True, [], [])
        assert outcome.faults.log == []
        assert outcome.proposed >= len(stage.week.missing)


@pytest.mark.parametrize("fault", FaultKind)
def test_a_fault_alone(weeks: list[Stage], fault: FaultKind) -> None:
    number = list(FaultKind).index(fault)
    outcomes = [play(weeks[number % len(weeks)], seed, fault) for seed in (number, number + 100)]
    assert [str(outcome) for outcome in outcomes if outcome.refuted or outcome.overclaimed] == []


def test_mixtures_of_faults(weeks: list[Stage]) -> None:
    outcomes = [play(weeks[seed % len(weeks)], seed) for seed in range(MIXTURES)]
    assert [str(outcome) for outcome in outcomes if outcome.refuted or outcome.overclaimed] == []
    assert sum(len(outcome.faults.log) for outcome in outcomes) > MIXTURES
    assert sum(outcome.complete for outcome in outcomes) > 0
    assert sum(not outcome.complete for outcome in outcomes) > 0
