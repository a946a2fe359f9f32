"""The gate's decision: Invariant 10 (Tighten freely, loosen only through gates), and leases that end in time."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.core.errors import ConfigurationError
from trueup.core.gate import (
    Beat,
    CanaryLimit,
    DeadmanRules,
    GateAnswer,
    GateFacts,
    Intent,
    Question,
    StandingMode,
    decide,
    posture,
    read_intent,
    scopes_of_symbol,
)
from trueup.core.modes import Mode
from trueup.core.symbols import Symbols

NOW = 1_000_000
PATH = ("global", "account:a", "profile:p", "symbol:p:BTC/USD")
RULES = DeadmanRules(timeout_ms=90_000, action=Mode.SAFE_MODE, recovery_beats=3, lease_ms=5_000)


def question(intent: Intent = Intent.OPEN, notional: str | None = "10", **more: object) -> Question:
    amount = Decimal(notional) if notional is not None else None
    return Question(**{"profile_id": "p", "symbol": "BTC/USD", "token": "BTCUSD", "intent": intent, "notional": amount,
                       **more})  # fmt: skip


def facts(modes: dict[str, Mode] | None = None, *beats: Beat, canary: CanaryLimit | None = None) -> GateFacts:
    standing = {scope: StandingMode(mode, number) for number, (scope, mode) in enumerate((modes or {}).items(), 1)}
    return GateFacts(PATH, standing, beats, canary, NOW)


def limit(**more: object) -> CanaryLimit:
    return CanaryLimit(**{
        "canary_id": "CAN-1", "incident_id": "INC-1", "profile_id": "p", "tokens": None, "limit": Decimal(100),
        "used": Decimal(0), "until_ms": NOW + 60_000, "lifts": {"global": 1}, **more,
    })  # fmt: skip


modes = st.dictionaries(st.sampled_from(PATH), st.sampled_from(Mode))
beats = st.lists(
    st.builds(
        Beat,
        scope=st.sampled_from(["account:a", "bot:p"]),
        healthy_ms=st.integers(NOW - 200_000, NOW + 200_000),
        recovering=st.booleans(),
        streak=st.integers(0, 3),
    ),
    max_size=2,
    unique_by=lambda beat: beat.scope,
)
canaries = st.none() | st.builds(
    limit,
    profile_id=st.sampled_from(["p", "p", "p", "other"]),
    tokens=st.sampled_from([None, None, frozenset({"BTCUSD"}), frozenset({"ETHUSD"})]),
    used=st.integers(0, 120).map(Decimal),
    until_ms=st.integers(NOW - 2, NOW + 10_000),
    lifts=st.dictionaries(st.sampled_from(PATH), st.integers(1, 4)),
)
worlds = st.builds(lambda modes, beats, canary: facts(modes, *beats, canary=canary), modes, beats, canaries)
questions = st.builds(
    question,
    intent=st.sampled_from(Intent),
    notional=st.sampled_from([None, "0", "10", "100", "101"]),
)
rules = st.builds(
    DeadmanRules,
    timeout_ms=st.sampled_from([1, 90_000]),
    action=st.sampled_from([Mode.SAFE_MODE, Mode.FLATTEN, Mode.HALT]),
    lease_ms=st.sampled_from([0, 5_000, 60_000]),
)


@given(worlds, questions, rules, st.data())
def test_invariant_10_no_stricter_world_ever_allows_more(
    world: GateFacts, asked: Question, given_rules: DeadmanRules, data: st.DataObject
) -> None:
    scope = data.draw(st.sampled_from(PATH))
    before = world.modes.get(scope, StandingMode(Mode.NORMAL, 0))
    tighter = StandingMode(data.draw(st.sampled_from([mode for mode in Mode if mode >= before.mode])), 99)
    stricter = data.draw(
        st.sampled_from(
            [
                replace(world, modes={**world.modes, scope: tighter}),
                replace(world, beats=tuple(replace(beat, recovering=True) for beat in world.beats)),
                replace(world, beats=(*world.beats, Beat("bot:p", NOW - 90_001))),
                replace(world, canary=None),
                replace(world, barred="disabled"),
                *([replace(world, canary=replace(world.canary, used=world.canary.used + 1))] if world.canary else []),
                *([replace(world, canary=replace(world.canary, lifts={}))] if world.canary else []),
            ]
        )
    )
    assert not (decide(asked, stricter, given_rules).allowed and not decide(asked, world, given_rules).allowed)


@given(worlds, questions, rules)
def test_the_lease_outlives_neither_a_heartbeat_nor_a_canary(
    world: GateFacts, asked: Question, given_rules: DeadmanRules
) -> None:
    answer = decide(asked, world, given_rules)
    assert NOW <= answer.until_ms <= NOW + given_rules.lease_ms
    assert answer.lease_ms == answer.until_ms - NOW
    if answer.allowed:
        for later in {NOW, max(answer.until_ms - 1, NOW)}:
            again = decide(asked, replace(world, now_ms=later), given_rules)
            assert again.allowed, "what held at the question holds to the last moment of the lease"


@given(worlds, questions, rules)
def test_an_answer_says_what_it_follows_from(world: GateFacts, asked: Question, given_rules: DeadmanRules) -> None:
    answer = decide(asked, world, given_rules)
    assert bool(answer) is answer.allowed
    assert answer.reason
    held = posture(world.modes, world.path, world.beats, NOW, given_rules)
    if answer.canary_id is None:
        assert (answer.mode, answer.because_of) == (held.mode, held.because_of)
    else:
        assert world.canary is not None
        assert answer.because_of == answer.canary_id == world.canary.canary_id
        assert not held.dead


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("scope", PATH)
def test_each_mode_on_each_scope(scope: str, mode: Mode) -> None:
    opens, reduces = (decide(question(intent), facts({scope: mode}), RULES) for intent in Intent)
    assert (opens.allowed, reduces.allowed) == (mode is Mode.NORMAL, mode <= Mode.CLOSE_ONLY)
    assert opens.mode is mode
    assert opens.because_of == (scope if mode is not Mode.NORMAL else "global")


def test_a_mode_elsewhere_binds_nobody() -> None:
    assert decide(question(), facts({"profile:q": Mode.HALT, "symbol:p:ETH/USD": Mode.HALT}), RULES).allowed


@pytest.mark.parametrize(
    ("healthy_ms", "allowed", "until_ms"),
    [
        (NOW, True, NOW + 5_000),
        (NOW - 85_001, True, NOW + 5_000),
        (NOW - 85_002, True, NOW + 4_999),
        (NOW - 90_000, True, NOW + 1),
        (NOW - 90_001, False, NOW),
        (NOW + 90_000, True, NOW + 5_000),
        (NOW + 90_001, False, NOW + 5_000),
    ],
)
@pytest.mark.parametrize("scope", ["account:a", "bot:p"])
def test_the_dead_man_at_the_very_millisecond(scope: str, healthy_ms: int, allowed: bool, until_ms: int) -> None:
    answer = decide(question(), facts({}, Beat("bot:p", NOW), Beat(scope, healthy_ms)), RULES)
    assert (answer.allowed, answer.until_ms) == (allowed, until_ms)
    if not allowed:
        assert (answer.mode, answer.because_of) == (Mode.SAFE_MODE, scope)


def test_what_came_back_is_not_trusted_until_it_was_heard_often_enough() -> None:
    answer = decide(question(Intent.REDUCE), facts({}, Beat("account:a", NOW, recovering=True, streak=2)), RULES)
    assert not answer.allowed
    assert "2 of 3" in answer.reason


@pytest.mark.parametrize(
    ("standing", "action", "held", "because_of"),
    [
        (Mode.CLOSE_ONLY, Mode.SAFE_MODE, Mode.SAFE_MODE, "bot:p"),
        (Mode.SAFE_MODE, Mode.SAFE_MODE, Mode.SAFE_MODE, "bot:p"),
        (Mode.FLATTEN, Mode.SAFE_MODE, Mode.FLATTEN, "global"),
        (Mode.HALT, Mode.FLATTEN, Mode.HALT, "global"),
    ],
)
def test_the_dead_man_never_loosens(standing: Mode, action: Mode, held: Mode, because_of: str) -> None:
    dead = facts({"global": standing}, Beat("bot:p", NOW - 90_001), canary=limit())
    answer = decide(question(), dead, replace(RULES, action=action))
    assert (answer.allowed, answer.mode, answer.because_of) == (False, held, because_of)


@pytest.mark.parametrize(
    ("changed", "asked", "allowed"),
    [
        ({}, {}, True),
        ({"used": Decimal(90)}, {}, True),
        ({"used": Decimal("90.00000001")}, {}, False),
        ({"used": Decimal(200)}, {}, False),
        ({}, {"notional": "100"}, True),
        ({}, {"notional": "100.00000001"}, False),
        ({}, {"notional": None}, False),
        ({}, {"notional": "0"}, False),
        ({"used": Decimal(200)}, {"intent": Intent.REDUCE, "notional": None}, True),
        ({"tokens": frozenset({"BTCUSD"})}, {}, True),
        ({"tokens": frozenset({"ETHUSD"})}, {}, False),
        ({"tokens": frozenset({"ETHUSD"})}, {"intent": Intent.REDUCE}, False),
        ({"tokens": frozenset()}, {}, False),
        ({"profile_id": "q"}, {}, False),
        ({"until_ms": NOW + 1}, {}, True),
        ({"until_ms": NOW}, {}, False),
        ({"lifts": {"global": 2}}, {}, False),
        ({"lifts": {"profile:p": 1}}, {}, False),
        ({"lifts": {}}, {}, False),
    ],
)
def test_a_canary_allows_its_part_and_no_more(
    changed: dict[str, object], asked: dict[str, object], allowed: bool
) -> None:
    answer = decide(question(**asked), facts({"global": Mode.SAFE_MODE}, canary=limit(**changed)), RULES)
    assert answer.allowed is allowed
    assert answer.until_ms <= max(limit(**changed).until_ms, NOW + 5_000)
    if allowed:
        assert (answer.mode, answer.canary_id) == (Mode.NORMAL, "CAN-1")


def test_a_canary_lifts_only_what_its_incident_put_in_force() -> None:
    both = facts({"global": Mode.SAFE_MODE, "profile:p": Mode.CLOSE_ONLY}, canary=limit())
    opens, reduces = (decide(question(intent), both, RULES) for intent in Intent)
    assert (opens.allowed, reduces.allowed, reduces.mode) == (False, True, Mode.CLOSE_ONLY)
    assert "leaves CLOSE_ONLY" in opens.reason


def test_where_trading_is_normal_a_canary_takes_nothing() -> None:
    assert decide(question(), facts({}, canary=limit()), RULES).canary_id is None


def test_a_profile_that_may_send_nothing_is_refused_in_every_mode() -> None:
    answer = decide(question(Intent.REDUCE), replace(facts(), barred="profile p is disabled"), RULES)
    assert (answer.allowed, answer.because_of, answer.reason) == (False, "profile:p", "profile p is disabled")


def test_an_answer_for_printing() -> None:
    assert GateAnswer(True, Mode.NORMAL, "global", "x", 7, None, 3).as_json() == {
        "allowed": True, "mode": "NORMAL", "because_of": "global", "reason": "x", "until_ms": 7, "lease_ms": 3,
        "canary_id": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "found"),
    [
        ("BTC/USD", {"btc-usd", "BTCUSD"}),
        ("XBTUSD", {"btc-usd", "BTCUSD"}),
        ("ETH/USD", set()),
        ("BTCUSDT", {"BTC/USDT:USDT"}),
        ("BTC/USDT", set()),
    ],
)
def test_a_symbol_is_bound_however_its_scope_is_spelt(symbol: str, found: set[str]) -> None:
    scopes = ["symbol:p:btc-usd", "symbol:p:BTCUSD", "symbol:q:BTC/USD", "symbol:p:BTC/USDT:USDT", "profile:p"]
    assert set(scopes_of_symbol(scopes, "p", symbol, Symbols())) == {f"symbol:p:{name}" for name in found}


def test_an_intent_is_read_or_named() -> None:
    assert read_intent(" Reduce ") is Intent.REDUCE
    with pytest.raises(ConfigurationError, match="open"):
        read_intent("opne")
