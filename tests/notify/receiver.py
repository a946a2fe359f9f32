"""A service that takes messages over HTTP, as Apprise's json:// target expects one."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(ThreadingHTTPServer):
    """Keeps what it was sent; `answer` says with which status it answers a path."""

    daemon_threads = True

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[str], int] = lambda _: 200
        super().__init__(("127.0.0.1", 0), _Handler)

    def url(self, path: str = "a-secret-path", user: str = "") -> str:
        return f"json://{user}127.0.0.1:{self.server_address[1]}/{path}"

    @property
    def bodies(self) -> list[str]:
        return [said["message"] for _, said in self.got]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.answer(self.path)
        if status == 200:
            self.server.got.append((self.path, said))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Give a receiver that is gone afterwards."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
