"""What every request passes before the application sees it: host, token, size; and the headers of every answer.

Nothing is served without a token but what stands here: a route that somebody adds is closed until its path is named.
"""

import time
from dataclasses import dataclass
from ipaddress import ip_address

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trueup.core.errors import TrueupError
from trueup.ports import Token
from trueup.service.app import App
from trueup.service.events import log
from trueup.service.tokens import ROLES, Permission, authenticate, token_hash
from trueup.surfaces.api import docs_page
from trueup.surfaces.api.options import ApiOptions
from trueup.surfaces.api.problems import Kind, ProblemError, problem_of, response_of, route_of, unexpected
from trueup.surfaces.api.throttle import Throttle

HEALTHZ, METRICS, DOCS, CONSOLE = "/healthz", "/metrics", "/docs", "/console"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HSTS = "max-age=31536000"
LONGEST_TOKEN = 512


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `actor` is how the audit and the histories name them."""

    token: Token

    @property
    def actor(self) -> str:
        """Return the name for the audit; the prefix keeps it apart from users of the command line."""
        return f"api:{self.token.name}"

    def may(self, permission: Permission) -> bool:
        """Say whether the role of the caller allows something."""
        return permission in ROLES.get(self.token.role, frozenset())


class Front:
    """The outermost part of the application."""

    def __init__(self, inner: ASGIApp, app: App, options: ApiOptions, throttle: Throttle) -> None:
        self._inner, self._app, self._options, self._throttle = inner, app, options, throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._inner(scope, receive, send)
            return
        answer = _Answer(send, secure=self._options.secure)
        try:
            await self._admit(scope, receive, answer)
        except ProblemError as problem:
            await _page_or_problem(scope, problem)(scope, receive, answer)
        except TrueupError as error:
            await response_of(problem_of(error))(scope, receive, answer)
        except Exception as error:
            if answer.status:
                raise
            await unexpected(error, scope)(scope, receive, answer)
        finally:
            _tell(scope, answer)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._check_host(scope)
        if scope["path"] == CONSOLE:
            await RedirectResponse(f"{CONSOLE}/", 308)(scope, receive, send)
            return
        if not self._is_open(scope):
            scope.setdefault("state", {})["caller"] = await self._caller(scope)
        await self._inner(scope, await self._bounded(scope, receive), send)

    def _check_host(self, scope: Scope) -> None:
        """Refuse other names than our own: a page elsewhere could have a name of its own lead to this machine."""
        if self._options.hosts is None:
            return
        host = Headers(scope=scope).get("host", "").rpartition("@")[2].lower()
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        if name not in self._options.hosts:
            raise ProblemError(Kind.MISDIRECTED, "This host name is not served here.", "Use the address of the server.")

    def _is_open(self, scope: Scope) -> bool:
        path = str(scope["path"])
        if path == METRICS and self._options.metrics_open:
            return _is_loopback(scope["client"][0] if scope.get("client") else "")
        return path == HEALTHZ or self._has_own_door(path)

    def _has_own_door(self, path: str) -> bool:
        return any(path == door or path.startswith(f"{door}/") for door in self._options.own_doors)

    async def _caller(self, scope: Scope) -> Caller:
        """Return who asks; the address of the client waits where too many tokens of it were wrong."""
        scheme, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not 0 < len(secret) <= LONGEST_TOKEN:
            raise _unauthenticated("This needs a token.")
        address, known_by = client_address(scope, behind_proxy=self._options.behind_proxy), token_hash(secret)
        wait = self._throttle.wait_seconds(address, known_by)
        if wait:
            raise ProblemError(
                Kind.TOO_MANY, "Too many wrong tokens came from this address.", None, {"Retry-After": str(wait)}
            )
        token = await anyio.to_thread.run_sync(authenticate, self._app, secret)
        if token is None:
            self._throttle.failed(address, known_by)
            raise _unauthenticated("This token opens nothing: it is unknown, expired or revoked.")
        self._throttle.succeeded(known_by)
        return Caller(token)

    async def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Read the body within its bounds of size and time, and return what hands it on."""
        limit = self._options.max_body_bytes
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdigit() or int(announced[:20]) > limit:
            raise _too_large(limit)
        body, more = b"", True
        try:
            with anyio.fail_after(self._options.body_seconds):
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        return _handing_on(message, receive)
                    body, more = body + message.get("body", b""), message.get("more_body", False)
                    if len(body) > limit:
                        raise _too_large(limit)
        except TimeoutError:
            told = "The body of the request did not arrive in time."
            raise ProblemError(Kind.TIMED_OUT, told, None, {"Connection": "close"}) from None
        return _handing_on({"type": "http.request", "body": body, "more_body": False}, receive)


def _handing_on(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def hand_on() -> Message:
        return waiting.pop() if waiting else await receive()

    return hand_on


def client_address(scope: Scope, *, behind_proxy: bool) -> str:
    """Return the client's address; behind a proxy what the proxy itself saw, which it adds last."""
    if behind_proxy:
        said = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        last = said.rpartition(",")[2].strip()
        if last:
            return last[:64]
    client = scope.get("client")
    return str(client[0]) if client else ""


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _unauthenticated(detail: str) -> ProblemError:
    return ProblemError(
        Kind.UNAUTHENTICATED,
        detail,
        "Send `Authorization: Bearer TOKEN`; `trueup token create` makes one.",
        {"WWW-Authenticate": "Bearer"},
    )


def _too_large(limit: int) -> ProblemError:
    told = f"A request may have {limit} bytes."
    return ProblemError(Kind.TOO_LARGE, told, None, {"Connection": "close"})


def _page_or_problem(scope: Scope, problem: ProblemError) -> Response:
    """Answer a problem; a browser that comes without a token gets the page that asks for it."""
    asks = Headers(scope=scope).get("accept", "")
    if problem.kind is Kind.UNAUTHENTICATED and scope["path"] == DOCS and "text/html" in asks:
        return HTMLResponse(docs_page.HTML, problem.kind.status, {**problem.headers, **docs_page.HEADERS})
    if problem.kind is Kind.UNAUTHENTICATED and scope["path"] == "/" and "text/html" in asks:
        return RedirectResponse(f"{CONSOLE}/", 303)
    return response_of(problem)


class _Answer:
    """The way out: adds the headers of every answer, and knows its status."""

    def __init__(self, send: Send, *, secure: bool) -> None:
        self._send, self._secure = send, secure
        self._began = time.monotonic()
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self._secure:
                headers.setdefault("Strict-Transport-Security", _HSTS)
        await self._send(message)

    @property
    def took_ms(self) -> int:
        """Return how long the answer took."""
        return round((time.monotonic() - self._began) * 1000)


def _tell(scope: Scope, answer: _Answer) -> None:
    """Log a request: never its path as a client wrote it, its query, its headers or its body."""
    caller = scope.get("state", {}).get("caller")
    log(
        "api_answered", method=scope["method"], route=route_of(scope), status=answer.status,
        actor=caller.actor if caller is not None else None, took_ms=answer.took_ms,
    )  # fmt: skip


def caller_of(request: Request) -> Caller | None:
    """Return who sent a request; None only where the front lets everybody in."""
    caller = request.scope.get("state", {}).get("caller")
    assert caller is None or isinstance(caller, Caller)
    return caller
