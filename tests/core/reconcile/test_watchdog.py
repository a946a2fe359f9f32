"""The watchdog: when it pauses, and that it never ends a pause that is not its own, or too early, or on doubt."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trueup.core.modes import Mode
from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.core.reconcile.watchdog import SOURCE, Pause, RunFact, keeps_paused, must_pause

RULES = ReconcilePolicy()
MINUTE = 60_000
PAUSED_AT = 1_000_000
CLEAN = [RunFact(PAUSED_AT + n * MINUTE, "OK", 0) for n in (1, 2, 3)]
BY_ITSELF = Pause(Mode.SAFE_MODE, Mode.NORMAL, SOURCE, PAUSED_AT)
OVER = PAUSED_AT + RULES.min_pause_ms


def keeps(
    pause: Pause | None = BY_ITSELF, runs: list[RunFact] | None = None, resumed: int | None = None, now: int = OVER,
    **changes: object,
) -> str | None:  # fmt: skip
    return keeps_paused(pause, CLEAN if runs is None else runs, resumed, now, replace(RULES, **changes))


def test_the_words_of_the_design() -> None:
    assert SOURCE == "parity_watchdog"
    assert (RULES.max_notional_ratio, RULES.auto_resume, RULES.min_pause_ms) == (Decimal("0.5"), True, 900_000)
    assert (RULES.clean_cycles, RULES.cooldown_ms) == (2, 1_800_000)


@pytest.mark.parametrize(
    ("notional", "capital", "paused"),
    [
        ("500", "1000", False), ("500.00000001", "1000", True), ("0", "0", False), ("0.01", "0", True),
        (None, "1000", False), ("500", None, False), (None, None, False),
    ],
)  # fmt: skip
def test_it_pauses_beyond_the_share_of_the_capital(notional: str | None, capital: str | None, paused: bool) -> None:
    numbers = [None if text is None else Decimal(text) for text in (notional, capital)]
    assert (must_pause(*numbers, RULES) is not None) == paused


def test_it_says_why_it_pauses() -> None:
    why = must_pause(Decimal("60.50"), Decimal(100), replace(RULES, max_notional_ratio=Decimal("0.60")))
    assert why == "mismatch of 60.5 over 0.6 of the capital of 100"


def test_it_resumes_where_everything_holds() -> None:
    assert keeps() is None
    assert keeps(runs=CLEAN[:2]) is None
    for mode in (Mode.SAFE_MODE, Mode.FLATTEN, Mode.HALT):
        assert keeps(replace(BY_ITSELF, mode=mode)) is None


def test_what_is_not_paused_is_not_resumed() -> None:
    assert keeps(None) == "not paused"
    for mode in (Mode.NORMAL, Mode.CLOSE_ONLY):
        assert keeps(replace(BY_ITSELF, mode=mode)) == "not paused"


def test_it_can_be_turned_off() -> None:
    assert keeps(auto_resume=False) == "automatic resume is turned off"


@pytest.mark.parametrize("source", ["operator", "ann", "", "PARITY_WATCHDOG", "parity_watchdog "])
def test_it_never_ends_the_pause_of_another(source: str) -> None:
    assert keeps(replace(BY_ITSELF, source=source)) == f"paused by {source}, not by the watchdog"


def test_the_minimum_is_over_exactly_when_it_is() -> None:
    assert keeps(now=OVER) is None
    assert keeps(now=OVER - 1) == "the minimum pause is not over"
    assert keeps(now=OVER - 1, min_pause_ms=RULES.min_pause_ms - 1) is None


def test_the_cooldown_is_over_exactly_when_it_is() -> None:
    assert keeps(resumed=OVER - RULES.cooldown_ms) is None
    assert keeps(resumed=OVER - RULES.cooldown_ms + 1) == "the last automatic resume is too near"
    assert keeps(resumed=OVER - 5, cooldown_ms=5) is None


DIRTY = [
    RunFact(PAUSED_AT + 9 * MINUTE, "OK", 1), RunFact(PAUSED_AT + 9 * MINUTE, "MISMATCH", 0),
    RunFact(PAUSED_AT + 9 * MINUTE, "INCONCLUSIVE", 0), RunFact(PAUSED_AT + 9 * MINUTE, "PENDING", 0),
]  # fmt: skip


@pytest.mark.parametrize("dirty", DIRTY, ids=lambda run: f"{run.status} {run.found}")
def test_only_clean_runs_in_a_row_count(dirty: RunFact) -> None:
    assert not dirty.clean
    assert keeps(runs=[*CLEAN, dirty]) == "0 of 2 clean runs since the pause"
    assert keeps(runs=[CLEAN[0], dirty, CLEAN[1]]) == "1 of 2 clean runs since the pause"
    assert keeps(runs=[dirty, *CLEAN[:2]]) is None


def test_runs_from_before_the_pause_do_not_count() -> None:
    before = [RunFact(PAUSED_AT - MINUTE, "OK", 0), RunFact(PAUSED_AT, "OK", 0)]
    assert keeps(runs=before) == "0 of 2 clean runs since the pause"
    assert keeps(runs=[*before, CLEAN[0]]) == "1 of 2 clean runs since the pause"
    assert keeps(runs=[*before, RunFact(PAUSED_AT + 1, "OK", 0), CLEAN[0]]) is None
    assert keeps(runs=[CLEAN[0]], clean_cycles=1) is None
    assert keeps(runs=[]) == "0 of 2 clean runs since the pause"


@dataclass
class History:
    """What truly happened, kept apart from what the watchdog is told."""

    runs_since: list[tuple[str, int]] = field(default_factory=list)
    paused_at: int | None = None
    by: str = ""
    automatic: list[int] = field(default_factory=list)


class Watched(RuleBasedStateMachine):
    """A profile that persons and the watchdog pause, its runs, and the clock."""

    @initialize(
        minimum=st.sampled_from((0, 10, 15)), cycles=st.integers(1, 3), cooldown=st.sampled_from((0, 20, 30)),
        enabled=st.sampled_from((True, True, True, False)),
    )  # fmt: skip
    def begin(self, minimum: int, cycles: int, cooldown: int, enabled: bool) -> None:
        self.rules = ReconcilePolicy(
            min_pause_ms=minimum * MINUTE, clean_cycles=cycles, cooldown_ms=cooldown * MINUTE, auto_resume=enabled
        )
        self.now = 10 * MINUTE
        self.pause: Pause | None = None
        self.runs: list[RunFact] = []
        self.resumed: int | None = None
        self.truth = History()
        self.just_resumed = False

    def _set(self, mode: Mode, by: str) -> None:
        previous = self.pause.mode if self.pause is not None else Mode.NORMAL
        self.pause = Pause(mode, previous, by, self.now)
        self.truth.paused_at = self.now if mode.paused else None
        self.truth.by, self.truth.runs_since = by, []

    @rule(minutes=st.integers(1, 20))
    def pass_time(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(mode=st.sampled_from((Mode.SAFE_MODE, Mode.HALT, Mode.CLOSE_ONLY, Mode.NORMAL)))
    def person_sets(self, mode: Mode) -> None:
        self._set(mode, "ann")

    @rule()
    def watchdog_pauses(self) -> None:
        if self.pause is None or not self.pause.mode.paused:
            self._set(Mode.SAFE_MODE, SOURCE)

    @rule(ended=st.sampled_from((("OK", 0), ("OK", 0), ("OK", 0), ("OK", 2), ("MISMATCH", 1), ("INCONCLUSIVE", 0))))
    def run_ends(self, ended: tuple[str, int]) -> None:
        self.now += 1
        self.runs.append(RunFact(self.now, *ended))
        self.truth.runs_since.append(ended)
        why = keeps_paused(self.pause, self.runs, self.resumed, self.now, self.rules)
        assert (why is None) == self.may_resume()
        if why is None:
            self.truth.automatic.append(self.now)
            self.resumed = self.now
            assert self.pause is not None
            assert self.truth.by == SOURCE
            self._set(self.pause.previous, SOURCE)

    def may_resume(self) -> bool:
        truth = self.truth
        if truth.paused_at is None or truth.by != SOURCE or not self.rules.auto_resume:
            return False
        in_a_row = truth.runs_since[-self.rules.clean_cycles :]
        return (
            self.now - truth.paused_at >= self.rules.min_pause_ms
            and all(self.now - at >= self.rules.cooldown_ms for at in truth.automatic)
            and in_a_row == [("OK", 0)] * self.rules.clean_cycles
        )

    @invariant()
    def never_too_soon_after_the_last(self) -> None:
        automatic = getattr(self, "truth", History()).automatic
        assert all(b - a >= self.rules.cooldown_ms for a, b in pairwise(automatic))

    @precondition(lambda self: self.pause is not None and self.pause.mode.paused and self.truth.by != SOURCE)
    @invariant()
    def a_persons_pause_stays(self) -> None:
        far = self.now + 10**9
        runs = [*self.runs, *(RunFact(far - n, "OK", 0) for n in (3, 2, 1))]
        assert keeps_paused(self.pause, runs, self.resumed, far, self.rules) is not None

    @precondition(lambda self: self.pause is not None and self.pause.mode.paused and self.truth.by == SOURCE)
    @invariant()
    def its_own_pause_ends_at_last(self) -> None:
        far = self.now + 10**9
        runs = [*self.runs, *(RunFact(far - n, "OK", 0) for n in (3, 2, 1))]
        kept = keeps_paused(self.pause, runs, self.resumed, far, self.rules)
        assert (kept is None) == self.rules.auto_resume


Watched.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestWatched = Watched.TestCase
