"""How a use case says what it is at, and how far it is where it knows of how much."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

_T = TypeVar("_T")
_TELL_EVERY = 1000


class Progress(Protocol):
    """Takes what is being done now, and how many of how many are done; None where nobody knows the total."""

    def __call__(self, what: str, done: int = 0, total: int | None = None) -> None:
        """Tell it."""
        ...


def silent(what: str, done: int = 0, total: int | None = None) -> None:
    """Tell nobody."""


def counted(items: Iterable[_T], what: str, total: int | None, progress: Progress) -> Iterator[_T]:
    """Yield items, and tell now and then how many have gone by."""
    for done, item in enumerate(items):
        if done % _TELL_EVERY == 0:
            progress(what, done, total)
        yield item
