"""A look is taken in anew where a person changed the incident meanwhile, and not where the lease was lost."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.ledger.bot import Bot

from trueup.core.errors import Refused
from trueup.core.incidents.classes import BreakFacts
from trueup.core.incidents.incident import Incident, Step
from trueup.core.incidents.steps import Look
from trueup.service.incidents import lead
from trueup.service.leading import start_repair

GHOST = BreakFacts("B1", "ghost_position", "p1", "BTC/USD", "BTCUSD", Decimal(1), Decimal(0), Decimal(100), True)


def test_what_a_person_did_meanwhile_counts(bot: Bot) -> None:
    app = bot.init()
    looks: list[Step | None] = []

    def look(known: Incident | None) -> Look:
        looks.append(known.step if known is not None else None)
        if looks == [Step.CLASSIFIED]:
            start_repair(replace(app, actor="ann"), None, "at the same moment")
        return Look("main", app.clock.now_ms(), ("RUN-2",), (GHOST, replace(GHOST, break_id="B2")))

    lead(app, "main", lambda _: Look("main", app.clock.now_ms(), ("RUN-1",), (GHOST,)))
    found = lead(app, "main", look)
    assert looks == [Step.CLASSIFIED, Step.REPAIRING]
    assert found is not None
    assert (found.step, sorted(found.breaks)) == (Step.REPAIRING, ["B1", "B2"])


def test_who_lost_the_lease_looks_no_further(bot: Bot) -> None:
    app = bot.init()
    looks = 0

    def look(_: Incident | None) -> Look:
        nonlocal looks
        looks += 1
        return Look("main", app.clock.now_ms(), ("RUN-1",), (GHOST,))

    with app.leases.hold("account:main", 0) as lease:
        assert lease is not None
        with pytest.raises(Refused, match="taken over"):
            lead(app, "main", look, replace(lease, fence=lease.fence - 1))
    assert looks == 1
    assert app.incidents.open_in("main") is None
