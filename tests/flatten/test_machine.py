"""The decision alone: whatever the readings say and whatever became of closings, in any order."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trueup.core.flatten.machine import (
    Cancel,
    Close,
    Facts,
    GiveUp,
    Outcome,
    Verified,
    Wait,
    decide,
    verdict_of,
)
from trueup.core.flatten.record import Entry, FlattenRules, Progress, What, client_order_id, progress_of
from trueup.core.flatten.targets import Lot, Targets, Work
from trueup.core.orders import Side

RULES = FlattenRules(attempts=3, limit_ms=60_000)
SYMBOLS = ("BTCUSD", "ETHUSD")
sizes = st.decimals(min_value="0.0001", max_value="5", places=4)
lots = st.builds(
    lambda symbol, side, held, share: Lot(symbol, symbol, side, held, held * share),
    st.sampled_from(SYMBOLS), st.sampled_from(Side), sizes, st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(1)]),
)  # fmt: skip
works = st.builds(
    lambda symbol, number, side: Work(symbol, symbol, f"o{number}", None, side),
    st.sampled_from(SYMBOLS), st.integers(0, 3), st.sampled_from(Side),
)  # fmt: skip
readings = st.builds(
    Targets,
    lots=st.lists(lots, max_size=3, unique_by=lambda lot: (lot.token, lot.side)).map(tuple),
    working=st.lists(works, max_size=2).map(tuple),
    unknown=st.sampled_from([{}, {}, {}, {"XRP": "its row cannot be read"}]),
    left=st.sampled_from([(), (), ("what is left",)]),
    why=st.sampled_from(["", "", "", "the positions are failed"]),
)
fates = st.sampled_from([What.TAKEN, What.REFUSED, What.UNANSWERED, What.WITHHELD])
ends = st.sampled_from([None, None, Outcome(found=True, executed=Decimal("0.1")), Outcome(absent=True), Outcome()])
steps = st.lists(st.tuples(readings, fates, ends, st.integers(100, 9000)), min_size=1, max_size=40)


class Played:
    """A record that grows as the machine decides; what is always so is held at every step."""

    def __init__(self) -> None:
        self.entries = [self.entry(What.BEGUN, 0)]
        self.now_ms, self.looks = 0, 0

    def entry(self, what: What, at_ms: int, **more: object) -> Entry:
        return Entry(episode="E", account="a", scope="global", what=what, at_ms=at_ms, **more)

    def step(self, reading: Targets, fate: What, end: Outcome | None, ms: int) -> object:
        self.now_ms += ms
        self._settle(end, reading)
        progress = progress_of(self.entries)
        decision = decide(Facts(reading, self.now_ms, self.looks, Decimal("0.001")), progress, "E", RULES)
        self.looks = self.looks + 1 if isinstance(decision, Wait) and decision.idle else 0
        self.hold(reading, progress, decision)
        if isinstance(decision, Cancel):
            self.entries.append(self.entry(What.CANCELING, self.now_ms, round=decision.round))
        if isinstance(decision, Close):
            self._send(decision, fate)
        return decision

    def _send(self, decision: Close, fate: What) -> None:
        for each in decision.closings:
            lot, name = each.lot, each.client_order_id
            more = {"symbol": lot.symbol, "token": lot.token, "side": lot.side, "qty": each.qty, "held": lot.held}
            sent = self.entry(What.CLOSING, self.now_ms, round=decision.round, client_order_id=name, **more)
            self.entries += [sent, self.entry(fate, self.now_ms, client_order_id=name)]

    def _settle(self, end: Outcome | None, reading: Targets) -> None:
        for sent in progress_of(self.entries).in_flight:
            found = verdict_of(sent, end or Outcome(), False if not reading.why else None, self.now_ms, RULES)
            if end is not None and found is not None:
                name = sent.client_order_id
                self.entries.append(self.entry(found.what, self.now_ms, client_order_id=name, qty=found.executed))

    def hold(self, reading: Targets, progress: Progress, decision: object) -> None:
        if reading.why:
            assert isinstance(decision, Wait | GiveUp)
        if isinstance(decision, Close):
            self._hold_close(reading, progress, decision)
        if isinstance(decision, Cancel | Close):
            assert decision.round in (progress.round, progress.round + 1)
            assert self.now_ms < RULES.limit_ms
        if isinstance(decision, Verified):
            assert not reading.working
            assert not reading.unknown
            assert not progress.in_flight
        if isinstance(decision, GiveUp):
            assert decision.left

    def _hold_close(self, reading: Targets, progress: Progress, decision: Close) -> None:
        assert decision.round <= RULES.attempts
        assert len({each.lot.token for each in decision.closings}) == len(decision.closings)
        assert not {each.lot.token for each in decision.closings} & {sent.token for sent in progress.in_flight}
        for each in decision.closings:
            assert each.lot in reading.lots
            assert 0 < each.qty <= each.lot.held
            assert each.qty <= each.lot.wanted
            assert each.client_order_id not in {sent.client_order_id for sent in progress.sent}


@given(steps)
def test_one_closing_at_a_time_for_no_more_than_is_held(script: list[tuple[Targets, What, Outcome, int]]) -> None:
    """Invariants 4 and 5, and the bounds, at every step of whatever happens."""
    played = Played()
    for reading, fate, end, ms in script:
        if isinstance(played.step(reading, fate, end, ms), Verified | GiveUp):
            return


@given(readings, st.lists(st.tuples(fates, ends), min_size=200, max_size=200))
def test_it_ends_whatever_happens(reading: Targets, script: list[tuple[What, Outcome]]) -> None:
    played = Played()
    for fate, end in script:
        if isinstance(played.step(reading, fate, end, 1000), Verified | GiveUp):
            return
    raise AssertionError("it goes on for ever")


@given(readings)
def test_flat_needs_two_readings(reading: Targets) -> None:
    """Invariant 5."""
    played = Played()
    assert not isinstance(played.step(reading, What.TAKEN, None, 1000), Verified)


def test_dust_is_tried_once_and_then_is_flat() -> None:
    played, dust = Played(), Lot("BTCUSD", "BTCUSD", Side.SELL, Decimal("0.0004"), Decimal("0.0004"))
    made = [played.step(Targets(lots=(dust,)), What.REFUSED, None, 1000) for _ in range(3)]
    assert [type(each) for each in made] == [Close, Wait, Verified]


def test_the_record_is_read_the_same_whoever_reads_it() -> None:
    """Invariant 9: the same record gives the same next closing, by name."""
    lot = Lot("BTCUSD", "BTCUSD", Side.SELL, Decimal(1), Decimal(1))
    made = [Played().step(Targets(lots=(lot,)), What.TAKEN, None, 1000) for _ in range(2)]
    assert made[0] == made[1]
    assert isinstance(made[0], Close)
    assert made[0].closings[0].client_order_id == client_order_id("E", 1, 1, "BTCUSD", Side.SELL)


def test_names_differ_by_all_that_they_are_made_of() -> None:
    first = ("E", 1, 1, "BTCUSD", Side.SELL)
    others = [
        ("F", *first[1:]),
        ("E", 2, *first[2:]),
        ("E", 1, 2, *first[3:]),
        ("E", 1, 1, "X", Side.SELL),
        (*first[:4], Side.BUY),
    ]
    names = {client_order_id(*each) for each in (first, *others)}
    assert len(names) == 6
    assert all(len(name) == 32 and name.startswith("f1a7") and name.isalnum() for name in names)


def test_not_found_is_absent_only_when_it_had_time_to_arrive() -> None:
    played, lot = Played(), Lot("BTCUSD", "BTCUSD", Side.SELL, Decimal(1), Decimal(1))
    played.step(Targets(lots=(lot,)), What.UNANSWERED, None, 1000)
    [sent] = progress_of(played.entries).in_flight
    absent = Outcome(absent=True)
    assert verdict_of(sent, absent, False, sent.since_ms + RULES.settle_ms - 1, RULES) is None
    found = verdict_of(sent, absent, False, sent.since_ms + RULES.settle_ms, RULES)
    assert found is not None
    assert found.what is What.ABSENT
    assert verdict_of(replace(sent, state=What.TAKEN), absent, None, 10**9, RULES) is None
    assert verdict_of(sent, Outcome(), True, 10**9, RULES) is None
    assert verdict_of(sent, Outcome(), None, 10**9, RULES) is None
    over = verdict_of(sent, Outcome(), False, 10**9, RULES)
    assert over is not None
    assert (over.what, over.executed) == (What.OVER, None)
