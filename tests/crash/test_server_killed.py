"""Postgres itself killed in the middle of an apply: it comes back with nothing or all of the repair, and the next run
ends the job."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.worlds import BOOKED, Crashes, World
from tests.ledger.bot import a_bot
from tests.postgres import Postgres

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("still")]

PLACES = (
    "before INSERT INTO reconciliation_backfill_audit",
    "before INSERT INTO orders",
    "before INSERT INTO positions",
    "before INSERT INTO reconciliation_backfill_audit 2",
    "before COMMIT of the repair",
    "after COMMIT of the repair",
)


@pytest.fixture
def world(durable: Postgres, tmp_path: Path) -> Iterator[World]:
    with durable.fresh_database() as url, a_bot(tmp_path, url) as bot:
        made = World(bot)
        yield made
        made.close()


def boundary(passed: list[str], place: str) -> int:
    """The number of the boundary that a place means."""
    audits = [n for n, what in enumerate(passed, 1) if what.startswith("before INSERT INTO reconciliation_backfill")]
    if place.endswith("2"):
        return audits[1]
    if "of the repair" in place:
        commit = passed.index("before COMMIT", audits[1]) + 1
        return commit if place.startswith("before") else commit + 1
    return next(n for n, what in enumerate(passed, 1) if what.startswith(place))


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL], ids=["SIGQUIT", "SIGKILL"])
def test_a_killed_server_keeps_nothing_or_all_of_a_repair(durable: Postgres, world: World, how: signal.Signals) -> None:
    crashes = Crashes()
    request = {"config": str(world.config), "what": "apply"}
    world.keep()
    before = world.books()
    passed = crashes.ask(**request)["boundaries"]
    after = world.books()
    for place in PLACES:
        world.restore()
        world.close()
        answer = crashes.ask(**request, die_at=boundary(passed, place), victim=durable.process.pid, signal=how)
        durable.kill()
        assert not answer["killed"]
        assert answer.get("error", "CannotKnow").startswith("CannotKnow"), answer
        durable.start()

        booked = world.booked()
        assert len(booked) in (0, BOOKED), place
        assert world.books() == (after if booked else before), place
        assert bool(booked) or not place.startswith("after COMMIT")
        assert world.audited("APPLIED") == dict.fromkeys(booked, 1), place
        world.apply()
        assert world.books() == after, place
        assert world.audited("APPLIED") == dict.fromkeys(world.booked(), 1), place
        assert world.app.journal.interrupted(["p1"]) == [], place
    crashes.end()
