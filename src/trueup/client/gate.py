"""The gate as a bot's author uses it: ask before each order, beat while alive, send nothing that is not allowed.

Nothing that goes wrong lets an order through: every error is a refusal with its reason. An answer is used again for as
long as its lease holds, by the monotonic clock from before the question was sent, so that neither a slow answer nor a
clock that is set back prolongs it.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from trueup.client.asking import Asker
from trueup.core.decimals import read_quantity
from trueup.core.errors import ConfigurationError, Refused, TrueupError
from trueup.core.gate import GateAnswer, Intent, read_intent
from trueup.core.modes import Mode

UNKNOWN = "unknown"
"""What refused where the gate could not be asked."""

_MOST_KEPT = 10_000


class GateRefused(Refused):
    """An order may not be sent; `answer` says why."""

    def __init__(self, symbol: str, answer: GateAnswer) -> None:
        super().__init__(f"The gate refuses {symbol}: {answer.reason}", "Send nothing, and ask again later.")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer that may be used again, until both clocks are past it."""

    answer: GateAnswer
    asked_s: float


class Gate:
    """The gate of one bot profile. Any thread may ask; leave it with `close()` or a `with` block.

    It asks the database of a trueup.toml (`config`, else TRUEUP_CONFIG or the current folder's), or a server (`url` and
    `token`; the token else from TRUEUP_TOKEN). `timeout_s` bounds each step of a question to a server, in seconds.
    """

    def __init__(
        self,
        profile: str,
        config: str | os.PathLike[str] | None = None,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = 2.0,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        if not _is_text(profile):
            raise ConfigurationError("A gate needs the name of a profile.", 'Use trueup.Gate("bot1").')
        self.profile = profile
        self._asker = _asker(profile, config, url, token, timeout_s, environ)
        self._kept: dict[tuple[str, Intent], _Kept] = {}
        self._lock = Lock()
        self._monotonic: Callable[[], float] = time.monotonic
        self._wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000

    def allows(
        self,
        symbol: str,
        intent: str = "open",
        notional: Decimal | int | str | None = None,
        order_ref: str | None = None,
    ) -> GateAnswer:
        """Answer whether an order may be sent; the answer is true where it may.

        `intent` is open (also for adding) or reduce. `notional` is the order's worth in quote currency, and `order_ref`
        your own name of it: a canary, which lets a part of the trading go on after an incident, needs the first and
        counts an order once by the second. Floats are refused, since they are not exact.

        ConfigurationError where the arguments are wrong. Whatever else goes wrong is a refusal.
        """
        wanted, amount = read_intent(intent), _amount(notional)
        _require_symbol(symbol)
        kept = self._usable(symbol, wanted)
        if kept is not None:
            return kept
        asked_s = self._monotonic()
        try:
            answer = self._asker.ask(symbol, wanted, amount, order_ref)
        except TrueupError as error:
            return self._refusal(error.what)
        except Exception as error:  # noqa: BLE001  # whatever it is: an order is sent only by an answer that allows it
            return self._refusal(f"{type(error).__name__}: {error}")
        return self._checked(symbol, wanted, answer, asked_s)

    def require(
        self,
        symbol: str,
        intent: str = "open",
        notional: Decimal | int | str | None = None,
        order_ref: str | None = None,
    ) -> GateAnswer:
        """Return the answer where an order may be sent; GateRefused where it may not."""
        answer = self.allows(symbol, intent, notional, order_ref)
        if not answer.allowed:
            raise GateRefused(symbol, answer)
        return answer

    def beat(self, healthy: bool = True) -> bool:
        """Say that the bot is alive; return whether that was recorded. The first healthy one arms the dead-man.

        A bot that beats once must go on: silent for DEADMAN_TIMEOUT_SECONDS, it is refused.
        """
        try:
            self._asker.beat(healthy=healthy)
        except Exception:  # noqa: BLE001  # a bot goes on without: the gate refuses it where this goes on
            return False
        return True

    def close(self) -> None:
        """Close the connections; a gate that is asked again opens them again."""
        with self._lock:
            self._kept.clear()
        self._asker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _usable(self, symbol: str, intent: Intent) -> GateAnswer | None:
        with self._lock:
            kept = self._kept.get((symbol, intent))
        return kept.answer if kept is not None and self._holds(kept) else None

    def _holds(self, kept: _Kept) -> bool:
        gone_s = self._monotonic() - kept.asked_s
        return 0 <= gone_s * 1000 < kept.answer.lease_ms and self._wall_ms() < kept.answer.until_ms

    def _checked(self, symbol: str, intent: Intent, answer: GateAnswer, asked_s: float) -> GateAnswer:
        """Keep an answer that others may use; refuse by one that was on its way for longer than it holds."""
        fresh = _Kept(answer, asked_s)
        late = (self._monotonic() - asked_s) * 1000 >= max(answer.lease_ms, 1)
        if answer.allowed and late and answer.lease_ms:
            return self._refusal("the answer came after its lease had ended")
        if answer.lease_ms and (answer.canary_id is None or intent is Intent.REDUCE):
            with self._lock:
                self._kept.pop((symbol, intent), None)
                self._kept[symbol, intent] = fresh
                if len(self._kept) > _MOST_KEPT:
                    self._kept.pop(next(iter(self._kept)))
        return answer

    def _refusal(self, reason: str) -> GateAnswer:
        return GateAnswer(False, Mode.SAFE_MODE, UNKNOWN, f"the gate cannot be asked: {reason}", self._wall_ms())


def _asker(
    profile: str,
    config: str | os.PathLike[str] | None,
    url: str | None,
    token: str | None,
    timeout_s: float,
    environ: Mapping[str, str] | None,
) -> Asker:
    if url is None:
        if token is not None:
            raise ConfigurationError("A token needs the url of a server.", "Give url, or leave the token out.")
        from trueup.client.by_database import DatabaseAsker

        return DatabaseAsker(profile, Path(config) if config is not None else None, environ)
    if config is not None:
        raise ConfigurationError("config and url exclude each other.", "Give one of them.")
    from trueup.client.by_http import HttpAsker

    given = token if token is not None else (os.environ if environ is None else environ).get("TRUEUP_TOKEN", "")
    return HttpAsker(profile, url, given, timeout_s)


def _amount(notional: Decimal | int | str | None) -> Decimal | None:
    if notional is None:
        return None
    if isinstance(notional, float):
        raise ConfigurationError(f"{notional!r} is a float, which is not exact.", 'Give Decimal("12.5") or "12.5".')
    try:
        return read_quantity(notional)
    except ValueError as error:
        raise ConfigurationError(f"The notional is wrong: {error}.", "Give the order's worth, 0 or more.") from None


def _require_symbol(symbol: str) -> None:
    if not _is_text(symbol) or not any(character.isalnum() for character in symbol):
        raise ConfigurationError(
            f"{symbol!r:.80} is not a symbol.", "Give one as the bot writes it, BTC/USD or BTCUSD."
        )


def _is_text(said: object) -> bool:
    return isinstance(said, str) and bool(said.strip())
