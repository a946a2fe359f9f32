"""What incidents keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trueup.core.incidents.incident import Incident, Move
from trueup.ports.control import Lease


@dataclass(frozen=True, slots=True)
class Kept:
    """An incident as it is kept; `version` grows with every change."""

    incident: Incident
    version: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an incident's story as it is on record; `at` is ISO 8601 with Z."""

    seq: int
    step: str
    what: str
    actor: str
    reason: str
    run_ids: tuple[str, ...]
    at: str


class Incidents(Protocol):
    """The incidents of all accounts, open and closed; at most one is open in an account."""

    def open_in(self, account: str) -> Kept | None:
        """Return the open incident of an account, None where there is none."""
        ...

    def get(self, incident_id: str) -> Kept | None:
        """Return an incident, None where there is none of the id."""
        ...

    def page(self, *, only_open: bool = False, page: int = 1, page_size: int = 50) -> tuple[int, list[Incident]]:
        """Return how many incidents there are, and one page of them, newest first."""
        ...

    def story(self, incident_id: str) -> Sequence[Line]:
        """Return what happened in an incident, oldest first."""
        ...

    def commit(self, move: Move, version: int | None, at_ms: int, lease: Lease | None = None) -> Kept:
        """Put a move on record and do what it says, in one transaction; `version` None is a new incident.

        Refused where the incident was changed meanwhile, where another one was opened in the account, and where the
        lease that the decision was made under was lost.
        """
        ...
