"""The picture of money at risk: steps over the recent runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import exactly, plain
from trueup.service.exposure import Exposure

WIDTH, HEIGHT = 1000, 160
_TABLE_ROWS = 30


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: paths in a field of WIDTH × HEIGHT, the scale in words, and the same as rows of a table."""

    line: str
    area: str
    highest: str
    newest: Exposure
    points: Sequence[Exposure]
    rows: Sequence[Exposure]

    @property
    def told(self) -> str:
        """Return what the picture shows, in a sentence."""
        first, last = self.points[0], self.points[-1]
        return (
            f"Worth of the open breaks after each of {len(self.points)} runs: {plain(first.notional)} at first, "
            f"{self.highest} at most, {plain(last.notional)} after the newest run."
        )


@exactly
def chart_of(points: Sequence[Exposure]) -> Chart | None:
    """Return the picture; None where there is no run to draw."""
    if not points:
        return None
    first, last = points[0].at_ms, points[-1].at_ms
    highest = max(point.notional for point in points)
    top = highest or Decimal(1)
    span = max(last - first, 1)
    corners: list[str] = []
    x = y = Decimal(0)
    for number, point in enumerate(points):
        before = y
        x = Decimal(WIDTH) * (point.at_ms - first) / span
        y = HEIGHT - (HEIGHT - 8) * point.notional / top
        if number:
            corners.append(_pair(x, before))
        corners.append(_pair(x, y))
    corners.append(_pair(Decimal(WIDTH), y))
    line = "M" + "L".join(corners)
    changes = [p for n, p in enumerate(points) if not n or _worth(p) != _worth(points[n - 1]) or n == len(points) - 1]
    return Chart(
        line, f"{line}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z", plain(highest), points[-1], points, changes[::-1][:_TABLE_ROWS]
    )


def _pair(x: Decimal, y: Decimal) -> str:
    return f"{x:.1f} {y:.1f}"


def _worth(point: Exposure) -> tuple[Decimal, int, int]:
    return (point.notional, point.breaks, point.unpriced)
