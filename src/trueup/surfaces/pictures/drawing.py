"""One trade's story, drawn: above what the ledger believes open, below what happened, lane by lane, on one time axis."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import altair as alt

from trueup.service.explain import Explanation
from trueup.surfaces.pictures.labels import place
from trueup.surfaces.pictures.marks import (
    KINDS,
    LANES,
    Mark,
    Step,
    believed,
    marks_of,
    repaired,
    title_of,
    words_of,
)
from trueup.surfaces.pictures.time_axis import TimeAxis, time_axis

WIDTH, HEIGHT = 860, 210
_LEFT, _RIGHT = 26, WIDTH - 30
_LEVELS, _LEVEL_PX, _MARK_PX = 3, 14, 16
_LANE_PX = _MARK_PX + _LEVELS * _LEVEL_PX + 14
_INK, _FAINT, _LINE, _AREA, _AFTER = "#1F2937", "#6B7280", "#0072B2", "#BFDDF0", "#C2410C"
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"

Rows = list[dict[str, Any]]


def draw(found: Explanation) -> alt.VConcatChart:
    """Return the picture."""
    marks = marks_of(found)
    as_of = found.gathered.snapshot.as_of_ms
    axis = time_axis([*(mark.at_ms for mark in marks), as_of], _LEFT, _RIGHT)
    lanes = [lane for lane in LANES if any(mark.kind.lane == lane for mark in marks)]
    symbol = found.slice.symbol if found.slice else ""
    upper = _quantities(axis, believed(found), repaired(found), f"open, {symbol}").properties(
        width=WIDTH, height=HEIGHT
    )
    lower = _lanes(axis, marks, lanes, as_of).properties(width=WIDTH, height=max(len(lanes), 1) * _LANE_PX)
    title = alt.TitleParams(
        title_of(found), subtitle=words_of(found), anchor="start", fontSize=19, subtitleFontSize=13, color=_INK,
        subtitleColor=_INK, subtitlePadding=6, offset=16, subtitleLineHeight=18,
    )  # fmt: skip
    chart = alt.vconcat(upper, lower, spacing=8, title=title, background="white", padding=18)
    return (
        chart.resolve_scale(color="independent", shape="independent")
        .configure(font=_FONT)
        .configure_view(stroke="#D1D5DB")
        .configure_axis(labelColor=_INK, titleColor=_INK, labelFontSize=12, titleFontSize=12, grid=False)
        .configure_legend(labelFontSize=12, titleFontSize=12, labelColor=_INK, titleColor=_INK, symbolSize=110)
    )


def _data(rows: Rows) -> alt.Data:
    return alt.Data(values=rows)


def _x(field: str = "x", axis: alt.Axis | None = None) -> alt.X:
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, WIDTH], nice=False), axis=axis, title=None)


def _quantities(axis: TimeAxis, steps: Sequence[Step], after: Sequence[Step], title: str) -> alt.LayerChart:
    """Draw the open quantity: an area for what the ledger believes, a dashed line for it with the proposed exits."""
    now, then = _stairs(axis, steps), _stairs(axis, after)
    values = [0.0, *(row["open"] for row in (*now, *then))]
    low, high = min(values), max(values) or 1.0
    scale = alt.Scale(domain=[low * 1.15, high * 1.22], nice=False)
    y = alt.Y("open:Q", scale=scale, title=title, axis=alt.Axis(grid=True, gridColor="#EEF0F3", tickCount=5))
    series = alt.Scale(domain=["what the ledger believes", "with the proposed exits"], range=[_LINE, _AFTER])
    colour = alt.Color("series:N", scale=series, legend=alt.Legend(title="Open quantity", symbolType="stroke"))
    layers: list[Any] = [_breaks(axis, named=True, height=HEIGHT)]
    layers.append(alt.Chart(_data(now)).mark_area(color=_AREA, opacity=0.75).encode(_x(), y))
    layers.append(alt.Chart(_data(_named(now, series, 0))).mark_line(strokeWidth=2.5).encode(_x(), y, colour))
    if then:
        line = alt.Chart(_data(_named(then, series, 1))).mark_line(strokeWidth=2.5, strokeDash=[6, 4])
        layers.append(line.encode(_x(), y, colour))
    rest = alt.Chart(_data([{"open": 0}])).mark_rule(color=_FAINT, strokeWidth=1).encode(y)
    layers.append(rest)
    layers += _amounts(axis, steps, y, _LINE, -9) + _amounts(axis, after, y, _AFTER, 14)
    return alt.layer(*layers)


def _named(rows: Rows, series: alt.Scale, place_of: int) -> Rows:
    name = series.to_dict()["domain"][place_of]
    return [{**row, "series": name} for row in rows]


def _stairs(axis: TimeAxis, steps: Sequence[Step]) -> Rows:
    """Return the corners of the stairs, up to the right edge."""
    corners: Rows = []
    level: float | None = None
    for step in steps:
        x = axis.at(step.at_ms)
        corners += [{"x": x, "open": level if level is not None else 0.0}] if level is not None or not corners else []
        level = float(step.open_qty)
        corners.append({"x": x, "open": level})
    return [*corners, {"x": WIDTH, "open": level}] if corners else []


def _amounts(axis: TimeAxis, steps: Sequence[Step], y: alt.Y, colour: str, dy: int) -> list[Any]:
    """Write the open quantity at each step, where there is room."""
    at = {axis.at(step.at_ms): step.open_qty for step in steps}
    placed = place([(x, f"{qty.normalize():f}") for x, qty in at.items()], 1, WIDTH)
    rows: Rows = [{"x": p.x, "open": float(at[p.x]), "text": p.text, "left": p.to_left} for p in placed]
    return [
        alt.Chart(_data([row for row in rows if row["left"] is left]))
        .mark_text(align="right" if left else "left", dx=-5 if left else 5, dy=dy, color=colour, fontSize=12)
        .encode(_x(), y, alt.Text("text:N"))
        for left in (False, True)
        if any(row["left"] is left for row in rows)
    ]


def _breaks(axis: TimeAxis, *, named: bool, height: int) -> alt.LayerChart | alt.Chart:
    """Draw the silences that are cut short."""
    rows: Rows = [
        {"left": cut.left + 8, "right": cut.right - 8, "middle": (cut.left + cut.right) / 2, "text": cut.text}
        for cut in axis.breaks
    ]
    band = alt.Chart(_data(rows)).mark_rect(color="#E5E7EB", opacity=0.7).encode(_x("left"), alt.X2("right:Q"))
    if not named:
        return band
    text = alt.Chart(_data(rows)).mark_text(color=_FAINT, fontSize=11, angle=270).encode(
        _x("middle"), alt.YValue(height / 2), alt.Text("text:N")
    )  # fmt: skip
    return alt.layer(band, text)


def _lanes(axis: TimeAxis, marks: Sequence[Mark], lanes: Sequence[str], as_of: int) -> alt.LayerChart:
    """Draw the marks with their labels, and the moment that the venue's claims are of."""
    height = max(len(lanes), 1) * _LANE_PX
    scale = alt.Scale(domain=[height, 0], nice=False)
    counts = Counter(mark.kind.lane for mark in marks)
    names = {_base(lanes, lane): f"{lane} ({counts[lane]})" for lane in lanes}
    label = f"({json.dumps(names)})[datum.value]"
    y_axis = alt.Axis(values=list(names), labelExpr=label, title=None, ticks=False, domain=False, labelPadding=8)
    y = alt.Y("y:Q", scale=scale, axis=y_axis)
    ticks = {px: text for px, text in axis.ticks}
    x_axis = alt.Axis(
        values=list(ticks), labelExpr=f"({json.dumps(ticks)})[datum.value]", labelOverlap="greedy", title="UTC",
        labelPadding=6,
    )  # fmt: skip
    layers: list[Any] = [_breaks(axis, named=False, height=height)]
    layers += _as_of(axis, as_of, height)
    layers += _labels(axis, marks, lanes, y)
    rows: Rows = [{"x": axis.at(m.at_ms), "y": _base(lanes, m.kind.lane), "kind": m.kind.name} for m in marks]
    present = [kind for kind in KINDS if any(mark.kind is kind for mark in marks)]
    names_of = [kind.name for kind in present]
    legend = alt.Legend(title="What happened", labelLimit=260)
    points = alt.Chart(_data(rows)).mark_point(filled=True, size=120, opacity=0.92, stroke="white", strokeWidth=0.7)
    layers.append(
        points.encode(
            _x(axis=x_axis),
            y,
            alt.Color("kind:N", scale=alt.Scale(domain=names_of, range=[k.colour for k in present]), legend=legend),
            alt.Shape("kind:N", scale=alt.Scale(domain=names_of, range=[k.shape for k in present]), legend=legend),
        )
    )
    return alt.layer(*layers)


