"""The picture of a trade's story: above what is open, below what happened, lane by lane, on one axis of time.

What stands where is laid out by the same modules as the picture of `trueup explain --plot`; only the drawing differs.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from trueup.core.decimals import plain
from trueup.service.explain import Explanation
from trueup.surfaces.pictures.lanes import Lane, lanes_of
from trueup.surfaces.pictures.marks import KINDS, Kind, Mark, Step, believed, marks_of, repaired, series_of, short
from trueup.surfaces.pictures.time_axis import TimeAxis, short_moment, time_axis

WIDTH, TOP, HEIGHT = 880, 24, 170
GUTTER = 72
"""What stands to the left of the drawing: the names of the lanes."""

_LEFT, _RIGHT = 30, WIDTH - 40
_GAP, _FOOT = 34, 34
_BASE_PX = 4
_LONGEST = 46
_TICK_PX = 105

_SHAPES = {
    "triangle-up": "M0-6.5L6.2 5H-6.2Z",
    "triangle-down": "M0 6.5L6.2-5H-6.2Z",
    "triangle-left": "M-6.5 0L5-6.2V6.2Z",
    "diamond": "M0-6.8L5.6 0L0 6.8L-5.6 0Z",
    "circle": "M-5.4 0A5.4 5.4 0 1 1 5.4 0A5.4 5.4 0 1 1-5.4 0Z",
    "square": "M-5-5H5V5H-5Z",
    "cross": "M-6-2H-2V-6H2V-2H6V2H2V6H-2V2H-6Z",
}
_STAR = "M0-7.4L1.9-2.4L7.1-2.3L3 1L4.4 6L0 3.1L-4.4 6L-3 1L-7.1-2.3L-1.9-2.4Z"


@dataclass(frozen=True, slots=True)
class Sign:
    """One mark as it is drawn: its place, its shape as a path, the class of its colour, and what it says."""

    x: float
    y: float
    shape: str
    colour: str
    told: str


@dataclass(frozen=True, slots=True)
class Words:
    """A text in the picture; `side` is `end` where it stands to the left of its place, `mid` around it."""

    x: float
    y: float
    text: str
    side: str = ""
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn, in a field of WIDTH × `height`; `legend` are the kinds that occur, `series` the lines' names."""

    height: int
    line: str
    area: str
    after: str
    zero: float
    bottom: float
    signs: Sequence[Sign]
    words: Sequence[Words]
    ticks: Sequence[tuple[float, str]]
    cuts: Sequence[tuple[float, float]]
    as_of: float
    legend: Sequence[Sign]
    series: tuple[str, str]
    told: str


def picture_of(found: Explanation) -> Picture | None:
    """Return the picture; None where nothing of the trade has a time."""
    marks = marks_of(found)
    if not marks:
        return None
    as_of = found.gathered.snapshot.as_of_ms
    axis = time_axis([*(mark.at_ms for mark in marks), as_of], _LEFT, _RIGHT)
    now, then = believed(found), repaired(found)
    level = _levels([*now, *then])
    lanes = lanes_of(marks, axis, WIDTH)
    below = TOP + HEIGHT + _GAP
    bottom = below + (lanes[-1].bottom if lanes else 0)
    line = _stairs(axis, now, level)
    zero = level(0.0)
    return Picture(
        height=bottom + _FOOT, line=line, area=f"{line}L{WIDTH} {zero:.1f}L{axis.at(now[0].at_ms):.1f} {zero:.1f}Z"
        if now else "", after=_stairs(axis, then, level), zero=zero, bottom=bottom,
        signs=[sign for lane in lanes for sign in _signs(lane, below)],
        words=[*_amounts(axis, now, then, level), *(word for lane in lanes for word in _labels(lane, below)),
               *_named(axis, as_of)],
        ticks=_apart(axis), cuts=[(cut.left + 8, cut.right - 8) for cut in axis.breaks],
        as_of=axis.at(as_of), legend=_legend(marks), series=series_of(found), told=_told(found, marks),
    )  # fmt: skip


