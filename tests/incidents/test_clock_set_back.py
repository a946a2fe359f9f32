"""A clock is set back by seconds in the middle of an incident: nothing is missed, and nothing comes undone."""

import time
from pathlib import Path

import pytest
from tests.incidents import test_evidence as evidence
from tests.incidents import test_mode_drills as drills
from tests.incidents.drill import Drill
from tests.incidents.wire import wired

from trueup.core.modes import Mode

SECOND = 1_000_000_000


@pytest.fixture(params=[25, 40, 80, 110])
def setting_back(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock back by two seconds at one of the looks at it."""
    true_time, looks = time.time_ns, iter(range(10**9))
    monkeypatch.setattr(time, "time_ns", lambda: true_time() - 2 * SECOND * (next(looks) >= request.param))


@pytest.mark.usefixtures("setting_back")
def test_a_broken_audit_is_seen(tmp_path: Path) -> None:
    bot = Drill(tmp_path)
    evidence.test_an_audit_that_is_broken_since_the_run_before_is_not_trusted(bot, evidence.TAMPERED[1])
    bot.app.close()


@pytest.mark.usefixtures("setting_back")
def test_a_drill_comes_to_its_end(tmp_path: Path) -> None:
    with wired(tmp_path, allow=True) as bot:
        repair = drills.booked_twice(bot)
        assert bot.run() == "MISMATCH"
        assert bot.mode() is Mode.CLOSE_ONLY
        drills.finish(bot, repair, Mode.CLOSE_ONLY)
