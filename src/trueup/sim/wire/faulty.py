"""An ASGI application with the faults of a plan between it and its client."""

import asyncio
import json
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

from trueup.sim.faults import Fault, FaultKind, FaultPlan, Injected
from trueup.sim.wire.desk import SCOPE_KEY, Refusal, Veil

HTML = (
    b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n"
    b"<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n"
)
_FOREVER = ("signature", "timestamp", "recvWindow")
_HOUR_MS = 3_600_000
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, before it is sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def with_body(self, body: bytes) -> "Answer":
        """Return the same answer with another body."""
        kept = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        return Answer(self.status, [*kept, (b"content-length", str(len(body)).encode())], body)


def made(status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer that the application never gave."""
    lines = {"content-type": kind, **(headers or {})}
    named = [(name.lower().encode(), value.encode()) for name, value in lines.items()]
    return Answer(status, named, b"").with_body(body)


_PLACEBOS = {
    FaultKind.HTML_5XX: made(503, HTML, "text/html"),
    FaultKind.HTML_200: made(200, HTML, "text/html"),
    FaultKind.EMPTY_200: made(200, b"", _JSON),
    FaultKind.NULL_200: made(200, b"null", _JSON),
    FaultKind.OBJECT_200: made(200, b"{}", _JSON),
}


def of_refusal(refusal: Refusal) -> Answer:
    """Return an error answer in the venue's own form."""
    return made(refusal.status, json.dumps(refusal.body).encode(), _JSON, refusal.headers)


class Faulty:
    """The middleware: it asks the plan about each request, and remembers earlier answers to serve them again."""

    def __init__(self, app: Any, plan: FaultPlan) -> None:
        self.app = app
        self.plan = plan
        self.dialect = app.state.dialect
        self.state = app.state
        self._first: dict[str, bytes] = {}
        self._last: dict[str, bytes] = {}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._talk(scope, receive, send)
            return
        number, fault = self.plan.next(scope["method"], scope["path"])
        if fault is None:
            await _send(send, self._remember(scope, await self._ask(scope, receive)))
            return
        answer, what, cut = await self._strike(number, fault, scope, receive)
        if what is not None:
            self.plan.log.append(Injected(number, fault, scope["method"], scope["path"], what))
        await _send(send, answer, cut=cut)

    async def _talk(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Pass a stream on; a reset ends it at its first trade update, which is lost."""
        number, fault = self.plan.next("WEBSOCKET", scope["path"])
        if fault is None or fault.name is not FaultKind.RESET:
            await self.app(scope, receive, send)
            return
        cut = False

        async def pass_on(message: dict[str, Any]) -> None:
            nonlocal cut
            if cut:
                return
            if b'"stream":"trade_updates"' in (message.get("bytes") or b""):
                cut = True
                self.plan.log.append(Injected(number, fault, "WEBSOCKET", scope["path"], "before an update"))
                message = {"type": "websocket.close", "code": 1011, "reason": "internal error"}
            await send(message)

        await self.app(scope, receive, pass_on)

    async def _ask(self, scope: MutableMapping[str, Any], receive: Any) -> Answer:
        """Let the application answer, and keep the answer back."""
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def keep(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, keep)
        return Answer(start["status"], list(start["headers"]), b"".join(parts))

    def _remember(self, scope: MutableMapping[str, Any], answer: Answer) -> Answer:
        if scope["method"] == "GET" and answer.status == 200:
            self._first.setdefault(_question(scope), answer.body)
            self._last[scope["path"]] = answer.body
        return answer

    async def _strike(
        self, number: int, fault: Fault, scope: MutableMapping[str, Any], receive: Any
    ) -> tuple[Answer, str | None, bool]:
        """Return the answer with its fault, what was done (None where nothing could be), and whether it breaks off."""
        early = self._instead(fault)
        if early is not None:
            return early, str(early.status), False
        veil, what = _veil(fault)
        if veil is not None:
            scope[SCOPE_KEY] = veil
            return await self._ask(scope, receive), what, False
        if fault.name is FaultKind.LATENCY:
            await asyncio.sleep(fault.delay(200) / 1000)
        fresh = await self._ask(scope, receive)
        if fault.name is FaultKind.LATENCY:
            return self._remember(scope, fresh), f"{fault.delay(200)} ms", False
        if fault.name is FaultKind.RESET:
            return fresh, f"after {len(fresh.body) // 2} of {len(fresh.body)} bytes", True
        if fault.name is FaultKind.TIMEOUT_AFTER_ACCEPTANCE:
            await asyncio.sleep(fault.delay(1_000) / 1000)
            return made(504, HTML.replace(b"503 Service", b"504 Gateway"), "text/html"), f"did {fresh.status}", False
        changed, done = self._changed(fault.name, scope, fresh, self.plan.chance(number))
        if fault.name not in (FaultKind.REPEATED_PAGE, FaultKind.STALE_SNAPSHOT):
            self._remember(scope, fresh)
        return changed, done, False

    def _instead(self, fault: Fault) -> Answer | None:
        """Return the answer that is given without asking the application."""
        if fault.name in _PLACEBOS:
            return _PLACEBOS[fault.name]
        refusals: dict[FaultKind, Callable[[], Refusal]] = {
            FaultKind.THROTTLE_429: lambda: self.dialect.throttled(fault.retry_after),
            FaultKind.THROTTLE_429_SILENT: lambda: self.dialect.throttled(None),
            FaultKind.JSON_5XX: self.dialect.broken,
            FaultKind.MAINTENANCE: self.dialect.maintenance,
        }
        return of_refusal(refusals[fault.name]()) if fault.name in refusals else None

    def _changed(
        self, kind: FaultKind, scope: MutableMapping[str, Any], fresh: Answer, chance: Random
    ) -> tuple[Answer, str | None]:
        """Return an answer with another body, and what was done to it."""
        if fresh.status >= 300:
            return fresh, None
        if kind in (FaultKind.STALE_SNAPSHOT, FaultKind.REPEATED_PAGE):
            stale = kind is FaultKind.STALE_SNAPSHOT
            earlier = self._first.get(_question(scope)) if stale else self._last.get(scope["path"])
            self._remember(scope, fresh)
            if earlier is None or earlier == fresh.body:
                return fresh, None
            return fresh.with_body(earlier), "an earlier answer"
        try:
            body = json.loads(fresh.body)
        except ValueError:
            return fresh, None
        what = self._edit(kind, body, chance)
        if what is None:
            return fresh, None
        return fresh.with_body(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()), what

    def _edit(self, kind: FaultKind, body: Any, chance: Random) -> str | None:
        """Change an answer's rows in place, and say what was done; None where there is nothing to change."""
        rows = _rows(body, self.dialect.rows_at)
        if kind is FaultKind.UNKNOWN_ENUM:
            return _unknown_value(rows if rows is not None else [body], self.dialect.unknown_values, chance)
        if kind is FaultKind.UNKNOWN_FIELD:
            for row in rows if rows is not None else [body]:
                if isinstance(row, dict):
                    row["venueHint"] = {"version": 2, "tags": ["new"]}
            return "venueHint"
        return None if not rows else _shuffle(kind, rows, chance)


def _rows(body: Any, rows_at: tuple[str, ...]) -> list[Any] | None:
    """Return the rows of an answer: a list, or one that stands in an object; the longest where there are several."""
    if isinstance(body, list):
        return body
    if not isinstance(body, dict):
        return None
    return max((body[name] for name in rows_at if isinstance(body.get(name), list)), key=len, default=None)


def _shuffle(kind: FaultKind, rows: list[Any], chance: Random) -> str | None:
    """Drop, double, reorder or cut rows in place."""
    if kind is FaultKind.DROP:
        place = chance.randrange(len(rows))
        return f"row {place} {_id(rows.pop(place))}"
    if kind is FaultKind.DUPLICATE:
        place = chance.randrange(len(rows))
        rows.insert(chance.randrange(place, len(rows)) + 1, rows[place])
        return f"row {place} {_id(rows[place])}"
    if kind is FaultKind.TRUNCATED_PAGE:
        kept = len(rows) // 2
        del rows[kept:]
        return f"{kept} rows are left"
    if kind is FaultKind.REORDER and len(rows) > 1:
        before = list(rows)
        chance.shuffle(rows)
        if rows == before:
            rows.reverse()
        return f"{len(rows)} rows" if rows != before else None
    return None


def _unknown_value(rows: list[Any], values: Mapping[str, str], chance: Random) -> str | None:
    places = [(row, name) for row in rows if isinstance(row, dict) for name in values if isinstance(row.get(name), str)]
    if not places:
        return None
    row, name = chance.choice(places)
    row[name] = values[name]
    return f"{name} of {_id(row)}"


def _id(row: Any) -> str:
    if not isinstance(row, dict):
        return ""
    return str(next((row[name] for name in ("id", "orderId", "symbol", "asset", "tranId") if name in row), ""))


def _veil(fault: Fault) -> tuple[Veil | None, str]:
    match fault.name:
        case FaultKind.FILLS_LAG:
            return Veil(fills_lag_ms=fault.delay(60_000)), f"{fault.delay(60_000)} ms"
        case FaultKind.FORGETFUL:
            return Veil(forget_ms=fault.delay(_HOUR_MS)), f"older than {fault.delay(_HOUR_MS)} ms"
        case FaultKind.CLOCK_SKEW:
            return Veil(skew_ms=fault.delay(-120_000)), f"{fault.delay(-120_000)} ms"
        case FaultKind.REVOKED_KEY:
            return Veil(revoked=True), "the key"
    return None, ""


def _question(scope: MutableMapping[str, Any]) -> str:
    """Return what a request asks, without what differs each time."""
    query = [pair for pair in parse_qsl(scope["query_string"].decode()) if pair[0] not in _FOREVER]
    return f"{scope['path']}?{urlencode(query)}"


async def _send(send: Any, answer: Answer, *, cut: bool = False) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    if cut:
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        return
    await send({"type": "http.response.body", "body": answer.body})