class _Level:
    """Where a quantity stands in the upper part."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._span = low, (high - low) or 1.0

    def __call__(self, value: float) -> float:
        return TOP + HEIGHT - 14 - (HEIGHT - 40) * (value - self._low) / self._span


def _levels(steps: Sequence[Step]) -> _Level:
    values = [0.0, *(float(step.open_qty) for step in steps)]
    return _Level(min(values), max(values))


def _stairs(axis: TimeAxis, steps: Sequence[Step], level: _Level) -> str:
    if not steps:
        return ""
    corners = [f"M{axis.at(steps[0].at_ms):.1f} {level(float(steps[0].open_qty)):.1f}"]
    corners += [f"H{axis.at(step.at_ms):.1f}V{level(float(step.open_qty)):.1f}" for step in steps[1:]]
    return "".join([*corners, f"H{WIDTH}"])


def _amounts(axis: TimeAxis, now: Sequence[Step], then: Sequence[Step], level: _Level) -> list[Words]:
    """Write what is open at the greatest and at the newest step of each line."""
    told: dict[tuple[float, float], str] = {}
    for steps in (now, then[2:]):
        for step in (max(steps, key=lambda s: s.open_qty), steps[-1]) if steps else ():
            told[axis.at(step.at_ms), level(float(step.open_qty))] = short(plain(step.open_qty))
    return [Words(x + 6, y - 7, text) for (x, y), text in told.items()]


def _apart(axis: TimeAxis) -> list[tuple[float, str]]:
    """Return the marks of the axis whose labels have room, the newest of them first of all."""
    kept: list[tuple[float, str]] = []
    for x, text in reversed(axis.ticks):
        if not kept or kept[-1][0] - x >= _TICK_PX:
            kept.append((float(x), text))
    return kept[::-1]


def _signs(lane: Lane, below: float) -> list[Sign]:
    return [_sign(point.mark.kind, point.x, below + lane.base, point.mark.label) for point in lane.points]


def _sign(kind: Kind, x: float, y: float, told: str) -> Sign:
    return Sign(x, y, _SHAPES.get(kind.shape, _STAR), f"mark-{KINDS.index(kind)}", told)


def _labels(lane: Lane, below: float) -> list[Words]:
    words = [Words(-GUTTER + 4, below + lane.base + _BASE_PX, lane.name, faint=True)]
    for label in lane.labels:
        x, y = label.x + (-5 if label.to_left else 5), below + lane.label_y(label) + _BASE_PX
        words.append(Words(x, y, textwrap.shorten(label.text, _LONGEST, placeholder="…"), _side(label.to_left)))
    return words


def _named(axis: TimeAxis, as_of: int) -> list[Words]:
    x = axis.at(as_of)
    left = x > WIDTH / 2
    cuts = [Words((cut.left + cut.right) / 2, TOP + HEIGHT / 2, cut.text, "mid", faint=True) for cut in axis.breaks]
    return [Words(x + (-5 if left else 5), TOP - 8, f"venue as of {short_moment(as_of)}", _side(left), True), *cuts]


def _side(to_left: bool) -> str:
    return "end" if to_left else ""


def _legend(marks: Sequence[Mark]) -> list[Sign]:
    present = [kind for kind in KINDS if any(mark.kind is kind for mark in marks)]
    return [_sign(kind, 8, 8, kind.name) for kind in present]


def _told(found: Explanation, marks: Sequence[Mark]) -> str:
    """Return what the picture shows, in a sentence; the table below it has all of it."""
    open_now = believed(found)
    left = f" {plain(open_now[-1].open_qty)} is open by the ledger's rows." if open_now else ""
    return f"{len(marks)} moments of {found.trade_id} on an axis of time.{left} The table below tells each."
