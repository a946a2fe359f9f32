"""The lanes below the open quantity: where their marks and labels stand, in pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

from trueup.surfaces.pictures.labels import Label, place
from trueup.surfaces.pictures.marks import LANES, Mark
from trueup.surfaces.pictures.time_axis import TimeAxis

_LEVELS, _LEVEL_PX = 4, 15
_ABOVE_PX, _BELOW_PX = 16, 16
_APART_PX = 12
_CROWD = 12


@dataclass(frozen=True, slots=True)
class Point:
    """A mark and where it stands."""

    x: float
    mark: Mark


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane: its marks, its labels, and its place, measured from the top."""

    name: str
    points: tuple[Point, ...]
    labels: tuple[Label, ...]
    base: int

    @property
    def bottom(self) -> int:
        """Return where the lane ends."""
        return self.base + _BELOW_PX

    def label_y(self, label: Label) -> int:
        """Return where a label stands."""
        return self.base - _ABOVE_PX - label.level * _LEVEL_PX


def lanes_of(marks: Sequence[Mark], axis: TimeAxis, width: float) -> list[Lane]:
    """Lay out the lanes that have marks, each as high as its labels need."""
    lanes: list[Lane] = []
    top = 0
    for name in LANES:
        points = _points([mark for mark in marks if mark.kind.lane == name], axis)
        if not points:
            continue
        newest_first = sorted(_labelled(points), key=lambda point: point.mark.at_ms, reverse=True)
        labels = place(dict.fromkeys((point.x, point.mark.label) for point in newest_first), _LEVELS, width)
        used = 1 + max((label.level for label in labels), default=0)
        lanes.append(Lane(name, tuple(points), tuple(labels), top + used * _LEVEL_PX + _ABOVE_PX))
        top = lanes[-1].bottom
    return lanes


def _labelled(points: list[Point]) -> list[Point]:
    """Return the marks that get a label: all of them, or of a crowd the first and the last of each kind."""
    if len({(point.x, point.mark.label) for point in points}) <= _CROWD:
        return points
    firsts = {point.mark.kind: point for point in reversed(points)}
    lasts = {point.mark.kind: point for point in points}
    return [*firsts.values(), *lasts.values()]


def _points(marks: Sequence[Mark], axis: TimeAxis) -> list[Point]:
    """Place the marks; one that would hide a mark of another kind moves aside."""
    points: list[Point] = []
    for mark in sorted(marks, key=lambda mark: mark.at_ms):
        x = axis.at(mark.at_ms)
        before = points[-1] if points else None
        if before is not None:
            same = before.mark.kind is mark.kind
            x = max(x, before.x if same else before.x + _APART_PX)
        points.append(Point(x, mark))
    return points
