"""The command serve: the HTTP API and the console, until it is told to stop."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trueup.core.errors import ConfigurationError
from trueup.surfaces.cli.options import Format, FormatOption, add_command
from trueup.surfaces.cli.output import STRONG, note, print_json, say
from trueup.surfaces.cli.session import open_app, stays

if TYPE_CHECKING:
    from trueup.service.app import App
    from trueup.service.tokens import NewToken
    from trueup.service.worker import Worker

PORT = 8787
_EXIT_CODES = (
    "Exit codes: 0 stopped by SIGINT or SIGTERM, 2 wrong usage or configuration, 3 the database is unreadable."
)


def register(program: typer.Typer) -> None:
    """Add the command."""
    add_command(program, serve, _EXIT_CODES)


def serve(
    context: typer.Context,
    *,
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="The address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = PORT,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="The certificate (chain), PEM.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key, PEM.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy with TLS is the only way to reach it.")
    ] = False,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Reconcile every account in this process, too.")
    ] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Serve the console and the HTTP API, described at /docs, until it is told to stop.

    The first start makes a token and prints a link that logs in to the console; it is shown this once. Beyond this
    machine it is served with TLS or behind a proxy only, and only after `trueup token create`.

    Example: trueup serve --port 8787
    """
    place_of = (host, port, tls_cert, tls_key, behind_proxy)
    with (
        answering(lambda: open_app(context, logs="info"), place_of) as (app, url, made, stop),
        _working(app, with_worker, stop),
    ):
        tell_link(url, made, form)
        stop.wait()
    note("stopped")


PlaceWords = tuple[str, int, Path | None, Path | None, bool]
"""Host, port, certificate, key, and whether a proxy stands before it."""


@contextmanager
def answering(
    build: "Callable[[], App]", place_of: PlaceWords
) -> "Iterator[tuple[App, str, NewToken | None, threading.Event]]":
    """Serve the API of an App, and give the App, the address, a token that was made, and the event that ends it."""
    try:
        from trueup.surfaces.api.app import create_app
        from trueup.surfaces.api.options import ApiOptions
        from trueup.surfaces.api.serving import Place, listening, serving, until_stopped
        from trueup.surfaces.metrics import render
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The HTTP API needs the Python package {error.name}, which is not installed.",
            "Install it: pip install 'trueup[api]'.",
        ) from None
    from trueup.service.tokens import first_token

    stays()
    app, place = build(), Place(*place_of)
    options = ApiOptions(
        metrics=lambda: render(app),
        metrics_open=place.on_loopback,
        hosts=place.hosts,
        behind_proxy=place.behind_proxy,
        secure=place.secure,
    )
    with until_stopped() as stop, listening(place) as listener:
        made = first_token(app, alone=place.on_loopback)
        with serving(create_app(app, options), place, listener, stop) as url:
            yield app, url, made, stop


@contextmanager
def _working(app: "App", wanted: bool, stop: threading.Event) -> Iterator[None]:
    """Work beside the server, where that is wanted."""
    if not wanted:
        yield
        return
    from trueup.service.worker import Worker

    with working_beside(Worker(app), stop):
        yield


@contextmanager
def working_beside(worker: "Worker", stop: threading.Event) -> Iterator[None]:
    """Let a worker work meanwhile; one that ends by a defect ends the program with it."""

    def work() -> None:
        try:
            worker.run()
        finally:
            stop.set()

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    try:
        yield
    finally:
        worker.stop.set()
        thread.join()


def log_in_link(url: str, secret: str) -> str:
    """Return the link that logs in to the console; behind the # a token reaches no server and no log."""
    return f"{url}/console/login#token={secret}"


def tell_link(url: str, made: "NewToken | None", form: Format) -> None:
    """Say where it answers, and how to log in."""
    docs, console = f"{url}/docs", f"{url}/console/"
    link = log_in_link(url, made.secret) if made is not None else None
    if form is Format.JSON:
        told = {"url": url, "console": console, "docs": docs, "log_in": link}
        print_json({**told, "token": made.secret if made is not None else None})
    else:
        say("trueup answers at ", (url, STRONG), f"; its console is at {console}, its API is described at {docs}")
        if made is not None and link is not None:
            say(f"Token of {made.token.name}, {made.token.role}, shown this once: ", (made.secret, STRONG))
            say("Log in: ", (link, STRONG))
        note("Stop it with Ctrl-C.")
    sys.stdout.flush()
