"""A circuit: after several failures in a row a venue is left alone for a while, and that is said."""

import time
from collections.abc import Callable
from threading import Lock


class Circuit:
    """Opens after `failures` in a row, for `rest_s` seconds; then one call is let through to try.

    After `timeouts` without an answer between them it opens, too: each of these has taken its whole time.
    """

    def __init__(
        self,
        failures: int = 8,
        rest_s: float = 30,
        now: Callable[[], float] = time.monotonic,
        timeouts: int = 3,
    ) -> None:
        self.failures = failures
        self.timeouts = timeouts
        self.rest_s = rest_s
        self._now = now
        self._lock = Lock()
        self._in_a_row = 0
        self._timed_out = 0
        self._open_until = 0.0
        self._last = ""

    def refusal(self) -> str | None:
        """Return why nothing is asked now, None where it may be; where the rest is over, one caller may try."""
        with self._lock:
            if not self._is_open:
                return None
            wait = self._open_until - self._now()
            if wait <= 0:
                self._open_until = self._now() + self.rest_s
                return None
            return f"the venue failed {self._in_a_row} times in a row ({self._last})"

    def worked(self) -> None:
        """Close it: the venue answered."""
        with self._lock:
            self._in_a_row = self._timed_out = 0

    def failed(self, why: str, *, timed_out: bool = False) -> None:
        """Count a failure."""
        with self._lock:
            self._in_a_row += 1
            self._timed_out += timed_out
            self._last = why
            if self._is_open:
                self._open_until = self._now() + self.rest_s

    @property
    def _is_open(self) -> bool:
        return self._in_a_row >= self.failures or self._timed_out >= self.timeouts
