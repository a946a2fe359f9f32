"""A clock that is set back goes on, at half its pace, until the time has caught up: what comes later is later."""

FOLLOWED_MS = 60_000
"""A clock that is set back by more than this was wrong, and is believed at once."""


class Forward:
    """The time by two clocks: the wall's, which may be set back, and one that only goes on."""

    def __init__(self) -> None:
        self._told: tuple[int, int] | None = None

    def time(self, wall_ns: int, monotonic_ns: int) -> int:
        """Return the time in nanoseconds since the epoch, of both clocks' answers in nanoseconds."""
        if self._told is not None:
            told, then = self._told
            going_on = told + (monotonic_ns - then) // 2
            if wall_ns < going_on <= wall_ns + FOLLOWED_MS * 1_000_000:
                return going_on
        self._told = wall_ns, monotonic_ns
        return wall_ns
