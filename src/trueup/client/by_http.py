"""Asking a server of trueup over HTTP, with the standard library alone.

Connections are kept and used by one thread at a time; one that the server closed meanwhile is made anew, once: a
question may be asked twice, since a question with an `order_ref` is one question however often it arrives.
"""

import json
import ssl
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlencode, urlsplit

from trueup.core.decimals import plain
from trueup.core.errors import CannotKnow, ConfigurationError, Refused, TrueupError, UnknownName
from trueup.core.gate import GateAnswer, Intent
from trueup.core.modes import Mode

_MOST_BYTES = 64 * 1024
_LONGEST_LEASE_MS = 60_000
_ERRORS: Mapping[int, type[TrueupError]] = {
    401: ConfigurationError, 403: ConfigurationError, 404: UnknownName, 409: Refused, 422: ConfigurationError,
}  # fmt: skip


class HttpAsker:
    """Answers of a server; every call takes at most about `timeout_s` for each step of the connection."""

    def __init__(self, profile: str, url: str, token: str, timeout_s: float) -> None:
        parts = urlsplit(url if "://" in url else "")
        try:
            self._port = parts.port
        except ValueError:
            raise ConfigurationError("The port of the gate's url is not a number.", "Give http://HOST:PORT.") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ConfigurationError("The gate's url is no http or https address.", "Give http://HOST:PORT.")
        if not token.strip() or not token.isascii() or not token.isprintable():
            raise ConfigurationError("The gate's token is missing or no token.", "`trueup token create` makes one.")
        self._profile, self._host, self._secure = profile, parts.hostname, parts.scheme == "https"
        self._path, self._timeout_s = parts.path.rstrip("/"), timeout_s
        self._headers = {"Authorization": f"Bearer {token.strip()}", "Accept": "application/json"}
        self._idle: deque[HTTPConnection] = deque()

    def ask(self, symbol: str, intent: Intent, notional: Decimal | None, order_ref: str | None) -> GateAnswer:
        """Answer whether an order may be sent."""
        said = {
            "instance_id": self._profile, "symbol": symbol, "intent": intent.value,
            "notional": plain(notional) if notional is not None else None, "order_ref": order_ref,
        }  # fmt: skip
        query = urlencode({name: value for name, value in said.items() if value is not None})
        return _answer(self._call("GET", f"/gate?{query}", None))

    def beat(self, *, healthy: bool) -> None:
        """Record that the bot is alive."""
        said = {"instance_id": self._profile, "healthy": healthy}
        self._call("POST", "/gate/heartbeat", json.dumps(said).encode())

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _call(self, method: str, path: str, body: bytes | None) -> Mapping[str, object]:
        """Send a request and return the document that comes back; a kept connection may have died meanwhile."""
        try:
            connection, kept = self._idle.pop(), True
        except IndexError:
            connection, kept = self._connection(), False
        while True:
            try:
                return self._once(connection, method, path, body)
            except (OSError, HTTPException) as error:
                connection.close()
                if not kept or isinstance(error, TimeoutError):
                    late = isinstance(error, TimeoutError)
                    why = "it did not answer in time" if late else str(error) or type(error).__name__
                    do = "Check that it runs there."
                    raise CannotKnow(f"trueup at {self._host} cannot be asked: {why}.", do) from None
            connection, kept = self._connection(), False

    def _once(self, connection: HTTPConnection, method: str, path: str, body: bytes | None) -> Mapping[str, object]:
        headers = {**self._headers, "Content-Type": "application/json"} if body is not None else self._headers
        connection.request(method, self._path + path, body, headers)
        answer = connection.getresponse()
        text = answer.read(_MOST_BYTES + 1)
        if answer.will_close or len(text) > _MOST_BYTES:
            connection.close()
        else:
            self._idle.append(connection)
        return _document(answer.status, text)

    def _connection(self) -> HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=context)
        return HTTPConnection(self._host, self._port, timeout=self._timeout_s)


def _document(status: int, text: bytes) -> Mapping[str, object]:
    """Return what a server said; an error of its own keeps its words, and what is no document is no answer."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CannotKnow(f"What came back (status {status}) is no answer of trueup.", "Check the gate's url.")
    if status != 200:
        kind = _ERRORS.get(status, CannotKnow)
        raise kind(str(found.get("detail", f"trueup answered with status {status}.")), str(found.get("do") or ""))
    return found


def _answer(found: Mapping[str, object]) -> GateAnswer:
    """Read an answer strictly: what is not plainly one is none."""
    try:
        lease_ms, until_ms, canary = found["lease_ms"], found["until_ms"], found.get("canary_id")
        if type(found["allowed"]) is not bool or type(lease_ms) is not int or type(until_ms) is not int:
            raise TypeError("a field is not of its type")
        return GateAnswer(
            allowed=found["allowed"],
            mode=Mode[str(found["mode"])],
            because_of=str(found["because_of"]),
            reason=str(found["reason"]),
            until_ms=until_ms,
            canary_id=str(canary) if canary is not None else None,
            lease_ms=min(max(lease_ms, 0), _LONGEST_LEASE_MS),
        )
    except (KeyError, TypeError):
        raise CannotKnow("What came back is no answer of the gate.", "Check the gate's url.") from None
