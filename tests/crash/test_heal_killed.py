"""A process killed at any statement of a heal, or of taking it back, leaves nothing or all; the next run says which.

Every boundary is tried on both databases; and Postgres itself is killed in the middle.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.worlds import HEALED, UNHEALED, Crashes, World, killed_everywhere
from tests.ledger.bot import a_bot
from tests.ledger.healing import RUN, heal_run
from tests.postgres import Postgres

from trueup.service.undo import reapply, revert

pytestmark = pytest.mark.usefixtures("still")

BEFORE = {"w1": "new", "w2": "new"}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, quick_folder: Path) -> Iterator[World]:
    in_memory = f"sqlite:///{quick_folder / 'ledger.db'}"
    url = in_memory if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with a_bot(quick_folder, url) as bot:
        made = World(bot)
        bot.db.orders(*UNHEALED)
        yield made
        made.close()


def test_a_heal_killed_at_every_boundary(world: World, crashes: Crashes) -> None:
    world.keep()
    before = world.books()
    heal_run(world.app, RUN)
    after = world.books()
    assert world.healed() == HEALED
    for place in killed_everywhere(world, crashes, what="heal", run=RUN):
        done = world.healed() != BEFORE
        assert world.books() == (after if done else before), place
        assert world.audited("HEALED") == (dict.fromkeys(HEALED, 1) if done else {}), place
        announced = world.audited("PENDING_HEAL")
        assert announced in ({}, dict.fromkeys(HEALED, 1)), place
        assert announced or not done, place
        left = {found["backfill_order_id"] for found in world.app.journal.interrupted(["p1"])}
        assert left == (set() if done else set(announced)), place

        heal_run(world.app, "RUN-2")
        assert world.books() == after, place
        assert world.audited("HEALED") == dict.fromkeys(HEALED, 1), place
        assert world.audited("INTERRUPTED") == dict.fromkeys(left, 1), place
        assert world.app.journal.interrupted(["p1"]) == [], place


@pytest.mark.parametrize("what", ["revert", "reapply"])
def test_taking_heals_back_and_putting_them_in_force_killed_at_every_boundary(
    world: World,
    crashes: Crashes,
    what: str,
) -> None:
    heal_run(world.app, RUN)
    act, decision = (revert, "REVERTED") if what == "revert" else (reapply, "REAPPLIED")
    if what == "reapply":
        revert(world.app, RUN, "first")
    world.keep()
    before = world.books()
    act(world.app, RUN, "crash test")
    after = world.books()
    for place in killed_everywhere(world, crashes, what=what, batch=RUN):
        done = world.books() == after
        assert done or world.books() == before, place
        assert world.audited(decision) == (dict.fromkeys(HEALED, 1) if done else {}), place
        again = act(world.app, RUN, "again")
        assert len(again.changed) == (0 if done else len(HEALED)), place
        assert world.books() == after, place
        assert world.audited(decision) == dict.fromkeys(HEALED, 1), place


PLACES = ("before UPDATE orders", "before INSERT INTO orders", "before INSERT INTO reconciliation_backfill_audit",
          "before COMMIT", "at the end")  # fmt: skip


@pytest.mark.postgres
@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL], ids=["SIGQUIT", "SIGKILL"])
def test_a_killed_server_keeps_nothing_or_all_of_a_heal(
    durable: Postgres,
    tmp_path: Path,
    how: signal.Signals,
) -> None:
    crashes = Crashes()
    with durable.fresh_database() as url, a_bot(tmp_path, url) as bot:
        world = World(bot)
        bot.db.orders(*UNHEALED)
        request = {"config": str(world.config), "what": "heal", "run": RUN}
        world.keep()
        before = world.books()
        passed = crashes.ask(**request)["boundaries"]
        after = world.books()
        first = next(n for n, what in enumerate(passed) if what.startswith("before UPDATE orders"))
        for place in PLACES:
            world.restore()
            world.close()
            at = next(n for n, what in enumerate(passed, 1) if n > first and what.startswith(place))
            answer = crashes.ask(**request, die_at=at, victim=durable.process.pid, signal=how)
            durable.kill()
            assert not answer["killed"]
            assert answer.get("error", "CannotKnow").startswith("CannotKnow"), answer
            durable.start()

            done = world.healed() != BEFORE
            assert world.books() == (after if done else before), place
            assert done or place != "at the end"
            left = {found["backfill_order_id"] for found in world.app.journal.interrupted(["p1"])}
            assert left == (set() if done else set(HEALED)), place
            heal_run(world.app, "RUN-2")
            assert world.books() == after, place
            assert world.audited("HEALED") == dict.fromkeys(HEALED, 1), place
            assert world.audited("INTERRUPTED") == dict.fromkeys(left, 1), place
        world.close()
    crashes.end()
