"""The console's door: who visits, what they may do, and how a handler's answer becomes a response.

Every route asks for a permission; what it does not allow is refused here, whatever the page showed. A form is read
only from our own pages, in its own session. No error leaves but as a page that people can read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from trueup.core.errors import TrueupError
from trueup.ports import Token
from trueup.service.app import App
from trueup.service.tokens import Permission, usable
from trueup.surfaces.api.front import CONSOLE, Caller
from trueup.surfaces.api.options import ApiOptions
from trueup.surfaces.api.problems import Kind, ProblemError, problem_of, unexpected_name
from trueup.surfaces.api.throttle import Throttle
from trueup.surfaces.console.forms import KEY_FIELD, Form, clean, forged, read_form, require_same_origin
from trueup.surfaces.console.rendering import LIVE_HEADER, Templates, entity_tag
from trueup.surfaces.console.sessions import LONGEST_SECONDS, Session, Sessions

LOG_IN = f"{CONSOLE}/login"
HOME = f"{CONSOLE}/"


@dataclass(frozen=True, slots=True)
class Console:
    """What every part of the console uses."""

    app: App
    options: ApiOptions
    sessions: Sessions
    throttle: Throttle
    templates: Templates

    @property
    def cookie(self) -> str:
        """Return the cookie's name; with TLS one that browsers take over TLS alone."""
        return "__Secure-trueup-console" if self.options.secure else "trueup-console"

    def keep(self, response: Response, session_id: str) -> None:
        """Let the browser keep a session's id."""
        response.set_cookie(
            self.cookie, session_id, max_age=LONGEST_SECONDS, path=CONSOLE, secure=self.options.secure, httponly=True,
            samesite="strict",
        )  # fmt: skip

    def forget(self, response: Response) -> None:
        """Let the browser forget it."""
        response.delete_cookie(self.cookie, path=CONSOLE, secure=self.options.secure, httponly=True, samesite="strict")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is logged in; `app` acts in their name, `form` is what they sent."""

    app: App
    console: Console
    request: Request
    token: Token
    session: Session
    session_id: str
    form: Form = field(default_factory=dict)

    @property
    def live(self) -> bool:
        """Say whether the page asks by itself for what changed."""
        return LIVE_HEADER in self.request.headers

    def may(self, permission: str) -> bool:
        """Say whether the role of the visitor allows something."""
        return Caller(self.token).may(Permission(permission))

    def given(self, name: str) -> str:
        """Return a field of the form, blank where it is not there."""
        return self.form.get(name, ("",))[-1]

    def asked(self, name: str) -> str | None:
        """Return a parameter of the address, None where it is blank or not there."""
        return clean(self.request.query_params.get(name, "")) or None

    def page(self) -> int:
        """Return the page of a list that is asked for; the first where that is no number."""
        text = self.asked("page") or "1"
        return min(max(int(text), 1), 1_000_000) if text.isascii() and text.isdigit() and len(text) < 8 else 1

    def named(self, part: str) -> str:
        """Return a part of the path."""
        return clean(str(self.request.path_params[part]))

    def tell(self, note: str) -> None:
        """Keep a note for the visitor's next page."""
        self.session.notes.append(note)


@dataclass(frozen=True, slots=True)
class View:
    """A page to show: its template, what it shows, and its status."""

    template: str
    shown: dict[str, Any]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Leave:
    """Another page to go on to, after something was done."""

    to: str


Handler = Callable[[Visit], View | Leave]


def reads(path: str, handler: Handler) -> Route:
    """Return the route of a page that shows something."""
    return Route(path, _endpoint(handler, Permission.READ, posted=False), methods=["GET"])


def acts(path: str, handler: Handler, permission: Permission = Permission.ACT) -> Route:
    """Return the route of a form that does something."""
    return Route(path, _endpoint(handler, permission, posted=True), methods=["POST"])


def _endpoint(handler: Handler, permission: Permission, *, posted: bool) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        console = console_of(request)
        visit: Visit | None = None
        try:
            visit = await anyio.to_thread.run_sync(_admit, console, request)
            if posted:
                visit = replace(visit, form=await _own_form(visit))
            if not visit.may(permission):
                raise ProblemError(
                    Kind.FORBIDDEN, f"The role {visit.token.role} may not {permission}.", "Log in with another token."
                )
            return await anyio.to_thread.run_sync(_answer, handler, visit)
        except Exception as error:  # noqa: BLE001  # the last resort: no traceback ever reaches a visitor
            return await anyio.to_thread.run_sync(refusal, console, request, error, visit)

    return endpoint


