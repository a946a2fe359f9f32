"""A canary's limit is never exceeded, whenever its orders were granted, sent, read or filled."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.incidents.drill import Drill
from tests.incidents.test_drills import delay

from trueup.core.errors import Refused
from trueup.core.incidents.incident import Step
from trueup.service.gate import ask
from trueup.service.leading import propose_canary, show_incident, sign_off


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    """A canary of 500 for Bitcoin, of which 100 are held."""
    made = Drill(tmp_path)
    repair = delay(made)
    made.run()
    repair()
    for _ in range(2):
        made.run()
    propose_canary(replace(made.app, actor="ann"), None, ["p1:BTC/USD:500:30", "p1:*:600:30"], "the books agree")
    sign_off(replace(made.app, actor="ben"), None, "read it")
    yield made
    made.app.close()


def allowed(drill: Drill, notional: int, name: str) -> bool:
    return ask(drill.app, "p1", "BTC/USD", "open", Decimal(notional), name).allowed


def aged(drill: Drill, seconds: int) -> None:
    """Let so much time pass: what was granted, and what was measured, is so many seconds older."""
    drill.write(f"UPDATE canary_grants SET granted_at = granted_at - {seconds * 1000}")
    drill.write(f"UPDATE canaries SET measured_at = measured_at - {seconds * 1000}")


def read_now(drill: Drill, ahead_s: float = 0) -> None:
    """Let the loop look at a reading of this moment, by a venue whose clock is so far ahead."""
    assert drill.run(drill.app.clock.now_ms() + round(ahead_s * 1000)).status == "OK"
    assert show_incident(drill.app).incident.step is Step.CANARY


@pytest.mark.parametrize("ahead_s", [-3600, -2, 0, 2, 3600])
def test_what_was_granted_around_the_reading_counts_on_whatever_clock_the_venue_has(
    drill: Drill, ahead_s: float
) -> None:
    assert allowed(drill, 300, "A")
    read_now(drill, ahead_s)
    assert not allowed(drill, 101, "B"), "the order of A may not have been sent when the venue was read"
    assert allowed(drill, 100, "B")


def test_a_grant_stops_counting_when_a_reading_would_show_its_order(drill: Drill) -> None:
    rules = drill.app.safety.deadman
    whole_s = (rules.lease_ms + rules.timeout_ms) // 1000
    assert allowed(drill, 300, "A")
    aged(drill, whole_s - 5)
    read_now(drill)
    assert not allowed(drill, 101, "B")
    aged(drill, 6)
    assert not allowed(drill, 101, "B"), "no reading was taken since"
    read_now(drill)
    assert allowed(drill, 400, "B"), "the order of A was never sent"


def test_a_granted_order_that_works_counts_until_it_is_filled_or_gone(drill: Drill) -> None:
    assert allowed(drill, 300, "A")
    aged(drill, 3600)
    drill.row("o2", "buy", "3", minute=100, order="x2", trade="TRD-2", status="new")
    working = drill.order("x2", "buy", "0", minute=100, client_order_id="bytelyst-p1-TRD-2-entry", status="new")
    read_now(drill)
    assert not allowed(drill, 101, "B"), "the order of A may fill at any time"
    assert allowed(drill, 100, "B")
    aged(drill, 3600)
    working |= {"status": "filled", "filled_qty": "3"}
    drill.held("4")
    drill.write("UPDATE orders SET status = 'filled' WHERE order_id = 'o2'")
    read_now(drill)
    assert not allowed(drill, 101, "C"), "it is held now"
    assert allowed(drill, 100, "C")


def test_a_working_order_without_a_price_holds_the_count_and_the_grants(drill: Drill) -> None:
    assert allowed(drill, 300, "A")
    aged(drill, 3600)
    drill.said["positions"][0].pop("mark_price")
    drill.row("o2", "buy", "3", minute=100, order="x2", trade="TRD-2", status="new")
    drill.write("UPDATE orders SET price = NULL WHERE order_id = 'o2'")
    drill.order("x2", "buy", "0", minute=100, client_order_id="bytelyst-p1-TRD-2-entry", status="new")
    drill.run(drill.app.clock.now_ms())
    incident = show_incident(drill.app).incident
    assert incident.running is not None
    assert (incident.step, incident.running.clean_runs) == (Step.CANARY, 0)
    assert not allowed(drill, 101, "B")


def test_a_reading_without_open_orders_covers_nothing(drill: Drill) -> None:
    assert allowed(drill, 300, "A")
    aged(drill, 3600)
    del drill.said["open_orders"]
    drill.run(drill.app.clock.now_ms())
    assert not allowed(drill, 101, "B")


def test_what_an_earlier_stage_granted_counts_in_the_next_one(drill: Drill) -> None:
    assert allowed(drill, 400, "A")
    read_now(drill)
    sign_off(replace(drill.app, actor="ben"), None, "stage 1 was clean")
    assert not allowed(drill, 101, "B"), "100 are held, and 400 may be on their way"
    assert allowed(drill, 100, "B")
    aged(drill, 3600)
    read_now(drill)
    assert allowed(drill, 500, "C")


def test_a_stage_that_is_signed_off_counts_what_works_already(drill: Drill) -> None:
    read_now(drill)
    drill.row("o2", "buy", "3", minute=100, order="x2", trade="TRD-2", status="new")
    running: Any = sign_off(replace(drill.app, actor="ben"), None, "stage 1 was clean").incident.running
    assert running.exposure == 400
    assert not allowed(drill, 201, "A")


@pytest.mark.parametrize("name", ["ANN", " ann", "api:ann", "api:Ann"])
def test_nobody_signs_their_own_off_by_another_door_or_spelling(drill: Drill, name: str) -> None:
    read_now(drill)
    with pytest.raises(Refused, match="cannot sign it off"):
        sign_off(replace(drill.app, actor=name), None, "my own")
