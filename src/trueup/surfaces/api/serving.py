"""Serving the API: where it may be bound, the socket, the server's thread, and how it is stopped.

Each part is a context of its own, so that a program may put others (a worker) beside the server.
"""

import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from trueup.core.errors import CannotKnow, ConfigurationError
from trueup.service.events import log

GRACE_SECONDS = 20
"""How long requests that are being answered may go on after the server was told to stop."""

_START_SECONDS = 30.0
_POLL_SECONDS = 0.02
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where the API is served: TLS by a certificate and its key, or behind a proxy that has them."""

    host: str = "127.0.0.1"
    port: int = 8787
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False

    @property
    def on_loopback(self) -> bool:
        """Say whether only programs of this machine can reach it, with no proxy in between."""
        return _is_loopback(self.host) and not self.behind_proxy

    @property
    def secure(self) -> bool:
        """Say whether clients see https."""
        return self.tls_cert is not None or self.behind_proxy

    @property
    def hosts(self) -> frozenset[str] | None:
        """Return the host names that are answered; None is every one."""
        return _LOOPBACK_NAMES | {_named(self.host)} if self.on_loopback else None

    def url(self, port: int) -> str:
        """Return the address for people."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else _named(self.host)  # noqa: S104  # named, not bound
        return f"{'https' if self.tls_cert is not None else 'http'}://{host}:{port}"

    def check(self) -> None:
        """Refuse a place where tokens would cross a network in the clear."""
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise ConfigurationError("TLS needs a certificate and its key.", "Give both --tls-cert and --tls-key.")
        for path in (self.tls_cert, self.tls_key):
            if path is not None and not path.is_file():
                raise ConfigurationError(f"There is no file {path}.", "Check --tls-cert and --tls-key.")
        if not _is_loopback(self.host) and not self.secure:
            raise ConfigurationError(
                f"{self.host} can be reached from other machines, and tokens would cross the network in the clear.",
                "Give --tls-cert and --tls-key; or --behind-proxy, where a proxy with TLS is the only way to reach it;"
                " or leave --host out.",
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host.lower()


@contextmanager
def listening(place: Place) -> Iterator[socket.socket]:
    """Give the socket of a place; port 0 takes a free one. ConfigurationError where it cannot be had."""
    place.check()
    host = place.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, place.port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"{place.host}:{place.port} cannot be served on: {reason}.",
            "Name another with --port; 0 is a free one.",
        ) from None
    with listener:
        yield listener


@contextmanager
def serving(api: FastAPI, place: Place, listener: socket.socket, stop: threading.Event) -> Iterator[str]:
    """Serve on a socket in a thread of its own and give the address; at the end answer what is being answered.

    `stop` is also set where the server ends by itself.
    """
    server = uvicorn.Server(_configuration(api, place))

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            stop.set()

    thread = threading.Thread(target=run, name="api", daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        port = listener.getsockname()[1]
        log("api_started", host=place.host, port=port)
        yield place.url(port)
    finally:
        server.should_exit = True
        thread.join()
        log("api_stopped")


def _configuration(api: FastAPI, place: Place) -> uvicorn.Config:
    # Its lines hold whole addresses, and with them whatever a client wrote there; ours do not.
    logging.getLogger("uvicorn.access").disabled = True
    configuration = uvicorn.Config(
        api,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=place.tls_cert,
        ssl_keyfile=place.tls_key,
    )
    try:
        configuration.load()
    except OSError as error:  # an SSLError is one
        raise ConfigurationError(
            f"The certificate and its key cannot be used: {error}.", "Check --tls-cert and --tls-key."
        ) from None
    return configuration


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    waited = 0.0
    while not server.started:
        thread.join(_POLL_SECONDS)
        waited += _POLL_SECONDS
        if not thread.is_alive() or waited > _START_SECONDS:
            raise CannotKnow("The server did not start.", "See what it logged.")


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set; a second signal ends the program as it would without this."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def ask(number: int, _: FrameType | None) -> None:
        signal.signal(number, before[number])
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for changed, handler in before.items():
            signal.signal(changed, handler)
