"""The console as an application: its routes, its files, and the headers of every answer."""

import anyio
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trueup.service.app import App
from trueup.surfaces.api.options import ApiOptions
from trueup.surfaces.api.problems import Kind, ProblemError
from trueup.surfaces.api.throttle import Throttle
from trueup.surfaces.console import login
from trueup.surfaces.console.door import Console, console_of, known_visit, refusal
from trueup.surfaces.console.navigation import ALL, routes_of
from trueup.surfaces.console.rendering import STATIC, Templates, static_file
from trueup.surfaces.console.sessions import Sessions

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
}
"""Nothing inline, nothing from elsewhere; browsers tell our own forms where they are from."""

_KEPT_SECONDS = 31_536_000


def create_console(app: App, options: ApiOptions, throttle: Throttle) -> ASGIApp:
    """Return the console on an App; wrong tokens count together with the API's. Nothing is connected yet."""
    routes = [route for section in ALL for route in routes_of(section)]
    console = Starlette(
        routes=[*login.ROUTES, Route("/static/{name}", _static, methods=["GET"]), *routes],
        exception_handlers={HTTPException: _not_served, Exception: _unforeseen},
    )
    console.router.redirect_slashes = False
    console.state.console = Console(app, options, Sessions(options.session_clock), throttle, Templates())
    return _WithHeaders(console)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    kept = f"public, max-age={_KEPT_SECONDS}, immutable" if request.query_params.get("v") else "no-cache"
    return Response(static_file(name), headers={"Content-Type": STATIC[name], "Cache-Control": kept})


async def _not_served(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses by itself: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    kind = {404: Kind.NOT_FOUND, 405: Kind.METHOD_NOT_ALLOWED}.get(error.status_code, Kind.INVALID)
    what = "There is no such page." if kind is Kind.NOT_FOUND else "This page cannot be asked for in this way."
    console = console_of(request)
    problem = ProblemError(kind, what, "Go on from the overview.")
    return await anyio.to_thread.run_sync(refusal, console, request, problem, await known_visit(console, request))


async def _unforeseen(request: Request, error: Exception) -> Response:
    return refusal(console_of(request), request, error)


class _WithHeaders:
    """The way out: the headers of every answer."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._inner(scope, receive, with_headers)
