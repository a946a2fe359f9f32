"""What looks make of an incident: what is remembered, what counts, what escalates."""

from dataclasses import replace
from decimal import Decimal

import pytest

from trueup.core.incidents.classes import BreakFacts, Pattern
from trueup.core.incidents.incident import EndCanary, Incident, Plan, Running, Stage, Step, Tighten
from trueup.core.incidents.policy import IncidentPolicy
from trueup.core.incidents.steps import Look, opened, seen
from trueup.core.incidents.written import detail_of, incident_of
from trueup.core.modes import Mode

RULES = IncidentPolicy()
MINUTE = 60_000
GHOST = BreakFacts(
    "B1", "ghost_position", "p1", "BTC/USD", "BTCUSD", Decimal(1), Decimal(0), Decimal(100), settled=True
)
ETH = replace(GHOST, break_id="B2", symbol="ETH/USD", token="ETHUSD")


def look(*left: BreakFacts, at: int = MINUTE, **said: object) -> Look:
    return replace(Look("main", at, (f"RUN-{at}",), tuple(left)), **said)


def began(*left: BreakFacts, **said: object) -> Incident:
    return opened(look(*(left or (GHOST,)), **said), "INC-1", RULES).incident


def after(incident: Incident, *looks: Look, rules: IncidentPolicy = RULES) -> Incident:
    for each in looks:
        incident = seen(incident, each, rules).incident
    return incident


def test_the_first_mismatch_is_contained_and_classified_at_once() -> None:
    move = opened(look(GHOST), "INC-1", RULES)
    assert move.incident.step is Step.CLASSIFIED
    assert move.acts == (Tighten("symbol:p1:BTC/USD", Mode.SAFE_MODE, move.acts[0].why),)  # type: ignore[union-attr]  # it is one
    assert [entry.what.partition(":")[0].partition(" ")[0] for entry in move.entries] == [
        "opened",
        "contained",
        "classified",
    ]


def test_only_observed_nothing_is_tightened_and_it_is_said() -> None:
    move = opened(look(GHOST), "INC-1", replace(RULES, enforce=False))
    assert move.acts == ()
    assert "would be contained; only observed: symbol:p1:BTC/USD in SAFE_MODE" in [entry.what for entry in move.entries]
    assert seen(move.incident, look(GHOST, at=2 * MINUTE), replace(RULES, enforce=False)).entries == ()


def test_what_told_a_graver_class_is_not_forgotten_when_its_row_was_mended() -> None:
    incident = began(replace(GHOST, reversed=True))
    gone = replace(GHOST, caught_up=True)
    verdict = after(incident, look(over=(gone,), at=2 * MINUTE)).verdict
    assert verdict is not None
    assert verdict.primary is Pattern.OUT_OF_ORDER


def test_what_ends_while_somebody_repairs_did_not_go_away_by_itself() -> None:
    gone = replace(GHOST, caught_up=True)
    by_itself = after(began(), look(over=(gone,), at=2 * MINUTE)).verdict
    repaired = after(replace(began(), step=Step.REPAIRING), look(over=(gone,), at=2 * MINUTE)).verdict
    assert by_itself is not None
    assert repaired is not None
    assert (by_itself.primary, repaired.primary) == (Pattern.DELAY, Pattern.MISSING)


def test_a_look_at_an_old_reading_or_an_incomplete_one_confirms_nothing() -> None:
    incident = after(began(), look(at=2 * MINUTE))
    assert (incident.step, incident.clean_runs) == (Step.CONFIRMING, 1)
    assert after(incident, look(at=3 * MINUTE, as_of_ms=2 * MINUTE)).clean_runs == 1
    assert after(incident, look(at=3 * MINUTE, complete=False)).clean_runs == 1
    assert after(incident, look(at=3 * MINUTE)).clean_runs == 2
    assert after(incident, look(at=3 * MINUTE, alerts=("venue_unreadable",))).clean_runs == 0
    assert after(incident, look(GHOST, at=3 * MINUTE)).clean_runs == 0


