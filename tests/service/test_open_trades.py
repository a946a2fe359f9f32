"""What a worker remembers of open trades is what a full reading finds; a table that cannot tell is read in full."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledger.bot import START, Bot, leave, row
from tests.service.test_events import Heard
from tests.service.test_watching import Hand

from trueup.core.repair.slices import slices_of
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.service.app import App
from trueup.service.events import listening
from trueup.service.open_trades import OpenTrades

TRADES = ("TRD-1", "TRD-2", "trd-1", " TRD-3 ", "TRD-4")
FULL_CHECK_S = 3600


@pytest.fixture
def heard() -> Iterator[Heard]:
    told = Heard()
    with listening(told):
        yield told


@pytest.fixture
def clock() -> Hand:
    return Hand(START)


@pytest.fixture
def app(sqlite_bot: Bot, clock: Hand) -> App:
    made = replace(sqlite_bot.init(), clock=clock)
    return replace(made, reconcile=replace(made.reconcile, full_check_s=float(FULL_CHECK_S)))


def opened(rows: list[Any]) -> set[tuple[str, Decimal]]:
    return {(s.trade_id, s.open_qty) for s in slices_of(rows, Symbols()) if s.is_open or s.open_qty < 0}


def full(app: App) -> set[tuple[str, Decimal]]:
    return opened(app.ledger.open_trade_rows(["p1"]))


def read(app: App, memory: OpenTrades, *, whole: bool = False) -> set[tuple[str, Decimal]]:
    return opened(memory.rows(app, ["p1"], Symbols(), full=whole))


class Hands:
    """The bot's hands on its ledger."""

    def __init__(self, bot: Bot, clock: Hand) -> None:
        self.bot, self.clock, self.count = bot, clock, 0
        bot.db.run("DELETE FROM orders")

    def enter(self, trade: str, *, marked: bool = True) -> None:
        self._put(row, trade, marked=marked)

    def leave(self, trade: str, *, marked: bool = True) -> None:
        self._put(leave, trade, marked=marked)

    def _put(self, kind: Any, trade: str, *, marked: bool) -> None:
        self.count += 1
        now = iso(self.clock.now)
        given_ = kind(trade, order_id=f"o{self.count}", timestamp=self.clock.now, filled_at=now)
        self.bot.db.orders({**given_, "updated_at": now if marked else None})

    def change(self, trade: str, *, marked: bool = True) -> None:
        said = ", updated_at = :now" if marked else ""
        statement = f"UPDATE orders SET qty = '3', quantity = '3'{said} WHERE trade_id = :trade AND action = 'ENTRY'"
        self.bot.db.run(statement, {"trade": trade, "now": iso(self.clock.now)})

    def drop(self, trade: str) -> None:
        """Delete the newest row of a trade."""
        newest = "(SELECT max(rowid) FROM orders WHERE trade_id = :trade)"
        self.bot.db.run(f"DELETE FROM orders WHERE rowid = {newest}", {"trade": trade})


STEPS = st.tuples(
    st.sampled_from(["enter", "enter", "leave", "leave", "change", "sneak", "drop", "unmarked"]),
    st.sampled_from(TRADES),
    st.sampled_from([0, 1_000, 100_000, 500_000]),
)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(steps=st.lists(STEPS, max_size=12))
def test_what_is_remembered_is_what_a_full_reading_finds(
    app: App, sqlite_bot: Bot, clock: Hand, steps: list[tuple[str, str, int]]
) -> None:
    hands, memory, told = Hands(sqlite_bot, clock), OpenTrades("main"), Heard()
    hands.enter("TRD-1")
    assert read(app, memory) == full(app)
    begun, unseen = clock.now, set()
    for what, trade, wait_ms in steps:
        if what == "sneak":
            hands.change(trade, marked=False)
        elif what == "unmarked":
            hands.enter(trade, marked=False)
        else:
            getattr(hands, what)(trade)
        if what in ("sneak", "drop"):
            unseen.add(trade.strip())
        clock.now += wait_ms
        if clock.now - begun >= FULL_CHECK_S * 1000 - 1000:
            break
        found, truth = read(app, memory), full(app)
        assert {name for name, _ in found ^ truth} <= unseen, (what, trade)
    differs = read(app, memory) != full(app)
    clock.now += FULL_CHECK_S * 1000
    with listening(told):
        assert read(app, memory) == full(app)
    assert ("full_check_differed" in told.names) == differs


def test_a_change_that_the_table_does_not_tell_is_found_by_the_full_check_and_said(
    app: App, sqlite_bot: Bot, clock: Hand, heard: Heard
) -> None:
    hands, memory = Hands(sqlite_bot, clock), OpenTrades("main")
    hands.enter("TRD-1")
    hands.leave("TRD-1")
    clock.now += 10 * 60_000
    assert read(app, memory) == set()
    hands.enter("TRD-2")
    clock.now += 10 * 60_000
    assert read(app, memory) == {("TRD-2", Decimal(1))}
    hands.drop("TRD-1")
    assert read(app, memory) == {("TRD-2", Decimal(1))}
    assert heard.names == []
    clock.now += FULL_CHECK_S * 1000
    assert read(app, memory) == {("TRD-1", Decimal(1)), ("TRD-2", Decimal(1))}
    assert [(name, said["detail"]) for name, said in heard] == [("full_check_differed", "TRD-1")]


def test_a_full_reading_that_was_asked_for_proves_the_memory_too(
    app: App, sqlite_bot: Bot, clock: Hand, heard: Heard
) -> None:
    hands, memory = Hands(sqlite_bot, clock), OpenTrades("main")
    hands.enter("TRD-1")
    hands.leave("TRD-1")
    clock.now += 10 * 60_000
    read(app, memory)
    hands.enter("TRD-2")
    read(app, memory)
    hands.drop("TRD-1")
    assert read(app, memory, whole=True) == {("TRD-1", Decimal(1)), ("TRD-2", Decimal(1))}
    assert heard.names == ["full_check_differed"]


@pytest.mark.parametrize("trade", ["TRD-1", " TRD-1 "])
def test_a_steady_reading_is_in_full_only_where_the_table_cannot_tell(
    app: App, sqlite_bot: Bot, clock: Hand, trade: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, memory, asked = Hands(sqlite_bot, clock), OpenTrades("main"), []
    hands.enter(trade)
    read(app, memory)
    kind = type(app.ledger)
    whole = kind.open_trade_rows
    monkeypatch.setattr(kind, "open_trade_rows", lambda *said: asked.append(1) or whole(*said))
    clock.now += 60_000
    read(app, memory)
    assert len(asked) == (trade != "TRD-1")
    hands.enter("TRD-2", marked=False)
    read(app, memory)
    assert len(asked) == 1 + (trade != "TRD-1")
