"""Trade ids: never one id for two lifecycles, never a lifecycle split, and what is in doubt is left with its reason."""

from collections import defaultdict
from dataclasses import replace
from hashlib import md5
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integrity.lifecycles import POLICY, START, World, a_world, facts_of, planned

from trueup.core.integrity.naming import MEANS, How, Naming, ToldAlone, Unnamed, Why, plan_hash
from trueup.core.integrity.pairing import plan_naming
from trueup.core.orders import read_order

SEEDS = st.integers(0, 10**9)


def given_ids(world: World) -> dict[str, tuple[str, How]]:
    return {
        row.order_id: (naming.trade_id, naming.how)
        for plan in planned(world).values()
        for naming in plan.namings
        for row in naming.rows
    }


@given(SEEDS)
def test_no_id_is_given_to_two_lifecycles_and_no_lifecycle_is_split(seed: int) -> None:
    world = a_world(seed)
    ids, truth = given_ids(world), world.truth()
    lives: dict[str, set[str]] = defaultdict(set)
    for row in world.rows:
        name = ids[row["order_id"]][0] if row["order_id"] in ids else row["trade_id"]
        if name is not None:
            lives[name].add(truth.get(row["order_id"], "nobody's"))
    assert all(len(found) == 1 for found in lives.values()), lives
    for life in world.lives:
        by_lifecycle = [row for row in life.rows if ids.get(row["order_id"], ("", None))[1] is How.LIFECYCLE]
        assert len(by_lifecycle) in (0, len(life.rows)), life


@given(SEEDS)
def test_a_tag_gives_the_lifecycle_that_it_names(seed: int) -> None:
    world = a_world(seed)
    truth = world.truth()
    for order_id, (name, how) in given_ids(world).items():
        assert how is How.LIFECYCLE or name == truth[order_id]


@given(SEEDS)
def test_every_row_without_an_id_is_given_one_or_left_with_a_reason(seed: int) -> None:
    world = a_world(seed)
    orders = [read_order(row) for row in world.rows]
    for profile, plan in planned(world).items():
        named = [row.order_id for naming in plan.namings for row in naming.rows]
        left = [row.order_id for item in plan.left for row in item.rows]
        assert sorted([*named, *left]) == sorted(row.order_id for row in facts_of(profile, orders).rows)
        assert all(MEANS[item.why] for item in plan.left)


@given(SEEDS)
def test_lifecycles_one_after_the_other_all_get_their_ids(seed: int) -> None:
    world = a_world(seed, plain_only=True)
    ids = given_ids(world)
    left = [item.why for plan in planned(world).values() for item in plan.left]
    assert set(left) <= {Why.SEVERAL_READINGS}
    rows = [row["order_id"] for row in world.rows]
    assert len(ids) + sum(len(i.rows) for plan in planned(world).values() for i in plan.left) == len(rows)
    simple = [life for life in world.lives if len(life.rows) == 2]
    assert all(row["order_id"] in ids for life in simple for row in life.rows)


@given(SEEDS, st.randoms(use_true_random=False))
def test_the_same_facts_give_the_same_plan_in_any_order(seed: int, shuffler: Any) -> None:
    world = a_world(seed)
    orders = [read_order(row) for row in world.rows]
    shuffled = list(orders)
    shuffler.shuffle(shuffled)
    plans = [plan_naming(facts_of("p1", rows), POLICY) for rows in (orders, shuffled)]
    assert plan_hash(plans[:1], {}) == plan_hash(plans[1:], {})
    assert {(i.why, frozenset(r.order_id for r in i.rows)) for i in plans[0].left} == {
        (i.why, frozenset(r.order_id for r in i.rows)) for i in plans[1].left
    }


def raw(name: str, minute: float, action: str | None = "ENTRY", qty: str = "1", **said: Any) -> dict[str, Any]:
    side = "buy" if action != "EXIT" else "sell"
    return {
        "order_id": name, "profile_id": "p1", "symbol": "BTC/USD", "side": side, "qty": qty, "status": "filled",
        "timestamp": START + round(minute * 60_000), "action": action, "source": "BOT", **said,
    }  # fmt: skip


def plan(*rows: dict[str, Any], **facts: Any) -> tuple[dict[str, list[str]], dict[str, Why]]:
    made = plan_naming(replace(facts_of("p1", [read_order(row) for row in rows]), **facts), POLICY)
    named: dict[str, list[str]] = {}
    for naming in made.namings:
        named.setdefault(naming.trade_id, []).extend(row.order_id for row in naming.rows)
    return named, {row.order_id: item.why for item in made.left for row in item.rows}


