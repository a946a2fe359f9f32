"""A time axis in pixels on which long silences are cut short, so that a repair months later does not flatten a trade.

A silence is long if it is four times everything else together. It is drawn as a break of fixed width, with its length.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from trueup.core.times import of_datetime, to_datetime

_LONG = 4
_BREAK_PX = 70
_LEAST_PX = 110
"""What a stretch between breaks gets before the rest is shared by length."""
_TICK_PX = 105
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_MONTH = 30 * _DAY
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 600)
_STEPS = (
    1, 5, 10, 50, 100, 500, _SECOND, 5 * _SECOND, 15 * _SECOND, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE,
    _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY,
)  # fmt: skip
_UNITS = ((365 * _DAY, "year"), (_MONTH, "month"), (_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute"))


@dataclass(frozen=True, slots=True)
class Break:
    """A silence that is cut short: where, in pixels, and how long it is in words."""

    left: float
    right: float
    text: str


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Where each time stands: times (epoch ms) and pixels grow together, linear in between."""

    times: tuple[int, ...]
    pixels: tuple[float, ...]
    breaks: tuple[Break, ...]
    ticks: tuple[tuple[int, str], ...]

    @property
    def title(self) -> str:
        """Return what the labels leave unsaid."""
        return "UTC" if _several_years(self.times) else f"UTC, {to_datetime(self.times[0]).year}"

    def at(self, ms: int) -> float:
        """Return the pixel of a time; times outside stand at the ends."""
        place = bisect_right(self.times, ms)
        if place == 0:
            return self.pixels[0]
        if place == len(self.times):
            return self.pixels[-1]
        before, after = self.times[place - 1], self.times[place]
        left, right = self.pixels[place - 1], self.pixels[place]
        return left + (right - left) * (ms - before) / (after - before)


def time_axis(moments: Iterable[int], left: float, right: float) -> TimeAxis:
    """Lay out an axis between two pixels for the times at which something happened."""
    times = sorted(set(moments))
    stretches = _stretches(times)
    shares = _shares(stretches, right - left)
    knots: list[tuple[int, float]] = []
    breaks: list[Break] = []
    ticks: list[tuple[int, str]] = []
    place = left if len(times) > 1 else (left + right) / 2
    for number, (stretch, share) in enumerate(zip(stretches, shares, strict=True)):
        if number:
            breaks.append(Break(place, place + _BREAK_PX, _duration(stretch[0] - stretches[number - 1][-1])))
            place += _BREAK_PX
        length = stretch[-1] - stretch[0]
        knots += [(ms, place + (share * (ms - stretch[0]) / length if length else 0)) for ms in stretch]
        ticks += _ticks(stretch[0], stretch[-1], place, share, _several_years(times))
        place += share
    return TimeAxis(tuple(ms for ms, _ in knots), tuple(px for _, px in knots), tuple(breaks), tuple(ticks))


def _stretches(times: list[int]) -> list[list[int]]:
    """Split the times where silences are long."""
    silences = sorted((after - before for before, after in pairwise(times)), reverse=True)
    total, longest = sum(silences), 0
    while len(silences) - longest > 1 and silences[longest] > _LONG * (total - silences[longest]):
        total -= silences[longest]
        longest += 1
    limit = silences[longest - 1] if longest else None
    stretches = [times[:1]]
    for before, after in pairwise(times):
        if limit is not None and after - before >= limit:
            stretches.append([])
        stretches[-1].append(after)
    return stretches


def _shares(stretches: list[list[int]], width: float) -> list[float]:
    """Share the pixels out: a least for each stretch that has a length, the rest by length."""
    lengths = [stretch[-1] - stretch[0] for stretch in stretches]
    least = [_LEAST_PX if length else 0 for length in lengths]
    rest = width - _BREAK_PX * (len(stretches) - 1) - sum(least)
    total = sum(lengths)
    return [base + (rest * length / total if total else 0) for base, length in zip(least, lengths, strict=True)]


def _ticks(first: int, last: int, left: float, share: float, years: bool) -> list[tuple[int, str]]:
    """Return round times in a stretch that leave room for their labels, else its first time; the first has a date."""
    length = last - first
    if not length:
        return [(round(left), _label(first, _MINUTE, years))]
    step = next((step for step in _STEPS if share * step / length >= _TICK_PX), _MONTH)
    if step == _MONTH:
        months = next((n for n in _MONTHS if share * n * _MONTH / length >= _TICK_PX), _MONTHS[-1])
        rounds = _months(first, last, months)
    else:
        rounds = list(range(-(-first // step) * step, last, step))
    found = [
        (round(left + share * (ms - first) / length), _label(ms, step, years, dated=number == 0))
        for number, ms in enumerate(rounds)
    ]
    return found or [(round(left), _label(first, min(step, _MINUTE), years))]


def _months(first: int, last: int, months: int) -> list[int]:
    """Return the firsts of every so many months between two times."""
    start, end = to_datetime(first), to_datetime(last)
    numbers = range((start.year * 12 + start.month) // months * months, end.year * 12 + end.month + 1, months)
    days = [of_datetime(datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC)) for n in numbers]
    return [ms for ms in days if first <= ms <= last]


def _label(ms: int, step: int, years: bool, *, dated: bool = True) -> str:
    """Write a time as finely as the step demands; below the second the date is left to the first of a stretch."""
    moment = to_datetime(ms)
    day = f"{moment.day} {moment:%b}" + (f" {moment.year}" if years else "")
    if step >= _MONTH:
        return f"{moment:%b %Y}"
    if step >= _DAY:
        return day
    clock = f"{moment:%H:%M}" if step >= _MINUTE else f"{moment:%H:%M:%S}"
    text = clock if step >= _SECOND else f"{clock}.{ms % _SECOND:03d}"
    return f"{day} {text}" if dated or step >= _SECOND else text


def short_moment(ms: int) -> str:
    """Write a time as the axis does, to the minute."""
    return _label(ms, _MINUTE, years=False)


def _several_years(times: Sequence[int]) -> bool:
    return to_datetime(times[0]).year != to_datetime(times[-1]).year


def _duration(ms: int) -> str:
    for size, unit in _UNITS:
        if ms >= size:
            number = round(ms / size)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{ms / _SECOND:g} s"
