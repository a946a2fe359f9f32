"""Seeded scenarios: a bot's week at a simulated venue, read through the venue's real client with faults on the wire.

What is read is held against the exchange's own truth: no feed may claim to be complete where it is not, and no exit may
be proposed that the truth refutes. Everything follows from the seed, so that a failure can be played again.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from random import Random
from typing import Any

from trueup.core.errors import CannotKnow
from trueup.core.holdings import Holdings
from trueup.core.orders import read_order
from trueup.core.repair.booked import BookedIndex, booked_index
from trueup.core.repair.evidence import Evidence, evidence_of
from trueup.core.repair.plan import AccountFacts, Wanted, plan_account
from trueup.core.repair.policy import BackfillPolicy, Flatness
from trueup.core.repair.reach import order_feed_reach
from trueup.core.repair.rows import DUST, ExitRow
from trueup.core.repair.slices import slices_of
from trueup.core.snapshot import Snapshot
from trueup.core.symbols import Symbols
from trueup.ports import ReadScope, Venue
from trueup.sim.faults import HONEST, FaultKind, FaultPlan
from trueup.sim.server import running
from trueup.sim.venue import SimVenue
from trueup.sim.weeks import WEEK_MS, Week, WeekKind, a_week
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.limits import RateLimit

KINDS: tuple[WeekKind, ...] = ("alpaca", "binance", "binanceusdm")
POLICY = BackfillPolicy(flatness=Flatness.EXPLAINED, lookback_ms=WEEK_MS + 3_600_000, tag_prefix="demo")
WEEKS = 3
"""So many different weeks of each kind; the faults differ with every seed."""


class Swappable:
    """An ASGI application that stays where it is while what answers behind it is exchanged."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Patient(RateLimit):
    """A limit that is never reached, and that holds nobody: a scenario's venue asks to wait, and nobody waits."""

    def hold(self, seconds: float) -> None:
        """Let everybody ask at once."""


@dataclass(eq=False)
class Stage:
    """One week at its venue, served at `url`, with its truth and what really executed by exchange order id."""

    week: Week
    inner: Any
    door: Swappable
    url: str
    quiet: bool = False

    @cached_property
    def truth(self) -> Snapshot:
        return SimVenue(self.week.exchange, self.week.account).read()

    @cached_property
    def executed(self) -> dict[tuple[str, str], Evidence]:
        found = evidence_of(self.truth, BookedIndex(), POLICY)
        return {(row.token, row.exchange_order_id): row for rows in found.rows.values() for row in rows}

    @cached_property
    def exits(self) -> dict[tuple[str, str], str]:
        """Return the trade that each exit order of the truth really closes."""
        token = self.truth.symbols.token
        return {(token(t.symbol), order.id): t.trade_id for t in self.week.trades for order in t.exits}

    def venue(self) -> Venue:
        """Return the venue through its real client; nothing waits."""
        account = LiveAccount(
            name="main", symbols=Symbols(), secrets={"key": self.week.key, "secret": self.week.secret},
            base_url=self.url, calls_per_minute=1_000_000, timeout_s=0.25, sleep=lambda _: None, max_pages=50,
        )  # fmt: skip
        if self.week.kind == "alpaca":
            from trueup.venues.alpaca import AlpacaVenue

            alpaca = AlpacaVenue(account)
            alpaca.connection.caller.limit = Patient(1_000_000)
            return alpaca
        from trueup.venues.ccxt import CcxtVenue

        made = CcxtVenue(account, self.week.kind)
        made.caller.limit = Patient(1_000_000)
        return made

    @property
    def scope(self) -> ReadScope:
        """Return what a run would ask for: the whole week, and the symbols that the ledger names."""
        symbols = tuple(sorted({str(row["symbol"]) for row in self.week.rows}))
        open_trades = {*self.week.missing, *self.week.still_open}
        held = {trade.symbol for trade in self.week.trades if trade.trade_id in open_trades}
        return ReadScope(self.week.exchange.now_ms - WEEK_MS - 3_600_000, symbols, tuple(sorted(held)))


@contextmanager
def stages(kind: WeekKind) -> Iterator[list[Stage]]:
    """Serve several weeks of a kind, side by side."""
    from contextlib import ExitStack

    now = time.time_ns() // 1_000_000
    with ExitStack() as stack:
        made: list[Stage] = []
        for seed in range(WEEKS):
            week = a_week(kind, seed, now)
            inner = _app(week)
            door = Swappable(inner)
            made.append(Stage(week, inner, door, stack.enter_context(running(door))))
        yield made


def _app(week: Week) -> Any:
    if week.kind == "alpaca":
        from trueup.sim.wire.alpaca import alpaca_app

        return alpaca_app(week.exchange)
    from trueup.sim.wire.binance import BinanceWire, binance_app

    return binance_app(week.exchange, BinanceWire(check_time=False))


@dataclass(slots=True)
class Outcome:
    """What became of one scenario: refuted claims and rows are defects, `lies` what no client could notice."""

    seed: int
    kind: WeekKind
    faults: FaultPlan
    unreadable: bool = False
    complete: bool = False
    proposed: int = 0
    refuted: list[str] = field(default_factory=list)
    overclaimed: list[str] = field(default_factory=list)
    lies: int = 0

    def __str__(self) -> str:
        struck = "; ".join(str(entry) for entry in self.faults.log)
        return f"{self.kind} seed {self.seed}: {[*self.refuted, *self.overclaimed]} after {struck or 'no fault'}"


