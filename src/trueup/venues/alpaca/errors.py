"""What an error of alpaca-py, of the network or of an answer means.

Alpaca signs no request with a time, so that no error of its is one of the clock: a clock that is wrong shows in the
snapshot's notes and at the doctor.
"""

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from alpaca.common.exceptions import APIError
from requests import RequestException, Response

from trueup.core.errors import CannotKnow
from trueup.venues.calls.causes import PAGE, cause_of, timed_out, without_page
from trueup.venues.calls.verdicts import Kind, Verdict
from trueup.venues.documents.strict_json import read_text

_REFUSED = ("forbidden", "unauthorized", "not authorized", "access key", "api key", "not allowed", "permission")
_NOT_FOUND = 404
_THROTTLED = 429


class WrongAnswer(Exception):
    """An answer that is not what was asked for: no JSON, or JSON of the wrong shape. Its text may hold secrets."""


def judge_with(now_ms: Callable[[], int]) -> Callable[[Exception], Verdict | None]:
    """Return the judge of errors; it counts the time until a limit is reset by a clock in epoch milliseconds."""

    def judge(error: Exception) -> Verdict | None:
        if isinstance(error, WrongAnswer):
            return Verdict(Kind.RETRY, str(error))
        if isinstance(error, APIError):
            return _of_response(error, now_ms)
        if isinstance(error, RequestException):
            return Verdict(Kind.RETRY, _of_network(error), timed_out=timed_out(error))
        return None

    return judge


def _of_network(error: RequestException) -> str:
    cause = cause_of(error)
    if cause is None:
        return f"{type(error).__name__}: {error}"
    request = error.request
    return f"{cause} ({request.method} {str(request.url).partition('?')[0]})" if request is not None else cause


def _of_response(error: APIError, now_ms: Callable[[], int]) -> Verdict:
    response = error.response
    if response is None:
        return Verdict(Kind.RETRY, str(error))
    said = body_of(response.text)
    status, words = response.status_code, _words(response, said)
    if status == _THROTTLED:
        return Verdict(Kind.THROTTLE, words, _wait(response, now_ms))
    if status == 401:
        return Verdict(Kind.AUTH, words)
    if status == 403:
        return _forbidden(response, said, words)
    if status == _NOT_FOUND:
        return _not_found(said, words)
    return Verdict(Kind.RETRY if status >= 500 or status in (408, 425) else Kind.FAIL, words)


def _forbidden(response: Response, said: Mapping[str, object] | None, words: str) -> Verdict:
    """Tell a refused key from a proxy's page, and from an action that the account may not take.

    Alpaca answers 403 to a key that it does not know, and also to an order for which the holding does not suffice.
    """
    if said is None:
        return Verdict(Kind.RETRY, f"{words} (not Alpaca's words: something on the way refused it)")
    if response.request.method == "GET" or any(word in str(said.get("message", "")).lower() for word in _REFUSED):
        return Verdict(Kind.AUTH, words)
    return Verdict(Kind.FAIL, words)


def _not_found(said: Mapping[str, object] | None, words: str) -> Verdict:
    """Tell what Alpaca does not know from an address that does not exist: only the former carries Alpaca's code."""
    code = said.get("code") if said is not None else None
    if str(code).startswith(str(_NOT_FOUND)):
        return Verdict(Kind.ABSENT, words)
    return Verdict(Kind.FAIL, f"{words} (no such address: check base_url, which ends before /v2)")


def body_of(text: str) -> Mapping[str, object] | None:
    """Return the JSON object of an error, None where it is anything else."""
    try:
        value = read_text("the answer", text)
    except CannotKnow:
        return None
    return value if isinstance(value, Mapping) else None


def _words(response: Response, said: Mapping[str, object] | None) -> str:
    """Return status and words of an error, whole: the caller masks them before it cuts them."""
    if said is not None:
        parts = [str(said[name]) for name in ("code", "message") if said.get(name) is not None]
        return f"HTTP {response.status_code} {' '.join(parts)}".rstrip()
    text = without_page(" ".join(response.text.split()))
    if text.startswith(PAGE):
        return f"HTTP {response.status_code} with {text}"
    return f"HTTP {response.status_code} with " + (f"no JSON: {text}" if text else "an empty body")


def _wait(response: Response, now_ms: Callable[[], int]) -> float | None:
    """Return for how many seconds Alpaca asks to wait: Retry-After (seconds or a date), or until its limit is reset.

    Moments are counted from the answer's own date, so that a wrong clock here waits no longer.
    """
    now_s = _moment_s(response.headers.get("Date"))
    if now_s is None:
        now_s = now_ms() / 1000
    after = response.headers.get("Retry-After")
    seconds = _number(after)
    if seconds is None and (at := _moment_s(after)) is not None:
        seconds = at - now_s
    reset = _number(response.headers.get("X-RateLimit-Reset"))
    if seconds is None and reset is not None:
        seconds = reset - now_s
    return max(0.0, seconds) if seconds is not None else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1e12 else None


def _moment_s(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None
