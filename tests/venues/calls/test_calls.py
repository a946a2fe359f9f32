"""Calls to a venue: what is tried again, what is waited for, when nothing is asked any more, and what is never said."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Barrier, Thread

import pytest

from trueup.ports.secrets import MASK, Secrets
from trueup.venues.calls import limits
from trueup.venues.calls.caller import Caller, Patience
from trueup.venues.calls.circuit import Circuit
from trueup.venues.calls.limits import RateLimit, shared_limit
from trueup.venues.calls.verdicts import CallFailed, Kind, Verdict

REFUSED = "the venue failed 3 times in a row (markets: timed out)"


class Trouble(Exception):
    """An error of a made-up client."""

    def __init__(self, kind: Kind, why: str = "trouble", wait: float | None = None) -> None:
        super().__init__(why)
        self.verdict = Verdict(kind, why, wait)


def judge(error: Exception) -> Verdict | None:
    return error.verdict if isinstance(error, Trouble) else None


@dataclass
class Time:
    """A clock that moves when somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def a_caller(time: Time | None = None, **more: object) -> Caller:
    time = time or Time()
    limit = RateLimit(6000, 100, time.read, time.sleep)
    return Caller(judge, limit, Secrets(["hush-hush"]), sleep=time.sleep, **more)  # type: ignore[arg-type]  # what Caller takes by name


def failing(*errors: Exception, answer: str = "answer") -> Callable[[], str]:
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return answer

    return call


class TestAsking:
    def test_an_answer_is_given_as_it_is(self) -> None:
        caller = a_caller()
        assert caller.ask("clock", lambda: None) is None
        assert caller.calls == 1

    def test_every_call_is_counted_and_so_is_what_gave_no_answer(self) -> None:
        counted: list[str | None] = []
        caller = a_caller(count=counted.append)
        caller.ask("orders", failing(Trouble(Kind.RETRY)))
        with pytest.raises(CallFailed):
            caller.ask("orders", failing(Trouble(Kind.AUTH)))
        assert counted == [None, None, None, "auth"]

    def test_no_such_thing_is_an_answer_to_rely_on_and_counts_as_no_error(self) -> None:
        counted: list[str | None] = []
        with pytest.raises(CallFailed):
            a_caller(count=counted.append).ask("position", failing(Trouble(Kind.ABSENT)))
        assert counted == [None]

    def test_only_the_newest_failures_are_remembered(self) -> None:
        caller = Caller(judge, RateLimit(1e9), Secrets([]), circuit=Circuit(failures=10_000))
        for _ in range(150):
            with pytest.raises(CallFailed):
                caller.ask("orders", failing(Trouble(Kind.FAIL)))
        assert len(caller.failures) == 100

    @pytest.mark.parametrize("kind", [Kind.RETRY, Kind.THROTTLE, Kind.CLOCK])
    def test_what_may_pass_is_tried_again(self, kind: Kind) -> None:
        caller = a_caller()
        assert caller.ask("orders", failing(*[Trouble(kind)] * 3)) == "answer"
        assert caller.calls == 4

    @pytest.mark.parametrize("kind", [Kind.RETRY, Kind.THROTTLE, Kind.CLOCK])
    def test_it_is_not_tried_for_ever(self, kind: Kind) -> None:
        caller = a_caller()
        with pytest.raises(CallFailed, match=r"^orders: trouble$") as caught:
            caller.ask("orders", failing(*[Trouble(kind)] * 9))
        assert (caught.value.kind, caller.calls, list(caller.failures)) == (kind, 4, [caught.value])

    @pytest.mark.parametrize("kind", [Kind.AUTH, Kind.ABSENT, Kind.FAIL])
    def test_what_stays_is_asked_once(self, kind: Kind) -> None:
        caller = a_caller()
        with pytest.raises(CallFailed) as caught:
            caller.ask("orders", failing(Trouble(kind)))
        assert (caught.value.kind, caller.calls) == (kind, 1)

    def test_a_defect_of_ours_goes_up_as_it_is(self) -> None:
        caller = a_caller()
        with pytest.raises(KeyError):
            caller.ask("orders", failing(KeyError("id")))
        assert caller.calls == 1

    def test_each_attempt_waits_longer_than_none(self) -> None:
        time = Time()
        a_caller(time).ask("orders", failing(*[Trouble(Kind.RETRY)] * 3))
        assert len(time.slept) == 3
        assert all(0 <= seconds <= 8 for seconds in time.slept)

    def test_the_clock_is_corrected_before_the_next_attempt(self) -> None:
        corrected: list[int] = []
        caller = a_caller(on_clock=lambda: corrected.append(caller.calls))
        caller.ask("orders", failing(Trouble(Kind.CLOCK), Trouble(Kind.RETRY)))
        assert corrected == [1]

    def test_a_clock_that_cannot_be_read_is_no_end(self) -> None:
        caller = a_caller(on_clock=failing(Trouble(Kind.RETRY)))
        assert caller.ask("orders", failing(Trouble(Kind.CLOCK))) == "answer"
        broken = a_caller(on_clock=failing(KeyError("serverTime")))
        with pytest.raises(KeyError):
            broken.ask("orders", failing(Trouble(Kind.CLOCK)))


