"""Why a request got no answer, in a few words: what lies at the bottom of what the client libraries raise."""

import re
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException, RemoteDisconnected
from http.client import IncompleteRead as Incomplete

from requests import ConnectTimeout, Timeout
from requests.exceptions import ProxyError
from urllib3.exceptions import IncompleteRead

_PAGE = re.compile(r"<(?:!doctype|html|head|body|title)\b.*", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_LONGEST_TITLE = 60

PAGE = "a page of HTML"


def cause_of(error: BaseException) -> str | None:
    """Return why the network gave no answer, None where it is none of its errors."""
    found = list(_all_of(error))
    for kind, words in _WORDS:
        for one in found:
            if isinstance(one, kind) and (words or _speaks(one)):
                return words or _said(one)
    return None


def timed_out(error: BaseException) -> bool:
    """Say whether a request ended because its time was over."""
    return any(isinstance(one, (Timeout, TimeoutError)) for one in _all_of(error))


def without_page(text: str) -> str:
    """Return text in which a page of HTML is only called one, by its title."""
    page = _PAGE.search(text)
    if page is None:
        return text
    title = _TITLE.search(page[0])
    named = f" ({' '.join(title[1].split())[:_LONGEST_TITLE]})" if title is not None else ""
    return f"{text[: page.start()]}{PAGE}{named}"


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectTimeout, "timed out: no connection in time"),
    (Timeout, ""),
    (TimeoutError, "timed out"),
    (ProxyError, "the proxy gives no connection"),
    (ConnectionRefusedError, "connection refused: nothing listens at this address"),
    (socket.gaierror, "the host's name is not known (DNS)"),
    (ssl.SSLCertVerificationError, ""),
    (ssl.SSLError, ""),
    (RemoteDisconnected, "the connection was closed without an answer"),
    (ConnectionError, "the connection broke"),
    (IncompleteRead, "the connection ended in the middle of the answer"),
    (Incomplete, "the connection ended in the middle of the answer"),
    (OSError, ""),
    (HTTPException, "the answer is not HTTP"),
)
"""The first that fits counts, from the special to the general; without words the error's own are told."""


def _speaks(error: BaseException) -> bool:
    """Say whether an error is the system's own, and not a library's around it."""
    return isinstance(error, (Timeout, ssl.SSLError)) or bool(getattr(error, "strerror", None))


def _said(error: BaseException) -> str:
    if isinstance(error, Timeout):
        text = str(error)
        return text if text.startswith("timed out") else "timed out: no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is not accepted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        reason = (getattr(error, "reason", None) or "it failed").replace("_", " ").lower()
        return f"TLS: {reason}{' (is it plain http?)' if 'wrong version' in reason else ''}"
    return (getattr(error, "strerror", None) or "the network failed").lower()


def _all_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it came from: libraries wrap the system's errors several times over."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
