"""Work that goes on after its request was answered: so many at a time, so many waiting, and no more."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from trueup.surfaces.api.problems import Kind, ProblemError

_log = logging.getLogger("trueup.api")
_RETRY_SECONDS = 10


class Background:
    """A bounded queue on a few threads."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reconcile")
        self._room = threading.BoundedSemaphore(threads + waiting)

    def start(self, prepare: Callable[[], str], work: Callable[[str], None]) -> str:
        """Prepare a piece of work at once, return its name, and do it later; a problem where too much waits."""
        if not self._room.acquire(blocking=False):
            raise ProblemError(
                Kind.TOO_MANY,
                "Too many runs wait to be done.",
                "Try again later; the loop does them all in any case.",
                {"Retry-After": str(_RETRY_SECONDS)},
            )
        try:
            name = prepare()
            future = self._pool.submit(self._do, name, work)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return name

    def _do(self, name: str, work: Callable[[str], None]) -> None:
        try:
            work(name)
        except Exception:  # noqa: BLE001  # the run itself says on record how it ended; a thread has nobody to raise to
            _log.exception("run %s failed", name)

    def close(self) -> None:
        """Finish what is being done; what waits is not begun, and the next run ends it on record."""
        self._pool.shutdown(wait=True, cancel_futures=True)