class TestWaiting:
    def test_a_wait_that_the_venue_asks_for_holds_everybody(self) -> None:
        time = Time()
        caller = a_caller(time)
        assert caller.ask("orders", failing(Trouble(Kind.THROTTLE, wait=5))) == "answer"
        assert time.now >= 1005

    def test_one_that_is_too_long_fails_at_once_and_says_so(self) -> None:
        time = Time()
        caller = a_caller(time, patience=Patience(longest_wait_s=20))
        with pytest.raises(CallFailed, match="come back later"):
            caller.ask("orders", failing(Trouble(Kind.THROTTLE, "come back later", wait=21)))
        assert (caller.calls, time.slept) == (1, [])
        assert a_caller(time).ask("orders", failing(Trouble(Kind.THROTTLE, wait=20))) == "answer"


class TestSideBySide:
    def test_calls_run_at_once_and_answer_in_order(self) -> None:
        together = Barrier(3, timeout=5)

        def call(number: int) -> Callable[[], int]:
            def run() -> int:
                together.wait()
                return number

            return run

        assert a_caller().all([call(number) for number in range(3)]) == [0, 1, 2]

    def test_one_that_fails_leaves_the_others(self) -> None:
        caller = a_caller()
        bad = failing(Trouble(Kind.FAIL))
        first, second = caller.all([lambda: caller.ask("a", bad), lambda: caller.ask("b", failing())])
        assert isinstance(first, CallFailed)
        assert second == "answer"

    def test_one_alone_is_a_value_too(self) -> None:
        caller = a_caller()
        [failed] = caller.all([lambda: caller.ask("a", failing(Trouble(Kind.AUTH)))])
        assert isinstance(failed, CallFailed)
        assert caller.all([]) == []


class TestCircuit:
    def test_it_opens_after_failures_in_a_row_and_lets_one_try_after_its_rest(self) -> None:
        time = Time()
        circuit = Circuit(3, 30, time.read)
        caller = a_caller(time, circuit=circuit, patience=Patience(attempts=1))
        for _ in range(3):
            with pytest.raises(CallFailed, match=r"^orders: down$"):
                caller.ask("orders", failing(Trouble(Kind.RETRY, "down")))
        with pytest.raises(CallFailed, match=r"not asked, the venue failed 3 times in a row \(orders: down\)$"):
            caller.ask("fills", failing())
        assert caller.calls == 3
        time.now += 30
        assert caller.ask("fills", failing()) == "answer"
        assert circuit.refusal() is None

    def test_it_opens_after_few_that_timed_out_for_each_took_its_whole_time(self) -> None:
        """A venue that never answers would hold a reading of many calls for minutes."""
        caller = a_caller(circuit=Circuit())
        late = Trouble(Kind.RETRY, "timed out")
        late.verdict = replace(late.verdict, timed_out=True)
        for what in ("time", "markets", "orders", "fills"):
            with pytest.raises(CallFailed):
                caller.ask(what, failing(*[late] * 9))
        assert caller.calls == 3
        assert [failed.why for failed in list(caller.failures)[:2]] == [
            "time: timed out",
            "markets: not asked, " + REFUSED,
        ]

    def test_a_call_that_timed_out_may_be_answered_at_the_second_try(self) -> None:
        circuit = Circuit()
        late = Trouble(Kind.RETRY, "timed out")
        late.verdict = replace(late.verdict, timed_out=True)
        caller = a_caller(circuit=circuit)
        for _ in range(5):
            assert caller.ask("orders", failing(late)) == "answer"
        with pytest.raises(CallFailed):
            caller.ask("orders", failing(late, late, Trouble(Kind.RETRY)))

    def test_while_one_tries_the_others_are_refused(self) -> None:
        time = Time()
        circuit = Circuit(1, 30, time.read)
        circuit.failed("down")
        time.now += 31
        assert circuit.refusal() is None
        assert circuit.refusal() is not None

    @pytest.mark.parametrize("kind", [Kind.AUTH, Kind.ABSENT, Kind.FAIL, Kind.CLOCK])
    def test_a_refusal_is_an_answer_and_closes_it(self, kind: Kind) -> None:
        circuit = Circuit(2)
        caller = a_caller(circuit=circuit, patience=Patience(attempts=1))
        for trouble in (Trouble(Kind.RETRY), Trouble(kind), Trouble(Kind.RETRY)):
            with pytest.raises(CallFailed):
                caller.ask("orders", failing(trouble))
        assert circuit.refusal() is None

    def test_an_answer_closes_it(self) -> None:
        circuit = Circuit(2)
        caller = a_caller(circuit=circuit, patience=Patience(attempts=2))
        for _ in range(3):
            caller.ask("orders", failing(Trouble(Kind.THROTTLE)))
        assert circuit.refusal() is None


