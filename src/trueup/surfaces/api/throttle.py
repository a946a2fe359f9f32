"""Failed log-ins are counted by the client's address; who fails too often has to wait.

A token that opened the door lately still does, so that one misbehaving client behind an address (a proxy, a shared
machine) cannot keep the others from pausing their trading.
"""

import threading
import time
from collections import OrderedDict, deque

WINDOW_SECONDS = 60.0
_REMEMBERED = 10_000


class Throttle:
    """The failures of the last minute by address, and the hashes that were good lately."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._good: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def wait_seconds(self, address: str, token_hash: str) -> int:
        """Return how long an address has to wait before this token is looked at, 0 for not at all."""
        with self._lock:
            failures = self._recent(address)
            if token_hash in self._good or len(failures) < self._limit:
                return 0
            return max(1, round(failures[0] + WINDOW_SECONDS - time.monotonic()))

    def failed(self, address: str, token_hash: str) -> None:
        """Count a token that opened nothing."""
        with self._lock:
            self._good.pop(token_hash, None)
            self._recent(address).append(time.monotonic())

    def succeeded(self, token_hash: str) -> None:
        """Remember a token that opened the door."""
        with self._lock:
            self._good[token_hash] = None
            self._good.move_to_end(token_hash)
            while len(self._good) > _REMEMBERED:
                self._good.popitem(last=False)

    def _recent(self, address: str) -> deque[float]:
        failures = self._failures.setdefault(address, deque(maxlen=self._limit))
        self._failures.move_to_end(address)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)
        while failures and failures[0] < time.monotonic() - WINDOW_SECONDS:
            failures.popleft()
        return failures
