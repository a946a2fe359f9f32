"""Killed while trade ids are given or taken back: a lifecycle has its id whole or not at all, and the next run goes on.

A child dies before each statement that writes and before each commit, on both databases.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.worlds import Crashes, World
from tests.ledger.bot import a_bot, leave, row

from trueup.service import integrity, trade_ids
from trueup.service.trade_ids import IdRequest, backfill, revert

pytestmark = pytest.mark.usefixtures("still")

LOST = tuple(
    make(None, "1", 20 + 4 * number + place, order_id=f"{number}/{place}", symbol=f"C{number}/USD")
    for number in range(3)
    for place, make in enumerate((row, leave))
)
TAGGED = (row(None, "1", 50, order_id="t/0", symbol="T/USD", client_order_id="bytelyst-p1-TRD-T-entry"),)
WRITES = ("UPDATE orders", "UPDATE reconciliation", "INSERT", "commit", "COMMIT")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, quick_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(trade_ids, "ROWS_AT_ONCE", 2)
    in_memory = f"sqlite:///{quick_folder / 'ledger.db'}"
    url = in_memory if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with a_bot(quick_folder, url) as bot:
        made = World(bot)
        bot.db.orders(*LOST, *TAGGED)
        integrity.take_snapshot(made.app, keep=True)
        integrity.apply(made.app, wait_s=20.0, dry_run=False)
        yield made
        made.close()


def ids(world: World) -> dict[str, str | None]:
    mine = {given["order_id"] for given in (*LOST, *TAGGED)}
    return {found["order_id"]: found["trade_id"] for found in world.bot.db.table("orders") if found["order_id"] in mine}


def killed_where_it_writes(world: World, crashes: Crashes, **request: str) -> Iterator[str]:
    asked = {"what": "trade_ids", "config": str(world.config), **request}
    crashes.ask(warm_up=True, **asked)
    world.restore()
    whole = crashes.ask(**asked)
    assert "error" not in whole, whole
    places = whole["boundaries"]
    writes = {number: what[:40] for number, what in enumerate(places, 1) if any(word in what for word in WRITES)}
    assert len(writes) > 15, places
    # Every statement is alike in each transaction: the first of its kind, and the last, when others are done.
    first = {what: number for number, what in reversed(writes.items())}
    last = {what: number for number, what in writes.items()}
    for number in sorted({*first.values(), *last.values(), len(places)}):
        world.restore()
        assert crashes.ask(die_at=number, **asked) == {"killed": True}
        yield f"boundary {number} of {len(places)}: {places[number - 1]}"


def whole_or_not_at_all(world: World, at: str) -> None:
    found = ids(world)
    for number in range(3):
        assert len({found[f"{number}/{place}"] for place in range(2)}) == 1, at
    given = {name for name, trade in found.items() if trade is not None}
    standing = world.audited("TRADE_ID_SET") - world.audited("TRADE_ID_REVERTED")
    assert given == set(standing), at


def test_giving_trade_ids_killed_wherever_it_writes(world: World, crashes: Crashes) -> None:
    world.keep()
    backfill(world.app, IdRequest(apply=True))
    after = ids(world)
    assert None not in after.values()
    assert len(set(after.values())) == 4
    for at in killed_where_it_writes(world, crashes):
        whole_or_not_at_all(world, at)
        again = backfill(world.app, IdRequest(apply=True))
        assert not again.left, at
        assert ids(world) == after, at
        assert world.audited("TRADE_ID_SET") == dict.fromkeys(after, 1), at


def test_taking_them_back_killed_wherever_it_writes(world: World, crashes: Crashes) -> None:
    batch = backfill(world.app, IdRequest(apply=True)).batch_id or ""
    given = ids(world)
    world.keep()
    for at in killed_where_it_writes(world, crashes, revert=batch):
        whole_or_not_at_all(world, at)
        revert(world.app, batch, "again")
        assert ids(world) == dict.fromkeys(given), at
        assert world.audited("TRADE_ID_REVERTED") == dict.fromkeys(given, 1), at
