"""The watchdog at work on a real ledger: it pauses, it ends its own pause, and a person always wins."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.ledger.bot import Bot, at

from trueup.core.errors import Refused
from trueup.core.modes import Mode
from trueup.core.reconcile.watchdog import SOURCE
from trueup.core.times import iso
from trueup.ports import Lease, ModeChange, RunEnd, RunStart
from trueup.service.app import App
from trueup.service.cycle import Cycle, ReconcileRequest
from trueup.service.gather import gather
from trueup.service.modes import set_mode
from trueup.service.reconcile_report import ParityCounts, RunReport
from trueup.service.watching import watch

MINUTE = 60_000
SCOPE = "profile:p1"


class Hand:
    """A clock that stands where a test sets it."""

    def __init__(self, now_ms: int) -> None:
        self.now = now_ms
        self.names = 0

    def now_ms(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1000)

    def new_id(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}-{self.names:04}"


@pytest.fixture
def clock() -> Hand:
    return Hand(at(1000))


@pytest.fixture
def app(sqlite_bot: Bot, clock: Hand) -> App:
    made = replace(sqlite_bot.init(), clock=clock)
    made.runs._clock = clock
    return made


def cycle(app: App, lease: Lease, *, dry_run: bool = False, mismatch: str | None = None, **asked: object) -> Cycle:
    """A cycle whose run saw everything and found nothing, but for a mismatch that is worth so much."""
    run = RunReport(app.clock.new_id("RUN"), "p1", "main", "CYC-1", dry_run, app.clock.now_ms())
    run.parity = ParityCounts(total=Decimal(0)) if mismatch is None else ParityCounts(1, total=Decimal(mismatch))
    gathered = gather(app, "main")
    members = tuple(profile for profile in app.ledger.profiles() if profile.profile_id == "p1")
    request = ReconcileRequest(dry_run=dry_run, **asked)
    return Cycle(app, request, lease, members, {"p1": run}, gathered)


@contextmanager
def looking(app: App, **said: object) -> Iterator[Cycle]:
    """A cycle under its lease, which is watched at its end."""
    with app.leases.hold("account:main", 0) as lease:
        assert lease is not None
        looked = cycle(app, lease, **said)
        yield looked
        watch(looked)


def watched(app: App, **said: object) -> RunReport:
    with looking(app, **said) as looked:
        pass
    return looked.runs["p1"]


def ran(app: App, clock: Hand, *, status: str = "OK", found: int = 0, dry_run: bool = False, **scope: object) -> None:
    """An earlier run, on record."""
    name = app.clock.new_id("RUN")
    clock.now += MINUTE
    app.runs.begin([RunStart(name, "p1", "main", "CYC-0", dry_run)])
    app.runs.end([RunEnd(name, status, {"counts": {"found": found}, "scope": scope})])


def mode(app: App) -> Mode:
    return app.modes.current().get(SCOPE, Mode.NORMAL)


def by_a_person(app: App, clock: Hand, wanted: Mode) -> None:
    app.modes.set(ModeChange(SCOPE, wanted, mode(app), "operator", "ann", "by hand", iso(clock.now)))


def paused(app: App, clock: Hand, *, minutes: int = 15) -> None:
    """The watchdog pauses the profile, and the minimum passes."""
    assert watched(app, mismatch="5000.01").watchdog
    assert mode(app) is Mode.SAFE_MODE
    clock.now += minutes * MINUTE


def test_a_mismatch_beyond_the_share_of_the_capital_pauses_the_profile(app: App) -> None:
    assert not watched(app, mismatch="5000").watchdog
    assert mode(app) is Mode.NORMAL
    run = watched(app, mismatch="5000.01")
    assert (run.watchdog, run.resumed, mode(app)) == (True, False, Mode.SAFE_MODE)
    [change] = app.modes.of_scope(SCOPE, 5)
    assert (change.source, change.actor, change.previous) == (SOURCE, SOURCE, Mode.NORMAL)
    assert change.reason == "mismatch of 5000.01 over 0.5 of the capital of 10000"


def test_a_dry_run_only_says_what_it_would_do(app: App) -> None:
    assert watched(app, mismatch="9000", dry_run=True).watchdog
    assert mode(app) is Mode.NORMAL


def test_a_pause_that_is_there_keeps_who_made_it(app: App, clock: Hand) -> None:
    by_a_person(app, clock, Mode.HALT)
    watched(app, mismatch="9000")
    assert [(c.source, c.mode) for c in app.modes.of_scope(SCOPE, 5)] == [("operator", Mode.HALT)]
    paused_since = app.modes.of_scope(SCOPE, 1)[0].at
    clock.now += MINUTE
    watched(app, mismatch="9000")
    assert app.modes.of_scope(SCOPE, 1)[0].at == paused_since


def test_it_ends_its_own_pause_after_the_minimum_and_enough_clean_runs(app: App, clock: Hand) -> None:
    paused(app, clock)
    assert not watched(app).resumed
    ran(app, clock)
    run = watched(app)
    assert (run.resumed, run.notes, mode(app)) == (True, [], Mode.NORMAL)
    newest = app.modes.of_scope(SCOPE, 1)[0]
    assert (newest.source, newest.previous) == (SOURCE, Mode.SAFE_MODE)
    assert newest.reason == f"2 clean runs since the pause of {iso(at(1000))}"


def test_it_goes_back_to_the_mode_that_was_there_before(app: App, clock: Hand) -> None:
    by_a_person(app, clock, Mode.CLOSE_ONLY)
    paused(app, clock)
    ran(app, clock)
    assert watched(app).resumed
    assert mode(app) is Mode.CLOSE_ONLY


def test_never_before_the_minimum(app: App, clock: Hand) -> None:
    paused(app, clock, minutes=5)
    for _ in range(3):
        ran(app, clock)
    assert not watched(app).resumed
    assert mode(app) is Mode.SAFE_MODE


def test_never_inside_the_cooldown(app: App, clock: Hand) -> None:
    paused(app, clock)
    ran(app, clock)
    assert watched(app).resumed
    clock.now += MINUTE
    paused(app, clock)
    ran(app, clock)
    assert not watched(app).resumed
    clock.now += 14 * MINUTE
    assert watched(app).resumed


@pytest.mark.parametrize(("status", "found"), [("INCONCLUSIVE", 0), ("MISMATCH", 1), ("OK", 1)])
def test_a_run_that_was_not_clean_starts_the_count_again(app: App, clock: Hand, status: str, found: int) -> None:
    paused(app, clock)
    ran(app, clock)
    ran(app, clock, status=status, found=found)
    assert not watched(app).resumed
    ran(app, clock)
    assert watched(app).resumed


def test_a_run_that_is_not_clean_itself_resumes_nothing(app: App, clock: Hand) -> None:
    paused(app, clock)
    ran(app, clock)
    ran(app, clock)
    with looking(app) as looked:
        looked.cannot_tell("p1", "BTC/USD", "not read")
    assert not looked.runs["p1"].resumed


def test_dry_runs_and_runs_about_some_symbols_or_trades_say_nothing(app: App, clock: Hand) -> None:
    paused(app, clock)
    ran(app, clock, dry_run=True)
    ran(app, clock, symbols=["ETH/USD"])
    ran(app, clock, trade_ids=["TRD-1"])
    assert not watched(app).resumed
    ran(app, clock, symbols=None, trade_ids=None)
    assert not watched(app, symbols=("ETH/USD",)).resumed
    assert not watched(app, trade_ids=("TRD-1",)).resumed
    assert not watched(app, dry_run=True).resumed
    assert mode(app) is Mode.SAFE_MODE
    assert watched(app).resumed


@pytest.mark.parametrize("wanted", [Mode.SAFE_MODE, Mode.HALT, Mode.FLATTEN])
def test_it_never_ends_what_a_person_paused(app: App, clock: Hand, wanted: Mode) -> None:
    by_a_person(app, clock, wanted)
    clock.now += 60 * MINUTE
    ran(app, clock)
    ran(app, clock)
    assert not watched(app).resumed
    assert mode(app) is wanted


def test_a_person_who_takes_over_its_pause_keeps_it(app: App, clock: Hand) -> None:
    paused(app, clock)
    by_a_person(app, clock, Mode.SAFE_MODE)
    clock.now += 60 * MINUTE
    ran(app, clock)
    ran(app, clock)
    assert not watched(app).resumed
    assert mode(app) is Mode.SAFE_MODE


@contextmanager
def meanwhile(app: App, clock: Hand, wanted: Mode) -> Iterator[None]:
    """A person changes the mode after the watchdog has read it, and before it acts."""
    reading = app.runs.since

    def late(*args: object) -> object:
        found = reading(*args)
        by_a_person(app, clock, wanted)
        return found

    app.runs.since = late
    try:
        yield
    finally:
        del app.runs.since


@pytest.mark.parametrize("wanted", [Mode.SAFE_MODE, Mode.HALT, Mode.FLATTEN])
def test_a_person_who_pauses_between_reading_and_resuming_wins(app: App, clock: Hand, wanted: Mode) -> None:
    paused(app, clock)
    ran(app, clock)
    with meanwhile(app, clock, wanted):
        run = watched(app)
    assert not run.resumed
    assert run.notes == [f"{SCOPE} stays as it is: its mode was changed meanwhile."]
    assert mode(app) is wanted
    assert app.modes.of_scope(SCOPE, 1)[0].source == "operator"


def test_a_person_who_resumes_in_between_wins_too(app: App, clock: Hand) -> None:
    paused(app, clock)
    ran(app, clock)
    with meanwhile(app, clock, Mode.NORMAL):
        assert not watched(app).resumed
    assert app.modes.of_scope(SCOPE, 1)[0].source == "operator"


def test_a_pause_of_the_account_or_of_everything_is_not_its_to_end(app: App, clock: Hand) -> None:
    app.modes.set(ModeChange("global", Mode.SAFE_MODE, Mode.NORMAL, SOURCE, SOURCE, "x", iso(clock.now)))
    clock.now += 60 * MINUTE
    ran(app, clock)
    ran(app, clock)
    assert not watched(app).resumed
    assert app.modes.current()["global"] is Mode.SAFE_MODE


def test_without_allocated_capital_it_says_that_it_cannot_weigh(app: App) -> None:
    with looking(app, mismatch="9000") as looked:
        looked.members = tuple(replace(profile, allocated_capital=None) for profile in looked.members)
    assert mode(app) is Mode.NORMAL
    assert looked.runs["p1"].notes == ["no allocated capital is known, so that the watchdog cannot weigh the mismatch"]


@pytest.mark.parametrize(
    ("scope", "resumes"),
    [("symbol:p1:BTC/USD", True), ("symbol:p2:BTC/USD", True), (SCOPE, False), ("account:main", False)],
)
def test_an_incident_at_or_above_the_profile_keeps_its_pause(
    app: App, clock: Hand, sqlite_bot: Bot, scope: str, resumes: bool
) -> None:
    """What an incident contains inside of the profile stays contained on its own; no command loosens either."""
    paused(app, clock)
    values = {"scope": scope, "at": iso(clock.now)}
    sqlite_bot.db.run(
        "INSERT INTO incidents (incident_id, scope, status, opened_at, account, version)"
        " VALUES ('INC-1', :scope, 'classified', :at, 'main', 1)", values,
    )  # fmt: skip
    ran(app, clock)
    assert watched(app).resumed is resumes
    assert mode(app) is (Mode.NORMAL if resumes else Mode.SAFE_MODE)
    by_a_person(app, clock, Mode.HALT)
    if scope != "symbol:p2:BTC/USD":
        with pytest.raises(Refused, match="INC-1"):
            set_mode(app, "NORMAL", SCOPE, "in a hurry")
    else:
        set_mode(app, "NORMAL", SCOPE, "another profile's incident")
