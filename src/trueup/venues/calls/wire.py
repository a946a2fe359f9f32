"""The wire: HTTP requests that end in time, whatever the other side does.

A timeout of `requests` counts anew with each byte that arrives: a server that drips its answer holds a caller without
end. Here the time is one for the whole request, from the name's look-up to the last byte. What is not done by then has
failed, its connection is shut, and nothing of it is sent any more.
"""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock, Thread, local
from typing import Any

from requests import PreparedRequest, ReadTimeout, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Request:
    """One request on its way, in a thread of its own."""

    def __init__(self, ask: Callable[[], Response]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._socket: Any = None
        self._late = False
        self._answer: Response | None = None
        self._error: Exception | None = None

    def within(self, seconds: float) -> Response | None:
        """Return the whole answer, None where it did not come in time; an error of the request goes up."""
        thread = Thread(target=self._run, daemon=True)
        thread.start()
        thread.join(seconds)
        with self._lock:
            self._late = thread.is_alive()
            if self._late:
                self._shut()
                return None
        if self._error is not None:
            raise self._error
        return self._answer

    def goes_over(self, connection: Any) -> None:
        """Take note of the connection; TimeoutError where the time is over, before anything is sent."""
        with self._lock:
            self._socket = connection.sock
            if self._late:
                self._shut()
                raise TimeoutError("the request's time is over")

    def _run(self) -> None:
        _running.request = self
        try:
            answer = self._ask()
            answer.content  # noqa: B018  # the whole body is read here, in time
            self._answer = answer
        except Exception as error:  # noqa: BLE001  # it goes up in the thread that waits
            self._error = error

    def _shut(self) -> None:
        """Wake the thread that reads; it cleans up by itself."""
        if isinstance(self._socket, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_running = local()


def _noted(connection: Any) -> None:
    request = getattr(_running, "request", None)
    if request is not None and connection.sock is not None:
        request.goes_over(connection)


class _Plain(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _noted(self)

    def request(self, *args: Any, **options: Any) -> None:
        _noted(self)
        super().request(*args, **options)


class _Encrypted(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _noted(self)

    def request(self, *args: Any, **options: Any) -> None:
        _noted(self)
        super().request(*args, **options)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _Encrypted


_POOLS: Mapping[str, type[HTTPConnectionPool]] = {"http": _PlainPool, "https": _EncryptedPool}


class Wire(HTTPAdapter):
    """Sends requests, each of which ends within `timeout_s` seconds; ReadTimeout where its answer is not whole then."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(max_retries=0)
        self.timeout_s = timeout_s

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pool of connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = dict(_POOLS)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pool of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = dict(_POOLS)
        return manager

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Send a request and read its answer whole."""
        options["timeout"] = (self.timeout_s, self.timeout_s)
        answer = _Request(lambda: super(Wire, self).send(request, *args, **options)).within(self.timeout_s)
        if answer is None:
            raise ReadTimeout(f"timed out: no whole answer within {self.timeout_s:g} s", request=request)
        return answer


def bound(session: Any, wire: Wire) -> None:
    """Let a session of requests send everything over a wire."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, wire)
