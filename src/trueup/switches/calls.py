"""Calls to a bot, and waiting until it does what it was told: bounded in time, in tries and in size."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import create_default_context
from urllib.parse import urlsplit

from trueup.core.errors import CannotKnow, ConfigurationError, TrueupError
from trueup.core.modes import Mode
from trueup.ports.secrets import Secrets
from trueup.ports.switches import SwitchReport, SwitchState

_MOST_BYTES = 1024 * 1024
_LONGEST_WORDS = 200
_REFUSED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one step of a call may take, how often it is tried, and how long a bot may take to obey."""

    timeout_s: float = 5.0
    tries: int = 3
    pause_s: float = 0.25
    obey_s: float = 10.0


class NotThere(CannotKnow):
    """The bot knows no such path."""


class BotCalls:
    """Calls to one bot's address; what it says is told without secrets."""

    def __init__(self, url: str, secrets: Secrets, patience: Patience) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._secure = parts.hostname or "", parts.port, parts.scheme == "https"
        self._path, self._secrets, self.patience = parts.path.rstrip("/"), secrets, patience

    def call(self, method: str, path: str, headers: Mapping[str, str], body: object = None) -> object:
        """Return the document that a bot answers with, asked again where it could not be reached or broke down.

        NotThere where it knows no such path, ConfigurationError where it knows no such caller, else CannotKnow.
        """
        error: TrueupError = CannotKnow(f"The bot at {self._host} was not asked.")
        for number in range(self.patience.tries):
            if number:
                time.sleep(self.patience.pause_s)
            try:
                status, text = self._once(method, path, headers, body)
            except (OSError, HTTPException) as failed:
                late = isinstance(failed, TimeoutError)
                why = "it did not answer in time" if late else str(failed) or type(failed).__name__
                error = self._unknown(f"cannot be reached: {why}")
                continue
            if status < 500:
                return self._document(status, path, text)
            error = self._unknown(f"answered with status {status}")
        raise error

    def _once(self, method: str, path: str, headers: Mapping[str, str], body: object) -> tuple[int, bytes]:
        timeout_s = self.patience.timeout_s
        connection = (
            HTTPSConnection(self._host, self._port, timeout=timeout_s, context=create_default_context())
            if self._secure
            else HTTPConnection(self._host, self._port, timeout=timeout_s)
        )
        sent = json.dumps(body).encode() if body is not None else None
        more = {"Content-Type": "application/json"} if sent is not None else {}
        try:
            connection.request(method, self._path + path, sent, {**headers, **more, "Accept": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST_BYTES + 1)
        finally:
            connection.close()

    def _document(self, status: int, path: str, text: bytes) -> object:
        if status in _REFUSED:
            raise ConfigurationError(
                f"The bot at {self._host} does not take these credentials (status {status}).",
                "Check the variables that switch_token_env, switch_user_env and switch_password_env name.",
            )
        if status in (404, 405):
            raise NotThere(f"The bot at {self._host} knows no {path.partition('?')[0]}.", "Check the switch's URL.")
        if status >= 300:
            raise self._unknown(f"answered with status {status}")
        try:
            return json.loads(text) if len(text) <= _MOST_BYTES else None
        except ValueError:
            raise self._unknown("answered with what is no JSON") from None

    def _unknown(self, what: str) -> CannotKnow:
        words = self._secrets.mask(what)[:_LONGEST_WORDS]
        return CannotKnow(f"The bot at {self._host} {words}.", "Check that it runs, and stop it by hand if it must be.")

    def until(self, ask: Callable[[], SwitchState], symbol: str | None, wanted: Callable[[Mode], bool]) -> SwitchReport:
        """Ask a bot until it is as wanted, or the bound passes; what was accepted is not done yet."""
        over = time.monotonic() + self.patience.obey_s
        while True:
            try:
                state = ask()
                if wanted(state.of(symbol)):
                    return SwitchReport(True, state.detail)
                detail = f"it was told, and goes on: {state.detail}"
            except CannotKnow as error:
                detail = error.what
            if time.monotonic() >= over:
                return SwitchReport(False, detail)
            time.sleep(self.patience.pause_s)
