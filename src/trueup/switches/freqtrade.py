"""A bot of freqtrade, by its REST API (https://www.freqtrade.io/en/stable/rest-api/).

CLOSE_ONLY is its pause: no entries, and exits by its rules. SAFE_MODE and stricter stop the trader: it sends nothing.
A symbol is locked, which keeps it from entering; freqtrade cannot be kept from leaving one symbol. Versions before the
pause know `stopentry` or `stopbuy`, which set the most open trades to 0 until the configuration is loaded again.
"""

from base64 import b64encode
from collections.abc import Mapping
from threading import Lock

from trueup.core.errors import CannotKnow, ConfigurationError
from trueup.core.modes import Mode
from trueup.core.symbols import Symbols
from trueup.ports.secrets import Secrets
from trueup.ports.switches import SwitchReport, SwitchState
from trueup.switches.calls import BotCalls, NotThere, Patience

_API = "/api/v1"
_PAUSES = ("/pause", "/stopentry", "/stopbuy")
_LOCKED_UNTIL = "2099-12-31T00:00:00Z"
_REASON = "trueup"
_STATES = {"running": Mode.NORMAL, "paused": Mode.CLOSE_ONLY, "stopped": Mode.HALT}


class FreqtradeSwitch:
    """The Switch port for freqtrade; it logs in when it must, and keeps the token in memory."""

    def __init__(self, url: str, user: str, password: str, patience: Patience | None = None) -> None:
        self._url = url
        self._basic = {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
        self._calls = BotCalls(url, Secrets([password]), patience or Patience())
        self._symbols = Symbols()
        self._token: str | None = None
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Return what it is and where, for people."""
        return f"freqtrade:{self._url}"

    def status(self, symbols: tuple[str, ...] = ()) -> SwitchState:
        """Ask the bot for its state, and which of some symbols are locked."""
        found = self._ask("GET", "/show_config")
        state = str(found.get("state", "")).lower()
        if state not in _STATES:
            raise CannotKnow(f"freqtrade's state {state!r:.40} is none that is known.", "Look at the bot.")
        mode = _STATES[state]
        if mode is Mode.NORMAL and found.get("max_open_trades") in (0, 0.0):
            mode, state = Mode.CLOSE_ONLY, "running, no entries"
        locked = self._locks() if symbols else {}
        return SwitchState(mode, state, {symbol: Mode.HALT for symbol in symbols if self._pair(symbol) in locked})

    def stop(self, mode: Mode, symbol: str | None = None) -> SwitchReport:
        """Tell the bot to keep to a mode, and ask it until it does."""
        if symbol is not None:
            lock = {"pair": self._pair(symbol), "until": _LOCKED_UNTIL, "side": "*", "reason": _REASON}
            self._ask("POST", "/locks", [lock])
        elif mode.paused:
            self._ask("POST", "/stop")
        elif self.status().mode is Mode.NORMAL:  # to pause a trader that is stopped would start it
            self._pause()
        return self._calls.until(lambda: self._asked(symbol), symbol, lambda found: found >= mode)

    def resume(self, symbol: str | None = None) -> SwitchReport:
        """Tell the bot to trade freely again, and ask it until it does; a lock of somebody else's stays."""
        if symbol is not None:
            for lock_id in self._locks().get(self._pair(symbol), ()):
                self._ask("DELETE", f"/locks/{lock_id}")
        else:
            entries_off = self.status().detail == "running, no entries"
            self._ask("POST", "/reload_config" if entries_off else "/start")
        return self._calls.until(lambda: self._asked(symbol), symbol, lambda found: found is Mode.NORMAL)

    def _asked(self, symbol: str | None) -> SwitchState:
        return self.status((symbol,) if symbol is not None else ())

    def _pair(self, symbol: str) -> str:
        """Return a symbol as this bot spells it: a lock of another spelling would lock nothing."""
        found = self._ask("GET", "/whitelist").get("whitelist")
        pairs = [str(pair) for pair in found] if isinstance(found, list) else []
        token = self._symbols.token(symbol)
        spelt = next((pair for pair in pairs if self._symbols.token(pair) == token), None)
        if spelt is None and "/" not in symbol:
            raise CannotKnow(f"The bot has no pair {symbol!r:.60}.", "Name the scope as the bot does: BTC/USDT.")
        return spelt or symbol

    def _pause(self) -> None:
        for path in _PAUSES:
            try:
                self._ask("POST", path)
            except NotThere:
                continue
            return
        raise NotThere("This freqtrade knows no way to stop entries.", "Stop it by hand, or upgrade it.")

    def _locks(self) -> dict[str, list[int]]:
        """Return trueup's own active locks of both sides, by pair."""
        found = self._ask("GET", "/locks").get("locks")
        if not isinstance(found, list):
            raise CannotKnow("freqtrade's locks cannot be read.", "Look at the bot.")
        mine: dict[str, list[int]] = {}
        for lock in found:
            if isinstance(lock, Mapping) and lock.get("reason") == _REASON and lock.get("active") is True:
                number = lock.get("id")
                if not isinstance(number, int):
                    raise CannotKnow("freqtrade's locks cannot be read.", "Look at the bot.")
                mine.setdefault(str(lock.get("pair")), []).append(number)
        return mine

    def _ask(self, method: str, path: str, body: object = None) -> Mapping[str, object]:
        """Ask with the token of a log-in; one that has expired is replaced, once."""
        with self._lock:
            fresh = self._token is None
            if fresh:
                self._token = self._logged_in()
            token = self._token
        try:
            found = self._calls.call(method, _API + path, {"Authorization": f"Bearer {token}"}, body)
        except ConfigurationError:
            with self._lock:
                self._token = None
            if fresh:
                raise
            return self._ask(method, path, body)
        if not isinstance(found, Mapping):
            raise CannotKnow(f"freqtrade's answer to {path} is no document.", "Check the switch's URL.")
        return found

    def _logged_in(self) -> str:
        found = self._calls.call("POST", f"{_API}/token/login", self._basic)
        token = found.get("access_token") if isinstance(found, Mapping) else None
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise CannotKnow("freqtrade's log-in gave no token.", "Check the switch's URL.")
        return token
