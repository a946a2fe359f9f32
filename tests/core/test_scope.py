"""Whose evidence can be: each scope rule, with strong attribution on and off."""

import pytest
from tests.core.world import World, entry, order

from trueup.core.repair.evidence import Evidence, describe, evidence_of
from trueup.core.repair.scope import Reading, Scope, read_scope
from trueup.core.tags import TagReader

PROFILES = ("p1", "p2")
CASES = [
    # what the order carries, its scope under strong attribution, and without
    ({}, "unattributed", "kept"),
    ({"trade_id": "TRD-1"}, "kept", "kept"),
    ({"client_order_id": "bytelyst-p1-TRD-1"}, "kept", "kept"),
    ({"client_order_id": "bytelyst-p1-TRD-1-exit"}, "kept", "kept"),
    ({"client_order_id": "bytelyst-p1-TRD-1-entry"}, "entry", "entry"),
    (
        {"client_order_id": "bytelyst-p1-TRD-1-entry", "trade_id": "TRD-1", "sub_tag": "bytelyst:p1:TRD-1"},
        "entry",
        "entry",
    ),
    ({"sub_tag": "bytelyst:p1:TRD-1"}, "kept", "kept"),
    ({"sub_tag": "bytelyst:p1:whatever"}, "kept", "kept"),
    ({"sub_tag": "bytelyst:p1:"}, "kept", "kept"),
    ({"client_order_id": "bytelyst-p2-TRD-1"}, "foreign", "foreign"),
    ({"client_order_id": "bytelyst-p2-TRD-1", "trade_id": "TRD-1"}, "foreign", "foreign"),
    ({"sub_tag": "bytelyst:p2:TRD-1", "trade_id": "TRD-1"}, "foreign", "foreign"),
    ({"sub_tag": "bytelyst:p2:TRD-1", "client_order_id": "bytelyst-p1-TRD-1"}, "foreign", "foreign"),
    ({"sub_tag": "bytelyst:p1:TRD-1", "client_order_id": "bytelyst-p2-TRD-1"}, "foreign", "foreign"),
    ({"sub_tag": "bytelyst:nobody:TRD-1", "trade_id": "TRD-1"}, "unknown_profile", "unknown_profile"),
    ({"sub_tag": "bytelyst:nobody:T", "client_order_id": "bytelyst-p1-T-entry"}, "unknown_profile", "unknown_profile"),
    ({"client_order_id": "bytelyst-nobody-TRD-1"}, "unattributed", "kept"),
    ({"client_order_id": "web-77"}, "unattributed", "kept"),
    ({"sub_tag": "desk-7"}, "unattributed", "kept"),
    ({"sub_tag": "desk-7", "trade_id": "TRD-1"}, "kept", "kept"),
    ({"sub_tag": "desk-7", "client_order_id": "bytelyst-p1-TRD-1"}, "kept", "kept"),
    ({"sub_tag": "desk-7", "client_order_id": "bytelyst-p2-TRD-1"}, "foreign", "foreign"),
]


def evidence(**marks: str) -> Evidence:
    world = World(orders=[order(**marks)])
    return evidence_of(world.snapshot, world.facts.booked, world.policy).rows["BTCUSD"][0]


@pytest.mark.parametrize(("marks", "strong", "weak"), CASES)
def test_scope(marks: dict[str, str], strong: str, weak: str) -> None:
    reader = TagReader("bytelyst", PROFILES)
    for on, expected in ((True, strong), (False, weak)):
        policy = World().under(strong_attribution=on).policy
        assert read_scope(evidence(**marks), reader, policy).counts_for("p1") == expected


def test_evidence_without_an_owner_counts_for_every_profile() -> None:
    assert Reading(Scope.KEPT).counts_for("p2") == "kept"
    assert Reading(Scope.KEPT, "p1").counts_for("p1") == "kept"
    assert Reading(Scope.KEPT, "p1").counts_for("p2") == "foreign"
    assert Reading(Scope.ENTRY, "p1").counts_for("p2") == "entry"


def test_two_tags_of_different_profiles_belong_to_neither() -> None:
    world = World(
        rows=[entry(), entry(profile_id="p2")],
        orders=[order(sub_tag="bytelyst:p1:TRD-1", client_order_id="bytelyst-p2-TRD-1")],
    ).under(strong_attribution=False, heuristic_match=True)
    assert world.says() == ["TRD-1: NO_GO missing_fill_evidence_for_large_remainder"] * 2


def test_a_profile_may_use_its_own_evidence_only() -> None:
    world = World(
        rows=[entry(), entry("TRD-2", profile_id="p2")], orders=[order(trade_id="TRD-2", sub_tag="bytelyst:p1:TRD-2")]
    )
    assert world.says() == [
        "TRD-1: NO_GO missing_fill_evidence_for_large_remainder",
        "TRD-2: NO_GO missing_fill_evidence_for_large_remainder",
    ]


def test_what_is_dropped_is_counted_by_reason_as_the_profile_sees_it() -> None:
    world = World(
        rows=[entry(), entry("TRD-2", symbol="ETH/USD"), entry("TRD-3", profile_id="p2")],
        orders=[
            order("A"),
            order("B", sub_tag="bytelyst:nobody:T"),
            order("C", client_order_id="bytelyst-p1-TRD-1-entry"),
            order("D", symbol="ETH/USD"),
            order("E", sub_tag="bytelyst:p2:TRD-3"),
        ],
    )
    plans = world.plan().profiles
    assert plans["p1"].dropped == {"entry": 1, "foreign": 1, "unattributed": 2, "unknown_profile": 1}
    assert plans["p2"].dropped == {"entry": 1, "unattributed": 1, "unknown_profile": 1}


def test_evidence_in_one_line() -> None:
    assert describe(evidence()) == "sell 1 of BTC/USD, exchange order X1"
