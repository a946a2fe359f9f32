"""What an error of a venue's client means for the one who asked."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What to do about an error."""

    RETRY = "retry"
    """Ask again: the network, the venue's own trouble, or an answer that is not the venue's."""

    THROTTLE = "throttle"
    """Wait, then ask again."""

    CLOCK = "clock"
    """Our clock and the venue's differ: correct for it, then ask again."""

    AUTH = "auth"
    """The key is wrong, revoked or lacks a permission: nothing helps but a person."""

    ABSENT = "absent"
    """The venue answered that it knows no such thing."""

    FAIL = "fail"
    """The venue refused: asking again gives the same."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error means, why in the venue's words, and how many seconds the venue asks to wait.

    `timed_out` says that the venue gave no answer in the time that a call may take.
    """

    kind: Kind
    why: str
    retry_after_s: float | None = None
    timed_out: bool = False


REFUSALS = frozenset({Kind.THROTTLE, Kind.CLOCK, Kind.AUTH, Kind.ABSENT, Kind.FAIL})
"""Where the venue answered, and did not do what it was asked to; any other error leaves that open."""


class CallFailed(Exception):
    """A call that gave no answer to rely on; `why` names the call and holds no secret."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why
