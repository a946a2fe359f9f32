"""A bot that speaks trueup's own words: GET /internal/trading/status, POST /internal/trading/pause and /resume."""

from collections.abc import Mapping
from urllib.parse import quote

from trueup.core.errors import CannotKnow, ConfigurationError
from trueup.core.modes import Mode
from trueup.ports.secrets import Secrets
from trueup.ports.switches import SwitchReport, SwitchState
from trueup.switches.calls import BotCalls, Patience

_STATUS, _PAUSE, _RESUME = (f"/internal/trading/{word}" for word in ("status", "pause", "resume"))
_REASON = "trueup: the mode in force"


class HttpSwitch:
    """The Switch port over HTTP with a bearer token."""

    def __init__(self, profile_id: str, url: str, token: str, patience: Patience | None = None) -> None:
        if not token.isascii() or not token.isprintable():
            raise ConfigurationError(f"The token of {profile_id}'s switch is no token.", "It must be printable ASCII.")
        self._profile, self._url = profile_id, url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._calls = BotCalls(url, Secrets([token]), patience or Patience())

    @property
    def name(self) -> str:
        """Return what it is and where, for people."""
        return f"http:{self._url}"

    def status(self, symbols: tuple[str, ...] = ()) -> SwitchState:
        """Ask the bot which mode it keeps to, and of some symbols."""
        mode, detail = self._status(None)
        return SwitchState(mode, detail, {symbol: self._status(symbol)[0] for symbol in symbols})

    def stop(self, mode: Mode, symbol: str | None = None) -> SwitchReport:
        """Tell the bot to keep to a mode, and ask it until it does."""
        self._calls.call("POST", _PAUSE, self._headers, {"reason": _REASON, "mode": mode.name, **self._scope(symbol)})
        return self._calls.until(lambda: self._asked(symbol), symbol, lambda found: found >= mode)

    def resume(self, symbol: str | None = None) -> SwitchReport:
        """Tell the bot to trade freely again, and ask it until it does."""
        self._calls.call("POST", _RESUME, self._headers, {"reason": _REASON, **self._scope(symbol)})
        return self._calls.until(lambda: self._asked(symbol), symbol, lambda found: found is Mode.NORMAL)

    def _asked(self, symbol: str | None) -> SwitchState:
        return self.status((symbol,) if symbol is not None else ())

    def _scope(self, symbol: str | None) -> dict[str, str]:
        return {"scope": f"symbol:{self._profile}:{symbol}"} if symbol is not None else {}

    def _status(self, symbol: str | None) -> tuple[Mode, str]:
        """Read one status: a bot that is PAUSED without naming a mode keeps to SAFE_MODE, and to HALT as well."""
        query = f"?scope={quote(self._scope(symbol)['scope'], safe='')}" if symbol is not None else ""
        found = self._calls.call("GET", _STATUS + query, self._headers)
        word, said = (found.get("status"), found.get("mode")) if isinstance(found, Mapping) else (None, None)
        mode = Mode.__members__.get(said) if isinstance(said, str) else None
        if word not in ("RUNNING", "PAUSED") or (said is not None and mode is None):
            raise CannotKnow("The bot's status is none: it must be RUNNING or PAUSED.", "See the page on the gate.")
        if mode is None:
            mode = Mode.HALT if word == "PAUSED" else Mode.NORMAL
        if mode.paused is not (word == "PAUSED"):
            raise CannotKnow(f"The bot says {word} and {mode.name}, which exclude each other.", "Ask its author.")
        return mode, f"{word}, {said}" if said is not None else str(word)