PAIR = (raw("e", 0), raw("x", 1, "EXIT"))
TAG = "bytelyst-p1-TRD-7"


def test_a_lifecycle_gets_an_id_that_follows_from_its_first_entry() -> None:
    named, left = plan(*PAIR)
    assert named == {f"TRD-{md5(b'p1:BTCUSD:e').hexdigest()}": ["e", "x"]}
    assert not left
    assert plan(raw("e", 0, symbol="btcusd"), PAIR[1])[0] == named
    assert plan(raw("e2", 0), PAIR[1])[0] != named


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((raw("e", 0),), Why.LIFECYCLE_OPEN),
        ((raw("x", 0, "EXIT"),), Why.EXIT_WITHOUT_ENTRY),
        ((*PAIR, raw("y", 5, "EXIT")), Why.EXIT_WITHOUT_ENTRY),
        ((raw("e", 0), raw("x", 1, "EXIT", "1.5")), Why.EXIT_WITHOUT_ENTRY),
        ((raw("e", 0), raw("f", 1), raw("x", 2, "EXIT"), raw("y", 3, "EXIT")), Why.SEVERAL_READINGS),
        ((raw("e", 0, qty="2"), raw("x", 1, "EXIT"), raw("f", 1), raw("y", 2, "EXIT", "2")), Why.EQUAL_TIMES),
        ((*(raw(f"e{n}", n) for n in range(16)), raw("x", 20, "EXIT", "16")), Why.TOO_MANY_ROWS),
        ((raw("e", 0, status="partially_filled"), PAIR[1]), Why.ORDER_AT_WORK),
        ((raw("e", 0, order_id=""), PAIR[1]), Why.UNREADABLE),
    ],
)
def test_what_may_be_more_or_less_than_one_lifecycle_is_left(rows: tuple[dict[str, Any], ...], why: Why) -> None:
    named, left = plan(*rows)
    assert not named
    assert why in left.values()


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (raw("w", 0.5, status="new"), Why.ORDER_AT_WORK),
        (raw("w", 0.5, status="weird"), Why.ORDER_AT_WORK),
        (raw("w", 0.5, qty="abc"), Why.ORDER_AT_WORK),
        (raw("w", -5, action=None), Why.UNDECIDED_AMONG),
        (raw("w", -5, source=None), Why.UNDECIDED_AMONG),
        (raw("w", 5, "EXIT", source=None), Why.UNDECIDED_AMONG),
        (raw("w", -5, trade_id="TRD-open"), Why.OTHER_TRADE_UNBALANCED),
        (raw("w", 5, "EXIT", trade_id="TRD-over"), Why.OTHER_TRADE_UNBALANCED),
        (raw("w", 0.5, sub_tag="bytelyst:p1:TRD-0815"), Why.UNDECIDED_AMONG),
        (raw("w", -5, source="MANUAL"), Why.MANUAL_AMONG),
        (raw("w", 5, "EXIT", source="app"), Why.MANUAL_AMONG),
        (raw("w", 0, client_order_id=TAG), Why.OTHER_TRADE_UNBALANCED),
    ],
)
def test_what_else_happens_to_the_symbol_leaves_a_lifecycle_in_doubt(other: dict[str, Any], why: Why) -> None:
    named, left = plan(*PAIR, other)
    assert left["e"] is left["x"] is why
    assert not any("e" in found for found in named.values())


@pytest.mark.parametrize(
    "other",
    [
        raw("w", 9, status="new"), raw("w", 5, source=None), raw("w", -5, "EXIT", source=None),
        raw("w", 9, trade_id="TRD-open"), raw("w", -5, "EXIT", trade_id="TRD-over"),
        raw("w", 5, source="MANUAL"), raw("w", -5, "EXIT", source="MANUAL"), raw("w", 0.5, status="canceled"),
        raw("w", 0.5, symbol="ETH/USD", status="new"),
        raw("w", 0.5, profile_id="p2"), raw("w", 5),
    ],
)  # fmt: skip
def test_what_cannot_have_had_a_hand_in_it_leaves_no_doubt(other: dict[str, Any]) -> None:
    assert ["e", "x"] in plan(*PAIR, other)[0].values()


SCALED_IN = (raw("a", -1, trade_id="TRD-1"), raw("b", 9, "EXIT", trade_id="TRD-1"))


