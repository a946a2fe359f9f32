"""What ccxt's errors mean for the one who asked."""

import re
from dataclasses import dataclass

import ccxt

from trueup.venues.calls.causes import cause_of, timed_out, without_page
from trueup.venues.calls.verdicts import Kind, Verdict
from trueup.venues.ccxt.envelopes import BadEnvelope

_QUERY = re.compile(r"\?[^\s\"'<>]*")
_REVOKED = re.compile(r'"code"\s*:\s*"?-201[45]\b')
"""Binance's words for a key that is wrong, revoked or not allowed from here; ccxt may call them a ban."""

_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Answered:
    """What the venue answered over HTTP when a call failed: status and how many seconds it asks to wait."""

    status: int | None = None
    retry_after_s: float | None = None


class UnreadableAnswer(Exception):
    """An answer on which ccxt's own parser failed."""


_KINDS: tuple[tuple[type[BaseException], Kind], ...] = (
    (BadEnvelope, Kind.RETRY),
    (UnreadableAnswer, Kind.RETRY),
    (ccxt.InvalidNonce, Kind.CLOCK),
    (ccxt.RateLimitExceeded, Kind.THROTTLE),
    (ccxt.DDoSProtection, Kind.THROTTLE),
    (ccxt.OperationFailed, Kind.RETRY),
    (ccxt.AuthenticationError, Kind.AUTH),
    (ccxt.OrderNotFound, Kind.ABSENT),
    (ccxt.BaseError, Kind.FAIL),
)
"""The first that fits counts: the order is from the special to the general."""


def judge(error: Exception) -> Verdict | None:
    """Say what an error of ccxt means; None for one that is not ccxt's.

    ccxt makes an ExchangeError, which reads as final, of a 5xx with a JSON body, and a ban of a key that worked before
    and does not any more.
    """
    kind = next((kind for known, kind in _KINDS if isinstance(error, known)), None)
    if kind is None:
        return None
    said = str(error)
    answered = answered_with(error)
    if isinstance(error, ccxt.DDoSProtection) and (_REVOKED.search(said) or answered.status in (401, 403)):
        kind = Kind.AUTH
    elif kind in (Kind.FAIL, Kind.ABSENT) and _is_trouble(error, answered):
        kind = Kind.RETRY
    words = _QUERY.sub("", without_page(said))
    cause = cause_of(error.__cause__) if error.__cause__ is not None and answered.status is None else None
    why = f"{cause} ({words})" if cause is not None else f"{type(error).__name__}: {words}"
    return Verdict(kind, why, answered.retry_after_s, timed_out=cause is not None and timed_out(error))


def _is_trouble(error: Exception, answered: Answered) -> bool:
    """Say whether what reads as a refusal is the network's trouble or the venue's own."""
    if answered.status is None:
        return isinstance(error.__cause__, OSError)
    return answered.status >= _SERVER_ERROR


def answered_with(error: BaseException) -> Answered:
    """Return what the client noted of the HTTP answer that an error came from."""
    noted = getattr(error, "answered", None)
    return noted if isinstance(noted, Answered) else Answered()
