"""Log-in and log-out: a token is exchanged for a session, and the session ended.

The log-in form is proven to be ours as every other, by a cookie of its own: nobody is logged in by another site, as
somebody else. After it the session has a new id, whatever the browser brought along.
"""

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from trueup.core.errors import TrueupError
from trueup.ports import Token
from trueup.service.tokens import Permission, authenticate, token_hash
from trueup.surfaces.api.front import LONGEST_TOKEN, Caller, client_address
from trueup.surfaces.api.problems import Kind, ProblemError
from trueup.surfaces.console.door import (
    LOG_IN,
    Console,
    Leave,
    Visit,
    acts,
    console_of,
    own_path,
    refusal,
)
from trueup.surfaces.console.forms import KEY_FIELD, Form, forged, read_form, require_same_origin
from trueup.surfaces.console.sessions import new_id

_FORM_SECONDS = 3600


async def show(request: Request) -> Response:
    """Show the form; the way back is in its address."""
    back = own_path(request.query_params.get("next", ""))
    said = "You are logged out." if "out" in request.query_params else ""
    console = console_of(request)
    response = _page(console, request, back, said=said)
    kept = request.cookies.get(console.cookie)
    if kept is not None and console.sessions.find(kept, by_hand=False) is None:
        console.forget(response)
    return response


async def log_in(request: Request) -> Response:
    """Exchange a token for a session."""
    console = console_of(request)
    try:
        require_same_origin(request, behind_proxy=console.options.behind_proxy)
        form = await read_form(request)
        before = request.cookies.get(_cookie(console), "")
        if not before or not console.sessions.knows_form(before, form.get(KEY_FIELD, ("",))[-1]):
            raise forged("The log-in form is not ours, or older than an hour.")
        return await _exchange(console, request, form)
    except (ProblemError, TrueupError) as error:
        return refusal(console, request, error)


async def _exchange(console: Console, request: Request, form: Form) -> Response:
    secret, back = form.get("token", ("",))[-1], own_path(form.get("next", ("",))[-1])
    address = client_address(request.scope, behind_proxy=console.options.behind_proxy)
    known_by = token_hash(secret)
    wait = console.throttle.wait_seconds(address, known_by)
    if wait:
        told = "Too many wrong tokens came from this address."
        raise ProblemError(Kind.TOO_MANY, told, f"Try again in {wait} s.", {"Retry-After": str(wait)})
    token: Token | None = None
    if 0 < len(secret) <= LONGEST_TOKEN:
        token = await anyio.to_thread.run_sync(authenticate, console.app, secret)
    if token is None:
        console.throttle.failed(address, known_by)
        return _page(console, request, back, wrong="This token opens nothing: it is unknown, expired or revoked.")
    console.throttle.succeeded(known_by)
    console.sessions.end(request.cookies.get(console.cookie, ""))
    request.scope.setdefault("state", {})["caller"] = Caller(token)
    response = RedirectResponse(back, 303)
    console.keep(response, console.sessions.begin(known_by))
    response.delete_cookie(_cookie(console), path=LOG_IN, secure=console.options.secure, httponly=True)
    return response


def _page(console: Console, request: Request, back: str, *, said: str = "", wrong: str = "") -> Response:
    before = request.cookies.get(_cookie(console), "")
    form_id = before if 0 < len(before) <= _LONGEST_ID else new_id()
    shown = {
        "visit": None, "path": request.scope["path"], "notes": [said] if said else [], "wrong": wrong, "back": back,
        "form_key": console.sessions.form_key(form_id), "now_ms": 0,
    }  # fmt: skip
    response = HTMLResponse(console.templates.page("login.html", shown), 401 if wrong else 200)
    response.set_cookie(
        _cookie(console), form_id, max_age=_FORM_SECONDS, path=LOG_IN, secure=console.options.secure, httponly=True,
        samesite="strict",
    )  # fmt: skip
    return response


_LONGEST_ID = 64


def _cookie(console: Console) -> str:
    return "__Secure-trueup-login" if console.options.secure else "trueup-login"


def log_out(visit: Visit) -> Leave:
    """End the session."""
    visit.console.sessions.end(visit.session_id)
    return Leave(f"{LOG_IN}?out=1")


ROUTES = (
    Route("/login", show, methods=["GET"]),
    Route("/login", log_in, methods=["POST"]),
    acts("/logout", log_out, Permission.READ),
)
