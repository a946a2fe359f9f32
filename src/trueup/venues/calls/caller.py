"""The caller: every call to a venue goes through it.

Invariant 5 (Unknown is not flat): a call gives the venue's answer or CallFailed, never something in between.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from trueup.ports.secrets import Secrets
from trueup.venues.calls.circuit import Circuit
from trueup.venues.calls.limits import RateLimit
from trueup.venues.calls.verdicts import CallFailed, Kind, Verdict
from trueup.venues.rows.fields import printable

T = TypeVar("T")
_AGAIN = (Kind.RETRY, Kind.THROTTLE, Kind.CLOCK)
_LONGEST_WHY = 300
_REMEMBERED = 100
"""So many of the newest failures are remembered: a caller lives as long as its process."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often one call is tried, how many run side by side, and how long a wait that the venue asks for may be.

    A call that timed out is tried `attempts_timed_out` times: each has taken its whole time.
    """

    attempts: int = 4
    attempts_timed_out: int = 2
    side_by_side: int = 4
    longest_wait_s: float = 20


class _Judged(Exception):
    """An error of the venue's client, and what it means."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.why)
        self.verdict = verdict


class Caller:
    """Asks one account's venue: within its rate limit, again where that may help, and not at all while it is down.

    `judge` says what an error of the venue's client means; an error that it does not know (None) is a defect of ours
    and goes up. `on_clock` corrects for the venue's clock. Where the venue asks for a longer wait than
    `patience` has, the call fails at once, with the reason. `count` is told of every call (None), and of every one that
    gave no answer to rely on, with the kind of its failure.
    """

    def __init__(
        self,
        judge: Callable[[Exception], Verdict | None],
        limit: RateLimit,
        secrets: Secrets,
        *,
        on_clock: Callable[[], None] | None = None,
        patience: Patience = Patience(),  # frozen
        circuit: Circuit | None = None,
        sleep: Callable[[float], None] = time.sleep,
        count: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        self._judge = judge
        self.limit = limit
        self._secrets = secrets
        self._on_clock = on_clock
        self.patience = patience
        self.circuit = circuit if circuit is not None else Circuit()
        self._sleep = sleep
        self._lock = Lock()
        self._backoff = wait_random_exponential(multiplier=0.25, max=8)
        self._count = count
        self.calls = 0
        self.failures: deque[CallFailed] = deque(maxlen=_REMEMBERED)

    def ask(self, what: str, call: Callable[[], T], weight: float = 1) -> T:
        """Return the answer to a call; CallFailed where there is none to rely on, named by `what`."""
        again = Retrying(
            stop=self._enough,
            wait=self._wait,
            retry=retry_if_exception(self._helps),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer: T = again(self._once, what, call, weight)
        except _Judged as error:
            raise self._failed(error.verdict.kind, f"{what}: {error.verdict.why}") from None
        return answer

    def once(self) -> "Caller":
        """Return a caller that asks as this one does, and never a second time by itself."""
        return Caller(
            self._judge, self.limit, self._secrets, patience=replace(self.patience, attempts=1), circuit=self.circuit,
            sleep=self._sleep, count=self._count,
        )  # fmt: skip

    def all(self, calls: Sequence[Callable[[], T]]) -> list[T | CallFailed]:
        """Run calls side by side; return their answers in order, a CallFailed where one gave none."""

        def one(call: Callable[[], T]) -> T | CallFailed:
            try:
                return call()
            except CallFailed as failed:
                return failed

        if len(calls) < 2:
            return [one(call) for call in calls]
        with ThreadPoolExecutor(min(self.patience.side_by_side, len(calls))) as pool:
            return list(pool.map(one, calls))

    def mask(self, text: str) -> str:
        """Return text that may be shown: without secrets and control characters, cut."""
        return printable(" ".join(self._secrets.mask(text).split()), _LONGEST_WHY)

    def _once(self, what: str, call: Callable[[], T], weight: float) -> T:
        refusal = self.circuit.refusal()
        if refusal is not None:
            raise self._failed(Kind.RETRY, f"{what}: not asked, {refusal}")
        self.limit.take(weight)
        with self._lock:
            self.calls += 1
        self._count(None)
        try:
            answer = call()
        except Exception as error:  # what the judge does not know goes up as it is
            verdict = self._judge(error)
            if verdict is None:
                raise
            raise self._judged(what, verdict) from None
        self.circuit.worked()
        return answer

    def _judged(self, what: str, verdict: Verdict) -> _Judged:
        """Take note of a verdict, and prepare the next attempt."""
        why = self.mask(verdict.why)
        if verdict.kind in (Kind.RETRY, Kind.THROTTLE):
            self.circuit.failed(f"{what}: {why}", timed_out=verdict.timed_out)
        else:
            self.circuit.worked()
        if verdict.kind is Kind.THROTTLE and verdict.retry_after_s is not None:
            self.limit.hold(min(verdict.retry_after_s, self.patience.longest_wait_s))
        if verdict.kind is Kind.CLOCK and self._on_clock is not None:
            self._correct_clock(self._on_clock)
        return _Judged(replace(verdict, why=why))

    def _correct_clock(self, correct: Callable[[], None]) -> None:
        """Correct for the venue's clock; where the venue fails here too, the next attempt says so."""
        try:
            correct()
        except Exception as error:
            if self._judge(error) is None:
                raise

    def _helps(self, error: BaseException) -> bool:
        if not isinstance(error, _Judged):
            return False
        wait = error.verdict.retry_after_s
        return error.verdict.kind in _AGAIN and (wait is None or wait <= self.patience.longest_wait_s)

    def _enough(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        late = isinstance(error, _Judged) and error.verdict.timed_out
        patience = self.patience
        return state.attempt_number >= (
            min(patience.attempts, patience.attempts_timed_out) if late else patience.attempts
        )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.verdict.retry_after_s if isinstance(error, _Judged) else None
        return max(asked or 0.0, self._backoff(state))

    def _failed(self, kind: Kind, why: str) -> CallFailed:
        if kind is not Kind.ABSENT:  # "no such order" is an answer to rely on
            self._count(kind.value)
        failed = CallFailed(kind, why)
        self.failures.append(failed)
        return failed
