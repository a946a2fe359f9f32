"""Who may write, how much trading is allowed, and the time."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from trueup.core.modes import Mode


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to one scope, until `expires_ms`; a higher fence makes it void."""

    scope: str
    owner: str
    fence: int
    expires_ms: int


class Leases(Protocol):
    """Who may write to which account."""

    def hold(self, scope: str, wait_seconds: float) -> AbstractContextManager[Lease | None]:
        """Hold a scope's lease, renewed until the end; None where another run holds it for longer than the wait."""
        ...


@dataclass(frozen=True, slots=True)
class ModeChange:
    """One entry of the modes' history; `at` is ISO 8601 with Z."""

    scope: str
    mode: Mode
    previous: Mode
    source: str
    actor: str
    reason: str
    at: str


class Modes(Protocol):
    """The safe modes in force, and their history."""

    def current(self) -> dict[str, Mode]:
        """Return the mode of every scope that has one."""
        ...

    def set(self, change: ModeChange, after: ModeChange | None = None) -> ModeChange:
        """Put a mode in force and return the recorded change.

        Refused where an open incident forbids to loosen it, and where `after` is not the scope's newest change any
        more: somebody else decided meanwhile.
        """
        ...

    def of_scope(self, scope: str, limit: int) -> list[ModeChange]:
        """Return the newest changes of one scope first."""
        ...

    def tighten(self, change: ModeChange) -> ModeChange | None:
        """Put a mode in force unless one as strict is already; return the recorded change, None where nothing changed.

        Whatever others do at the same moment, nothing is loosened by this.
        """
        ...

    def since(self, scope: str) -> ModeChange | None:
        """Return the change that put a scope's mode in force; None where it never had one."""
        ...

    def history(self, limit: int) -> list[ModeChange]:
        """Return the newest changes first."""
        ...


class Clock(Protocol):
    """The time, and names that nobody else gives."""

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def new_id(self, prefix: str) -> str:
        """Return an id that was never given before: prefix, UTC time and some random characters."""
        ...
