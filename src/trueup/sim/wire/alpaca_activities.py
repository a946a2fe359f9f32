"""Alpaca's account activities: executions and everything else, by type, in pages that go by id."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.responses import Response

from trueup.core.times import iso
from trueup.sim.exchange import Event, Fill
from trueup.sim.wire.alpaca_orders import bounds, whole
from trueup.sim.wire.alpaca_rows import ACTIVITY_TYPES, event_row, fill_row
from trueup.sim.wire.desk import answer, seen

if TYPE_CHECKING:
    from trueup.sim.wire.alpaca import Call


_NO_LIMIT = 1_000_000


def listed(call: "Call") -> Response:
    """GET /v2/account/activities and /v2/account/activities/{type}: by time, in pages that go by the last one's id.

    One whole `date` has no longest page, and takes neither `after` nor `until`.
    """
    direction, date = call.query("direction") or "desc", call.query("date")
    if direction not in ("asc", "desc"):
        raise ValueError(f"invalid direction: {direction}")
    if date is not None and (call.query("after") or call.query("until")):
        raise ValueError("date cannot be used with after or until")
    size, longest = call.query("page_size"), call.wire.activities_limit
    limit = whole(size, "page_size", longest, longest if date is None else _NO_LIMIT)
    descending = direction == "desc"
    rows = sorted(_feed(call), key=lambda row: (row.time_ms, row.id), reverse=descending)
    rows = list(filter(_wanted(call), _after(rows, call.query("page_token"), descending=descending)))
    return answer([_row(call, row) for row in rows[: limit if date is None or size else None]])


def _after(rows: list[Fill | Event], token: str | None, *, descending: bool) -> list[Fill | Event]:
    """Return the rows behind the one that a token names, or, where there is none, behind its place among the ids."""
    if token is None:
        return rows
    for place, row in enumerate(rows):
        if row.id == token:
            return rows[place + 1 :]
    return [row for row in rows if (row.id < token if descending else row.id > token)]


def _row(call: "Call", row: Fill | Event) -> dict[str, object]:
    return fill_row(row) if isinstance(row, Fill) else event_row(call.exchange, row)


def _feed(call: "Call") -> list[Fill | Event]:
    fills = call.exchange.fills_of(call.account.name)
    events = [event for event in call.exchange.events_of(call.account.name) if event.kind in ACTIVITY_TYPES]
    now = call.exchange.now_ms
    shown: list[Fill | Event] = []
    shown += seen(fills, call.veil, now, lambda fill: fill.time_ms, lags=True)
    shown += seen(events, call.veil, now, lambda event: event.time_ms)
    return shown


def _wanted(call: "Call") -> Callable[[Fill | Event], bool]:
    """Return what a listing asks of an activity."""
    types, (after, until), date = _types(call), bounds(call), call.query("date")

    def wanted(row: Fill | Event) -> bool:
        at = row.time_ms * 1000 + (row.micros if isinstance(row, Fill) else 0)
        kind = "FILL" if isinstance(row, Fill) else event_row(call.exchange, row)["activity_type"]
        return (
            (types is None or kind in types)
            and (date is None or iso(row.time_ms)[:10] == date[:10])
            and (after is None or at > after)
            and (until is None or at < until)
        )

    return wanted


def _types(call: "Call") -> set[str] | None:
    given = call.request.path_params.get("type") or call.query("activity_types")
    category = call.query("category")
    if given:
        return set(str(given).split(","))
    if category == "trade_activity":
        return {"FILL"}
    return {*ACTIVITY_TYPES.values(), "JNLS"} if category == "non_trade_activity" else None
