"""What is to be told to people: the outbox that keeps it, and whoever carries it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trueup.core.alerts import Alert, Change, Severity


class Outbox(Protocol):
    """The durable outbox of alerts."""

    def change(self, key: str, decide: Callable[[Sequence[Alert]], Change], now_ms: int) -> Change:
        """Change the story of a key, which `decide` is given newest message first; nobody else does meanwhile.

        Nothing happens where the outbox's table is missing.
        """
        ...

    def claim(self, now_ms: int, hold_ms: int) -> Alert | None:
        """Take the oldest message that may be sent, for so long; None where there is none.

        Nobody else gets it meanwhile; if its taker dies it can be taken again. Messages of one key go in their order.
        """
        ...

    def delivered(self, alert: Alert, now_ms: int) -> None:
        """Record that every target took a message."""
        ...

    def undelivered(self, alert: Alert, error: str, next_attempt_ms: int) -> None:
        """Record why an attempt failed, and when the next one may be."""
        ...

    def page(self, limit: int, *, pending: bool = False) -> list[Alert]:
        """Return the newest messages first, all or those that are not delivered."""
        ...

    def prune(self, before_ms: int, limit: int = 1000) -> int:
        """Delete messages that were delivered before a time, at most so many; return how many were deleted."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """What people read."""

    title: str
    body: str
    severity: Severity


class Notifier(Protocol):
    """Carries messages to the targets that are set."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets' names, which hold no secret and stay the same over restarts."""
        ...

    def send(self, message: Message, targets: Collection[str]) -> Mapping[str, str | None]:
        """Carry a message to some targets; return for each None where it was taken, else why not, without secrets."""
        ...
