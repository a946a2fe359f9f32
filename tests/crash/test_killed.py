"""A process killed at any statement of apply, revert or reapply loses nothing and doubles nothing; the next one ends it.

Every boundary of every operation is tried, on both databases.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.crash.worlds import BOOKED, Crashes, World
from tests.ledger.bot import a_bot, close

from trueup.service.undo import reapply, revert


@pytest.fixture(scope="module")
def crashes() -> Iterator[Crashes]:
    forks = Crashes()
    yield forks
    forks.end()


@pytest.fixture
def world(tmp_path: Path, ledger_url: str) -> Iterator[World]:
    with a_bot(tmp_path, ledger_url) as bot:
        yield World(bot)


def killed_everywhere(world: World, crashes: Crashes, **request: Any) -> Iterator[str]:
    """Yield what stood at each boundary, with the database as the killed process left it."""
    world.keep()
    whole = crashes.ask(config=str(world.config), **request)
    assert "error" not in whole, whole
    assert len(whole["boundaries"]) > 20
    for place, what in enumerate(whole["boundaries"], 1):
        world.restore()
        assert crashes.ask(config=str(world.config), die_at=place, **request) == {"killed": True}
        yield f"boundary {place} of {len(whole['boundaries'])}: {what}"


def test_apply_killed_at_every_boundary(world: World, crashes: Crashes) -> None:
    before = world.books()
    world.keep()
    world.apply()
    after = world.books()
    world.restore()
    for place in killed_everywhere(world, crashes, what="apply"):
        app = world.app()
        booked = {profile: world.orders_of(profile) for profile in BOOKED}
        for profile, count in BOOKED.items():
            assert len(booked[profile]) in (0, count), place
        everything = set.union(*booked.values())
        assert world.audited(app, "APPLIED") == dict.fromkeys(everything, 1), place
        if not everything:
            assert world.books() == before, place
        pending = set(world.audited(app, "PENDING_APPLY")) - everything
        report = world.apply()
        told = sum(batch["rows"] for entry in report["profiles"] for batch in entry["interrupted"])
        assert told == len(pending), place
        assert world.books() == after, place
        assert world.audited(app, "APPLIED") == dict.fromkeys(
            set.union(*(world.orders_of(profile) for profile in BOOKED)), 1
        ), place
        assert set(world.audited(app, "INTERRUPTED")) == pending, place
        assert app.journal.interrupted(list(BOOKED)) == [], place
        close(app)


def test_revert_killed_at_every_boundary(world: World, crashes: Crashes) -> None:
    world.apply()
    before = world.books()
    batch = world.batch_of("p1")
    world.keep()
    crashes.ask(config=str(world.config), what="revert", batch=batch)
    after = world.books()
    world.restore()
    for place in killed_everywhere(world, crashes, what="revert", batch=batch):
        app = world.app()
        done = world.orders_of("p1", "canceled")
        assert world.books() == (after if done else before), place
        assert world.audited(app, "REVERTED") == dict.fromkeys(done, 1), place
        undone = revert(app, batch, "again")
        assert (len(undone.changed), len(undone.unchanged)) == ((0, 4) if done else (4, 0)), place
        assert world.books() == after, place
        assert world.audited(app, "REVERTED") == dict.fromkeys(world.orders_of("p1", "canceled"), 1), place
        close(app)


def test_reapply_killed_at_every_boundary(world: World, crashes: Crashes) -> None:
    world.apply()
    after = world.books()
    batch = world.batch_of("p1")
    crashes.ask(config=str(world.config), what="revert", batch=batch)
    before = world.books()
    for place in killed_everywhere(world, crashes, what="reapply", batch=batch):
        app = world.app()
        done = world.orders_of("p1")
        assert world.books() == (after if done else before), place
        assert world.audited(app, "REAPPLIED") == dict.fromkeys(done, 1), place
        again = reapply(app, batch, "again")
        assert (len(again.changed), len(again.unchanged)) == ((0, 4) if done else (4, 0)), place
        assert world.books() == after, place
        assert world.audited(app, "REAPPLIED") == dict.fromkeys(world.orders_of("p1"), 1), place
        close(app)
