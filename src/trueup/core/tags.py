"""The tags by which a bot marks its orders at the venue.

A client order id is `{prefix}-{profile}-{trade}` with an optional `-entry` or `-exit`; a sub-tag is
`{prefix}:{profile}:{trade}`, where the trade is its id or at least its first eight characters. Both compare
case-insensitively. Ids may themselves hold dashes and colons, so the longest known profile that fits is meant.
"""

from collections.abc import Iterable
from typing import NamedTuple

PREFIX_CHARS = 8
"""A sub-tag names a trade by at least this many of its first characters."""

_ENTRY, _EXIT = "-entry", "-exit"


class Tag(NamedTuple):
    """What a tag of our grammar says: whose order it is and of which trade, in lower case.

    `profile_id` None is a profile that is not known, or one of several that differ in case alone. `trades` are the
    readings of the trade's name: a client order id's ending may belong to the name.
    """

    profile_id: str | None
    trades: tuple[str, ...]
    is_entry: bool = False


class TagReader:
    """Reads the tags of one prefix against the known profiles."""

    def __init__(self, prefix: str, profiles: Iterable[str]) -> None:
        self._prefix = prefix.lower()
        self._profiles: dict[str, str | None] = {}
        for profile in set(profiles):
            twin = profile.lower() in self._profiles
            self._profiles[profile.lower()] = None if twin else profile
        self._lengths = sorted({len(profile) for profile in self._profiles}, reverse=True)

    def client_order_id(self, text: str | None) -> Tag | None:
        """Read a client order id; None where it is not of our grammar or names no known profile."""
        body = self._body(text, "-")
        profile, trade = self._split(body, "-") if body else (None, "")
        if profile is None or not trade:
            return None
        if trade.endswith(_ENTRY):
            return Tag(profile, _names(trade, _ENTRY), is_entry=True)
        return Tag(profile, _names(trade, _EXIT))

    def sub_tag(self, text: str | None) -> Tag | None:
        """Read a sub-tag; None where it is not of our grammar."""
        body = self._body(text, ":")
        if body is None or ":" not in body:
            return None
        profile, trade = self._split(body, ":")
        return Tag(profile, (trade,) if trade else ())

    def stranger(self, client_order_id: str | None, sub_tag: str | None) -> str | None:
        """Return the profile that a tag of our grammar names and that is not known, as the tag spells it."""
        for text, separator in ((sub_tag, ":"), (client_order_id, "-")):
            body = self._body(text, separator)
            if text is None or body is None or separator not in body or self._split(body, separator) != (None, ""):
                continue
            trade = body.find(f"{separator}trd-")
            length = trade if trade > 0 else body.index(separator)
            if length:
                start = len(text.strip()) - len(body)
                return text.strip()[start : start + length]
        return None

    def _body(self, text: str | None, separator: str) -> str | None:
        if text is None:
            return None
        lower = text.strip().lower()
        start = self._prefix + separator
        return lower[len(start) :] if lower.startswith(start) else None

    def _split(self, body: str, separator: str) -> tuple[str | None, str]:
        for length in self._lengths:
            if body[length : length + 1] == separator and body[:length] in self._profiles:
                return self._profiles[body[:length]], body[length + 1 :]
        return None, ""


def begins(tag: Tag, trade: str) -> bool:
    """Say whether a sub-tag is a trade's id (in lower case), or at least its first eight characters."""
    return any(abbreviates(name, trade) for name in tag.trades)


def abbreviates(text: str, trade: str) -> bool:
    """Say whether a text is a trade's id, or at least eight of its first characters; both in lower case."""
    return text == trade or (len(text) >= PREFIX_CHARS and trade.startswith(text))


def stems(name: str) -> set[str]:
    """Return what a name has before each of its separators: `trd-1` and `trd` of `trd-1-tp`."""
    return {name[:at] for at in range(1, len(name)) if not name[at].isalnum() and name[at - 1].isalnum()}


def comparable(prefix: str, client_order_id: str) -> str:
    """Return a client order id as it is compared with others: in lower case if it is of our grammar, else as it is."""
    return client_order_id.lower() if is_tagged(prefix, client_order_id) else client_order_id


def is_tagged(prefix: str, client_order_id: str) -> bool:
    """Say whether a client order id begins as those of our grammar do."""
    return client_order_id.lower().startswith(prefix.lower() + "-")


def _names(trade: str, ending: str) -> tuple[str, ...]:
    if trade.endswith(ending) and len(trade) > len(ending):
        return (trade[: -len(ending)], trade)
    return (trade,)
