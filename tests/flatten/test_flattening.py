"""FLATTEN at the simulated exchange, one situation a test."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.flatten.world import OURS, Killed, Troubles, World

from trueup.core.flatten.record import FlattenRules, What
from trueup.core.gate import Beat, DeadmanRules
from trueup.core.modes import Mode
from trueup.core.orders import Side
from trueup.ports import ClosingAnswer
from trueup.service.app import SafetyConfig
from trueup.service.events import listening
from trueup.service.rehearsing import rehearse
from trueup.sim.exchange import Kind, Leg, Market
from trueup.sim.venue import spelt

KINDS = [(Kind.SPOT, False), (Kind.LINEAR, False), (Kind.LINEAR, True), (Kind.EQUITY, False)]


def modes(world: World) -> dict[str, str]:
    return {scope: mode.name for scope, mode in world.modes.current().items()}


def closings(world: World) -> list[tuple[str, str, str]]:
    return [(order.symbol, order.side.value, f"{order.qty.normalize():f}") for order in world.venue.acting.sent]


@pytest.mark.parametrize(("kind", "hedged"), KINDS)
def test_orders_are_canceled_and_positions_closed(kind: Kind, hedged: bool) -> None:
    world = World(kind=kind, hedged=hedged)
    world.hold("p1", "BTC", "1.5")
    world.hold("p1", "ETH", "2" if kind is Kind.SPOT else "-2")
    if hedged:
        world.hold("p1", "BTC", "-0.5")
    world.rest("p1", "BTC")
    world.demand()
    [done] = world.flatten()
    assert (done.state, done.left, world.left(), world.wrong) == ("flat", (), [], [])
    assert modes(world) == {"account:main": "FLATTEN"}
    assert [severity for severity, _ in world.outbox.told] == ["info"]


def test_what_is_flat_stays_untouched_and_is_not_told_again() -> None:
    world = World()
    world.demand()
    assert [done.state for done in world.flatten()] == ["flat"]
    before = len(world.record.entries)
    assert [done.state for done in world.flatten()] == ["flat"]
    assert (len(world.record.entries), closings(world), len(world.outbox.told)) == (before, [], 1)


def test_what_a_bot_opens_after_it_was_flat_is_closed_too() -> None:
    world = World()
    world.demand()
    world.flatten()
    world.hold("p1", "BTC", "0.5")
    assert [done.state for done in world.flatten()] == ["flat"]
    assert world.left() == []


def test_nothing_is_done_without_the_mode_or_in_halt() -> None:
    world = World()
    world.hold("p1", "BTC", "1")
    assert world.flatten() == []
    world.demand("account:main", Mode.SAFE_MODE)
    assert world.flatten() == []
    world.demand("profile:p1")
    world.demand("global", Mode.HALT)
    assert world.flatten() == []
    assert closings(world) == []


def test_an_account_that_does_not_allow_it_is_halted_and_nothing_is_sent() -> None:
    world = World(allow=False)
    world.hold("p1", "BTC", "1")
    world.demand("global")
    [done] = world.flatten()
    assert done.state == "halted"
    assert modes(world) == {"global": "FLATTEN", "account:main": "HALT"}
    assert "flatten is not allowed" in world.modes.since("account:main").reason
    assert [severity for severity, _ in world.outbox.told] == ["critical"]
    assert world.left() == ["BTC/USDT:USDT"]


@pytest.mark.parametrize("trouble", ["reject", "not_sent"])
def test_a_venue_that_takes_nothing_ends_in_halt_with_what_is_left(trouble: str) -> None:
    world = World(troubles=Troubles(**{trouble: 1.0}), rules=FlattenRules(attempts=2))
    world.hold("p1", "BTC", "1.5")
    world.demand("profile:p1")
    [done] = world.flatten()
    assert done.state == "halted"
    assert "BTC/USDT:USDT: 1.5 long" in done.left
    assert len(closings(world)) == 2
    assert modes(world) == {"profile:p1": "HALT"}
    assert "BTC/USDT:USDT: 1.5 long" in world.outbox.told[-1][1]


@pytest.mark.parametrize("trouble", ["unread", "partial"])
def test_an_incomplete_reading_is_never_flat(trouble: str) -> None:
    """Invariant 5: it keeps trying, and then says that it could not be verified."""
    world = World(kind=Kind.EQUITY, troubles=Troubles(**{trouble: 1.0}))
    world.demand()
    [done] = world.flatten()
    if trouble == "partial" and done.state == "flat":
        assert world.left() == []
        return
    assert (done.state, done.known) == ("halted", False)
    assert "could not be verified" in done.why


def test_after_a_time_out_it_looks_before_it_sends_again() -> None:
    world = World(troubles=Troubles(unanswered=1.0))
    world.hold("p1", "BTC", "1.5")
    world.demand()
    [done] = world.flatten()
    assert (done.state, closings(world)) == ("flat", [("BTC/USDT:USDT", "sell", "1.5")])
    assert world.wrong == []


@pytest.mark.parametrize("names_orders", [True, False])
def test_an_order_that_arrives_late_is_not_doubled(names_orders: bool) -> None:
    world = World(seed=5, troubles=Troubles(late=1.0), names_orders=names_orders)
    world.hold("p1", "BTC", "1.5")
    world.demand()
    [done] = world.flatten()
    assert (done.state, closings(world), world.wrong) == ("flat", [("BTC/USDT:USDT", "sell", "1.5")], [])


def test_a_closing_that_rests_is_waited_for_then_canceled_with_the_rest() -> None:
    world = World(troubles=Troubles(rests=1.0), rules=FlattenRules(attempts=3))
    world.tick = world.exchange.advance  # what rests never fills any further
    world.hold("p1", "BTC", "1.6")
    world.demand()
    [done] = world.flatten()
    assert closings(world)[:2] == [("BTC/USDT:USDT", "sell", "1.6"), ("BTC/USDT:USDT", "sell", "0.8")]
    assert world.wrong == []
    assert done.state == "halted"
    assert done.left == ("BTC/USDT:USDT: 0.2 long",)
    assert world.exchange.working() == []


def test_a_position_that_flips_is_not_followed_beyond_zero() -> None:
    """The bot turns the position round while the closing is under way: what was sold is never sold again."""
    world = World(kind=Kind.EQUITY, troubles=Troubles(late=1.0))
    world.hold("p1", "BTC", "1")
    world.demand()
    first = world.venue.acting.close

    def close(order: Any) -> ClosingAnswer:
        world.venue.acting.close = first
        answer = first(order)
        world.submit("BTC", Side.SELL, Decimal(3))
        return answer

    world.venue.acting.close = close
    [done] = world.flatten()
    assert (done.state, world.wrong, world.left()) == ("flat", [], [])
    assert closings(world) == [("BTC", "sell", "1"), ("BTC", "buy", "2")]


def test_a_reading_from_before_the_closing_is_doubted() -> None:
    world = World()
    world.hold("p1", "BTC", "1")
    world.demand()
    fresh, older = world.venue.read, []

    def read(scope: Any) -> Any:
        older.append(fresh(scope))
        return older[0] if len(older) in (3, 4) else older[-1]

    world.venue.read = read
    [done] = world.flatten()
    assert (done.state, closings(world)) == ("flat", [("BTC/USDT:USDT", "sell", "1")])


# Scopes


def shared(**more: Any) -> World:
    world = World(profiles=("p1", "p2"), **more)
    world.hold("p1", "BTC", "1")
    world.hold("p2", "BTC", "0.5")
    world.hold("p1", "ETH", "2")
    world.rest("p1", "BTC")
    world.rest("p2", "BTC")
    world.rest("p2", "ETH")
    return world


def test_a_profile_of_a_shared_account_is_closed_up_to_its_own_slices() -> None:
    world = shared()
    world.demand("profile:p1")
    [done] = world.flatten()
    assert (done.state, world.wrong) == ("flat", [])
    assert closings(world) == [("BTC/USDT:USDT", "sell", "1"), ("ETH/USDT:USDT", "sell", "2")]
    assert world.qty("BTC") == Decimal("0.5")
    assert [(order.client_order_id or "").split("-")[1] for order in world.exchange.working()] == ["p2", "p2"]
    assert done.apart == ("BTC/USDT:USDT: 0.5 are open in other profiles",)


def test_a_symbol_of_a_profile_is_closed_and_no_other() -> None:
    world = shared()
    world.demand(f"symbol:p1:{world.symbol('ETH')}")
    [done] = world.flatten()
    assert (done.state, closings(world)) == ("flat", [("ETH/USDT:USDT", "sell", "2")])
    assert len(world.exchange.working()) == 3


def test_the_whole_account_is_everything_also_what_no_ledger_knows() -> None:
    world = shared()
    world.hold("p1", "ETH", "1", booked=False)
    world.demand("global")
    assert [done.state for done in world.flatten()] == ["flat"]
    assert world.left() == []


def test_what_no_open_trade_explains_is_left_and_named_where_others_trade() -> None:
    world = shared()
    world.hold("p1", "ETH", "1", booked=False)
    world.demand("profile:p1")
    [done] = world.flatten()
    assert done.state == "halted"
    assert done.left == ("ETH/USDT:USDT: 1 that no open trade of the scope explains",)
    assert world.qty("ETH") == 1


def test_what_others_net_away_is_named() -> None:
    world = World(profiles=("p1", "p2"))
    world.hold("p1", "BTC", "1")
    world.hold("p2", "BTC", "-3")
    world.demand("profile:p1")
    [done] = world.flatten()
    assert (done.state, closings(world)) == ("halted", [])
    assert "nets" in done.left[0]


def test_a_lost_answer_on_a_shared_symbol_is_never_sent_twice() -> None:
    """Where the venue cannot be asked for the order, and others hold the same symbol, a person has to look."""
    world = World(profiles=("p1", "p2"), names_orders=False, troubles=Troubles(not_sent=1.0))
    world.hold("p1", "BTC", "1")
    world.hold("p2", "BTC", "5")
    world.demand("profile:p1")
    [done] = world.flatten()
    assert (done.state, len(closings(world))) == ("halted", 1)
    assert "not known" in done.left[0]
    assert world.qty("BTC") == 6


@pytest.mark.parametrize("first", ["profile:p1", "symbol:p1:BTC/USDT:USDT", "account:main"])
def test_what_an_earlier_flattening_closed_is_not_closed_once_more(first: str) -> None:
    """The ledger says it is open until it is booked; what is held since then is the other profile's."""
    world = World(profiles=("p1", "p2"))
    world.hold("p1", "BTC", "1")
    world.tick(120_000)
    if first != "account:main":
        world.hold("p2", "BTC", "1")
    world.demand(first)
    assert [done.state for done in world.flatten()] == ["flat"]
    world.tick(120_000)
    world.demand(first, Mode.NORMAL)
    if first == "account:main":
        world.hold("p2", "BTC", "1")
    world.demand("profile:p1")
    [done] = world.flatten()
    assert (done.state, len(closings(world)), world.qty("BTC")) == ("flat", 1, 1)
    world.hold("p1", "BTC", "0.5")
    world.tick(120_000)
    world.demand("profile:p1")
    [done] = world.flatten()
    assert (done.state, closings(world)[1:], world.qty("BTC")) == ("flat", [("BTC/USDT:USDT", "sell", "0.5")], 1)


