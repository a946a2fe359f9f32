"""Calls to a venue: limits, retries, the circuit and masks."""

import random
import threading
from urllib.parse import quote

import pytest

from trueup.venues.calls.caller import Caller, Patience
from trueup.venues.calls.circuit import Circuit
from trueup.venues.calls.limits import RateLimit, shared_limit
from trueup.venues.calls.secrets import MASK, Secrets
from trueup.venues.calls.verdicts import CallFailed, Kind, Verdict


class Trouble(Exception):
    """An error of a client, with what it means."""

    def __init__(self, kind: Kind, why: str = "trouble", wait_s: float | None = None) -> None:
        super().__init__(why)
        self.verdict = Verdict(kind, why, wait_s)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def caller(time: Time, **options: object) -> Caller:
    limit = RateLimit(60_000, now=time, sleep=time.sleep)
    circuit = Circuit(now=time)
    return Caller(
        lambda error: error.verdict if isinstance(error, Trouble) else None, limit, Secrets(["s3cr3t-value"]),
        circuit=circuit, sleep=time.sleep, **options,  # type: ignore[arg-type]  # named by the tests
    )  # fmt: skip


class Script:
    """A call that fails as it is told to, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.mark.parametrize("kind", [Kind.RETRY, Kind.THROTTLE, Kind.CLOCK])
def test_what_may_help_is_tried_again(kind: Kind) -> None:
    script = Script(Trouble(kind), Trouble(kind))
    assert caller(Time()).ask("it", script) == "answer"
    assert script.calls == 3


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.ABSENT, Kind.FAIL])
def test_what_cannot_help_is_not_tried_again(kind: Kind) -> None:
    script = Script(Trouble(kind))
    with pytest.raises(CallFailed) as caught:
        caller(Time()).ask("it", script)
    assert (caught.value.kind, caught.value.why, script.calls) == (kind, "it: trouble", 1)


def test_attempts_end_and_the_failure_is_kept() -> None:
    asking = caller(Time(), patience=Patience(attempts=3))
    script = Script(*[Trouble(Kind.RETRY, f"trouble {number}") for number in range(9)])
    with pytest.raises(CallFailed, match="trouble 2"):
        asking.ask("it", script)
    assert script.calls == asking.calls == 3
    assert [failed.why for failed in asking.failures] == ["it: trouble 2"]


def test_an_error_that_the_judge_does_not_know_goes_up() -> None:
    with pytest.raises(ZeroDivisionError):
        caller(Time()).ask("it", Script(ZeroDivisionError()))


def test_a_wait_that_is_asked_for_is_kept_by_everybody() -> None:
    time = Time()
    asking = caller(time)
    assert asking.ask("it", Script(Trouble(Kind.THROTTLE, wait_s=7))) == "answer"
    assert time.now >= 7
    asking.limit.hold(5)
    before = time.now
    asking.ask("another", Script())
    assert time.now - before >= 5


def test_a_wait_longer_than_we_have_fails_at_once() -> None:
    time = Time()
    with pytest.raises(CallFailed):
        caller(time).ask("it", Script(Trouble(Kind.THROTTLE, wait_s=3600)))
    assert time.now < 1


def test_a_wrong_clock_is_corrected_before_the_next_attempt() -> None:
    corrected: list[bool] = []
    caller(Time(), on_clock=lambda: corrected.append(True)).ask("it", Script(Trouble(Kind.CLOCK)))
    assert corrected == [True]


def test_calls_side_by_side_answer_in_order_and_one_failure_stops_no_other() -> None:
    scripts = [Script(), Script(Trouble(Kind.FAIL, "no")), Script()]
    asking = caller(Time())
    answers = asking.all([lambda s=s: asking.ask("it", s) for s in scripts])  # type: ignore[misc]  # bound as a default
    assert [getattr(answer, "why", answer) for answer in answers] == ["answer", "it: no", "answer"]


def test_the_circuit_opens_after_failures_in_a_row_and_lets_one_try_later() -> None:
    time = Time()
    circuit = Circuit(failures=3, rest_s=30, now=time)
    for number in range(3):
        assert circuit.refusal() is None
        circuit.failed(f"failure {number}")
    assert "failure 2" in (circuit.refusal() or "")
    time.now = 31
    assert [circuit.refusal() is None, circuit.refusal() is None] == [True, False]
    circuit.worked()
    assert circuit.refusal() is None


def test_an_answer_that_refuses_still_shows_that_the_venue_is_there() -> None:
    asking = caller(Time(), patience=Patience(attempts=1))
    for _ in range(20):
        with pytest.raises(CallFailed, match="no such"):
            asking.ask("it", Script(Trouble(Kind.ABSENT, "no such order")))


def test_a_limit_lets_its_burst_through_and_then_its_rate() -> None:
    time = Time()
    limit = RateLimit(60, burst=5, now=time, sleep=time.sleep)
    for _ in range(15):
        limit.take()
    assert time.now == pytest.approx(10)


def test_a_call_heavier_than_the_burst_is_not_stuck() -> None:
    time = Time()
    limit = RateLimit(60, burst=2, now=time, sleep=time.sleep)
    limit.take(10)
    limit.take(1)
    assert 8 <= time.now <= 11


def test_one_key_has_one_limit_and_the_strictest_counts() -> None:
    name = f"key {random.random()}"
    first = shared_limit("venue", name, 120)
    assert (first.per_second, first.burst) == (2, 20)
    assert shared_limit("venue", name, 60) is shared_limit("venue", name, 600) is first
    assert (first.per_second, first.burst) == (1, 10)
    assert shared_limit("other", name, 60) is not first


def test_threads_share_an_allowance() -> None:
    time = Time()
    limit, taken = RateLimit(1e-9, burst=50, now=time), []
    threads = [threading.Thread(target=lambda: taken.append(limit._reserve(1))) for _ in range(80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(1 for wait in taken if wait == 0) == 50


@pytest.mark.parametrize("value", ["plain-secret", "with/slash+plus=equals", "überraschend&%"])
def test_secrets_are_masked_as_they_are_and_as_urls_hold_them(value: str) -> None:
    text = f"said {value} and ?sign={quote(value, safe='')}"
    assert Secrets([value]).mask(text) == f"said {MASK} and ?sign={MASK}"
    assert value not in repr(Secrets([value]))


def test_the_longer_of_two_secrets_is_masked_first() -> None:
    assert Secrets(["abcd", "abcdefgh"]).mask("abcdefgh") == MASK


def test_why_a_call_failed_is_masked_before_it_is_cut() -> None:
    long = "x" * 295 + "s3cr3t-value"
    with pytest.raises(CallFailed) as caught:
        caller(Time()).ask("it", Script(Trouble(Kind.FAIL, long)))
    assert "s3c" not in caught.value.why
