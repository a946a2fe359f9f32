"""One trade's story, drawn: above the open quantity, below what happened, lane by lane, on one time axis."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import altair as alt

from trueup.core.decimals import plain
from trueup.service.explain import Explanation
from trueup.surfaces.pictures.labels import spread
from trueup.surfaces.pictures.lanes import Lane, lanes_of
from trueup.surfaces.pictures.marks import (
    KINDS,
    Mark,
    Step,
    believed,
    marks_of,
    repaired,
    series_of,
    short,
    title_of,
    words_of,
)
from trueup.surfaces.pictures.time_axis import TimeAxis, short_moment, time_axis

WIDTH, HEIGHT = 880, 200
_LEFT, _RIGHT = 26, WIDTH - 30
_INK, _FAINT, _LINE, _AREA, _AFTER = "#1F2937", "#4B5563", "#0072B2", "#BFDDF0", "#C2410C"
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_CROWD, _MANY = 12, 100

Rows: TypeAlias = list[dict[str, Any]]
Layer: TypeAlias = alt.Chart | alt.LayerChart


def draw(found: Explanation) -> alt.VConcatChart:
    """Return the picture."""
    marks = marks_of(found)
    as_of = found.gathered.snapshot.as_of_ms
    axis = time_axis([*(mark.at_ms for mark in marks), as_of], _LEFT, _RIGHT)
    upper = _quantities(axis, believed(found), repaired(found), as_of, series_of(found))
    lower = _happenings(axis, marks, as_of)
    title = alt.TitleParams(
        title_of(found), subtitle=words_of(found), anchor="start", fontSize=19, subtitleFontSize=13, color=_INK,
        subtitleColor=_INK, subtitlePadding=6, offset=16, subtitleLineHeight=18,
    )  # fmt: skip
    chart: alt.VConcatChart = (
        alt.vconcat(upper, lower, spacing=8, title=title, background="white", padding=18)
        .resolve_scale(color="independent", shape="independent")
        .configure(font=_FONT)
        .configure_view(stroke="#D1D5DB")
        .configure_axis(labelColor=_INK, titleColor=_INK, labelFontSize=12, titleFontSize=12, grid=False)
        .configure_legend(labelFontSize=12, titleFontSize=12, labelColor=_INK, titleColor=_INK, symbolSize=110)
    )
    return chart


def _chart(rows: Rows) -> alt.Chart:
    return alt.Chart(alt.Data(values=rows))  # type: ignore[no-untyped-call]  # Altair types not this class


def _x(field: str = "x", axis: alt.Axis | None = None) -> alt.X:
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, WIDTH], nice=False), axis=axis, title=None)


def _quantities(
    axis: TimeAxis, steps: Sequence[Step], after: Sequence[Step], as_of: int, names: Sequence[str]
) -> alt.LayerChart:
    """Draw the open quantity: an area for what the ledger believes, a dashed line for it with the proposed exits."""
    now, then = _stairs(axis, steps), _stairs(axis, after)
    values = [0.0, *(row["open"] for row in (*now, *then))]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    scale = alt.Scale(domain=[low - 0.08 * span, high + 0.26 * span], nice=False)
    y = alt.Y(
        "open:Q",
        stack=None,
        scale=scale,
        title="open quantity",
        axis=alt.Axis(grid=True, gridColor="#EEF0F3", tickCount=5),
    )
    series = alt.Scale(domain=list(names[: 2 if then else 1]), range=[_LINE, _AFTER][: 2 if then else 1])
    colour = alt.Color("series:N", scale=series, legend=alt.Legend(title="Open quantity", symbolType="stroke"))
    lines = _chart([{**row, "series": names[0]} for row in now]).mark_line(strokeWidth=2.5)
    dashes = _chart([{**row, "series": names[1]} for row in then]).mark_line(strokeWidth=2.5, strokeDash=[6, 4])
    layers: list[Layer] = [
        _chart(now).mark_area(color=_AREA, opacity=0.8).encode(_x(), y),
        *_silences(axis, None),
        _chart([{"open": 0}]).mark_rule(color=_FAINT, strokeWidth=1).encode(y),
        lines.encode(_x(), y, colour),
        *([dashes.encode(_x(), y, colour)] if then else []),
        *_as_of(axis, as_of, None, named=True),
        *_amounts(axis, {_LINE: steps[1:], _AFTER: after[2:]}, y, span),
    ]
    return alt.LayerChart(layer=layers).properties(width=WIDTH, height=HEIGHT)


def _stairs(axis: TimeAxis, steps: Sequence[Step]) -> Rows:
    """Return the corners of the stairs, up to the right edge."""
    corners: Rows = []
    for number, step in enumerate(steps):
        x, level = axis.at(step.at_ms), float(step.open_qty)
        corners += [{"x": x, "open": corners[-1]["open"]}] if number else []
        corners.append({"x": x, "open": level})
    return [*corners, {"x": WIDTH, "open": corners[-1]["open"]}] if corners else []


def _amounts(axis: TimeAxis, series: Mapping[str, Sequence[Step]], y: alt.Y, span: float) -> list[Layer]:
    """Write open quantities in their series' colour: the newest, the greatest, and the others where few."""
    told = {
        (axis.at(step.at_ms), float(step.open_qty) / span * HEIGHT, short(plain(step.open_qty))): (step, colour)
        for colour, steps in series.items()
        for step in _told(steps)
    }
    rows: Rows = [
        {"x": x, "open": float(told[x, at, text][0].open_qty), "text": text, "left": left, "ink": told[x, at, text][1]}
        for x, at, text, left in spread(told, WIDTH)
    ]
    return [
        layer
        for colour in series
        for layer in _texts([row for row in rows if row["ink"] == colour], y, None, size=12, colour=colour, dy=-9)
    ]