def test_where_it_is_not_known_what_an_earlier_flattening_closed_a_person_looks() -> None:
    world = World(profiles=("p1", "p2"), names_orders=False, troubles=Troubles(not_sent=1.0))
    world.hold("p1", "BTC", "1")
    world.hold("p2", "BTC", "1")
    world.demand("profile:p1")
    assert [done.state for done in world.flatten()] == ["halted"]
    world.troubles.not_sent = 0
    world.demand("profile:p1", Mode.NORMAL)
    world.tick(120_000)
    world.demand("profile:p1")
    [done] = world.flatten()
    assert (done.state, len(closings(world)), world.qty("BTC")) == ("halted", 1, 2)
    assert "not known" in done.left[0]


def test_what_another_profile_had_closed_is_no_bound() -> None:
    world = World(profiles=("p1", "p2"))
    world.hold("p1", "BTC", "1")
    world.hold("p2", "BTC", "1")
    world.demand("profile:p2")
    assert [done.state for done in world.flatten()] == ["flat"]
    world.demand("profile:p2", Mode.NORMAL)
    world.demand("profile:p1")
    assert [done.state for done in world.flatten()] == ["flat"]
    assert (len(closings(world)), world.left(), world.wrong) == (2, [], [])


def two_quotes() -> World:
    """One balance of 3 BTC: p1 has one by BTC/USDT and one by BTC/USDC, p2 has one."""
    world = World(kind=Kind.SPOT, profiles=("p1", "p2"))
    market = Market(symbol="BTCUSDC", base="BTC", quote="USDC", kind=Kind.SPOT, lot=Decimal("0.001"))
    world.exchange.list_market(market, "100")
    world.exchange.deposit("main", "USDC", "100000", margin=False)
    world.hold("p1", "BTC", "1")
    world.hold("p2", "BTC", "1")
    world.submit("BTC", Side.BUY, Decimal(1))
    row = {**world.books.rows()["row-1"], "order_id": "row-9", "trade_id": "TRD-9", "symbol": spelt(market)}
    world.books.write({**row, "client_order_id": None, "exchange_order_id": "x9"})
    world.tick(120_000)
    return world


