"""The connection: alpaca-py's client, and what of its answers may be relied on.

Invariant 5 (Unknown is not flat): alpaca-py sets no timeout, reads numbers as binary floats, takes an empty body for
None and a redirect for an answer. Here every call has a timeout, every answer is read strictly, and what is not of the
shape that was asked for (a page of HTML, `null`, `{}`, an error inside a 200) is an error that is tried again, never
an empty list.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode
from weakref import finalize

from alpaca.trading.client import TradingClient
from requests import PreparedRequest, Response

from trueup.core.errors import CannotKnow
from trueup.ports.secrets import Secrets
from trueup.venues.alpaca.errors import WrongAnswer, judge_with
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.caller import Caller
from trueup.venues.calls.causes import without_page
from trueup.venues.calls.limits import shared_limit
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.calls.wire import Wire, bound
from trueup.venues.documents.strict_json import read_text
from trueup.venues.rows.fields import Row, shown

CALLS_PER_MINUTE = 200
"""What Alpaca allows one account; the bot's own calls count into the same allowance."""

Params = Mapping[str, str | int]
T = TypeVar("T")


class _Wire(Wire):
    """Sends requests that end in time, and makes answers strict."""

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Send a request; WrongAnswer where it is sent elsewhere, which alpaca-py would take for an answer."""
        response = super().send(request, *args, **options)
        if 300 <= response.status_code < 400:
            response.close()
            target = response.headers.get("Location", "nowhere")
            raise WrongAnswer(f"HTTP {response.status_code}, a redirect to {target}: check base_url")
        return response

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Return a strict response."""
        strict = _StrictResponse()
        strict.__dict__.update(super().build_response(req, resp).__dict__)
        strict.encoding = "utf-8"
        return strict


class _StrictResponse(Response):
    """An answer whose JSON is read without floats, repeated keys or NaN."""

    def json(self, **_: Any) -> object:
        """Return the JSON value; WrongAnswer, with the whole body for the caller to mask, where it is none."""
        named = f"HTTP {self.status_code}"
        try:
            text = self.content.decode("utf-8")
        except UnicodeDecodeError:
            raise WrongAnswer(f"{named} with a body that is not UTF-8") from None
        if text.lstrip().startswith("<"):
            raise WrongAnswer(f"{named} with {without_page(' '.join(text.split()))}")
        try:
            return read_text(named, text)
        except CannotKnow as error:
            raise WrongAnswer(error.what) from None


def client_of(account: LiveAccount) -> TradingClient:
    """Return alpaca-py's client of an account: raw data, with timeouts, and without retries of its own."""
    client = TradingClient(
        account.secret("key"),
        account.secret("secret"),
        paper=account.sandbox,
        raw_data=True,
        url_override=account.base_url.rstrip("/") if account.base_url else None,
    )
    bound(client._session, _Wire(account.timeout_s))  # noqa: SLF001  # alpaca-py offers no other way to set a timeout
    client._retry = 0  # noqa: SLF001  # only our caller retries: it knows the limit and says why
    return client


class Connection:
    """Asks one account's Alpaca; every method raises CallFailed where there is no answer to rely on.

    `listed` keeps the tokens of the assets that Alpaca is known to list.
    """

    def __init__(self, account: LiveAccount, caller: Caller | None = None) -> None:
        self.listed: set[str] = set()
        self._client = client_of(account)
        finalize(self, self._client._session.close)  # noqa: SLF001  # so that no socket outlives its connection
        key = account.secret("key")
        limit = shared_limit("alpaca", key, account.calls_per_minute or CALLS_PER_MINUTE)
        self.caller = caller or Caller(
            judge_with(account.now_ms), limit, Secrets(account.secrets.values()), sleep=account.sleep,
            count=account.count,
        )  # fmt: skip

    def rows(
        self, what: str, path: str, params: Params | None = None, problem: Callable[[list[Row]], str] = lambda _: ""
    ) -> list[Row]:
        """Ask for a list of objects; `problem` says why rows cannot be the answer to what was asked, if so."""

        def checked(answer: object) -> list[Row]:
            rows = _rows(answer)
            if why := problem(rows):
                raise WrongAnswer(why)
            return rows

        return self._get(what, path, params, checked)

    def record(self, what: str, path: str, params: Params | None = None, needs: tuple[str, ...] = ("id",)) -> Row:
        """Ask for one object, which must have the fields that are named."""
        return self._get(what, path, params, lambda answer: _record(answer, needs))

    def delete(self, what: str, path: str) -> object:
        """Ask to cancel or close; the answer as it is, None where it has no body."""
        return self.caller.ask(what, lambda: self._client.delete(path))

    def delete_once(self, what: str, path: str, params: Params) -> object:
        """Ask to close, and never again by itself: a part that is closed twice is closed twice."""
        query = f"{path}?{urlencode(params)}"
        return self.caller.once().ask(what, lambda: self._client.delete(query))

    def _get(self, what: str, path: str, params: Params | None, check: Callable[[object], T]) -> T:
        return self.caller.ask(what, lambda: check(self._client.get(path, dict(params or {}))))


def part(name: str) -> str:
    """Return a name as one part of a path; CallFailed where it would name something else: all, or what is above."""
    if not name.strip("."):
        raise CallFailed(Kind.FAIL, f"{shown(name)} is no name that can be asked for")
    return quote(name, safe="")


def _rows(answer: object) -> list[Row]:
    if not isinstance(answer, list):
        raise WrongAnswer(f"the answer is {_shown(answer)} where a list is expected")
    for row in answer:
        if not isinstance(row, Mapping):
            raise WrongAnswer(f"the list holds {shown(row)} where objects are expected")
    return answer


def _record(answer: object, needs: tuple[str, ...]) -> Row:
    missing = [name for name in needs if not isinstance(answer, Mapping) or answer.get(name) is None]
    if not isinstance(answer, Mapping) or missing:
        raise WrongAnswer(f"the answer is {_shown(answer)}, without {' and '.join(missing)}")
    return answer


def _shown(answer: object) -> str:
    """Return what an answer is, with the words of an error that stands in it."""
    if answer is None:
        return "empty or null"
    if not isinstance(answer, Mapping):
        return shown(answer)
    words = [f"{name} {answer[name]}" for name in ("code", "message", "error") if answer.get(name) is not None]
    return f"an object ({', '.join(words)})" if words else "an object" if answer else "an empty object"
