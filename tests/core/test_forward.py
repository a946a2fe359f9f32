"""The clock that goes on where it is set back: never back, never still, and soon right again."""

import pytest

from trueup.core.forward import FOLLOWED_MS, Forward

SECOND = 1_000_000_000
NOON = 1_767_355_200 * SECOND


def test_a_clock_that_is_right_is_told_as_it_is() -> None:
    clock = Forward()
    assert [clock.time(NOON + at, at) for at in (0, 1, SECOND, 3600 * SECOND)] == [
        NOON, NOON + 1, NOON + SECOND, NOON + 3600 * SECOND,
    ]  # fmt: skip


def test_a_clock_that_is_set_back_goes_on_at_half_its_pace_until_it_is_right_again() -> None:
    clock = Forward()
    assert clock.time(NOON, 0) == NOON
    back = NOON - 2 * SECOND
    told = [clock.time(back + after * SECOND, after * SECOND) for after in (1, 2, 3, 4, 5)]
    assert told == [NOON + after for after in (SECOND // 2, SECOND, 3 * SECOND // 2, 2 * SECOND, 3 * SECOND)]


def test_many_looks_at_a_clock_that_was_set_back_do_not_hold_it() -> None:
    clock = Forward()
    clock.time(NOON, 0)
    told = [clock.time(NOON - SECOND + at, at) for at in range(1, 1000)]
    assert told == sorted(told)
    assert told[-1] > told[0]


@pytest.mark.parametrize(("back_ms", "followed"), [(FOLLOWED_MS, True), (FOLLOWED_MS + 1, False)])
def test_a_clock_that_was_wrong_by_much_is_believed_at_once(back_ms: int, followed: bool) -> None:
    clock = Forward()
    clock.time(NOON, 0)
    back = NOON - back_ms * 1_000_000
    assert clock.time(back, 0) == (NOON if followed else back)


def test_a_clock_that_is_set_forward_is_believed() -> None:
    clock = Forward()
    clock.time(NOON, 0)
    assert clock.time(NOON + 3600 * SECOND, 1) == NOON + 3600 * SECOND
