"""The plan of an account: which trades it is about, what it counts, its metadata and its hash."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.core.world import FAILED, PARTIAL, World, entry, leave, leg, order, reaches

from trueup.core.repair.plan import ProfilePlan, document_hash
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.reach import BEGINNING, order_feed_reach

TWO_PROFILES = World(
    rows=[entry("A"), entry("B", symbol="ETH/USD"), entry("C", profile_id="p2"), entry("D"), leave("D")],
    orders=[order("X1", trade_id="A"), order("X2", trade_id="B", symbol="ETH/USD"), order("X3", trade_id="C")],
)


def booked(world: World, **wanted: frozenset[str]) -> set[str]:
    return {row.trade_id for plan in world.plan(**wanted).profiles.values() for row in plan.rows}


def test_a_plan_is_about_the_wanted_profiles_symbols_and_trades() -> None:
    assert booked(TWO_PROFILES) == {"A", "B", "C"}
    assert booked(TWO_PROFILES, profiles=frozenset({"p1"})) == {"A", "B"}
    assert booked(TWO_PROFILES, tokens=frozenset({"BTCUSD"})) == {"A", "C"}
    assert booked(TWO_PROFILES, trade_ids=frozenset({"B", "C"})) == {"B", "C"}
    assert booked(TWO_PROFILES, tokens=frozenset({"BTCUSD"}), trade_ids=frozenset({"B", "C"})) == {"C"}
    assert list(TWO_PROFILES.plan(profiles=frozenset({"p2", "p0"})).profiles) == ["p0", "p2"]


def test_trades_that_are_not_wanted_still_claim_their_evidence() -> None:
    world = World(rows=[entry("A"), entry("B", minute=1)], orders=[order()]).under(
        strong_attribution=False, heuristic_match=True
    )
    assert booked(world, trade_ids=frozenset({"A"})) == set()


def test_symbols_that_a_profile_does_not_manage_are_dropped_and_counted() -> None:
    world = TWO_PROFILES.having(managed={"p1": frozenset({"BTCUSD"}), "p2": None})
    assert booked(world) == {"A", "C"}
    plans = world.plan().profiles
    assert [(p.candidates, p.unmanaged) for p in plans.values()] == [(1, 1), (1, 0)]
    none = world.having(managed={"p1": frozenset()}).plan().profiles["p1"]
    assert (none.candidates, none.unmanaged, none.decisions) == (0, 2, ())


def test_open_trades_are_candidates() -> None:
    plans = TWO_PROFILES.plan().profiles
    assert [(p.profile_id, p.candidates, p.unmanaged, p.unmatched) for p in plans.values()] == [
        ("p1", 2, 0, 0),
        ("p2", 1, 0, 0),
    ]


def test_rows_given_to_another_profiles_trade_are_foreign() -> None:
    plans = TWO_PROFILES.plan().profiles
    assert [p.dropped for p in plans.values()] == [{"foreign": 1}, {"foreign": 1}]


def test_unmatched_rows_are_counted_over_the_managed_symbols() -> None:
    world = TWO_PROFILES.having(orders=[order("X1"), order("X2", symbol="ETH/USD")]).under(strong_attribution=False)
    assert [p.unmatched for p in world.plan().profiles.values()] == [2, 1]


@pytest.mark.parametrize(
    ("coverage", "reach"),
    [
        ({}, BEGINNING), ({"closed_orders": reaches(3)}, reaches(3).since_ms), ({"closed_orders": PARTIAL}, None),
        ({"closed_orders": None}, None), ({"open_orders": FAILED}, None), ({"fills": PARTIAL}, None),
        ({"open_orders": reaches(0), "fills": reaches(4)}, reaches(4).since_ms), ({"positions": FAILED}, BEGINNING),
    ],
)  # fmt: skip
def test_how_far_the_order_feed_reaches(coverage: dict[str, object], reach: int | None) -> None:
    assert order_feed_reach(World(coverage=coverage).snapshot) == reach
    assert BEGINNING < 0


def test_metadata_of_a_booked_row() -> None:
    marks = {"trade_id": "TRD-1", "sub_tag": "bytelyst:p1:TRD-1", "fee": "0.50", "fee_asset": "USD"}
    [decision] = World(rows=[entry(qty="0.5")], orders=[order(qty="2.0", **marks)]).decisions()
    assert decision.metadata == {
        "action": "EXIT", "status": "filled", "matchedBy": "trade_id", "exchangeSubTag": "bytelyst:p1:TRD-1",
        "price_source": "order", "evidenceQty": "2", "fee": "0.125", "feeAsset": "USD",
        "asOf": "2026-01-02T13:00:00.000Z",
    }  # fmt: skip
    [free] = World(rows=[entry()], orders=[order(trade_id="TRD-1")]).decisions()
    assert (free.metadata["fee"], free.metadata["feeAsset"], free.metadata["exchangeSubTag"]) == (None, None, None)


FACTS = {
    "openQty": "3", "evidenceRows": 2, "evidenceRowsUsed": 2, "remaining": "1", "dustThreshold": "0.006",
    "unmatchedEvidenceCount": 1, "exchangeOpenQty": "0", "symbolIsFlat": True, "flatness": "flat",
    "dustAbsQty": "0.001", "dustRelPct": "0.002", "requireStrongAttribution": True, "allowHeuristicMatch": False,
    "lookbackMs": 259_200_000, "graceMs": 300_000,
}  # fmt: skip
PARTLY = World(
    rows=[entry(qty="3")],
    orders=[order("X1", trade_id="TRD-1"), order("X2", trade_id="TRD-1"), order("X3", trade_id="GONE")],
)


def test_metadata_of_a_remainder() -> None:
    assert PARTLY.decisions()[-1].metadata == FACTS


def test_metadata_of_a_trade_that_is_refused_as_a_whole() -> None:
    held = PARTLY.having(legs=[leg("2"), leg("-0.50")])
    changed = {"evidenceRowsUsed": 0, "remaining": "3", "exchangeOpenQty": "2.5", "symbolIsFlat": False}
    assert held.decisions()[0].metadata == FACTS | changed
    unknown = PARTLY.having(coverage={"positions": FAILED}).decisions()[0].metadata
    changed = {"exchangeOpenQty": None, "symbolIsFlat": None, "detail": "the position feed is failed: timeout"}
    assert unknown == FACTS | {"evidenceRowsUsed": 0, "remaining": "3"} | changed


def test_metadata_says_what_is_wrong_with_the_ledgers_rows() -> None:
    [decision] = World(rows=[entry(), entry(qty="x", order_id="o2")], coverage={"positions": FAILED}).decisions()
    assert decision.metadata["detail"] == "order o2: 'x' is not a number"


def test_metadata_of_a_row_that_an_operator_took_back() -> None:
    world = PARTLY.having(reverted=frozenset({("p1", "TRD-1", "X1")}))
    first = world.decisions()[0]
    booking = {
        "action": "EXIT", "status": "filled", "matchedBy": "trade_id", "exchangeSubTag": None, "price_source": "order",
        "evidenceQty": "1", "fee": None, "feeAsset": None, "asOf": "2026-01-02T13:00:00.000Z",
    }  # fmt: skip
    assert first.metadata == booking | FACTS | {"evidenceRowsUsed": 0, "remaining": "3"}


def test_metadata_names_the_policy() -> None:
    world = World(rows=[entry(qty="3")]).under(
        flatness="evidence", dust_abs="0.0100", dust_rel="0.10", strong_attribution=False, heuristic_match=True,
        lookback_ms=7, grace_ms=8,
    )  # fmt: skip
    assert world.decisions()[0].metadata == FACTS | {
        "evidenceRows": 0, "evidenceRowsUsed": 0, "remaining": "3", "dustThreshold": "0.3", "unmatchedEvidenceCount": 0,
        "flatness": "evidence", "dustAbsQty": "0.01", "dustRelPct": "0.1", "requireStrongAttribution": False,
        "allowHeuristicMatch": True, "lookbackMs": 7, "graceMs": 8,
    }  # fmt: skip


def test_the_policys_defaults() -> None:
    assert BackfillPolicy() == BackfillPolicy(
        Decimal("0.001"),
        Decimal("0.002"),
        72 * 3600 * 1000,
        5 * 60 * 1000,
        True,
        False,
        BackfillPolicy().flatness,
        "bytelyst",
    )
    assert BackfillPolicy().flatness == "flat"
    assert BackfillPolicy().dust_threshold(Decimal("0.5")) == Decimal("0.001")
    assert BackfillPolicy().dust_threshold(Decimal(5)) == Decimal("0.01")


def test_the_tag_prefix_is_a_setting() -> None:
    world = World(rows=[entry()], orders=[order(sub_tag="acme:p1:TRD-1")])
    assert booked(world) == set()
    assert booked(world.having(policy=replace(world.policy, tag_prefix="ACME"))) == {"TRD-1"}


def plan(world: World) -> ProfilePlan:
    return world.plan().profiles["p1"]


def test_the_plan_hash_is_of_what_would_be_done_and_refused() -> None:
    base = World(rows=[entry("A", "2"), entry("B")], orders=[order(trade_id="A")])
    others = [
        base.having(rows=[entry("A", "2.5"), entry("B")], orders=[order(trade_id="A", qty="1.5")]),
        base.having(orders=[order(trade_id="A", price="111")]),
        base.having(orders=[order(trade_id="A", minute=11)]),
        base.having(rows=base.rows[:1]),
        base.having(legs=[leg("1")]),
        base.having(coverage={"positions": FAILED}),
        base.having(reverted=frozenset({("p1", "A", "X1")})),
        base.having(rows=[entry("A", "2"), entry("B", symbol="ETH/USD")]),
    ]
    hashes = [plan(world).plan_hash for world in (base, *others)]
    assert len(set(hashes)) == len(hashes)
    assert plan(base.having(fills=[], now=601)).plan_hash == hashes[0]
    assert plan(base.having(orders=[order(trade_id="A", price="110.00")])).plan_hash == hashes[0]


def test_the_plan_hash_is_stable() -> None:
    base = World(rows=[entry("A", "2"), entry("B")], orders=[order(trade_id="A")])
    assert plan(base).plan_hash == "d23f322d160af3131be1aa0327704c549d2211476a759f24df681305b00a115e"
    assert (
        document_hash(base.plan().profiles.values())
        == "6e9e4f50b2b26b130063cbc1df55a936434977d3cfc9b88181caa30e5680f92f"
    )


def test_the_documents_hash_is_of_all_plans_in_any_order() -> None:
    plans = list(TWO_PROFILES.plan().profiles.values())
    assert document_hash(plans) == document_hash(reversed(plans))
    assert document_hash(plans) != document_hash(plans[:1])
    renamed = [replace(plans[0], profile_id="p2"), replace(plans[1], profile_id="p1")]
    assert document_hash(renamed) != document_hash(plans)


def test_rows_that_are_foreign_by_tag_and_by_trade_are_counted_together() -> None:
    foreign = order("X9", sub_tag="bytelyst:p2:TRD-9", client_order_id="bytelyst-p1-A-exit")
    world = TWO_PROFILES.having(orders=[*TWO_PROFILES.orders, foreign])
    assert [p.dropped for p in world.plan().profiles.values()] == [{"foreign": 2}, {"foreign": 2}]
