"""FLATTEN on a real database: two workers, one flattens; a lost lease sends nothing; the ledger follows."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from tests.flatten.world import OURS, World
from tests.ledger.bot import Bot, a_bot, row

from trueup.core.errors import Refused
from trueup.core.flatten.record import FlattenRules, What
from trueup.core.modes import Mode
from trueup.core.symbols import Symbols
from trueup.service.app import Account, App, SafetyConfig
from trueup.service.flattening import flatten_account, flatten_scope
from trueup.service.modes import set_mode, show_modes
from trueup.service.rehearsing import rehearse
from trueup.service.trading import pause
from trueup.service.worker import Worker, WorkerOptions
from trueup.sim.exchange import Kind


@pytest.fixture
def bot(tmp_path: Any, ledger_url: str) -> Iterator[Bot]:
    with a_bot(tmp_path, ledger_url) as made:
        yield made


class Real:
    """The machine's clock; waiting lets the exchange go on, and takes hardly any time."""

    def __init__(self, world: World) -> None:
        self.world = world

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        time.sleep(0.02)
        with self.world.exchange.lock:
            self.world.tick(int(seconds * 1000))

    def new_id(self, prefix: str) -> str:
        return f"{prefix}-{time.time_ns()}"


def on(app: App, world: World) -> App:
    """Put a world's venue in the place of the App's."""
    accounts = {"main": Account("main", Symbols(), lambda: world.venue)}
    safety = SafetyConfig(flatten=FlattenRules(settle_ms=500))
    return replace(app, accounts=accounts, clock=Real(world), safety=safety, meter=app.meter)


def ours(world: World) -> list[str]:
    return [o.client_order_id for o in world.exchange.orders if (o.client_order_id or "").startswith(OURS)]


def test_two_workers_one_flattens(bot: Bot) -> None:
    world = World()
    world.hold("p1", "BTC", "1")
    world.rest("p1", "BTC")
    apps = [on(bot.init(), world), on(bot.app(), world)]
    set_mode(apps[0], "FLATTEN", "account:main", "a test")
    found: list[Any] = []

    def work(app: App) -> None:
        found.extend(flatten_scope(app, "account:main"))

    threads = [threading.Thread(target=work, args=(app,)) for app in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(each.state for each in found) == ["flat", "flat"]
    assert (world.left(), world.wrong, len(ours(world))) == ([], [], 1)
    [entry] = show_modes(apps[0]).flattening
    assert entry.what is What.FLAT


def test_a_worker_that_lost_its_lease_sends_nothing(bot: Bot) -> None:
    """Invariant 12: what cannot be put on record is not sent."""
    world = World()
    world.hold("p1", "BTC", "1")
    app = on(bot.init(), world)
    set_mode(app, "FLATTEN", "profile:p1", "a test")
    with app.leases.hold("account:main", 0) as lease:
        assert lease is not None
        with app.ledger._store.state.writing() as connection:
            connection.execute(text("UPDATE leases SET fence = fence + 1, owner = 'another'"))
        with pytest.raises(Refused, match="taken over"):
            flatten_account(app, "main", lease)
    assert (ours(world), len(world.left())) == ([], 1)


def test_one_closing_is_on_record_once_whoever_writes_it(bot: Bot) -> None:
    world = World()
    app = on(bot.init(), world)
    set_mode(app, "FLATTEN", "account:main", "a test")
    world.hold("p1", "BTC", "1")
    with app.leases.hold("account:main", 0) as lease:
        assert lease is not None
        flatten_account(app, "main", lease)
        episode = app.flattenings.newest()[0].episode
        [closing] = [entry for entry in app.flattenings.story(episode) if entry.what is What.CLOSING]
        with pytest.raises(Refused, match="on record already"):
            app.flattenings.add(closing, lease)


def test_a_worker_flattens_and_brings_the_ledger_true(bot: Bot) -> None:
    world = World(kind=Kind.LINEAR)
    world.hold("p1", "BTC", "1")
    app = bot.init()
    entry = {"client_order_id": "bytelyst-p1-TRD-1-entry", "exchange_order_id": world.exchange.orders[0].id}
    bot.db.orders(row("TRD-1", "1", symbol="BTC/USDT:USDT", **entry))
    app = on(app, world)
    app = replace(app, reconcile=replace(app.reconcile, interval_s=0.05))
    set_mode(app, "FLATTEN", "profile:p1", "a test")
    Worker(app, WorkerOptions(threads=1, cycles=5)).run()
    assert (world.left(), world.wrong, len(ours(world))) == ([], [], 1)
    assert app.modes.current()["profile:p1"] is Mode.FLATTEN
    exits = [found for found in bot.db.table("orders") if found["action"] == "EXIT"]
    assert [(found["order_id"][:5], found["trade_id"]) for found in exits] == [("PRTY-", "TRD-1")]
    assert {found["kind"] for found in bot.db.rows("SELECT kind FROM breaks")} == {"ghost_position"}


def test_a_dry_worker_sends_nothing(bot: Bot) -> None:
    world = World()
    world.hold("p1", "BTC", "1")
    app = on(bot.init(), world)
    set_mode(app, "FLATTEN", "account:main", "a test")
    Worker(app, WorkerOptions(threads=1, cycles=1, dry_run=True)).run()
    assert ours(world) == []


def test_a_person_is_refused_where_it_is_not_allowed(bot: Bot) -> None:
    app = bot.init()
    for scope in ("global", "account:main", "profile:p1", "symbol:p1:BTC/USD"):
        with pytest.raises(Refused, match="not allowed") as caught:
            set_mode(app, "FLATTEN", scope, "a test")
        assert "allow_flatten = true" in caught.value.do
        with pytest.raises(Refused, match="not allowed"):
            pause(app, "a test", scope, "FLATTEN")
    assert app.modes.current() == {}
    [found] = rehearse(app, "profile:p1")
    assert found.in_the_way[0].startswith("account main does not allow it")
