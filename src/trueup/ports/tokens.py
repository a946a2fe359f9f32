"""Who may use the HTTP API, and which of its requests were answered already."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Token:
    """One token as it is stored, without what opens the door; times ISO 8601 with Z, `expires_at` None is never."""

    token_id: str
    name: str
    role: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None


class Tokens(Protocol):
    """The tokens of the HTTP API; of each only a hash is known."""

    def exists(self) -> bool:
        """Say whether the table of the tokens is there."""
        ...

    def create(self, token: Token, token_hash: str) -> None:
        """Store a token; Refused where its name was ever given before."""
        ...

    def find(self, token_hash: str) -> Token | None:
        """Return the token with a hash, expired and revoked ones included; None where there is none."""
        ...

    def revoke(self, name: str, now: str) -> Token | None:
        """Revoke a token from now on (a second time changes nothing) and return it; None where there is none."""
        ...

    def all(self) -> list[Token]:
        """Return every token that was ever made, oldest first."""
        ...


class ClaimState(StrEnum):
    """What is known of a request's key."""

    NEW = "new"
    RUNNING = "running"
    DONE = "done"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What a request is known by: the client's key, who asks, and what for; `request_hash` covers what it says."""

    key: str
    actor: str
    route: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of claiming a key: NEW is ours to run, RUNNING somebody runs it, DONE has the answer that was given.

    OTHER is a key that was used for a request which said something else.
    """

    state: ClaimState
    status: int = 0
    answer: Mapping[str, object] | None = None


class Requests(Protocol):
    """Requests that carry a key: each runs once, whoever else sends it again."""

    def claim(self, request: RequestKey) -> Claim:
        """Claim a key before anything is done, or say what became of it; keys are forgotten after a day."""
        ...

    def keep(self, request: RequestKey, status: int, answer: Mapping[str, object]) -> None:
        """Keep the answer that was given."""
        ...

    def release(self, request: RequestKey) -> None:
        """Give a claimed key back, of which nothing was done: the same request may be sent again."""
        ...
