"""Labels that never overlap: each takes the first level where it is free, and goes without where none is."""

from collections.abc import Iterable
from dataclasses import dataclass

_CHARACTER_PX = 6.1
_GAP_PX = 8
_LINE_PX = 15


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside a mark: the mark's pixel, whether the text stands to its left, and its level from the mark."""

    x: float
    text: str
    to_left: bool
    level: int


def place(wanted: Iterable[tuple[float, str]], levels: int, right: float) -> list[Label]:
    """Place texts beside their marks: what comes first is sure of its place. `right` is where the drawing ends."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(levels)]
    placed: list[Label] = []
    for x, text in wanted:
        width = len(text) * _CHARACTER_PX
        to_left = x + width > right
        left = x - width if to_left else x
        for level, spans in enumerate(taken):
            if all(left > end + _GAP_PX or left + width < start - _GAP_PX for start, end in spans):
                spans.append((left, left + width))
                placed.append(Label(x, text, to_left, level))
                break
    return placed


def spread(wanted: Iterable[tuple[float, float, str]], right: float) -> list[tuple[float, float, str, bool]]:
    """Keep those of the texts at x and y that overlap no text kept before, each with whether it stands to the left."""
    boxes: list[tuple[float, float, float]] = []
    kept: list[tuple[float, float, str, bool]] = []
    for x, y, text in wanted:
        width = len(text) * _CHARACTER_PX
        to_left = x + width + _GAP_PX > right
        left = x - width if to_left else x
        if all(
            left > end + _GAP_PX or left + width < start - _GAP_PX or abs(y - other) > _LINE_PX
            for start, end, other in boxes
        ):
            boxes.append((left, left + width, y))
            kept.append((x, y, text, to_left))
    return kept
