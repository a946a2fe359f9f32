"""The live events of ccxt's exchanges, through ccxt.pro: they wake the reader, and prove nothing.

No exchange tells again what happened while nobody listened. So `on_gap` is called after each connection, the first one
included, and once more a little later, since an exchange may need a moment until it really sends.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import ccxt

from trueup.ports import OnUpdate
from trueup.ports.secrets import Secrets
from trueup.venues.calls.account import LiveAccount
from trueup.venues.ccxt.client import Client
from trueup.venues.rows.fields import printable

METHODS = (("watchOrders", "watch_orders"), ("watchMyTrades", "watch_my_trades"))
"""What tells of one's own orders, the best first: ccxt's name in `has`, and the method's."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_LOOK_S = 0.1
_ONCE_MORE_S = 3.0
_CLOSE_S = 10.0


@cache
def watching_method(exchange: str) -> str | None:
    """Return the method by which ccxt hears of one's own orders at an exchange, None where there is none."""
    import ccxt.pro

    if exchange not in ccxt.pro.exchanges:
        return None
    has = getattr(ccxt.pro, exchange)().has
    return next((method for name, method in METHODS if has.get(name) is True), None)


class CcxtStream:
    """Listens in a thread and a loop of its own, from `start` to `stop`; `problem` is the last error.

    `on_update` and `on_gap` run in threads of the loop: they should only wake somebody.
    """

    def __init__(self, client: Client, method: str, on_update: OnUpdate, on_gap: Callable[[], None]) -> None:
        self.problem = ""
        self._client = client
        self._method = method
        self._on_update = on_update
        self._on_gap = on_gap
        self._secrets = Secrets(client.account.secrets.values())
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen; it returns at once, and connects on its own."""
        assert self._thread is None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="ccxt-stream", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and wait until the connection is closed."""
        thread = self._thread
        if thread is None:
            return
        self._over.set()
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with suppress(RuntimeError):  # its loop ended in between
                loop.call_soon_threadsafe(task.cancel)
        thread.join(_CLOSE_S)
        self._thread = None

    async def _run(self) -> None:
        """Listen until it is over; after an error a little later each time, at once after a connection that held."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        # What ccxt's own futures end with is what the call that waits for them raises: it is told there, and once.
        self._loop.set_exception_handler(lambda *_: None)
        wait = _FIRST_WAIT_S
        with suppress(asyncio.CancelledError):
            while not self._over.is_set():
                try:
                    await self._listen()
                except Exception as error:  # noqa: BLE001  # whatever breaks a stream is told, and it is tried again
                    wait = _FIRST_WAIT_S if not self.problem else min(wait * 2, _LONGEST_WAIT_S)
                    self._note(error)
                await asyncio.sleep(wait)

    async def _listen(self) -> None:
        """Connect and tell what moves, until the connection breaks."""
        await asyncio.get_running_loop().run_in_executor(None, self._client.load_markets)
        exchange = _made(self._client)
        watching = asyncio.create_task(self._watch(exchange))
        telling = asyncio.create_task(self._tell_gaps(exchange))
        try:
            await watching
        finally:
            for task in (watching, telling):
                task.cancel()
            await asyncio.gather(watching, telling, return_exceptions=True)
            await exchange.close()

    async def _watch(self, exchange: Any) -> None:
        while True:
            for row in await getattr(exchange, self._method)():
                found = row if isinstance(row, Mapping) else {}
                order_id = found.get("order") if self._method == "watch_my_trades" else found.get("id")
                await self._call(partial(self._on_update, _text(found.get("symbol")), _text(order_id)))

    async def _tell_gaps(self, exchange: Any) -> None:
        while not any(client.connected.done() for client in exchange.clients.values()):
            await asyncio.sleep(_LOOK_S)
        self.problem = ""
        await self._call(self._on_gap)
        await asyncio.sleep(_ONCE_MORE_S)
        await self._call(self._on_gap)

    async def _call(self, call: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, call)
        except Exception as error:  # noqa: BLE001  # a listener's error must not end the stream; it is kept and told
            self._note(error)

    def _note(self, error: BaseException) -> None:
        """Keep an error as the problem; where ccxt stumbled while it handled an exchange's refusal, that is the one."""
        if not isinstance(error, ccxt.BaseError) and isinstance(error.__context__, ccxt.BaseError):
            error = error.__context__
        text = self._secrets.mask(f"{type(error).__name__}: {error}")
        self.problem = printable(" ".join(text.split()), 300)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _made(client: Client) -> Any:
    """Return ccxt.pro's exchange of an account, with the markets, options and addresses of its REST client."""
    import ccxt.pro

    account, first = client.account, client.first
    names = (
        "apiKey",
        "secret",
        "password",
        "uid",
        "walletAddress",
        "privateKey",
        "login",
        "token",
        "twofa",
        "accountId",
    )
    config = {name: value for name in names if (value := getattr(first, name, None))}
    made = getattr(ccxt.pro, client.exchange)({**config, "enableRateLimit": True, "newUpdates": True})
    if account.sandbox:
        made.set_sandbox_mode(True)
    if account.base_url is not None:
        made.urls = {**made.urls, "api": _moved(made.urls["api"], account)}
    client.prepare(made)
    for name in ("markets_by_id", "symbols", "ids", "currencies", "currencies_by_id", "codes", "markets"):
        setattr(made, name, getattr(first, name))
    return made


def _moved(urls: Any, account: LiveAccount) -> Any:
    """Return addresses with the scheme and host of the account's own, ws for http where they are of a stream."""
    if isinstance(urls, Mapping):
        return {name: _moved(url, account) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    there, base = urlsplit(urls), urlsplit(account.base_url or "")
    plain = base.scheme == "http"
    scheme = ("ws" if plain else "wss") if there.scheme in ("ws", "wss") else base.scheme
    return urlunsplit((scheme, base.netloc, base.path.rstrip("/") + there.path, "", ""))