def _told(steps: Sequence[Step]) -> list[Step]:
    if not steps:
        return []
    return [steps[-1], max(steps, key=lambda step: step.open_qty), *(steps if len(steps) <= _CROWD else [])]


def _texts(
    rows: Rows, y: alt.Y, axis: alt.Axis | None, *, size: float = 11.5, colour: str = _INK, dy: int = 0
) -> list[Layer]:
    """Write texts beside their points, on a white edge that keeps them readable over lines."""
    return [
        _chart(side)
        .mark_text(
            align="right" if left else "left", dx=-5 if left else 5, dy=dy, fontSize=size, color=colour,
            stroke="white", strokeWidth=edge, strokeJoin="round",
        )
        .encode(_x(axis=axis), y, alt.Text("text:N"))
        for left in (False, True)
        for edge in (3, 0)
        if (side := [row for row in rows if row["left"] is left])
    ]  # fmt: skip


def _silences(axis: TimeAxis, below: alt.Axis | None) -> list[Layer]:
    """Draw the silences that are cut short; the upper part, which has no time axis, says how long they are."""
    rows: Rows = [
        {"left": cut.left + 8, "right": cut.right - 8, "middle": (cut.left + cut.right) / 2, "text": cut.text}
        for cut in axis.breaks
    ]
    if not rows:
        return []
    layers: list[Layer] = [
        _chart(rows).mark_rect(color="#E5E7EB", opacity=0.75).encode(_x("left", below), alt.X2("right:Q"))
    ]
    if below is None:
        text = _chart(rows).mark_text(color=_INK, fontSize=12, angle=270)
        layers.append(text.encode(_x("middle"), alt.Text("text:N"), y=alt.value(HEIGHT / 2)))
    return layers


def _as_of(axis: TimeAxis, as_of: int, below: alt.Axis | None, *, named: bool) -> list[Layer]:
    """Draw the moment that the venue's claims are of."""
    x = axis.at(as_of)
    rows: Rows = [{"x": x, "text": f"venue as of {short_moment(as_of)}"}]
    layers: list[Layer] = [_chart(rows).mark_rule(color=_FAINT, strokeDash=[2, 3]).encode(_x(axis=below))]
    if named:
        to_left = x > WIDTH / 2
        text = _chart(rows).mark_text(
            color=_FAINT, fontSize=11.5, align="right" if to_left else "left", dx=-5 if to_left else 5
        )  # fmt: skip
        layers.append(text.encode(_x(axis=below), alt.Text("text:N"), y=alt.value(10)))
    return layers


def _happenings(axis: TimeAxis, marks: Sequence[Mark], as_of: int) -> alt.LayerChart:
    """Draw the lanes: each mark with its label above it, where there is room, and a thin line between the two."""
    lanes = lanes_of(marks, axis, WIDTH)
    height = lanes[-1].bottom if lanes else 1
    below = _time_axis(axis)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[height, 0], nice=False), axis=_lane_axis(lanes))
    rows: Rows = [{"x": p.x, "y": lane.base, "kind": p.mark.kind.name} for lane in lanes for p in lane.points]
    labels: Rows = [
        {"x": label.x, "y": lane.label_y(label), "base": lane.base, "text": label.text, "left": label.to_left}
        for lane in lanes
        for label in lane.labels
    ]
    legend = alt.Legend(title="What happened", labelLimit=260)
    present = [kind for kind in KINDS if any(mark.kind is kind for mark in marks)]
    names = [kind.name for kind in present]
    points = _chart(rows).mark_point(
        filled=True, size=120 if len(marks) < _MANY else 60, opacity=0.95, stroke="white", strokeWidth=0.7
    )
    layers: list[Layer] = [
        *_silences(axis, below),
        *_as_of(axis, as_of, below, named=False),
        _chart(labels).mark_rule(color="#B6BCC6", strokeWidth=1).encode(_x(axis=below), y, alt.Y2("base:Q")),
        *_texts(labels, y, below),
        points.encode(
            _x(axis=below),
            y,
            alt.Color("kind:N", scale=alt.Scale(domain=names, range=[k.colour for k in present]), legend=legend),
            alt.Shape("kind:N", scale=alt.Scale(domain=names, range=[k.shape for k in present]), legend=legend),
        ),
    ]
    return alt.LayerChart(layer=layers).properties(width=WIDTH, height=height)


def _time_axis(axis: TimeAxis) -> alt.Axis:
    return alt.Axis(
        values=[px for px, _ in axis.ticks], labelExpr=f"({json.dumps(dict(axis.ticks))})[datum.value]",
        labelOverlap="greedy", title=axis.title, labelPadding=6,
    )  # fmt: skip


def _lane_axis(lanes: Sequence[Lane]) -> alt.Axis:
    names = {lane.base: f"{lane.name} ({len(lane.points)})" for lane in lanes}
    return alt.Axis(
        values=list(names), labelExpr=f"({json.dumps(names)})[datum.value]", title=None, ticks=False, domain=False,
        labelPadding=8,
    )  # fmt: skip
