"""Where flattenings are on record."""

from collections.abc import Sequence
from typing import Protocol

from trueup.core.errors import CannotKnow
from trueup.core.flatten.record import Entry
from trueup.ports.control import Lease


class FlattenBook(Protocol):
    """The record of flattenings, which is only ever added to."""

    def story(self, episode: str) -> Sequence[Entry]:
        """Return the entries of one episode, oldest first."""
        ...

    def add(self, entry: Entry, lease: Lease) -> None:
        """Put an entry on record; Refused where the lease was lost, or where the closing is on record already."""
        ...

    def newest(self) -> Sequence[Entry]:
        """Return the newest entry of each account and scope."""
        ...

    def closings(self, account: str, since_ms: int) -> Sequence[Entry]:
        """Return the entries about closings of an account from a time on, oldest first."""
        ...


class NoFlattenBook:
    """The record of a set-up that has none: nothing can be put on record, so that nothing is ever sent."""

    def story(self, episode: str) -> Sequence[Entry]:  # noqa: ARG002  # the signature is the port's
        """Return nothing."""
        return ()

    def add(self, entry: Entry, lease: Lease) -> None:  # noqa: ARG002  # the signature is the port's
        """Refuse: without a record nothing is done."""
        raise CannotKnow("Flattenings cannot be put on record here, so that nothing was sent.", "Run `trueup init`.")

    def newest(self) -> Sequence[Entry]:
        """Return nothing."""
        return ()

    def closings(self, account: str, since_ms: int) -> Sequence[Entry]:  # noqa: ARG002  # the signature is the port's
        """Return nothing."""
        return ()