def _admit(console: Console, request: Request) -> Visit:
    """Return the visit of a session that lasts, whose token still opens the door."""
    session_id = request.cookies.get(console.cookie, "")
    session = console.sessions.find(session_id, by_hand=LIVE_HEADER not in request.headers) if session_id else None
    if session is None:
        raise ProblemError(Kind.UNAUTHENTICATED, "You are not logged in.", "Log in to go on.")
    token = console.app.tokens.find(session.token_hash)
    if token is None or not usable(console.app, token):
        console.sessions.end(session_id)
        raise ProblemError(Kind.UNAUTHENTICATED, "Your token was revoked or has expired.", "Log in with another.")
    caller = Caller(token)
    request.scope.setdefault("state", {})["caller"] = caller
    return Visit(replace(console.app, actor=caller.actor), console, request, token, session, session_id)


async def known_visit(console: Console, request: Request) -> Visit | None:
    """Return the visit of somebody who is logged in, None of anybody else."""
    try:
        return await anyio.to_thread.run_sync(_admit, console, request)
    except (ProblemError, TrueupError):
        return None


async def _own_form(visit: Visit) -> Form:
    require_same_origin(visit.request, behind_proxy=visit.console.options.behind_proxy)
    form = await read_form(visit.request)
    if not visit.console.sessions.knows_form(visit.session_id, form.get(KEY_FIELD, ("",))[-1]):
        raise forged("The form is not one of this session.")
    return form


def _answer(handler: Handler, visit: Visit) -> Response:
    done = handler(visit)
    if isinstance(done, Leave):
        return RedirectResponse(done.to, 303)
    return rendered(visit, done)


def rendered(visit: Visit, view: View) -> Response:
    """Return a page, or of a page that asks by itself the part that changes, if it did."""
    templates, shown = visit.console.templates, {**_common(visit), **view.shown}
    if not visit.live:
        shown["notes"], visit.session.notes[:] = list(visit.session.notes), []
        return HTMLResponse(templates.page(view.template, shown), view.status)
    part = templates.live_part(view.template, shown)
    tag = entity_tag(part)
    if visit.request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return HTMLResponse(part, view.status, {"ETag": tag})


def _common(visit: Visit) -> dict[str, Any]:
    return {
        "visit": visit, "path": visit.request.scope["path"], "now_ms": visit.app.clock.now_ms(), "notes": [],
        "form_key": visit.console.sessions.form_key(visit.session_id),
    }  # fmt: skip


def refusal(console: Console, request: Request, error: Exception, visit: Visit | None = None) -> Response:
    """Return an error as a page that says what is wrong and what to do; who is not logged in gets to the log-in."""
    problem, instance = _problem(error, request.scope)
    asks_itself, shows = LIVE_HEADER in request.headers, request.method == "GET"
    if problem.kind is Kind.UNAUTHENTICATED and shows and not asks_itself:
        response: Response = RedirectResponse(log_in_at(request), 303)
        console.forget(response)
        return response
    shown = {"problem": problem, "instance": instance, "visit": visit, "path": request.scope["path"], "notes": []}
    shown["form_key"] = console.sessions.form_key(visit.session_id) if visit is not None else ""
    page = console.templates.page("problem.html", {**shown, "log_in": log_in_at(request), "now_ms": 0})
    kept = {name: value for name, value in problem.headers.items() if name.lower() == "retry-after"}
    return HTMLResponse(page, problem.kind.status, kept)


def _problem(error: Exception, scope: Scope) -> tuple[ProblemError, str | None]:
    if isinstance(error, ProblemError):
        return error, None
    if isinstance(error, TrueupError):
        return problem_of(error), None
    return unexpected_name(error, scope)


def log_in_at(request: Request) -> str:
    """Return the log-in with the way back to a page that was asked for; a form is not sent again."""
    path = request.scope["path"] if request.method == "GET" else HOME
    query = request.scope.get("query_string", b"").decode("latin-1") if request.method == "GET" else ""
    back = own_path(f"{quote(path)}?{query}" if query else quote(path))
    return LOG_IN if back in (HOME, CONSOLE) else f"{LOG_IN}?next={quote(back, safe='/')}"


def own_path(text: str) -> str:
    """Return a path of the console as it is, and the overview for everything else: nobody is led elsewhere."""
    printable = text.isascii() and text.isprintable() and "\\" not in text and " " not in text
    parts = urlsplit(text) if printable else None
    ours = parts is not None and not parts.scheme and not parts.netloc and parts.path.startswith(HOME)
    return text if ours and not text.startswith("//") else HOME


def console_of(request: Request) -> Console:
    """Return the console that a request came to."""
    found = request.app.state.console
    assert isinstance(found, Console)
    return found
