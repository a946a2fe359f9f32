"""Rate limits: how often an account is asked, shared by everything that asks with one key in this process.

A bucket of `per_minute` calls' weight that fills steadily; a venue's own "wait" empties it for everybody.
"""

import time
from collections.abc import Callable
from hashlib import sha256
from threading import Lock


class RateLimit:
    """One key's allowance: `per_minute` of weight, of which `burst` may be taken at once."""

    def __init__(
        self,
        per_minute: float,
        burst: float | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.per_second = per_minute / 60
        self.burst = burst if burst is not None else max(1.0, per_minute / 6)
        self._now = now
        self._sleep = sleep
        self._left = self.burst
        self._at = now()
        self._not_before = 0.0
        self._lock = Lock()

    def take(self, weight: float = 1) -> float:
        """Wait until a call of a weight is allowed; return how many seconds that took."""
        waited = 0.0
        while (seconds := self._reserve(weight)) > 0:
            self._sleep(seconds)
            waited += seconds
        return waited

    def hold(self, seconds: float) -> None:
        """Let nobody ask for a while: the venue said so."""
        with self._lock:
            self._not_before = max(self._not_before, self._now() + seconds)

    def slow_to(self, per_minute: float) -> None:
        """Allow no more than so much in a minute from now on."""
        with self._lock:
            if per_minute / 60 < self.per_second:
                self.burst = max(1.0, self.burst * per_minute / 60 / self.per_second)
                self.per_second = per_minute / 60

    def _reserve(self, weight: float) -> float:
        """Take a weight and return 0, or return the seconds until it may be tried again.

        A weight above the burst is let through once the bucket is full, and leaves it in debt.
        """
        with self._lock:
            now = self._now()
            self._left = min(self.burst, self._left + (now - self._at) * self.per_second)
            self._at = now
            if now < self._not_before:
                return self._not_before - now
            missing = min(weight, self.burst) - self._left
            if missing > 0:
                return missing / self.per_second
            self._left -= weight
            return 0.0


_shared: dict[str, RateLimit] = {}
_lock = Lock()


def shared_limit(venue: str, key: str, per_minute: float) -> RateLimit:
    """Return the one limit of a venue's key in this process; the strictest that was asked for counts."""
    name = sha256(f"{venue}\n{key}".encode()).hexdigest()
    with _lock:
        found = _shared.get(name)
        if found is None:
            _shared[name] = found = RateLimit(per_minute)
        found.slow_to(per_minute)
        return found
