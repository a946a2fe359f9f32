"""The gate on a database: what it reads is what holds, and concurrent orders never exceed a canary's limit."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from tests.ledger.bot import Bot, at, pause

from trueup.core.errors import CannotKnow, ConfigurationError, UnknownName
from trueup.core.gate import Beat, Intent, Question
from trueup.core.modes import Mode
from trueup.core.times import iso
from trueup.ledger.gate import _NEWS, facts_statement
from trueup.service import events
from trueup.service.app import App
from trueup.service.gate import Spelling, ask, beat_bot
from trueup.service.modes import show_modes
from trueup.service.trading import trading


def canary(bot: Bot, app: App, limit: str = "100", **more: Any) -> None:
    """Put the world into SAFE_MODE, with a canary for p1 that lifts it."""
    pause(app)
    now = app.clock.now_ms()
    row = {
        "canary_id": "CAN-1", "incident_id": "INC-1", "stage": 1, "profile_id": "p1", "symbols": None,
        "exposure_limit": limit, "measured": "0", "measured_at": now - 1000, "until_at": now + 600_000,
        "lifts": {"global": bot.db.value("SELECT max(seq) FROM safety_modes")}, "started_at": iso(at(0)),
        "ended_at": None, **more,
    }  # fmt: skip
    numbers = ("exposure_limit", "measured") if not bot.db.is_sqlite else ()
    texts = {name: json.dumps(row[name]) for name in ("symbols", "lifts") if row[name] is not None}
    bot.db.insert("canaries", [{**row, **texts, **{name: Decimal(str(row[name])) for name in numbers}}])


def grants(bot: Bot) -> dict[str, Decimal]:
    rows = bot.db.rows("SELECT order_ref, notional FROM canary_grants")
    return {row["order_ref"]: Decimal(str(row["notional"])) for row in rows}


def test_without_any_mode_an_order_may_be_sent(bot: Bot) -> None:
    answer = ask(bot.init(), "p1", "BTC/USD")
    assert (answer.allowed, answer.mode, answer.because_of) == (True, Mode.NORMAL, "global")
    assert answer.lease_ms == 5_000


@pytest.mark.parametrize("scope", ["global", "account:main", "profile:p1", "symbol:p1:btc-usd", "symbol:p1:XBTUSD"])
def test_the_newest_change_of_each_scope_on_the_path_counts(bot: Bot, scope: str) -> None:
    app = bot.init()
    for mode in (Mode.HALT, Mode.NORMAL, Mode.CLOSE_ONLY):
        pause(app, mode, scope)
        for intent in Intent:
            answer = ask(app, "p1", "BTC/USD", intent)
            allowed = mode is Mode.NORMAL or (mode is Mode.CLOSE_ONLY and intent is Intent.REDUCE)
            assert (answer.allowed, answer.mode) == (allowed, mode)
    assert ask(app, "p1", "ETH/USD").allowed is scope.startswith("symbol")


def test_a_spelling_that_somebody_else_adds_is_seen_at_once(bot: Bot) -> None:
    app, other = bot.init(), bot.app()
    pause(other, Mode.HALT, "symbol:p1:ETH/USD")
    assert ask(app, "p1", "BTC/USD").allowed
    pause(other, Mode.HALT, "symbol:p1:BTC-USD")
    assert not ask(app, "p1", "BTC/USD").allowed
    pause(other, Mode.NORMAL, "symbol:p1:BTC-USD")
    assert ask(app, "p1", "BTC/USD").allowed


def test_more_changes_than_are_read_at_once_hide_none(bot: Bot) -> None:
    app, other = bot.init(), bot.app()
    assert ask(app, "p1", "BTC/USD").allowed
    for number in range(2 * _NEWS):
        pause(other, Mode.HALT, f"symbol:p1:S{number}" if number != 150 else "symbol:p1:BTC-USD")
    assert not ask(app, "p1", "BTC/USD").allowed


def test_a_history_that_was_put_back_is_read_again(bot: Bot) -> None:
    app = bot.init()
    for _ in range(3):
        pause(app, Mode.NORMAL)
    assert ask(app, "p1", "BTC/USD").allowed
    bot.db.run("DELETE FROM safety_modes")
    bot.db.insert("safety_modes", [{
        "seq": 1, "scope": "symbol:p1:BTCUSD", "mode": "HALT", "previous_mode": "NORMAL", "source": "operator",
        "actor": "a", "reason": "r", "created_at": iso(at(0)),
    }])  # fmt: skip
    assert not ask(app, "p1", "BTC/USD").allowed


def test_a_profile_that_moves_to_another_account_is_bound_by_that_one(bot: Bot) -> None:
    bot.accounts = ["main", "other"]
    app = bot.init()
    pause(app, Mode.HALT, "account:other")
    assert ask(app, "p1", "BTC/USD").allowed
    bot.db.run("UPDATE profiles SET account = 'other'")
    assert ask(app, "p1", "BTC/USD").because_of == "account:other"
    bot.db.run("UPDATE profiles SET account = NULL")
    refused = ask(app, "p1", "BTC/USD")
    assert not refused.allowed
    assert "no account" in refused.reason


def test_a_profile_of_an_account_that_nobody_looks_after_is_refused(bot: Bot) -> None:
    app = bot.init()
    bot.db.run("UPDATE profiles SET account = 'mian'")
    for intent in Intent:
        refused = ask(app, "p1", "BTC/USD", intent)
        assert (refused.allowed, refused.because_of) == (False, "profile:p1")
        assert "nothing watches it" in refused.reason


def test_a_profile_that_names_no_account_has_the_only_one(bot: Bot) -> None:
    app = bot.init()
    bot.db.run("UPDATE profiles SET account = NULL")
    pause(app, Mode.HALT, "account:main")
    assert ask(app, "p1", "BTC/USD").because_of == "account:main"


def test_a_disabled_profile_is_refused_and_an_unknown_one_is_a_mistake(bot: Bot) -> None:
    app = bot.init()
    bot.db.run("UPDATE profiles SET enabled = :no", {"no": False})
    answer = ask(app, "p1", "BTC/USD", "reduce")
    assert (answer.allowed, answer.because_of) == (False, "profile:p1")
    assert "disabled" in answer.reason
    for wrong in (lambda: ask(app, "p2", "BTC/USD"), lambda: beat_bot(app, "p2")):
        with pytest.raises(UnknownName, match="p2"):
            wrong()


@pytest.mark.parametrize(
    "asked",
    [
        {"symbol": "--"}, {"symbol": ""}, {"symbol": "BTC\x00"}, {"profile_id": ""}, {"profile_id": "p\n1"},
        {"intent": "sell"}, {"notional": "NaN"}, {"notional": "-1"}, {"notional": "x"}, {"order_ref": ""},
        {"order_ref": "x" * 201}, {"order_ref": "\ud800"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_question_is_refused_by_name(sqlite_bot: Bot, asked: dict[str, str]) -> None:
    app = sqlite_bot.init()
    with pytest.raises(ConfigurationError):
        ask(app, **{"profile_id": "p1", "symbol": "BTC/USD", **asked})


@pytest.mark.parametrize("scope", ["account:main", "bot:p1"])
def test_the_dead_man_as_the_gate_and_as_people_see_it(bot: Bot, scope: str) -> None:
    app = bot.init()
    pause(app, Mode.CLOSE_ONLY, "account:main")
    rules, now = app.safety.deadman, app.clock.now_ms()
    app.heartbeats.beat(scope, now - rules.timeout_ms - 1000, healthy=True, rules=rules)
    answer = ask(app, "p1", "BTC/USD", "reduce")
    assert (answer.allowed, answer.mode, answer.because_of) == (False, Mode.SAFE_MODE, scope)
    seen = trading(app, "profile:p1").as_json()
    assert (seen["status"], seen["mode"], seen["because_of"]) == ("PAUSED", "SAFE_MODE", scope)
    assert (seen["source"], seen["reason"][:20]) == ("deadman", "no healthy heartbeat"[:20])
    assert show_modes(app).profiles == {"p1": (Mode.SAFE_MODE, scope)}
    assert trading(app, "symbol:p1:BTC/USD").because_of == scope
    assert trading(app).mode is (Mode.SAFE_MODE if scope == "account:main" else Mode.NORMAL)
    for number in range(rules.recovery_beats):
        assert not ask(app, "p1", "BTC/USD", "reduce").allowed, number
        app.heartbeats.beat(scope, now + number, healthy=True, rules=rules)
    assert ask(app, "p1", "BTC/USD", "reduce").allowed
    assert trading(app, "profile:p1").mode is Mode.CLOSE_ONLY


def test_a_heartbeat_of_an_older_build_counts(bot: Bot) -> None:
    app = bot.init()
    row = {"scope": "account:main", "beat_at": at(0), "healthy": True, "streak": 9, "recovering": False}
    bot.db.insert("heartbeats", [row])
    assert ask(app, "p1", "BTC/USD").because_of == "account:main"


def test_a_canary_lets_its_part_through_and_counts_it(bot: Bot) -> None:
    app = bot.init()
    canary(bot, app)
    first = ask(app, "p1", "BTC/USD", "open", "60", "A")
    assert (first.allowed, first.mode, first.canary_id) == (True, Mode.NORMAL, "CAN-1")
    assert not ask(app, "p1", "BTC/USD", "open", "60", "B").allowed
    assert ask(app, "p1", "BTC/USD", "open", "40", "C").allowed
    assert grants(bot) == {"A": Decimal(60), "C": Decimal(40)}
    assert ask(app, "p1", "BTC/USD", "reduce").allowed
    assert not ask(app, "p1", "BTC/USD", "open").allowed
    assert grants(bot) == {"A": Decimal(60), "C": Decimal(40)}


def test_the_same_order_again_is_the_same_grant(bot: Bot) -> None:
    app = bot.init()
    canary(bot, app)
    for notional, kept in (("60", 60), ("60", 60), ("30", 60), ("90", 90)):
        assert ask(app, "p1", "BTC/USD", "open", notional, "A").allowed
        assert grants(bot) == {"A": Decimal(kept)}
    assert not ask(app, "p1", "BTC/USD", "open", "101", "A").allowed
    assert not ask(app, "p1", "BTC/USD", "open", "11", "B").allowed
    assert grants(bot) == {"A": Decimal(90)}


def test_the_name_of_an_order_is_not_used_for_another_symbol(bot: Bot) -> None:
    app = bot.init()
    canary(bot, app)
    assert ask(app, "p1", "BTC/USD", "open", "10", "A").allowed
    assert ask(app, "p1", "btc-usd", "open", "10", "A").allowed
    answer = ask(app, "p1", "ETH/USD", "open", "10", "A")
    assert not answer.allowed
    assert "BTC/USD" in answer.reason
    assert grants(bot) == {"A": Decimal(10)}


def test_orders_without_a_name_are_each_an_order(bot: Bot) -> None:
    app = bot.init()
    canary(bot, app)
    assert [ask(app, "p1", "BTC/USD", "open", "40").allowed for _ in range(3)] == [True, True, False]
    assert sorted(grants(bot).values()) == [40, 40]


def test_what_was_granted_before_the_measurement_is_in_it(bot: Bot) -> None:
    app = bot.init()
    canary(bot, app)
    assert ask(app, "p1", "BTC/USD", "open", "90", "A").allowed
    bot.db.run("UPDATE canaries SET measured_at = :now", {"now": app.clock.now_ms() + 1})
    bot.db.run("UPDATE canaries SET measured = 30" if not bot.db.is_sqlite else "UPDATE canaries SET measured = '30'")
    assert not ask(app, "p1", "BTC/USD", "open", "71", "B").allowed
    while app.clock.now_ms() < bot.db.value("SELECT measured_at FROM canaries"):
        pass
    assert ask(app, "p1", "BTC/USD", "open", "40", "A").allowed
    assert grants(bot) == {"A": Decimal(40)}
    assert not ask(app, "p1", "BTC/USD", "open", "31", "B").allowed
    assert ask(app, "p1", "BTC/USD", "open", "30", "B").allowed


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        ({}, True),
        ({"symbols": ["btc-usd", "ETH/USD"]}, True),
        ({"symbols": ["ETH/USD"]}, False),
        ({"symbols": []}, False),
        ({"ended_at": iso(at(1))}, False),
        ({"until_at": at(0)}, False),
        ({"profile_id": "p9"}, False),
        ({"lifts": {}}, False),
        ({"lifts": {"global": 77}}, False),
        ({"lifts": ["global"]}, False),
        ({"symbols": 7}, False),
    ],
    ids=str,
)
def test_a_canary_that_is_another_s_or_over_or_unreadable_lifts_nothing(
    bot: Bot, more: dict[str, Any], allowed: bool
) -> None:
    app = bot.init()
    canary(bot, app, **more)
    assert ask(app, "p1", "BTC/USD", "open", "10", "A").allowed is allowed
    assert bool(grants(bot)) is allowed


def test_concurrent_orders_never_exceed_the_limit(bot: Bot) -> None:
    app = bot.init()
    canary(bot, app, limit="100")
    apps = [app, bot.app()]

    def one(number: int) -> bool:
        return ask(apps[number % 2], "p1", "BTC/USD", "open", "7", f"order-{number}").allowed

    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(one, range(40)))
    assert sum(allowed) == 14
    assert sum(grants(bot).values()) == 98


def test_the_statement_finds_everything_by_an_index(bot: Bot) -> None:
    app = bot.init()
    app.gate.read(Question("p1", "BTC/USD", "", Intent.OPEN), Spelling(app.accounts))
    values = {f"scope_{number}": "global" for number in range(4)}
    values |= {"account": "account:main", "bot": "bot:p1", "profile": "p1", "now": "0", "known": "0"}
    with bot.store.state.reading() as connection:
        if not bot.db.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if bot.db.is_sqlite else "EXPLAIN "
        rows = connection.exec_driver_sql(explain + facts_statement(4, connection.dialect.name), values)
        plan = "\n".join(str(row[-1]) for row in rows)
    assert "idx_safety_modes_scope_seq" in plan
    assert "idx_canaries_profile_id" in plan
    assert "Seq Scan" not in plan
    whole = [line for line in plan.splitlines() if line.startswith("SCAN") and "CONSTANT" not in line]
    assert whole == (["SCAN news"] if bot.db.is_sqlite else []), "of the newest changes alone, found by their number"


def test_an_answer_that_flips_is_told_once(sqlite_bot: Bot) -> None:
    app = sqlite_bot.init()
    told: list[tuple[object, ...]] = []

    def hear(event: events.Event, fields: Any) -> None:
        if event.name == "gate_flipped":
            told.append((fields["symbol"], fields["allowed"], fields["mode"]))

    with events.listening(hear):
        for mode in (Mode.NORMAL, Mode.HALT, Mode.HALT, Mode.NORMAL):
            pause(app, mode)
            for symbol in ("BTC/USD", "btcusd"):
                ask(app, "p1", symbol)
    assert told == [("BTC/USD", False, "HALT"), ("BTC/USD", True, "NORMAL")]


def test_a_database_that_does_not_answer_is_no_answer(sqlite_bot: Bot) -> None:
    app = sqlite_bot.init()
    sqlite_bot.close()
    (sqlite_bot.folder / "ledger.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(CannotKnow):
        ask(app, "p1", "BTC/USD")


def test_a_beat_arms_the_bot_s_dead_man(bot: Bot) -> None:
    app = bot.init()
    assert beat_bot(app, "p1", healthy=False) is None
    before = app.clock.now_ms()
    beat = beat_bot(app, "p1")
    assert isinstance(beat, Beat)
    assert (beat.scope, beat.recovering, beat.streak) == ("bot:p1", False, 1)
    assert before <= beat.healthy_ms <= app.clock.now_ms()