def test_a_second_symbol_or_profile_widens_it_and_nothing_narrows_it() -> None:
    incident = began()
    wider = seen(incident, look(GHOST, ETH, at=2 * MINUTE), RULES)
    assert wider.incident.scope == "profile:p1"
    assert [act.scope for act in wider.acts if isinstance(act, Tighten)] == ["profile:p1"]
    assert after(wider.incident, look(ETH, at=3 * MINUTE)).scope == "profile:p1"
    assert after(incident, look(replace(GHOST, profile_id="p2"), at=2 * MINUTE)).scope == "account:main"
    assert after(wider.incident, look(replace(GHOST, profile_id="p2"), at=3 * MINUTE)).scope == "account:main"


@pytest.mark.parametrize(("may", "mode"), [(True, Mode.FLATTEN), (False, Mode.HALT)])
def test_what_comes_back_twice_is_not_trusted(may: bool, mode: Mode) -> None:
    incident = began()
    for turn in range(RULES.persisting):
        incident = after(incident, look(at=(2 * turn + 2) * MINUTE))
        move = seen(incident, look(GHOST, at=(2 * turn + 3) * MINUTE, may_flatten=may), RULES)
        incident = move.incident
    assert incident.returns == 2
    assert [act.mode for act in move.acts if isinstance(act, Tighten)] == [mode]
    assert "came back 2 times" in incident.untrusted


def test_what_grows_is_not_trusted_and_what_is_not_known_does_not_grow() -> None:
    def grows(*notionals: str | None) -> str:
        incident = began(replace(GHOST, notional=None))
        for at, each in enumerate(notionals, 2):
            notional = Decimal(each) if each is not None else None
            incident = after(incident, look(replace(GHOST, notional=notional), at=at * MINUTE))
        return incident.untrusted

    assert grows("1", "2", "3", "4") == "it grew in 3 runs in a row"
    assert grows("1", "2", "3") == ""
    assert grows("1", "2", "2", "3") == ""
    assert grows("1", None, "2", "3", "4") == ""


def test_a_broken_audit_is_not_trusted() -> None:
    assert began(audit_broken=True).untrusted == "the audit is broken"


CANARY = Running("CAN-1", 1, 3 * MINUTE, 33 * MINUTE)
STAGE = Stage("p1", ("BTC/USD",), Decimal(500), 30 * MINUTE)


def canary() -> Incident:
    return replace(began(), step=Step.CANARY, running=CANARY, plan=Plan((STAGE,), "ann", MINUTE))


@pytest.mark.parametrize(
    "trouble",
    [
        look(GHOST, at=4 * MINUTE, exposure=Decimal(1)), look(at=4 * MINUTE, exposure=Decimal("500.01")),
        look(at=4 * MINUTE, exposure=None), look(at=4 * MINUTE, exposure=Decimal(1), alerts=("x",)),
        look(at=4 * MINUTE, exposure=Decimal(1), healthy=False), look(at=33 * MINUTE, exposure=Decimal(1)),
        look(at=33 * MINUTE, complete=False),
    ],
)  # fmt: skip
def test_any_trouble_ends_a_canary_in_the_look_that_sees_it(trouble: Look) -> None:
    move = seen(canary(), trouble, RULES)
    assert [act.canary_id for act in move.acts if isinstance(act, EndCanary)] == ["CAN-1"]
    assert (move.incident.running, move.incident.plan) == (None, None)
    assert move.incident.step in (Step.CLASSIFIED, Step.CONFIRMING)


def test_a_quiet_canary_goes_on_and_passes_after_its_runs() -> None:
    incident = canary()
    for turn in range(RULES.canary_runs):
        assert incident.running is not None
        assert not incident.running.passed
        incident = after(incident, look(at=(4 + turn) * MINUTE, exposure=Decimal(500)))
    assert incident.running is not None
    assert (incident.running.passed, incident.running.exposure) == (True, Decimal(500))
    held = after(incident, look(at=9 * MINUTE, complete=False))
    assert held == incident


def test_an_incident_is_read_back_as_it_was_written() -> None:
    for incident in (began(), canary(), after(began(), look(at=2 * MINUTE)), began(GHOST, ETH)):
        times = incident.opened_ms, incident.closed_ms
        written = detail_of(incident)
        again = incident_of(incident.incident_id, incident.account, incident.scope, incident.step, times, written)
        assert again == incident