@pytest.mark.parametrize(("scope", "left"), [("profile:p1", 1), ("symbol:p1:BTC/USDC", 2), ("symbol:p1:BTC/USDT", 2)])
def test_a_coin_of_two_symbols_is_closed_up_to_the_share_alone(scope: str, left: int) -> None:
    world = two_quotes()
    world.demand(scope)
    [done] = world.flatten()
    assert (done.state, world.qty("BTC"), len(closings(world))) == ("flat", left, 1)
    world.demand(scope, Mode.NORMAL)
    world.demand("profile:p1")
    [done] = world.flatten()
    assert (done.state, world.qty("BTC")) == ("flat", 1)


def test_a_coin_that_a_halted_profile_holds_by_another_symbol_is_left_to_it() -> None:
    world = two_quotes()
    row = world.books.rows()["row-2"]
    world.books.write({**row, "symbol": "BTC/USDC"})
    world.books.write({**world.books.rows()["row-9"], "symbol": "BTC/USDT"})
    world.demand("profile:p2", Mode.HALT)
    world.demand("account:main")
    [done] = world.flatten()
    assert (done.state, world.qty("BTC")) == ("flat", 1)


def test_a_halted_profile_of_a_flattened_account_is_left_alone() -> None:
    world = shared()
    world.demand("profile:p2", Mode.HALT)
    world.demand("account:main")
    [done] = world.flatten()
    assert (done.state, world.qty("BTC"), world.wrong) == ("flat", Decimal("0.5"), [])
    assert len(world.exchange.working()) == 2


