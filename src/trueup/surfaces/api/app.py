"""The application: routes, errors, description, and what every request passes first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from trueup import __version__
from trueup.service.app import App
from trueup.service.tokens import Permission
from trueup.surfaces.api import docs_page, problems
from trueup.surfaces.api.background import Background
from trueup.surfaces.api.description import describe
from trueup.surfaces.api.doors import Guarded, needs
from trueup.surfaces.api.front import CONSOLE, DOCS, Front
from trueup.surfaces.api.options import ApiOptions
from trueup.surfaces.api.routes import audit, backfill, findings, gate, incidents, reconciling, state, trading
from trueup.surfaces.api.throttle import Throttle
from trueup.surfaces.console.app import create_console


def create_app(app: App, options: ApiOptions | None = None) -> FastAPI:
    """Return the API on an App that is built; nothing is connected before the first request."""
    options = options or ApiOptions()
    options = replace(options, own_doors=(*options.own_doors, CONSOLE))
    throttle = Throttle(options.failures_a_minute)
    api = FastAPI(
        title="trueup",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        lifespan=_lifespan,
    )
    api.state.trueup, api.state.options = app, options
    api.state.background = Background(options.background_threads, options.waiting)
    problems.install(api)
    for part in (state, reconciling, trading, gate, incidents, backfill, audit, findings):
        api.include_router(part.router)
    api.router.route_class = Guarded
    api.add_api_route(DOCS, _docs, include_in_schema=False, **needs(Permission.READ))
    api.add_api_route("/openapi.json", _openapi, include_in_schema=False, **needs(Permission.READ))
    api.mount(CONSOLE, create_console(app, options, throttle))
    api.add_middleware(Front, app=app, options=options, throttle=throttle)
    return api


@asynccontextmanager
async def _lifespan(api: FastAPI) -> AsyncIterator[None]:
    """Bound the threads that requests use; at the end, finish the runs that have begun."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = api.state.options.request_threads
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(api.state.background.close)


async def _docs() -> Response:
    return HTMLResponse(docs_page.HTML, headers=docs_page.HEADERS)


async def _openapi(request: Request) -> Response:
    return JSONResponse(describe(request.app))
