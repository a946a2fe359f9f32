"""The heartbeats: what the database keeps of them is what a machine of five rules would, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.ledger.bot import Bot

from trueup.core.gate import Beat, DeadmanRules
from trueup.ledger.heartbeats import SqlHeartbeats

RULES = DeadmanRules(timeout_ms=100, recovery_beats=3)
_names = (f"bot:p{number}" for number in count())

Told = tuple[int, bool]
"""When a beat was, and whether it was healthy."""


@dataclass
class Reference:
    """The rules, one a branch, for a scope that was never heard of at first."""

    rules: DeadmanRules
    newest_ms: int | None = None
    healthy_ms: int | None = None
    streak: int = 0
    recovering: bool = False

    def beat(self, at_ms: int, *, healthy: bool) -> None:
        if self.newest_ms is not None and at_ms < self.newest_ms:
            return
        self.newest_ms = at_ms
        if not healthy:
            self.streak = 0
            return
        if self.healthy_ms is not None and at_ms - self.healthy_ms > self.rules.timeout_ms:
            self.streak, self.recovering = 0, True
        self.streak += 1
        self.healthy_ms = at_ms
        if self.streak >= self.rules.recovery_beats:
            self.recovering = False

    def found(self, scope: str) -> Beat | None:
        return Beat(scope, self.healthy_ms, self.recovering, self.streak) if self.healthy_ms is not None else None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(
        st.tuples(st.sampled_from([0, 1, 50, 99, 100, 101, 200, 201, 202, 300, 301, 402, 503]), st.booleans()),
        max_size=12,
    ),
    recovery=st.integers(1, 4),
    sort=st.booleans(),
)
@example(told=[(0, True), (101, True), (150, True), (200, True)], recovery=3, sort=True)
@example(told=[(0, True), (100, True)], recovery=3, sort=True)
@example(told=[(0, True), (101, True), (150, False), (160, True), (170, True), (180, True)], recovery=3, sort=True)
@example(told=[(0, False), (500, True)], recovery=3, sort=True)
@example(told=[(300, True), (0, False)], recovery=3, sort=False)
def test_the_row_is_what_the_rules_make_of_every_history(bot: Bot, told: list[Told], recovery: int, sort: bool) -> None:
    beats, rules = _beats(bot), DeadmanRules(timeout_ms=100, recovery_beats=recovery)
    scope, reference = next(_names), Reference(rules)
    for at_ms, healthy in sorted(told) if sort else told:
        reference.beat(at_ms, healthy=healthy)
        assert beats.beat(scope, at_ms, healthy=healthy, rules=rules) == reference.found(scope)
    assert beats.beats([scope]).get(scope) == reference.found(scope)


def test_a_row_of_an_older_build_is_healthy_since_its_newest_beat(bot: Bot) -> None:
    beats = _beats(bot)
    bot.db.insert("heartbeats", [
        {"scope": "account:a", "beat_at": 500, "healthy": True, "streak": 7, "recovering": False},
        {"scope": "account:b", "beat_at": 500, "healthy": False, "streak": 0, "recovering": False},
    ])  # fmt: skip
    assert beats.beats() == {"account:a": Beat("account:a", 500, streak=7)}
    assert beats.beat("account:a", 550, healthy=False, rules=RULES) == Beat("account:a", 500, streak=0)
    late = beats.beat("account:a", 601, healthy=True, rules=RULES)
    assert late == Beat("account:a", 601, recovering=True, streak=1)
    assert beats.beat("account:b", 601, healthy=True, rules=RULES) == Beat("account:b", 601, streak=1)


def test_beats_of_many_threads_are_all_counted(bot: Bot) -> None:
    beats = _beats(bot)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at_ms: beats.beat("bot:p1", 1000, healthy=True, rules=RULES), range(40)))
    assert beats.beats()["bot:p1"] == Beat("bot:p1", 1000, streak=40)


def test_before_init_nothing_was_ever_heard(bot: Bot) -> None:
    app = bot.app()
    if bot.db.is_sqlite:
        (bot.folder / "ledger.db").touch()
    assert app.heartbeats.beats() == {}


def _beats(bot: Bot) -> SqlHeartbeats:
    return (bot._apps[-1] if bot._apps else bot.init()).heartbeats