def test_the_dead_man_of_a_bot_flattens_its_profile() -> None:
    world = shared()
    rules = DeadmanRules(action=Mode.FLATTEN)
    beat = Beat("bot:p1", world.exchange.now_ms - 91_000)
    world.books.app.heartbeats.beats = lambda scopes: {"bot:p1": beat} if "bot:p1" in scopes else {}
    world.app = replace(world.app, safety=SafetyConfig(rules, flatten=world.rules))
    [done] = world.flatten()
    assert (done.scope, done.state) == ("profile:p1", "flat")
    assert world.modes.since("profile:p1").source == "deadman"


# Crashes


@pytest.mark.parametrize("names_orders", [True, False])
@pytest.mark.parametrize("where", ["recorded", "sent", "answered"])
def test_a_worker_that_is_killed_is_followed_without_a_second_closing(where: str, names_orders: bool) -> None:
    """Invariant 7: between record and request, and between request and answer; another worker goes on."""
    world = World(names_orders=names_orders)
    world.hold("p1", "BTC", "1")
    world.demand()
    left = [1]

    def die(at: str) -> None:
        if at == where and left:
            left.pop()
            raise Killed

    words = {What.CLOSING: "recorded", What.TAKEN: "answered"}
    world.record.after = lambda entry: die(words.get(entry.what, ""))
    send = world.venue.acting.close

    def close(order: Any) -> ClosingAnswer:
        answer = send(order)
        die("sent")
        return answer

    world.venue.acting.close = close
    [done] = world.flatten()
    assert (done.state, world.wrong, left) == ("flat", [], [])
    assert closings(world) == [("BTC/USDT:USDT", "sell", "1")]
    named = [entry.client_order_id for entry in world.record.entries if entry.what is What.CLOSING]
    assert len(set(named)) == len(named) == (2 if where == "recorded" else 1)


