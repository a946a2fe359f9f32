"""Money at risk: what the open breaks were worth after each run."""

from decimal import Decimal
from typing import Any

from trueup.service.exposure import exposure_over


def run(minute: int, profile: str = "p1", status: str = "MISMATCH", **more: Any) -> dict[str, Any]:
    at = f"2026-01-02T13:{minute:02d}:00.000Z"
    told = {"instance_id": profile, "status": status, "dry_run": False, "ended_at": at, "scope": {}, "breaks": []}
    return {**told, **more}


def item(name: str, notional: str | None = "10", state: str = "waiting") -> dict[str, Any]:
    return {"break_id": name, "notional": notional, "state": state}


def worths(*runs: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(str(point.notional), point.breaks, point.unpriced) for point in exposure_over(runs)]


def test_it_is_summed_over_the_profiles_from_the_first_round_on() -> None:
    told = worths(
        run(1, breaks=[item("a", "0.1")]), run(2, "p2", breaks=[item("b", "0.2")]), run(3, "p2", status="OK"),
    )  # fmt: skip
    assert told == [("0.3", 2, 0), ("0.1", 1, 0)]


def test_a_break_that_two_runs_tell_of_counts_once_and_one_without_a_price_apart() -> None:
    shared = item("of the account", "5")
    assert worths(run(1, breaks=[shared]), run(2, "p2", breaks=[shared, item("x", None)])) == [("5", 2, 1)]


def test_what_is_over_counts_no_more_and_order_does_not_matter() -> None:
    first, then = run(1, breaks=[item("a"), item("b", state="healed")]), run(2, breaks=[item("a", state="resolved")])
    assert worths(then, first) == [("10", 1, 0), ("0", 0, 0)]


def test_an_inconclusive_run_changes_only_what_it_tells_of() -> None:
    blind = run(2, status="INCONCLUSIVE", breaks=[item("b", "1"), item("c", "9", "resolved")])
    assert worths(run(1, breaks=[item("a"), item("c", "9")]), blind, run(3)) == [
        ("19", 2, 0), ("11", 2, 0), ("0", 0, 0),
    ]  # fmt: skip


def test_dry_and_partial_runs_say_nothing() -> None:
    silent = (
        run(1, dry_run=True), run(2, scope={"symbols": ["X"]}), run(3, status="PENDING", ended_at=None),
        run(4, status="INCONCLUSIVE", skipped_reason="lease_held"),
    )  # fmt: skip
    assert worths(*silent) == []
    assert [point.notional for point in exposure_over([*silent, run(5)])] == [Decimal(0)]