def test_a_closed_trade_in_whose_time_rows_stand_may_be_theirs_so_that_they_get_no_id_of_their_own() -> None:
    named, left = plan(*PAIR, *SCALED_IN)
    assert not named
    assert left == {"e": Why.OTHER_TRADE_OVERLAPS, "x": Why.OTHER_TRADE_OVERLAPS}
    tagged = tuple({**row, "trade_id": None, "client_order_id": "bytelyst-p1-TRD-1"} for row in SCALED_IN)
    assert list(plan(*PAIR, *tagged)[0]) == ["TRD-1"]
    earlier = tuple({**row, "timestamp": row["timestamp"] - 20 * 60_000} for row in SCALED_IN)
    short = tuple({**row, "side": "sell" if row["side"] == "buy" else "buy"} for row in SCALED_IN)
    for others in (earlier, short):
        assert ["e", "x"] in plan(*PAIR, *others)[0].values()


def test_what_was_traded_by_hand_from_flat_to_flat_doubts_what_stands_in_its_time() -> None:
    manual = (raw("a", -9, source="MANUAL"), raw("b", -8, "EXIT", source="MANUAL"))
    assert ["e", "x"] in plan(*PAIR, *manual)[0].values()
    assert plan(*PAIR, manual[0], raw("b", 0.5, "EXIT", source="MANUAL"))[1]["e"] is Why.MANUAL_AMONG


def test_dust_closes_a_lifecycle_and_no_more() -> None:
    dusty = (raw("e", 0), raw("x", 1, "EXIT", "0.9985"))
    assert list(plan(*dusty, raw("f", 5))[0].values()) == [["e", "x"]]
    assert not plan(raw("e", 0), raw("x", 1, "EXIT", "0.9975"), raw("f", 5))[0]
    assert not plan(*dusty, raw("f", 5), raw("y", 6, "EXIT", "1.0015"))[0]
    assert not plan(raw("e", 0, qty="0.0005"), raw("x", 1, "EXIT", "0.0001"))[0]


def test_an_id_that_another_trade_has_is_not_given_again() -> None:
    [name] = plan(*PAIR)[0]
    there = (raw("a", -9, trade_id=name, symbol="ETH/USD"), raw("b", -8, "EXIT", trade_id=name, symbol="ETH/USD"))
    named, left = plan(*PAIR, *there)
    assert not named
    assert left == {"e": Why.ID_TAKEN, "x": Why.ID_TAKEN}


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ((raw("e", 0, client_order_id=f"{TAG}-entry"), raw("x", 1, "EXIT", client_order_id=f"{TAG}-exit")), "TRD-7"),
        (
            (raw("e", 0, client_order_id="  BYTELYST-P1-TRD-aB  "), raw("x", 1, "EXIT", sub_tag="bytelyst:p1:trd-ab")),
            "TRD-aB",
        ),
        ((raw("e", 0, trade_id="TRD-12345678"), raw("x", 1, "EXIT", sub_tag="bytelyst:p1:TRD-1234")), "TRD-12345678"),
        ((raw("e", 0, trade_id="TRD-Ab"), raw("x", 1, "EXIT", client_order_id="bytelyst-p1-trd-ab-exit")), "TRD-Ab"),
        (
            (raw("e", 0, trade_id="TRD-9-exit"), raw("x", 1, "EXIT", client_order_id="bytelyst-p1-TRD-9-exit")),
            "TRD-9-exit",
        ),
        ((raw("e", 0, status="new", client_order_id=TAG),), "TRD-7"),
    ],
)
def test_tags_name_the_trade(rows: tuple[dict[str, Any], ...], name: str) -> None:
    named, left = plan(*rows)
    assert set(named) == {name}
    assert not left


