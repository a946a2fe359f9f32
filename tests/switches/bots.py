"""Bots on a real socket for the tests: they speak the switches' APIs, and do what they are told, or not."""

import json
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from trueup.switches.calls import Patience

QUICK = Patience(timeout_s=0.5, tries=2, pause_s=0.02, obey_s=0.3)
TOKEN = "bot-token-1"
USER, PASSWORD = "someone", "pass-word-1"


@dataclass
class FakeBot:
    """What every bot here has: `obeys` after so many questions (None: never), and trouble before it answers."""

    obeys: int | None = 0
    silent_s: float = 0.0
    failures: list[int] = field(default_factory=list)
    garbage: bytes | None = None
    calls: list[str] = field(default_factory=list)
    pending: Any = None
    url: str = ""

    def answer(self, method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        raise NotImplementedError

    def told(self, apply: Any) -> None:
        """Do as told: at once, later, or never."""
        if self.obeys == 0:
            apply()
        elif self.obeys is not None:
            self.pending = [self.obeys, apply]

    def asked(self) -> None:
        if self.pending is not None:
            self.pending[0] -= 1
            if self.pending[0] <= 0:
                self.pending[1]()
                self.pending = None


@dataclass
class HttpBot(FakeBot):
    """A bot that speaks trueup's own words."""

    mode: str = "NORMAL"
    symbols: dict[str, str] = field(default_factory=dict)
    names_modes: bool = True

    def answer(self, method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"detail": "who are you"}
        place = urlsplit(path)
        scope = (parse_qs(place.query).get("scope") or [(body or {}).get("scope", "")])[0]
        if place.path == "/bot/internal/trading/status" and method == "GET":
            self.asked()
            mode = max(
                (self.mode, self.symbols.get(scope, "NORMAL")), key=["NORMAL", "CLOSE_ONLY", "SAFE_MODE", "HALT"].index
            )
            status = "PAUSED" if mode in ("SAFE_MODE", "HALT") else "RUNNING"
            return 200, {"status": status, **({"mode": mode} if self.names_modes else {})}
        if method == "POST" and place.path.startswith("/bot/internal/trading/"):
            mode = body["mode"] if place.path.endswith("pause") else "NORMAL"
            self.told(lambda: self.symbols.update({scope: mode}) if scope else setattr(self, "mode", mode))
            return 200, {"status": "accepted"}
        return 404, {}


@dataclass
class FreqtradeBot(FakeBot):
    """A bot with freqtrade's paths; an old one knows no pause, and counts its open trades down instead."""

    state: str = "running"
    most: int = 3
    old: tuple[str, ...] = ()
    locks: list[dict[str, Any]] = field(default_factory=list)
    whitelist: tuple[str, ...] = ("BTC/USDT", "ETH/USDT")
    token: str = ""
    logins: int = 0

    def answer(self, method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        name = path.removeprefix("/api/v1")
        if name == "/token/login":
            if headers.get("Authorization") != "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode():
                return 401, {"detail": "Unauthorized"}
            self.logins += 1
            self.token = f"jwt-{self.logins}"
            return 200, {"access_token": self.token, "refresh_token": "r"}
        if not self.token or headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {"detail": "Could not validate credentials"}
        if name in self.old:
            return 404, {"detail": "Not Found"}
        return self._inside(method, name, body)

    def _inside(self, method: str, name: str, body: Any) -> tuple[int, Any]:
        states = {"/stop": "stopped", "/start": "running", "/pause": "paused"}
        if (method, name) == ("GET", "/show_config"):
            self.asked()
            return 200, {"state": self.state, "max_open_trades": self.most, "version": "x"}
        if (method, name) == ("GET", "/whitelist"):
            return 200, {"whitelist": list(self.whitelist)}
        if (method, name) == ("GET", "/locks"):
            self.asked()
            return 200, {"lock_count": len(self.locks), "locks": self.locks}
        if method == "POST" and name in states:
            self.told(lambda: setattr(self, "state", states[name]))
        elif method == "POST" and name in ("/stopentry", "/stopbuy"):
            self.told(lambda: setattr(self, "most", 0) if self.old else setattr(self, "state", "paused"))
        elif (method, name) == ("POST", "/reload_config"):
            self.told(lambda: setattr(self, "most", 3))
        elif (method, name) == ("POST", "/locks"):
            assert all(lock["until"].endswith("Z") for lock in body)
            self.told(lambda: self.locks.extend({"id": 7 + len(self.locks), "active": True, **lock} for lock in body))
        elif method == "DELETE" and name.startswith("/locks/"):
            kept = [lock for lock in self.locks if lock["id"] != int(name.rpartition("/")[2])]
            self.told(lambda: setattr(self, "locks", kept))
        else:
            return 404, {"detail": "Not Found"}
        return 200, {"status": "accepted"}


@contextmanager
def serving(bot: FakeBot, prefix: str = "") -> Iterator[str]:
    """Serve a bot on the loopback, and give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            bot.calls.append(f"{self.command} {unquote(self.path)}")
            time.sleep(bot.silent_s)
            status, document = (
                (bot.failures.pop(0), {}) if bot.failures else bot.answer(self.command, self.path, self.headers, body)
            )
            data = bot.garbage if bot.garbage is not None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            return

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            return

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    bot.url = f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    try:
        yield bot.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