class TestRateLimit:
    def test_a_burst_is_free_and_the_rest_waits_its_share(self) -> None:
        time = Time()
        limit = RateLimit(60, 5, time.read, time.sleep)
        assert [limit.take() for _ in range(5)] == [0.0] * 5
        assert limit.take() == pytest.approx(1.0)
        assert limit.take(3) == pytest.approx(3.0)

    def test_it_fills_no_further_than_the_burst(self) -> None:
        time = Time()
        limit = RateLimit(60, 2, time.read, time.sleep)
        time.now += 3600
        assert [limit.take(), limit.take()] == [0.0, 0.0]
        assert limit.take() == pytest.approx(1.0)

    def test_a_weight_above_the_burst_goes_through_and_is_owed(self) -> None:
        time = Time()
        limit = RateLimit(60, 2, time.read, time.sleep)
        assert limit.take(10) == 0.0
        assert limit.take() == pytest.approx(9.0)

    def test_a_hold_counts_for_everybody_and_the_longest_counts(self) -> None:
        time = Time()
        limit = RateLimit(6000, 100, time.read, time.sleep)
        limit.hold(7)
        limit.hold(3)
        assert limit.take() == pytest.approx(7.0)

    def test_many_threads_take_no_more_than_there_is(self) -> None:
        limit = RateLimit(120, 20)
        waits: list[float] = []
        threads = [Thread(target=lambda: waits.append(limit.take())) for _ in range(25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(waits) == 25
        assert sum(wait > 0 for wait in waits) >= 4

    def test_one_key_has_one_limit_and_the_strictest_counts(self) -> None:
        first = shared_limit("v1", "key-a", 60)
        assert shared_limit("v1", "key-a", 120) is first
        stricter = shared_limit("v1", "key-a", 30)
        assert stricter.per_second == 0.5
        assert shared_limit("v1", "key-a", 60) is stricter
        assert shared_limit("v1", "key-b", 60) is not stricter
        assert shared_limit("v2", "key-a", 60) is not stricter
        assert not any("key-a" in name for name in limits._shared)


class TestSecrets:
    def test_no_message_holds_one(self) -> None:
        caller = a_caller(patience=Patience(attempts=1))
        with pytest.raises(CallFailed) as caught:
            caller.ask("orders", failing(Trouble(Kind.RETRY, "GET /?key=hush-hush\nfailed\x1b[31m")))
        assert caught.value.why == f"orders: GET /?key={MASK} failed\\x1b[31m"
        refusal = Circuit(1)
        caller = a_caller(circuit=refusal, patience=Patience(attempts=1))
        with pytest.raises(CallFailed):
            caller.ask("orders", failing(Trouble(Kind.RETRY, "hush-hush")))
        assert "hush" not in str(refusal.refusal())

    def test_the_longest_and_what_is_quoted_are_masked(self) -> None:
        secrets = Secrets(["abcd", "abcd/efg=", "x"])
        assert secrets.mask("abcd/efg= abcd%2Fefg%3D abcd x") == f"{MASK} {MASK} {MASK} x"
        assert repr(secrets) == "Secrets(3)"

    def test_a_long_message_is_cut(self) -> None:
        assert len(a_caller().mask("x" * 1000)) == 300
