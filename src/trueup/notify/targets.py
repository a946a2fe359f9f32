"""The Notifier port on Apprise: a hundred services, each named by a URL that holds its secrets.

Each target is sent to on its own, so that one that is down is tried again without telling the others twice.
"""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from io import StringIO

import apprise

from trueup.core.alerts import Severity
from trueup.core.errors import ConfigurationError
from trueup.ports.alerts import Message

_TYPES = {
    Severity.RESOLVED: apprise.NotifyType.SUCCESS,
    Severity.INFO: apprise.NotifyType.INFO,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
}
_CODE = re.compile(r"\berror=(\d{3})\b")
_UNREACHABLE = re.compile(r"connection error|timed? ?out|socket exception", re.IGNORECASE)


class AppriseNotifier:
    """The Notifier port."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Read the URLs; ConfigurationError names one that Apprise cannot use by its place, never by its text."""
        self._targets: dict[str, apprise.Apprise] = {}
        for number, url in enumerate(urls, 1):
            carrier = apprise.Apprise(asset=_ASSET)
            with _listening():
                usable = carrier.add(url)
            if not usable:
                raise ConfigurationError(
                    f"Environment variable TRUEUP_ALERT_URLS: Apprise cannot use target {number} ({_scheme(url)}://…).",
                    "See Apprise's documentation for how that service's URL is written.",
                )
            self._targets[f"{_scheme(url)}-{sha256(url.encode()).hexdigest()[:8]}"] = carrier

    def __repr__(self) -> str:
        """Return what may be shown."""
        return f"AppriseNotifier({', '.join(self._targets)})"

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets' names: the service, and a few characters that tell two of them apart."""
        return tuple(self._targets)

    def send(self, message: Message, targets: Collection[str]) -> Mapping[str, str | None]:
        """Carry a message to some targets; return for each None where it was taken, else why not, without secrets."""
        return {name: _sent(self._targets[name], message) for name in self._targets if name in targets}


_ASSET = apprise.AppriseAsset(app_id="trueup", app_desc="trueup", app_url="", secure_logging=True)


def _sent(carrier: apprise.Apprise, message: Message) -> str | None:
    with _listening() as heard:
        try:
            taken = carrier.notify(title=message.title, body=message.body, notify_type=_TYPES[message.severity])
        except Exception as error:  # noqa: BLE001  # any of a hundred services' clients may raise anything
            return f"its client failed ({type(error).__name__})"
    return None if taken else _why(heard.getvalue())


def _why(heard: str) -> str:
    """Return why a target did not take a message, in our own words: what Apprise says may hold the URL."""
    code = _CODE.search(heard)
    if code is not None:
        return f"it answered {code[1]}"
    return "it could not be reached" if _UNREACHABLE.search(heard) else "it did not take the message"


class _listening:
    """Hears what Apprise logs, and lets nobody else hear it."""

    def __enter__(self) -> StringIO:
        heard = StringIO()
        self._logger = logging.getLogger("apprise")
        self._handler = logging.StreamHandler(heard)
        self._before = (self._logger.propagate, self._logger.level)
        self._logger.addHandler(self._handler)
        self._logger.propagate = False
        self._logger.setLevel(logging.DEBUG)
        return heard

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._handler)
        self._logger.propagate, level = self._before
        self._logger.setLevel(level)


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()
