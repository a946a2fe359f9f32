"""A process killed at any statement of apply, revert or reapply loses and doubles nothing; the next one ends the job.

Every boundary of every operation is tried, on both databases.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.worlds import BOOKED, Crashes, World, killed_everywhere
from tests.ledger.bot import a_bot

from trueup.service.undo import reapply, revert

pytestmark = pytest.mark.usefixtures("still")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, quick_folder: Path) -> Iterator[World]:
    in_memory = f"sqlite:///{quick_folder / 'ledger.db'}"
    url = in_memory if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with a_bot(quick_folder, url) as bot:
        made = World(bot)
        yield made
        made.close()


def test_apply_killed_at_every_boundary(world: World, crashes: Crashes) -> None:
    world.keep()
    before = world.books()
    world.apply()
    after = world.books()
    for place in killed_everywhere(world, crashes, what="apply"):
        booked = world.booked()
        assert len(booked) in (0, BOOKED), place
        assert world.books() == (after if booked else before), place
        assert world.audited("APPLIED") == dict.fromkeys(booked, 1), place
        interrupted = set(world.audited("PENDING_APPLY")) - booked

        told = world.apply()["interrupted"]
        assert sum(batch["rows"] for batch in told) == len(interrupted), place
        assert world.books() == after, place
        assert world.audited("APPLIED") == dict.fromkeys(world.booked(), 1), place
        assert world.audited("INTERRUPTED") == dict.fromkeys(interrupted, 1), place
        assert world.app.journal.interrupted(["p1"]) == [], place


@pytest.mark.parametrize("what", ["revert", "reapply"])
def test_revert_and_reapply_killed_at_every_boundary(world: World, crashes: Crashes, what: str) -> None:
    world.apply()
    batch = world.batch
    act, decision, status = (revert, "REVERTED", "canceled") if what == "revert" else (reapply, "REAPPLIED", "filled")
    if what == "reapply":
        revert(world.app, batch, "first")
    world.keep()
    before = world.books()
    act(world.app, batch, "crash test")
    after = world.books()
    for place in killed_everywhere(world, crashes, what=what, batch=batch):
        done = world.booked(status)
        assert world.books() == (after if done else before), place
        assert world.audited(decision) == dict.fromkeys(done, 1), place

        again = act(world.app, batch, "again")
        assert (len(again.changed), len(again.unchanged)) == ((0, BOOKED) if done else (BOOKED, 0)), place
        assert world.books() == after, place
        assert world.audited(decision) == dict.fromkeys(world.booked(status), 1), place