def test_a_closing_recorded_too_long_ago_is_withheld() -> None:
    """A worker that slept between record and request may have lost its lease to another one."""
    world = World()
    world.hold("p1", "BTC", "1")
    world.demand()
    slept = [1]

    def sleep(entry: Any) -> None:
        if entry.what is What.CLOSING and slept:
            slept.pop()
            world.exchange.advance(6_000)

    world.record.after = sleep
    [done] = world.flatten()
    assert [entry.what for entry in world.record.entries if entry.what.settles][:1] == [What.WITHHELD]
    assert (done.state, closings(world)) == ("flat", [("BTC/USDT:USDT", "sell", "1")])


def test_what_was_given_up_before_halt_was_in_force_ends_in_halt() -> None:
    world = World(troubles=Troubles(reject=1.0), rules=FlattenRules(attempts=1))
    world.hold("p1", "BTC", "1")
    world.demand()
    left = [1]

    def die(entry: Any) -> None:
        if entry.what is What.GAVE_UP and left:
            left.pop()
            raise Killed

    world.record.after = die
    [done] = world.flatten()
    assert (done.state, modes(world)) == ("halted", {"account:main": "HALT"})


# Rehearsal


def test_a_rehearsal_names_all_and_does_nothing() -> None:
    world = shared()
    [found] = rehearse(world.app, "profile:p1")
    document = found.as_json()
    assert [(each["symbol"], each["side"], each["qty"], each["held"]) for each in document["closes"]] == [
        ("BTC/USDT:USDT", "sell", "1", "1.5"), ("ETH/USDT:USDT", "sell", "2", "2"),
    ]  # fmt: skip
    assert len(document["cancels"]) == 1
    assert (document["allowed"], document["in_the_way"]) == (True, [])
    assert (closings(world), world.record.entries, modes(world)) == ([], [], {})
    assert len(world.exchange.working()) == 3


def test_a_rehearsal_says_what_is_in_the_way() -> None:
    world = World(allow=False, troubles=Troubles(unread=1.0))
    [found] = rehearse(world.app, "account:main")
    assert [way.split(":")[0] for way in found.in_the_way] == [
        "account main does not allow it", "the account cannot be read in full",
    ]  # fmt: skip


def test_what_is_done_is_told_to_the_log() -> None:
    world = World()
    world.hold("p1", "BTC", "1")
    world.rest("p1", "BTC")
    world.demand()
    names: list[str] = []
    with listening(lambda event, _: names.append(event.name)):
        world.flatten()
    told = [name for name in names if name.startswith("flatten") and name != "flatten_waits"]
    assert told == [
        "flatten_begun", "flatten_canceled", "flatten_closing", "flatten_answered", "flatten_settled",
        "flatten_verified",
    ]  # fmt: skip


def test_the_legs_of_a_hedge_are_closed_each_by_its_own_side() -> None:
    world = World(hedged=True)
    world.hold("p1", "BTC", "1")
    world.hold("p1", "BTC", "-3")
    world.demand()
    world.flatten()
    assert sorted(closings(world)) == [("BTC/USDT:USDT", "buy", "3"), ("BTC/USDT:USDT", "sell", "1")]
    assert [world.qty("BTC", leg) for leg in (Leg.LONG, Leg.SHORT)] == [0, 0]
    ours = [o for o in world.exchange.orders if (o.client_order_id or "").startswith(OURS)]
    assert all(order.request.reduce_only for order in ours)
