"""Alpaca's account activities: executions and everything else, by type, in pages that go by id."""

from typing import TYPE_CHECKING

from starlette.responses import Response

from trueup.core.times import iso
from trueup.sim.exchange import Event, Fill
from trueup.sim.wire.alpaca_orders import micros_of, whole
from trueup.sim.wire.alpaca_rows import ACTIVITY_TYPES, event_row, fill_row
from trueup.sim.wire.desk import answer, seen

if TYPE_CHECKING:
    from trueup.sim.wire.alpaca import Call


def listed(call: "Call") -> Response:
    """GET /v2/account/activities and /v2/account/activities/{type}: sorted by id, which begins with the time."""
    direction = call.query("direction") or "desc"
    if direction not in ("asc", "desc"):
        raise ValueError(f"invalid direction: {direction}")
    limit = whole(call.query("page_size"), "page_size", call.wire.activities_limit, call.wire.activities_limit)
    descending, token = direction == "desc", call.query("page_token")
    rows = sorted(_wanted(call), key=lambda row: row.id, reverse=descending)
    if token is not None:
        rows = [row for row in rows if (row.id < token if descending else row.id > token)]
    return answer([_row(call, row) for row in rows[:limit]])


def _row(call: "Call", row: Fill | Event) -> dict[str, object]:
    return fill_row(row) if isinstance(row, Fill) else event_row(call.exchange, row)


def _wanted(call: "Call") -> list[Fill | Event]:
    types = _types(call)
    rows: list[Fill | Event] = []
    if types is None or "FILL" in types:
        fills = call.exchange.fills_of(call.account.name)
        rows += seen(fills, call.veil, call.exchange.now_ms, lambda fill: fill.time_ms, lags=True)
    events = [event for event in call.exchange.events_of(call.account.name) if event.kind in ACTIVITY_TYPES]
    rows += seen(events, call.veil, call.exchange.now_ms, lambda event: event.time_ms)
    return [row for row in rows if _type(call, row, types) and _within(call, row)]


def _types(call: "Call") -> set[str] | None:
    given = call.request.path_params.get("type") or call.query("activity_types")
    category = call.query("category")
    if given:
        return set(str(given).split(","))
    if category == "trade_activity":
        return {"FILL"}
    return {*ACTIVITY_TYPES.values(), "JNLS"} if category == "non_trade_activity" else None


def _type(call: "Call", row: Fill | Event, types: set[str] | None) -> bool:
    return types is None or isinstance(row, Fill) or event_row(call.exchange, row)["activity_type"] in types


def _within(call: "Call", row: Fill | Event) -> bool:
    at = row.time_ms * 1000 + (row.micros if isinstance(row, Fill) else 0)
    after, until, date = (call.query(name) for name in ("after", "until", "date"))
    if date is not None and iso(row.time_ms)[:10] != date[:10]:
        return False
    if after is not None and at <= micros_of(after):
        return False
    return until is None or at < micros_of(until)
