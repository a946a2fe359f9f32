"""Live events: what moves at a venue makes its account due at once. A stream is never the truth: it triggers a read.

One process listens to an account, by a lease of its own. What happened while nobody listened is not told, so that each
new connection makes the account due, too.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from trueup.core.errors import TrueupError
from trueup.ports import Lease, Leases
from trueup.service.app import App
from trueup.service.events import log

SCOPE = "stream:"
ACCOUNT = "account:"
_TRY_AGAIN_SECONDS = 20.0
_LOOK_SECONDS = 1.0
_LOST_LOOK_SECONDS = 10.0
"""How often a listener looks whether another process took its lease over: it wakes one time too many at the worst."""

QUIET_SECONDS = 0.2
"""Several events of one moment wake the account once."""


@contextmanager
def listening(app: App, accounts: Iterable[str], woken: Callable[[], None]) -> Iterator[None]:
    """Listen to every account whose venue streams, until the end; `woken` is called when an account became due."""
    over = threading.Event()
    threads = [
        threading.Thread(target=_listen, args=(app, name, over, woken), name=f"stream of {name}", daemon=True)
        for name in accounts
        if _streams(app, name)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _streams(app: App, account: str) -> bool:
    """Say whether an account's venue has live events; one that cannot be built is the cycle's to tell."""
    try:
        return app.accounts[account].venue().stream(lambda *_: None, lambda: None) is not None
    except TrueupError:
        return False


def _listen(app: App, account: str, over: threading.Event, woken: Callable[[], None]) -> None:
    """Hold the stream's lease whenever nobody else does, and listen while it is held."""
    while not over.is_set():
        try:
            with app.leases.hold(SCOPE + account, 0.0) as lease:
                if lease is not None:
                    _while_held(app, account, lease, over, woken)
        except Exception as error:  # noqa: BLE001  # a stream's defect ends no worker; it is told, and tried again
            reason = error.what if isinstance(error, TrueupError) else f"{type(error).__name__}: {error}"
            log("stream_closed", account=account, reason=reason, retry_ms=int(_TRY_AGAIN_SECONDS * 1000))
        over.wait(_TRY_AGAIN_SECONDS)


def _while_held(app: App, account: str, lease: Lease, over: threading.Event, woken: Callable[[], None]) -> None:
    waker = _Waker(app.leases, account, woken)
    stream = app.accounts[account].venue().stream(waker.moved, waker.connected)
    assert stream is not None
    stream.start()
    log("stream_opened", account=account)
    told, looks = "", 0
    try:
        while not over.wait(_LOOK_SECONDS):
            looks += 1  # counted, so that a clock that is set back cannot keep a listener from looking
            if looks * _LOOK_SECONDS >= _LOST_LOOK_SECONDS:
                looks = 0
                if _is_lost(app, lease):
                    return
            if stream.problem and stream.problem != told:
                log("stream_closed", account=account, reason=stream.problem, retry_ms=0)
            told = stream.problem
    finally:
        stream.stop()


def _is_lost(app: App, lease: Lease) -> bool:
    """Say whether another process took the stream over, as after a long freeze of this one."""
    held = [state for state in app.leases.states() if state.scope == lease.scope]
    return bool(held) and held[0].fence != lease.fence


class _Waker:
    """Makes an account due, at once and once for the events of one moment."""

    def __init__(self, leases: Leases, account: str, woken: Callable[[], None]) -> None:
        self._leases, self._account, self._woken = leases, account, woken
        self._lock = threading.Lock()
        self._pending = False

    def moved(self, symbol: str, order_id: str) -> None:  # noqa: ARG002  # the signature is the port's
        """Take in that an order moved."""
        log("stream_woke", account=self._account, symbol=symbol)
        self._wake()

    def connected(self) -> None:
        """Take in a new connection: what happened before it was not told."""
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._pending:
                return
            self._pending = True
        timer = threading.Timer(QUIET_SECONDS, self._now)
        timer.daemon = True
        timer.start()

    def _now(self) -> None:
        with self._lock:
            self._pending = False
        try:
            self._leases.wake(ACCOUNT + self._account)
        except TrueupError:
            return  # the account is due at its time
        self._woken()