def _base(lanes: Sequence[str], lane: str) -> int:
    """Return where the marks of a lane stand, in pixels from the top."""
    return lanes.index(lane) * _LANE_PX + _LANE_PX - _MARK_PX


def _as_of(axis: TimeAxis, as_of: int, height: int) -> list[Any]:
    rows: Rows = [{"x": axis.at(as_of), "text": "venue as of"}]
    rule = alt.Chart(_data(rows)).mark_rule(color=_FAINT, strokeDash=[2, 3]).encode(_x())
    to_left = rows[0]["x"] > WIDTH - 90
    text = alt.Chart(_data(rows)).mark_text(
        color=_FAINT, fontSize=11, align="right" if to_left else "left", dx=-4 if to_left else 4
    )  # fmt: skip
    return [rule, text.encode(_x(), alt.YValue(height - 7), alt.Text("text:N"))]


def _labels(axis: TimeAxis, marks: Sequence[Mark], lanes: Sequence[str], y: alt.Y) -> list[Any]:
    """Write what each mark is, above it, with a thin line from the mark; where there is no room, the mark is alone."""
    rows: Rows = []
    for lane in lanes:
        wanted = {(axis.at(mark.at_ms), mark.label) for mark in marks if mark.kind.lane == lane}
        for label in place(wanted, _LEVELS, WIDTH):
            top = _base(lanes, lane) - 14 - label.level * _LEVEL_PX
            rows.append({"x": label.x, "y": top, "base": _base(lanes, lane), "text": label.text, "left": label.to_left})
    layers: list[Any] = [
        alt.Chart(_data(rows)).mark_rule(color="#C4C9D1", strokeWidth=1).encode(_x(), y, alt.Y2("base:Q"))
    ]
    for left in (False, True):
        side = [row for row in rows if row["left"] is left]
        if side:
            text = alt.Chart(_data(side)).mark_text(
                align="right" if left else "left", dx=-4 if left else 4, fontSize=11.5, color=_INK
            )  # fmt: skip
            layers.append(text.encode(_x(), y, alt.Text("text:N")))
    return layers