def faults_of(seed: int, alone: FaultKind | None = None) -> FaultPlan:
    """Return the faults of a scenario: one kind alone, or a mixture of several."""
    chance = Random(seed)  # seeded on purpose
    kinds = [alone] if alone is not None else chance.sample(sorted(FaultKind), chance.randint(1, 5))
    share = chance.choice(["0.1", "0.3", "0.7"])
    return FaultPlan(seed=seed, rates={kind.value: str(Decimal(share) / len(kinds)) for kind in kinds})


def play(stage: Stage, seed: int, alone: FaultKind | None = None) -> Outcome:
    """Read the venue once under a scenario's faults, plan a repair of what was read, and hold both to the truth."""
    plan = faults_of(seed, alone)
    if plan.rates.get(FaultKind.LATENCY.value):
        plan = FaultPlan(seed=seed, rates={**plan.rates, FaultKind.LATENCY.value: "0.01"})
    outcome = Outcome(seed, stage.week.kind, plan)
    venue = stage.venue()
    plan.enabled = not stage.quiet
    stage.door.app = plan.wrap(stage.inner)
    try:
        snapshot = venue.read(stage.scope)
    except CannotKnow:
        outcome.unreadable = True
        return outcome
    finally:
        stage.door.app = stage.inner
    _judge_claims(outcome, stage, snapshot)
    _judge_rows(outcome, stage, snapshot)
    return outcome


def _judge_claims(outcome: Outcome, stage: Stage, snapshot: Snapshot) -> None:
    found = list(_false_claims(stage, snapshot))
    outcome.complete = order_feed_reach(snapshot) is not None and Holdings(snapshot).coverage.complete
    if all(entry.fault.name in HONEST for entry in outcome.faults.log):
        outcome.overclaimed += found
    else:
        outcome.lies += len(found)


def _false_claims(stage: Stage, snapshot: Snapshot) -> Iterator[str]:
    """Yield what the snapshot claims to know and does not."""
    reach = order_feed_reach(snapshot)
    if reach is not None:
        told = evidence_of(snapshot, BookedIndex(), POLICY)
        rows = {(row.token, row.exchange_order_id): row for found in told.rows.values() for row in found}
        set_aside = {conflict.exchange_order_id for conflict in told.conflicts}
        set_aside |= {row.exchange_order_id for row in told.disagreements}
        set_aside |= {row.row_id for row in snapshot.malformed}
        for key, row in stage.executed.items():
            there = rows.get(key)
            if row.time_ms >= reach and key[1] not in set_aside and (there is None or there.filled != row.filled):
                yield f"{key} executed {row.filled}, told is {there.filled if there else None}"
        if any(not row.row_id for row in snapshot.malformed):
            return
    held, true = Holdings(snapshot), Holdings(stage.truth)
    for symbol in stage.scope.symbols:
        told_, real = held.of(symbol), true.of(symbol)
        if told_.unknown is None and real.unknown is None and told_.signed != real.signed:
            yield f"{symbol} is {real.signed}, told is {told_.signed}"


def _judge_rows(outcome: Outcome, stage: Stage, snapshot: Snapshot) -> None:
    """Plan the repairs of the week's ledger, and refute each row that did not happen so."""
    rows = [read_order(row) for row in stage.week.rows]
    slices = slices_of(rows, snapshot.symbols)
    facts = AccountFacts(
        snapshot=snapshot, slices=tuple(slices), booked=booked_index(rows, (), snapshot.symbols, POLICY.tag_prefix),
        known_profiles=frozenset(stage.week.profiles),
    )  # fmt: skip
    plan = plan_account(facts, Wanted(frozenset(stage.week.profiles)), POLICY)
    booked: Counter[tuple[str, str]] = Counter()
    for profile in plan.profiles.values():
        for row in profile.rows:
            outcome.proposed += 1
            outcome.refuted += _refuted(stage, snapshot.symbols, row, booked)


def _refuted(stage: Stage, symbols: Symbols, row: ExitRow, booked: Counter[tuple[str, str]]) -> Iterator[str]:
    key = symbols.token(row.symbol), row.exchange_order_id
    if row.matched_by == DUST:
        if not Holdings(stage.truth).of(row.symbol).is_flat(POLICY.dust_abs):
            yield f"{row.trade_id}: dust although the venue holds {row.symbol}"
        return
    booked[key] += row.qty  # type: ignore[assignment]  # a Counter adds up decimals as well
    real = stage.executed.get(key)
    if real is None or real.side is not row.side or booked[key] > real.filled:
        yield f"{row.trade_id}: {row.side} {row.qty} of {key}, really {real.filled if real else None}"
    if stage.exits.get(key) != row.trade_id:
        yield f"{row.trade_id}: {key} is an exit of {stage.exits.get(key)}"
    if (
        real is not None
        and row.price_source != "none"
        and abs(row.price - (real.price or 0)) > Decimal("1e-9") * row.price
    ):
        yield f"{row.trade_id}: price {row.price}, really {real.price}"
