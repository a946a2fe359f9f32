"""Incidents of known class and radius are told rightly; none is taken for a milder one."""

import pytest
from tests.incidents.__main__ import milder, taken_for
from tests.incidents.playing import Played, play

SEEDS = range(240)


@pytest.fixture(scope="module")
def games() -> list[Played]:
    return [play(seed) for seed in SEEDS]


def test_the_primary_class_is_right(games: list[Played]) -> None:
    wrong = [game.seed for game in games if taken_for(game) != game.truth.primary.value]
    assert len(wrong) <= 0.05 * len(SEEDS), wrong


def test_none_is_taken_for_a_milder_class_or_overlooked(games: list[Played]) -> None:
    assert [game.seed for game in games if milder(game)] == []


def test_the_blast_radius_is_right(games: list[Played]) -> None:
    assert [g.seed for g in games if g.verdict is None or g.verdict.radius is not g.truth.radius] == []


def test_containment_is_as_wide_as_the_radius(games: list[Played]) -> None:
    kinds = {"low": "symbol:", "medium": "profile:", "high": "account:"}
    assert [game.seed for game in games if not game.scope.startswith(kinds[game.truth.radius.value])] == []


def test_the_other_class_is_told_too(games: list[Played]) -> None:
    mixed = [game for game in games if game.truth.secondary is not None and game.verdict is not None]
    told = [g for g in mixed if g.verdict and g.truth.secondary in (g.verdict.primary, g.verdict.secondary)]
    assert len(mixed) > 20
    assert len(told) >= 0.9 * len(mixed)
