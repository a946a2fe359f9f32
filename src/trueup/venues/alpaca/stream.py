"""Alpaca's stream of trade updates: it wakes the reader, and proves nothing.

The stream has no replay: what happens while it is away is never told. So after each connection, the first one included,
`on_gap` is called, for the reader to fill the gap over REST; and an update only names the order that moved.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from alpaca.trading.stream import TradingStream

from trueup.ports import OnUpdate
from trueup.ports.secrets import Secrets
from trueup.venues.calls.account import LiveAccount
from trueup.venues.rows.fields import printable

_STREAM = "stream"
_CLOSE_S = 10.0
_LOGGER = "alpaca.trading.stream"


class _Stream(TradingStream):
    """alpaca-py's stream, which tells of each connection and comes back after any error, a little later each time."""

    def __init__(self, connected: Callable[[], None], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connected = connected

    async def _start_ws(self) -> None:
        await super()._start_ws()  # type: ignore[no-untyped-call]  # alpaca-py leaves it without types
        self._running = True
        await self._tell()

    async def _dispatch(self, msg: dict[str, Any]) -> None:
        if msg.get("stream") == "listening":
            await self._tell()
        await super()._dispatch(msg)

    async def _tell(self) -> None:
        """Tell of the connection: when it is asked to listen, and once more when it says that it does."""
        await asyncio.get_running_loop().run_in_executor(None, self._connected)


class AlpacaStream:
    """Listens in a thread of its own, from `start` to `stop`; `problem` is the last error, empty while all is well.

    `on_update` and `on_gap` run in threads of the stream: they should only wake somebody. What they raise is kept as
    the `problem` and ends nothing.
    """

    def __init__(self, account: LiveAccount, on_update: OnUpdate, on_gap: Callable[[], None]) -> None:
        self.problem = ""
        self._account = account
        self._on_update = on_update
        self._on_gap = on_gap
        self._secrets = Secrets(account.secrets.values())
        self._stream: _Stream | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen; it returns at once, and connects on its own."""
        assert self._thread is None
        self._stream = _Stream(
            self._gap,
            self._account.secret("key"),
            self._account.secret("secret"),
            paper=self._account.sandbox,
            raw_data=True,
            url_override=stream_url(self._account.base_url),
        )
        self._stream.subscribe_trade_updates(self._update)
        logging.getLogger(_LOGGER).addFilter(self._kept)
        self._thread = threading.Thread(target=self._stream.run, name="alpaca-stream", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and wait until the connection is closed."""
        stream, thread = self._stream, self._thread
        if stream is None or thread is None:
            return
        loop: Any = None
        while thread.is_alive() and loop is None:
            loop = stream._loop  # noqa: SLF001  # alpaca-py tells its loop nowhere else
            thread.join(0.01)
        if thread.is_alive():
            with suppress(RuntimeError):  # its loop ended in between
                asyncio.run_coroutine_threadsafe(_end(stream), loop)
        thread.join(_CLOSE_S)
        logging.getLogger(_LOGGER).removeFilter(self._kept)
        self._stream = self._thread = None

    def _kept(self, record: logging.LogRecord) -> bool:
        """Keep what alpaca-py logs as the problem, masked; its own log would print tracebacks at every outage."""
        if self._thread is None or record.thread != self._thread.ident:
            return True
        if record.levelno >= logging.WARNING:
            self._note(record.getMessage())
        return False

    def _note(self, text: str) -> None:
        self.problem = printable(" ".join(self._secrets.mask(text).split()), 300)

    def _gap(self) -> None:
        self.problem = ""
        self._call(self._on_gap)

    async def _update(self, message: Mapping[str, object]) -> None:
        data = message.get("data")
        order = data.get("order") if isinstance(data, Mapping) else None
        found = order if isinstance(order, Mapping) else {}
        symbol, order_id = (value if isinstance(value := found.get(name), str) else "" for name in ("symbol", "id"))
        await asyncio.get_running_loop().run_in_executor(None, self._call, lambda: self._on_update(symbol, order_id))

    def _call(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  # a listener's error must not end the stream; it is kept and told
            self._note(f"{type(error).__name__}: {error}")


async def _end(stream: TradingStream) -> None:
    """Tell a stream to end, and close its connection so that it need not wait for the next message."""
    await stream.stop_ws()
    await stream.close()


def stream_url(base_url: str | None) -> str | None:
    """Return the stream's address beside an API's (wss for https), None for alpaca-py's own."""
    if not base_url:
        return None
    scheme, _, rest = base_url.rstrip("/").partition("://")
    return f"{'ws' if scheme == 'http' else 'wss'}://{rest}/{_STREAM}"
