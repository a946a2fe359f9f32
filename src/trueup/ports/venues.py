"""What is asked of a venue."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from trueup.core.orders import Side
from trueup.core.snapshot import Snapshot, VenueOrder


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the doctor: what was looked at, whether it is well, what it is, and what to do if it is not.

    `exit_code` is what a failure means for the whole: 1, 2 or 3; a warning has 0.
    """

    name: str
    ok: bool
    found: str
    do: str = ""
    exit_code: int = 2


@dataclass(frozen=True, slots=True)
class ReadScope:
    """What a reading of a venue is for: it may bring more, and its coverage says where it brings less.

    Orders and fills are wanted from `since_ms` on (None is as far back as the venue remembers). `symbols` are those
    that the ledger names: a venue that answers per symbol is asked for these, and says so in its coverage. `held` are
    those of which the ledger holds something: where the venue's list lacks one, it is asked whether it is flat.
    """

    since_ms: int | None = None
    symbols: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


EVERYTHING = ReadScope()
"""All that the venue has."""


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What a venue says about one order: `order` as it reports it, or None with the reason.

    `absent` says that the venue answered and knows no such order; otherwise an answer without an order is unknown.
    Not found is not absent where the venue may have forgotten it.
    """

    order: VenueOrder | None = None
    absent: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class ActionReport:
    """What became of something that was asked of a venue: what was done, what failed, and what is left."""

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClosingOrder:
    """A market order that only reduces: `side` sells a long leg or buys a short one back; quantity in base units."""

    symbol: str
    side: Side
    qty: Decimal
    client_order_id: str


@dataclass(frozen=True, slots=True)
class ClosingAnswer:
    """What the venue said to a closing order: taken, or refused (nothing came of it); None is not known."""

    taken: bool | None
    order_id: str | None = None
    why: str = ""


class VenueActions(Protocol):
    """What trueup may do at a venue where the account allows it: never more than to reduce.

    `names_orders` says that a closing order carries its client order id, so that the venue can be asked for it.
    """

    @property
    def names_orders(self) -> bool:
        """Say whether closing orders carry their client order id."""
        ...

    def cancel(self, symbol: str, order_id: str) -> ActionReport:
        """Cancel one working order; one that is no longer there needs no canceling."""
        ...

    def close(self, order: ClosingOrder) -> ClosingAnswer:
        """Send one closing order, once, for no more than the venue says is held right before; else nothing is sent.

        On venues without reduce-only orders that reading, or the venue's own way to close a position, is the bound.
        """
        ...

    def cancel_all(self, symbols: Collection[str] | None = None) -> ActionReport:
        """Cancel the working orders of the symbols, of all without; CannotKnow where the venue cannot be asked."""
        ...

    def close_position(self, symbol: str) -> ActionReport:
        """Close what is held of a symbol with reduce-only market orders; CannotKnow where it cannot be asked."""
        ...


class VenueStream(Protocol):
    """A venue's live events: they wake the reader, and prove nothing."""

    @property
    def problem(self) -> str:
        """Return the last error, empty while all is well."""
        ...

    def start(self) -> None:
        """Begin to listen, in a thread of its own; it comes back by itself after any error."""
        ...

    def stop(self) -> None:
        """Stop listening, and wait until the connection is closed."""
        ...


OnUpdate = Callable[[str, str], None]
"""Is told the symbol and the id of an order that moved; either may be empty."""


class Venue(Protocol):
    """One account at its venue."""

    @property
    def actions(self) -> VenueActions | None:
        """Return what may be done at the venue, None where the account does not allow it."""
        ...

    def export(self, scope: ReadScope = EVERYTHING) -> Mapping[str, object]:
        """Return what `read` is made from, as one document in the file format (a file venue reads the same of it)."""
        ...

    def inspect(self, scope: ReadScope = EVERYTHING) -> list[Check]:
        """Prove the set-up at the venue: keys, permissions, clock, feeds and how far back they see.

        `scope` is what a run would read: what is proven is what it needs.
        """
        ...

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:
        """Read what the venue claims; CannotKnow where nothing could be read.

        A feed that could not be read in full says so in its coverage, with the reason.
        """
        ...

    def stream(self, on_update: OnUpdate, on_gap: Callable[[], None]) -> VenueStream | None:
        """Return what listens to the venue's live events, None where it has none.

        `on_gap` is called after each connection, the first one included: what happened before is not told.
        """
        ...

    def find_order(
        self,
        symbol: str,
        order_id: str | None = None,
        client_order_id: str | None = None,
        placed_ms: int | None = None,
    ) -> OrderAnswer:
        """Ask for one order by its exchange order id or its client order id; whatever goes wrong is an unknown.

        A venue that forgets is believed that it never had an order only where `placed_ms` (epoch ms) says that the
        order is younger than its memory.
        """
        ...
