"""The exceptions of trueup: raised where the program cannot or may not go on.

TrueupError                 every error that a user may see; carries what to do and the exit code
├── ConfigurationError      wrong usage or configuration: exit 2
│   └── UnknownName         a name that means nothing here: a profile, a batch, a trade
├── CannotKnow              a feed or the ledger could not be read: exit 3
└── Refused                 a rule forbids it: exit 1
    └── ChangedMeanwhile    what was decided on is not so any more: decide anew

Findings (breaks, malformed rows, unresolved trades) are values and never exceptions.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class TrueupError(Exception):
    """An error with a sentence on what is wrong and a sentence on what to do about it."""

    exit_code = 2

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.do = do

    def __str__(self) -> str:
        return f"{self.what}\n{self.do}" if self.do else self.what


class ConfigurationError(TrueupError):
    """The command line, the environment, trueup.toml or the database's set-up is wrong."""

    exit_code = 2


class UnknownName(ConfigurationError):
    """A name was given that means nothing here: a profile, a batch, a trade."""


class CannotKnow(TrueupError):
    """The venue or the ledger could not be read, so nothing can be said about the books."""

    exit_code = 3


class Refused(TrueupError):
    """A rule forbids the request in the present state of the books."""

    exit_code = 1


class ChangedMeanwhile(Refused):
    """Somebody else changed what the decision rests on: read again, and decide anew."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known names nearest to a misspelt one, or all of them."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Known: {', '.join(names)}." if names else "None is known."
