"""Who signed what off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SignOff:
    """One step that a person took about something; `at` is ISO 8601 with Z.

    `subject` is an incident's id, or `plan:HASH` for a plan of the backfill.
    """

    subject: str
    step: str
    actor: str
    note: str
    at: str


class SignOffs(Protocol):
    """The steps that people took, in their order; none is ever changed or removed."""

    def add(self, sign_off: SignOff, check: Callable[[Sequence[SignOff]], None] = lambda _: None) -> None:
        """Record a step, in one transaction with a check of the subject's earlier ones, which may raise Refused."""
        ...

    def about(self, subject: str) -> list[SignOff]:
        """Return the steps about a subject, oldest first."""
        ...

    def newest(self, prefix: str, step: str, limit: int) -> list[SignOff]:
        """Return the newest steps of a name about subjects that begin like this, newest first."""
        ...
