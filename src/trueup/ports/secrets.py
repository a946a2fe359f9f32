"""Secrets: known so that no output ever holds one."""

from collections.abc import Iterable
from urllib.parse import quote

MASK = "•••"
_SHORTEST = 4


class Secrets:
    """The secrets of one account."""

    def __init__(self, values: Iterable[str]) -> None:
        known = {value for value in values if len(value) >= _SHORTEST}
        known |= {quote(value, safe="") for value in known}
        self._values = sorted(known, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """Return text in which every secret is masked, the longest first."""
        for value in self._values:
            text = text.replace(value, MASK)
        return text

    def __repr__(self) -> str:
        """Return what may be shown."""
        return f"Secrets({len(self._values)})"
