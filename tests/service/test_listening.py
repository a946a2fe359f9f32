"""Live events: one process listens to an account, a new connection is a gap, and a broken stream stops nothing."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.ledger.bot import Bot

from trueup.core.errors import CannotKnow, ConfigurationError
from trueup.core.symbols import Symbols
from trueup.service import events, listening
from trueup.service.app import Account, App
from trueup.service.listening import ACCOUNT, SCOPE

DUE_LATER = 1_000_000_000


@dataclass(eq=False)
class FakeStream:
    """A stream that a test holds in its hand."""

    moved: Callable[[str, str], None]
    connected: Callable[[], None]
    problem: str = ""
    running: bool = False
    refuses: Exception | None = None

    def start(self) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.running = True
        self.connected()

    def stop(self) -> None:
        self.running = False


@dataclass(eq=False)
class FakeVenue:
    """A venue that streams, or not."""

    streams: bool = True
    refuses: list[Exception] = field(default_factory=list)
    made: list[FakeStream] = field(default_factory=list)

    def stream(self, moved: Callable[[str, str], None], connected: Callable[[], None]) -> FakeStream | None:
        if not self.streams:
            return None
        stream = FakeStream(moved, connected)
        self.made.append(stream)
        return stream

    @property
    def started(self) -> list[FakeStream]:
        return [stream for stream in self.made if stream.running]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_TRY_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(listening, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(listening, "_LOST_LOOK_SECONDS", 0.1)


def an_app(bot: Bot, **venues: Any) -> App:
    accounts = {name: Account(name, Symbols(), lambda venue=venue: venue) for name, venue in venues.items()}
    app = replace(bot.init(), accounts=accounts)
    app.leases.register([ACCOUNT + name for name in venues])
    for lease in app.leases.due(app.clock.now_ms(), 10, [ACCOUNT + name for name in venues]):
        app.leases.release(lease, app.clock.now_ms() + DUE_LATER)
    return app


def is_due(app: App, account: str) -> bool:
    found = {state.scope: state.next_run_ms for state in app.leases.states()}[ACCOUNT + account]
    return found is not None and found <= app.clock.now_ms()


def rest(app: App, account: str) -> None:
    for lease in app.leases.due(app.clock.now_ms(), 1, [ACCOUNT + account]):
        app.leases.release(lease, app.clock.now_ms() + DUE_LATER)
    assert not is_due(app, account)


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def heard() -> Iterator[list[tuple[str, Mapping[str, object]]]]:
    said: list[tuple[str, Mapping[str, object]]] = []
    with events.listening(lambda event, fields: said.append((event.name, fields))):
        yield said


def test_a_connection_and_an_event_make_the_account_due_and_wake_the_worker(sqlite_bot: Bot) -> None:
    venue, woken = FakeVenue(), threading.Event()
    app = an_app(sqlite_bot, main=venue)
    with listening.listening(app, ["main"], woken.set):
        until(lambda: is_due(app, "main"))
        assert woken.wait(5)
        rest(app, "main")
        woken.clear()
        venue.started[0].moved("AAPL", "o-1")
        until(lambda: is_due(app, "main"))
        assert woken.wait(5)
        rest(app, "main")
        venue.started[0].connected()  # it broke off and came back: what happened meanwhile was not told
        until(lambda: is_due(app, "main"))


def test_the_events_of_one_moment_wake_the_account_once(sqlite_bot: Bot) -> None:
    venue, woken = FakeVenue(), []
    app = an_app(sqlite_bot, main=venue)
    with listening.listening(app, ["main"], lambda: woken.append(1)):
        until(lambda: woken)
        woken.clear()
        for number in range(50):
            venue.started[0].moved("AAPL", f"o-{number}")
        until(lambda: woken)
        time.sleep(2 * listening.QUIET_SECONDS)
    assert len(woken) == 1


def test_one_process_listens_and_another_takes_over_when_it_ends(sqlite_bot: Bot) -> None:
    venue = FakeVenue()
    app = an_app(sqlite_bot, main=venue)
    first, second = (listening.listening(app, ["main"], lambda: None) for _ in range(2))
    with second:
        until(lambda: venue.started)
        with first:
            time.sleep(0.5)
            assert len(venue.started) == 1
    assert not venue.started
    with listening.listening(app, ["main"], lambda: None):
        until(lambda: venue.started)


def test_a_listener_whose_lease_was_taken_over_stops_listening(sqlite_bot: Bot) -> None:
    venue = FakeVenue()
    app = an_app(sqlite_bot, main=venue)
    with listening.listening(app, ["main"], lambda: None):
        until(lambda: venue.started)
        mine = venue.started[0]
        sqlite_bot.db.run(
            "UPDATE leases SET fence = fence + 1, owner = 'other', expires_at = :far WHERE scope = :scope",
            {"scope": f"{SCOPE}main", "far": app.clock.now_ms() + DUE_LATER},
        )
        until(lambda: not mine.running)
        time.sleep(0.3)
        assert not venue.started


def test_a_broken_stream_is_told_once_and_stops_nothing(sqlite_bot: Bot) -> None:
    venue = FakeVenue()
    app = an_app(sqlite_bot, main=venue)
    with heard() as said, listening.listening(app, ["main"], lambda: None):
        until(lambda: venue.started)
        venue.started[0].problem = "the connection was reset"
        until(lambda: any(name == "stream_closed" for name, _ in said))
        until(lambda: is_due(app, "main"))
        time.sleep(0.3)
        assert [fields["reason"] for name, fields in said if name == "stream_closed"] == ["the connection was reset"]
        rest(app, "main")
        venue.started[0].moved("AAPL", "o-1")
        until(lambda: is_due(app, "main"))


@pytest.mark.parametrize("error", [ConfigurationError("no secret", "set it"), RuntimeError("a defect")])
def test_a_stream_that_cannot_be_started_is_told_and_tried_again(sqlite_bot: Bot, error: Exception) -> None:
    venue = FakeVenue()
    made = venue.stream

    def stream(moved: Callable[[str, str], None], connected: Callable[[], None]) -> FakeStream | None:
        found = made(moved, connected)
        assert found is not None
        found.refuses = error if len(venue.made) < 4 else None
        return found

    venue.stream = stream  # type: ignore[method-assign]  # the first ones refuse
    app = an_app(sqlite_bot, main=venue)
    with heard() as said, listening.listening(app, ["main"], lambda: None):
        until(lambda: venue.started)
    told = [str(fields["reason"]) for name, fields in said if name == "stream_closed"]
    assert told
    assert all(("no secret" if isinstance(error, ConfigurationError) else "a defect") in reason for reason in told)


def test_a_venue_without_a_stream_and_one_that_cannot_be_built_are_left_to_the_cycle(sqlite_bot: Bot) -> None:
    class Broken:
        def stream(self, *_: object) -> None:
            raise CannotKnow("the markets could not be read")

    app = an_app(sqlite_bot, quiet=FakeVenue(streams=False), broken=Broken(), main=FakeVenue())
    before = threading.active_count()
    with listening.listening(app, ["quiet", "broken"], lambda: None):
        assert threading.active_count() == before


def test_it_ends_at_once_and_closes_its_streams(sqlite_bot: Bot) -> None:
    venue, other = FakeVenue(), FakeVenue()
    app = an_app(sqlite_bot, main=venue, second=other)
    with listening.listening(app, ["main", "second"], lambda: None):
        until(lambda: venue.started and other.started)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert not venue.started
    assert not other.started
    held = [state.owner for state in app.leases.states() if state.scope.startswith(SCOPE)]
    assert held == [None, None]