def there(**said: Any) -> dict[str, Any]:
    return raw("a", 0, trade_id="TRD-7", **said)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((raw("e", 0, client_order_id="bytelyst-p2-TRD-7"),), Why.TAG_OF_ANOTHER_PROFILE),
        ((raw("e", 0, sub_tag="bytelyst:nobody:TRD-7"),), Why.TAG_UNKNOWN),
        ((raw("e", 0, client_order_id="bytelyst-p1-trd-7"),), Why.TAG_MALFORMED),
        ((raw("e", 0, sub_tag="bytelyst:p1:TRD-1234"),), Why.TAG_MAY_BE_CUT),
        (
            (raw("e", 0, sub_tag="bytelyst:p1:TRD-1234"), *(raw(n, 0, trade_id=f"TRD-1234{n}") for n in "ab")),
            Why.TAG_MAY_BE_CUT,
        ),
        ((raw("e", 0, sub_tag="bytelyst:p1:TRD-1234"), raw("a", 0, trade_id="TRD-12345")), Why.TAG_MAY_BE_CUT),
        ((raw("e", 0, sub_tag="bytelyst:p1:TRD-12"), raw("a", 0, trade_id="TRD-12345")), Why.TAG_MAY_BE_CUT),
        ((raw("e", 0, client_order_id=TAG, sub_tag="bytelyst:p1:TRD-8888"),), Why.TAGS_CONFLICT),
        ((raw("e", 0, client_order_id=f"{TAG}-exit"),), Why.TAG_AGAINST_ACTION),
        ((raw("e", 1, "EXIT", client_order_id=f"{TAG}-entry"),), Why.TAG_AGAINST_ACTION),
        ((raw("e", 0, client_order_id=TAG), there(profile_id="p2")), Why.TRADE_OF_ANOTHER_PROFILE),
        ((raw("e", 0, client_order_id=TAG), there(symbol="ETH/USD")), Why.TRADE_OF_ANOTHER_SYMBOL),
        (tuple(raw(n, 0, client_order_id=TAG, symbol=f"{n}/USD") for n in "ef"), Why.TRADE_OF_ANOTHER_SYMBOL),
        ((raw("e", 1, "EXIT", "2", client_order_id=TAG), raw("a", 0, trade_id="TRD-7")), Why.WOULD_BREAK_TRADE),
        ((raw("e", 0, client_order_id=TAG), there(), raw("b", 0, trade_id="trd-7")), Why.TAG_AMBIGUOUS),
    ],
)  # fmt: skip
def test_a_tag_that_does_not_name_one_trade_of_the_row_is_left(rows: tuple[dict[str, Any], ...], why: Why) -> None:
    named, left = plan(*rows)
    assert left["e"] is why
    assert not any("e" in found for found in named.values())


def test_an_exchange_order_that_a_row_with_an_id_books_is_given_to_no_other() -> None:
    rows = (raw("e", 0, exchange_order_id="V1"), raw("x", 1, "EXIT", client_order_id=TAG, exchange_order_id="V2"))
    _, left = plan(*rows, booked=frozenset({"V1", "V2"}))
    assert left == {"e": Why.BOOKED_ALREADY, "x": Why.BOOKED_ALREADY}


@pytest.mark.parametrize(
    ("symbol", "opened", "closed", "left"),
    [
        ("btcusd", 0, 1, True), (None, None, None, True), ("BTC/USD", None, 2, True), ("ETH/USD", 0, 1, False),
        ("BTC/USD", 5, None, False), ("BTC/USD", -9, -5, False),
    ],
)  # fmt: skip
def test_a_lifecycle_that_the_history_may_know_by_another_id_is_left(
    symbol: str | None, opened: int | None, closed: int | None, *, left: bool
) -> None:
    times = (at if at is None else START + at * 60_000 for at in (opened, closed))
    named, why = plan(*PAIR, told_alone=(ToldAlone("TRD-5", symbol, *times),))
    assert bool(named) is not left
    assert set(why.values()) == ({Why.HISTORY_OF_ANOTHER_ID} if left else set())


def test_one_execution_that_is_written_twice_is_not_entered_twice() -> None:
    twin = {"exchange_order_id": "V1"}
    rows = (raw("e", 0, **twin), raw("f", 0, **twin), raw("x", 1, "EXIT", "2"))
    named, left = plan(*rows)
    assert not named
    assert left["e"] is left["f"] is Why.BOOKED_ALREADY
    tagged = tuple({**row, "client_order_id": TAG} for row in rows)
    assert plan(*tagged)[1]["e"] is Why.BOOKED_ALREADY
    fills = (rows[0], {**rows[1], "timestamp": rows[1]["timestamp"] + 1}, rows[2])
    assert list(plan(*fills)[0].values()) == [["e", "f", "x"]]


def test_without_a_column_for_the_source_every_row_is_the_bots() -> None:
    rows = [read_order({**row, "source": None}) for row in PAIR]
    facts = Unnamed("p1", tuple(rows))
    assert {item.why for item in plan_naming(facts, POLICY).left} == {Why.SOURCE_UNKNOWN}
    made = plan_naming(replace(facts, source_kept=False), POLICY)
    assert [len(naming.rows) for naming in made.namings] == [2]
    assert isinstance(made.namings[0], Naming)


def test_two_rows_of_one_order_id_are_left() -> None:
    _, left = plan(*PAIR, raw("e", 0))
    assert left["e"] is Why.UNREADABLE
