"""Times in whole milliseconds."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from tests.core.world import START

from trueup.core import times
from trueup.core.times import for_how_long, iso, of_datetime, read_time, to_datetime

MS = START + 123


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (MS, MS), (str(MS), MS), (f" {MS} ", MS), (float(MS), MS), (Decimal(MS), MS), (f"{MS}.9", MS),
        (START // 1000, START), (MS / 1000, MS), (f"{START // 1000}.1239", MS),
        (MS * 1000 + 999, MS), (MS * 1_000_000 + 999_999, MS),
        ("2026-01-02T03:00:00.123Z", MS), ("2026-01-02T03:00:00.123999+00:00", MS), ("2026-01-02T03:00:00.123", MS),
        ("2026-01-02T05:30:00.123+02:30", MS), ("2026-01-02", START - 3 * 3_600_000),
        (99_999_999_999, 99_999_999_999_000), (100_000_000_000, 100_000_000_000),
        (99_999_999_999_999, 99_999_999_999_999), (100_000_000_000_000, 100_000_000_000),
        (99_999_999_999_999_999, 99_999_999_999_999), (100_000_000_000_000_000, 100_000_000_000),
        ("0.001", 1), ("253402214399999", 253402214399),
        (datetime(2026, 1, 2, 3, 0, 0, 123_999, tzinfo=UTC), MS),
        (datetime(2026, 1, 2, 3, 0, 0, 123_000), MS),  # noqa: DTZ001  # a time without an offset is UTC
    ],
)  # fmt: skip
def test_times_by_the_size_of_the_number_or_as_iso_text(value: object, ms: int) -> None:
    assert read_time(value) == ms


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "None is not a time"), (True, "True is not a time"), (b"1", "b'1' is not a time"),
        (0, "0 is not a time"),
        (-1, "-1 is not a time"), ("nan", "'nan' is not a time"), ("inf", "'inf' is not a time"),
        (10**21, f"{10**21} is not a time"), ("1e400", "'1e400' is not a time"),
        (253_402_214_400_000_000_000, "253402214400000000000 is not a time"),
        ("", "'' is not a time (ISO 8601 or a number since 1970)"),
        ("soon", "'soon' is not a time (ISO 8601 or a number since 1970)"),
        ("1970-01-01T00:00:00Z", "'1970-01-01T00:00:00Z' is not a time after 1970 and before 9999-12-31"),
        ("1969-12-31", "'1969-12-31' is not a time after 1970 and before 9999-12-31"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_said(value: object, why: str) -> None:
    with pytest.raises(ValueError, match="is not a time") as refusal:
        read_time(value)
    assert str(refusal.value) == why


def test_the_last_time_is_before_the_year_10000() -> None:
    end = 253_402_214_400
    assert read_time(end * 10**9 - 1) == end * 1000 - 1
    with pytest.raises(ValueError, match="is not a time"):
        read_time(end * 10**9)


def test_a_datetime_is_cut_to_the_millisecond() -> None:
    assert of_datetime(to_datetime(MS) + timedelta(microseconds=999)) == MS
    assert of_datetime(datetime(2026, 1, 2, 5, tzinfo=timezone(timedelta(hours=2)))) == START
    assert to_datetime(0) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (START, "2026-01-02T03:00:00.000Z"), (START + 7, "2026-01-02T03:00:00.007Z"), (MS, "2026-01-02T03:00:00.123Z"),
        (START + 999, "2026-01-02T03:00:00.999Z"), (1, "1970-01-01T00:00:00.001Z"),
    ],
)  # fmt: skip
def test_iso_text_has_milliseconds_and_z(ms: int, text: str) -> None:
    assert iso(ms) == text
    assert read_time(text) == ms


def test_the_minutes_that_are_remembered_are_written_rightly_at_first() -> None:
    times._minute.cache_clear()
    assert iso(1_767_323_045_678) == "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"), (59, "59 s"), (60, "1 min"), (330, "5 min 30 s"), (3600, "1 h"), (3_659, "1 h"),
        (7_260, "2 h 1 min"),
        (604_588, "6 d 23 h"), (86_401, "1 d"),
    ],
)  # fmt: skip
def test_durations_are_told_in_their_two_largest_units(seconds: int, said: str) -> None:
    assert for_how_long(seconds * 1000 + 999) == said
