"""Modes, incidents, canaries and sign-offs under random events, crashes and restarts, on a real database.

Invariant 10 (Tighten freely, loosen only through gates): nothing is loosened but by the way back, step by step, signed
off by somebody else; a mismatch ends a canary in the run that sees it; a crash changes nothing, a restart neither.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import event as seen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event
from tests.ledger.bot import Bot, a_bot, at
from tests.service.test_watching import Hand

from trueup.core.errors import Refused, TrueupError
from trueup.core.incidents.classes import BreakFacts
from trueup.core.incidents.incident import Step
from trueup.core.incidents.policy import IncidentPolicy
from trueup.core.incidents.steps import Look
from trueup.core.modes import Mode
from trueup.service.app import App, SafetyConfig
from trueup.service.incidents import lead
from trueup.service.leading import abort_canary, note, propose_canary, show_incident, sign_off, start_repair
from trueup.service.modes import set_mode
from trueup.service.trading import pause, resume

RULES = IncidentPolicy(observation_ms=120_000, confirm_runs=2, canary_runs=2)
MINUTE = 60_000
SCOPES = ("global", "account:main", "profile:p1", "symbol:p1:BTC/USD", "symbol:p1:ETH/USD")
PEOPLE = ("ann", "ben")
GHOST = BreakFacts("B1", "ghost_position", "p1", "BTC/USD", "BTCUSD", Decimal(1), Decimal(0), Decimal(100), True)
KINDS = (
    GHOST, replace(GHOST, break_id="B2", twins=True), replace(GHOST, break_id="B3", symbol="ETH/USD", token="ETHUSD"),
    replace(GHOST, break_id="B4", settled=False),
)  # fmt: skip


class Crash(BaseException):
    """The process is gone at this statement."""


def rules_of(app: App, four_eyes: bool) -> App:
    return replace(app, safety=SafetyConfig(app.safety.deadman, replace(RULES, four_eyes=four_eyes)))


class Restoring(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="trueup-"))
        self.made = a_bot(self.folder, f"sqlite:///{self.folder / 'ledger.db'}")
        self.bot: Bot = self.made.__enter__()
        self.clock = Hand(at(1000))

    @initialize(four_eyes=st.booleans())
    def begin(self, four_eyes: bool) -> None:
        self.four_eyes = four_eyes
        self.app = rules_of(replace(self.bot.init(), clock=self.clock), four_eyes)
        self.before = self.app.modes.current()
        self.gated = False
        self.confirmed = self.passed = 0
        self.since_ms: int | None = None
        self.proposer = ""

    def teardown(self) -> None:
        self.made.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    # what runs see

    @rule(left=st.lists(st.sampled_from(KINDS), max_size=2, unique_by=lambda item: item.break_id),
          whole=st.booleans(), loud=st.booleans(), exposure=st.sampled_from([None, "0", "400", "501"]),
          crash=st.none() | st.integers(0, 12))  # fmt: skip
    def run(self, left: list[BreakFacts], whole: bool, loud: bool, exposure: str | None, crash: int | None) -> None:
        self.clock.now += MINUTE
        known = self.app.incidents.open_in("main")
        risk = Decimal(exposure) if exposure is not None else None
        alerts = ("venue_unreadable",) if loud else ()
        look = Look(
            "main", self.clock.now, (self.app.clock.new_id("RUN"),), tuple(left), complete=whole, exposure=risk,
            alerts=alerts,
        )  # fmt: skip
        if crash is not None:
            self.crashing(crash, lambda: lead(self.app, "main", lambda _: look))
            return
        found = lead(self.app, "main", lambda _: look)
        step = known.incident.step if known is not None else None
        if left:
            assert found is not None
            assert (found.running, found.plan, found.clean_runs) == (None, None, 0)
            assert found.step in (Step.CLASSIFIED, Step.REPAIRING)
            self.confirmed = self.passed = 0
            self.since_ms = None
        elif whole and step is not None:
            quiet = not loud
            if step is Step.CANARY:
                held = quiet and risk is not None and risk <= 500
                assert found is not None
                assert (found.step is Step.CANARY) <= held, "trouble ends the canary in the run that sees it"
                self.passed = self.passed + 1 if held else 0
                self.confirmed = 0
                self.since_ms = None
            else:
                self.confirmed = self.confirmed + 1 if quiet else 0
                self.since_ms = (self.since_ms or self.clock.now) if quiet else None

    @rule(runs=st.integers(2, 4))
    def calm(self, runs: int) -> None:
        """Some runs in a row without a break: without such hours no machine would ever come back."""
        for _ in range(runs):
            self.run([], True, False, "400", None)

    def crashing(self, statement: int, work: Callable[[], object]) -> None:
        """Do something in a process that dies at a statement: all of it is there afterwards, or nothing."""
        engine, left = self.bot.store.state._engine, [statement]
        before = self.state()

        def die(*_: object) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Crash

        event.listen(engine, "before_cursor_execute", die)
        try:
            with suppress(Refused):
                work()
            done = True
        except Crash:
            done = False
        finally:
            event.remove(engine, "before_cursor_execute", die)
        if not done:
            after = self.state()
            assert after[:3] == before[:3] or after[0] != before[0], "a crash leaves all of a move or nothing"
        self.restart()
        self.learn()

    def learn(self) -> None:
        """After a crash, what is on record is what is true."""
        kept = self.app.incidents.open_in("main")
        self.confirmed = kept.incident.clean_runs if kept is not None else 0
        self.since_ms = kept.incident.clean_since_ms if kept is not None else None
        self.passed = kept.incident.running.clean_runs if kept is not None and kept.incident.running else 0
        self.before = self.app.modes.current()

    @rule()
    def restart(self) -> None:
        before = self.state()
        self.app.close()
        self.app = rules_of(replace(self.bot.app(), clock=self.clock), self.four_eyes)
        assert self.state() == before

    def state(self) -> tuple[object, ...]:
        rows = [self.bot.db.rows(f"SELECT * FROM {name}") for name in ("incidents", "safety_modes", "canaries")]
        return (*rows, self.bot.db.rows("SELECT * FROM incident_steps"), self.bot.db.rows("SELECT * FROM sign_offs"))

    # what people do

    def acting(self, person: str) -> App:
        return replace(self.app, actor=person)

    @rule(minutes=st.integers(1, 40))
    def wait(self, minutes: int) -> None:
        self.clock.now += minutes * MINUTE

    @rule(scope=st.sampled_from(SCOPES), mode=st.sampled_from([mode.name for mode in Mode if mode is not Mode.FLATTEN]))
    def somebody_sets_a_mode(self, scope: str, mode: str) -> None:
        looser = Mode[mode] < self.app.modes.current().get(scope, Mode.NORMAL)
        try:
            set_mode(self.acting("ann"), mode, scope, "because")
        except Refused:
            assert looser
            assert self.app.incidents.open_in("main") is not None
            return
        assert not looser or Mode[mode] >= self.demanded(scope)
        if looser and self.app.incidents.open_in("main") is not None:
            seen("a person took back what the incident does not demand")
        self.before = self.app.modes.current()

    def demanded(self, scope: str) -> Mode:
        """What the open incident demands of a scope, by its own record."""
        kept = self.app.incidents.open_in("main")
        held = [each.mode for each in kept.incident.contained if each.scope == scope] if kept is not None else []
        return max(held, default=Mode.NORMAL)

    @rule(scope=st.sampled_from(SCOPES))
    def somebody_pauses(self, scope: str) -> None:
        pause(self.acting("ann"), "because", scope)

    @rule()
    def somebody_resumes_everything(self) -> None:
        if self.app.incidents.open_in("main") is None:
            return
        demanded = self.demanded("global")
        try:
            resume(self.acting("ann"), "because")
        except Refused:
            return
        assert self.app.modes.current().get("global", Mode.NORMAL) >= demanded
        self.before = self.app.modes.current()

    @rule(person=st.sampled_from(PEOPLE))
    def repair(self, person: str) -> None:
        if self.app.incidents.open_in("main") is None:
            return
        step = show_incident(self.app).incident.step
        if step is Step.CLASSIFIED:
            start_repair(self.acting(person), None, "because")
        else:
            with pytest.raises(Refused):
                start_repair(self.acting(person), None, "because")

    @rule(person=st.sampled_from(PEOPLE), stages=st.integers(1, 2))
    def propose(self, person: str, stages: int) -> None:
        if self.app.incidents.open_in("main") is None:
            return
        incident = show_incident(self.app).incident
        stage = ["p1:BTC/USD:500:30"] * stages
        ready = (
            incident.step is Step.CONFIRMING and self.confirmed >= RULES.confirm_runs and self.since_ms is not None
            and self.clock.now - self.since_ms >= RULES.observation_ms
        )  # fmt: skip
        if not ready:
            with pytest.raises(Refused):
                propose_canary(self.acting(person), None, stage, "why")
            return
        assert propose_canary(self.acting(person), None, stage, "why").incident.plan is not None
        self.proposer = person

    @rule(person=st.sampled_from(PEOPLE), crash=st.none() | st.integers(0, 12))
    def sign(self, person: str, crash: int | None) -> None:
        if self.app.incidents.open_in("main") is None:
            return
        before = show_incident(self.app).incident
        if crash is not None:
            self.crashing(crash, lambda: sign_off(self.acting(person), None, "why"))
            return
        try:
            after = sign_off(self.acting(person), None, "why").incident
        except TrueupError:
            return
        assert before.plan is not None
        assert not self.four_eyes or person != before.plan.proposed_by
        if before.step is Step.CONFIRMING:
            assert self.confirmed >= RULES.confirm_runs
            assert self.since_ms is not None
            assert self.clock.now - self.since_ms >= RULES.observation_ms
        else:
            assert before.running is not None
            assert self.passed >= RULES.canary_runs
            assert self.clock.now < before.running.until_ms
        self.confirmed = self.passed = 0
        self.since_ms = None
        seen(f"signed off: {after.step}")
        if after.step is Step.RESTORED:
            assert before.running is not None
            assert before.running.stage == len(before.plan.stages)
            loosened = {c.scope for c in before.contained if c.seq}
            now = self.app.modes.current()
            assert all(now[scope] >= mode for scope, mode in self.before.items() if scope not in loosened)
            self.before = now
        elif before.step is Step.CONFIRMING:
            self.confirmed = RULES.confirm_runs  # the count is the incident's still, and no step asks for it

    @rule(person=st.sampled_from(PEOPLE))
    def abort(self, person: str) -> None:
        if self.app.incidents.open_in("main") is None:
            return
        incident = show_incident(self.app).incident
        if incident.plan is None:
            with pytest.raises(Refused):
                abort_canary(self.acting(person), None, "why")
            return
        after = abort_canary(self.acting(person), None, "why").incident
        assert (after.plan, after.running) == (None, None)
        self.confirmed = self.passed = 0
        self.since_ms = None

    @rule()
    def write(self) -> None:
        if self.app.incidents.open_in("main") is None:
            return
        before = show_incident(self.app).incident
        assert note(self.app, None, "a note").incident == before

    @rule(stages=st.integers(1, 2), disturbed=st.integers(0, 9), signer=st.sampled_from(("ben", "ben", "ann")))
    def the_way_back(self, stages: int, disturbed: int, signer: str) -> None:
        """A whole way back, so that random events also meet its later steps; a mismatch may break it off."""
        if self.app.incidents.open_in("main") is None:
            self.run([GHOST], True, False, "400", None)
        self.calm(2)
        self.wait(2)
        self.calm(2)
        self.propose("ann", stages)
        for number in range(stages + 1):
            self.sign(signer, None)
            if disturbed == number:
                self.run([GHOST], True, False, "400", None)
            if number < stages:
                self.calm(2)

    # what always holds

    @invariant()
    def nothing_is_loosened_by_itself(self) -> None:
        if not hasattr(self, "app"):
            return
        now = self.app.modes.current()
        assert all(now.get(scope, Mode.NORMAL) >= mode for scope, mode in self.before.items())
        self.before = now

    @invariant()
    def a_canary_runs_only_where_the_incident_says_so(self) -> None:
        if not hasattr(self, "app"):
            return
        kept = self.app.incidents.open_in("main")
        running = kept.incident.running.canary_id if kept is not None and kept.incident.running is not None else None
        rows = self.bot.db.rows("SELECT canary_id FROM canaries WHERE ended_at IS NULL")
        assert [row["canary_id"] for row in rows] == ([running] if running is not None else [])

    @invariant()
    def every_canary_and_restoration_was_signed_off(self) -> None:
        if not hasattr(self, "app"):
            return
        signs = self.bot.db.rows("SELECT actor, step FROM sign_offs")
        canaries = self.bot.db.rows("SELECT canary_id FROM canaries")
        closed = self.bot.db.rows("SELECT incident_id FROM incidents WHERE closed_at IS NOT NULL")
        assert len(signs) == len(canaries) + len(closed)


TestRestoring = Restoring.TestCase
TestRestoring.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
