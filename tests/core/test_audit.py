"""The audit's hash chain: what a row's hash covers, which row is named as broken, and what `reverted_at` must be."""

import json
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256

import pytest
from tests.core.world import PARTIAL, World, at, entry, leg, order, working

from trueup.core.audit import (
    GENESIS,
    HASHED,
    AuditDecision,
    AuditDraft,
    AuditRow,
    Verification,
    canonical_json,
    chained,
    draft_of,
    row_hash,
    settled,
    verify,
)
from trueup.core.times import iso

T1, T2 = "2026-01-02T03:00:00.000Z", "2026-01-02T04:00:00.000Z"


def draft(decision: str = "APPLIED", **said: object) -> AuditDraft:
    facts: dict[str, object] = {
        "batch_id": "b1", "profile_id": "p1", "symbol": "BTC/USD", "trade_id": "TRD-1", "reason": "inserted",
        "dry_run": False, "actor": "ann", "plan_hash": "h", **said,
    }  # fmt: skip
    return AuditDraft(decision=AuditDecision(decision), **facts)


def chain(*drafts: AuditDraft) -> list[AuditRow]:
    rows: list[AuditRow] = []
    for seq, one in enumerate(drafts, 1):
        rows.append(chained(one, seq, str(rows[-1]["hash"]) if rows else GENESIS, T1 if seq == 1 else T2))
    return rows


def changed(row: AuditRow, **columns: object) -> AuditRow:
    return AuditRow({**row.columns, **columns})


def rehashed(row: AuditRow, **columns: object) -> AuditRow:
    """A row that was changed by somebody who knows how to make its hash fit."""
    other = changed(row, **columns)
    return changed(other, hash=row_hash(other.columns))


def about(seq: object) -> dict[str, object]:
    return {"metadata": {"appliedSeq": seq}}


THREE = chain(draft("PENDING_APPLY"), draft(), draft("NO_GO", trade_id="TRD-2"))
REVERTED = chain(draft(), draft("REVERTED", **about(1)))


def test_a_row_is_stored_in_canonical_text() -> None:
    full = draft(
        exchange_order_id="X1", exchange_client_order_id="c1", backfill_order_id="BFILL-1", filled_qty=Decimal("1.50"),
        filled_price=Decimal("1E+2"), filled_at=T1, metadata={"b": 1, "a": "é"}, applied_at=T2,
    )  # fmt: skip
    row = chained(full, 7, "f" * 64, T2)
    assert row.columns == {
        "seq": "7", "batch_id": "b1", "profile_id": "p1", "symbol": "BTC/USD", "trade_id": "TRD-1",
        "exchange_order_id": "X1", "exchange_client_order_id": "c1", "backfill_order_id": "BFILL-1",
        "filled_qty": "1.5", "filled_price": "100", "filled_at": T1, "dry_run": False, "decision": "APPLIED",
        "reason": "inserted", "metadata": '{"a":"é","b":1}', "actor": "ann", "plan_hash": "h", "created_at": T2,
        "applied_at": T2, "reverted_at": None, "prev_hash": "f" * 64, "hash": row_hash(row.columns),
    }  # fmt: skip
    assert {type(value) for value in row.columns.values()} == {str, bool, type(None)}


def test_what_a_draft_does_not_say_is_null() -> None:
    columns = chained(draft(), 1, GENESIS, T1).columns
    names = "exchange_order_id exchange_client_order_id backfill_order_id filled_qty filled_price filled_at applied_at"
    assert {columns[name] for name in names.split()} == {None}
    assert columns["metadata"] == "{}"


def test_the_hash_is_of_the_content_and_the_hash_before_in_a_fixed_form() -> None:
    row = chained(draft(), 1, GENESIS, T1)
    text = (
        '["1","b1","p1","BTC/USD","TRD-1",null,null,null,null,null,null,false,"APPLIED","inserted","{}","ann","h",'
        f'"{T1}",null,"{GENESIS}"]'
    )
    assert row["hash"] == sha256(text.encode()).hexdigest()
    assert GENESIS == "0" * 64
    assert canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'


def test_the_hash_covers_every_column_but_reverted_at() -> None:
    row = chained(draft(), 1, GENESIS, T1)
    covered = {name for name in row.columns if row_hash({**row.columns, name: "other"}) != row["hash"]}
    assert covered == {*HASHED, "prev_hash"} == set(row.columns) - {"reverted_at", "hash"}


def test_text_that_is_no_unicode_is_hashed_too() -> None:
    rows = chain(draft(reason="\ud800"), draft(reason="ключ"))
    assert verify(rows).ok


@pytest.mark.parametrize("decision", AuditDecision)
def test_a_decision_is_written_as_its_name(decision: AuditDecision) -> None:
    assert decision.value == decision.name
    assert chained(draft(decision.value), 1, GENESIS, T1)["decision"] == decision.name


@pytest.mark.parametrize(
    ("stored", "seq"),
    [
        ("12", 12), (12, 12), ("-1", -1), ("x", -1), (None, -1), ("", -1), ("٣", -1), ("²", -1),
        ("9" * 18, 10**18 - 1), ("9" * 19, -1),
    ],
)  # fmt: skip
def test_the_place_of_a_row(stored: object, seq: int) -> None:
    assert AuditRow({"seq": stored}).seq == seq


def test_a_row_is_printed_with_its_metadata_as_an_object() -> None:
    row = chained(draft(metadata={"openQty": "1"}), 3, GENESIS, T1)
    shown = row.as_json()
    assert (shown["seq"], shown["metadata"], shown["trade_id"]) == (3, {"openQty": "1"}, "TRD-1")
    assert set(shown) == set(row.columns)
    assert AuditRow({"seq": "1", "metadata": None}).as_json() == {"seq": 1, "metadata": {}}
    assert row["nothing"] is None


def test_a_whole_chain() -> None:
    assert verify(THREE) == Verification(3, str(THREE[2]["hash"]))
    assert verify(iter([])) == Verification(0, GENESIS)
    assert verify(THREE).ok
    assert not Verification(3, "h", reason="broken").ok


HOLE = "a row was removed, added or renumbered"


@pytest.mark.parametrize(
    ("rows", "broken", "reason", "read"),
    [
        (THREE[1:], 1, f"seq 2 stands where 1 belongs: {HOLE}", 1),
        ([THREE[0], THREE[2]], 2, f"seq 3 stands where 2 belongs: {HOLE}", 2),
        ([THREE[0], THREE[0], THREE[1]], 1, f"seq 1 stands where 2 belongs: {HOLE}", 2),
        ([THREE[0], changed(THREE[1], seq="x")], 2, f"seq x stands where 2 belongs: {HOLE}", 2),
        ([THREE[0], changed(THREE[1], seq="0")], 0, f"seq 0 stands where 2 belongs: {HOLE}", 2),
        ([THREE[0], changed(THREE[1], reason="x"), THREE[2]], 2, "its hash does not fit its content", 2),
        ([changed(THREE[0], hash="x"), *THREE[1:]], 1, "its hash does not fit its content", 1),
        ([THREE[0], rehashed(THREE[1], reason="x"), THREE[2]], 3, "prev_hash is not the hash of the row before", 3),
        ([rehashed(THREE[0], prev_hash="1" * 64)], 1, "prev_hash is not the hash of the row before", 1),
        ([*THREE[:2], rehashed(THREE[2], prev_hash=GENESIS)], 3, "prev_hash is not the hash of the row before", 3),
    ],
)  # fmt: skip
def test_the_first_broken_row_is_named(rows: list[AuditRow], broken: int, reason: str, read: int) -> None:
    head = str(rows[read - 2]["hash"]) if read > 1 else GENESIS
    found = verify(rows)
    assert found == Verification(read, head, broken, reason)
    assert not found.ok


def test_a_cut_off_tail_is_found_by_the_head_that_was_seen() -> None:
    heads = [str(row["hash"]) for row in THREE]
    for head in (*heads, GENESIS):
        assert verify(THREE, expect_head=head).ok
    assert verify(THREE[:2]).ok
    assert verify(THREE[:2], expect_head=heads[2]) == Verification(
        2, heads[1], 3, f"the expected head {heads[2]} is not in the chain"
    )
    assert verify([], expect_head=GENESIS).ok
    assert verify([], expect_head=heads[0]).broken_seq == 1


def in_force(rows: list[AuditRow], seq: int, reverted_at: str | None) -> Verification:
    return verify([changed(row, reverted_at=reverted_at) if row.seq == seq else row for row in rows])


def test_reverted_at_is_the_time_of_the_row_that_reverted() -> None:
    assert in_force(REVERTED, 1, T2).ok
    assert in_force(REVERTED, 1, None) == Verification(
        2, str(REVERTED[1]["hash"]), 1, f"reverted_at is None, recorded is {T2}"
    )
    assert in_force(REVERTED, 1, T1).reason == f"reverted_at is {T1}, recorded is {T2}"


def test_reverted_at_without_a_row_that_reverted_is_broken() -> None:
    assert in_force(THREE, 2, T2) == Verification(3, str(THREE[2]["hash"]), 2, f"reverted_at is {T2}, recorded is None")


def test_a_row_that_was_put_in_force_again_has_no_reverted_at() -> None:
    again = chain(draft(), draft("REVERTED", **about(1)), draft("REAPPLIED", **about(1)))
    assert in_force(again, 1, None).ok
    assert in_force(again, 1, T2).broken_seq == 1
    thrice = chain(
        *[draft()] * 2, draft("REVERTED", **about(2)), draft("REAPPLIED", **about(2)), draft("REVERTED", **about(2))
    )
    assert in_force(thrice, 2, T2).ok
    assert in_force(thrice, 2, None).broken_seq == 2


def test_the_first_of_several_wrong_reverted_at_is_named() -> None:
    rows = [changed(row, reverted_at=T1) for row in THREE]
    assert verify(rows).broken_seq == 1


@pytest.mark.parametrize("metadata", [{}, {"appliedSeq": "1"}, {"appliedSeq": None}, {"appliedSeq": 1.0}])
def test_a_reverting_row_that_names_no_row_reverts_none(metadata: Mapping[str, object]) -> None:
    rows = chain(draft(), draft("REVERTED", metadata=metadata))
    assert verify(rows).ok
    assert in_force(rows, 1, T2).broken_seq == 1


def test_other_rows_that_name_a_row_revert_nothing() -> None:
    assert in_force(chain(draft(), draft("APPLIED", **about(1))), 1, T2).broken_seq == 1


ONE = World(
    rows=[entry()],
    orders=[order(trade_id="TRD-1", client_order_id="bytelyst-p1-TRD-1-exit", sub_tag="bytelyst:p1:TRD-1", qty="1")],
)


@pytest.mark.parametrize(("dry_run", "recorded"), [(True, "DRY_RUN"), (False, "PENDING_APPLY")])
def test_the_draft_of_a_booking(dry_run: bool, recorded: str) -> None:
    [decision] = ONE.decisions()
    row = decision.exit
    assert row is not None
    assert draft_of(decision, "b9", "ann", "h", dry_run=dry_run) == AuditDraft(
        batch_id="b9", profile_id="p1", symbol="BTC/USD", trade_id="TRD-1", decision=AuditDecision(recorded),
        reason="eligible", dry_run=dry_run, actor="ann", plan_hash="h", exchange_order_id="X1",
        exchange_client_order_id="bytelyst-p1-TRD-1-exit", backfill_order_id=row.order_id, filled_qty=Decimal(1),
        filled_price=Decimal(110), filled_at=iso(at(10)), metadata=decision.metadata, applied_at=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("world", "recorded", "reason"),
    [
        (ONE.having(rows=[entry(), working()]), "SKIP_PENDING_ORDER", "pending_order_blocker"),
        (ONE.having(legs=[leg("2")]), "SKIP_ACTIVE_POSITION", "exchange_not_flat:2"),
        (ONE.having(coverage={"positions": PARTIAL}), "NO_GO", "venue_position_unknown"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_the_draft_of_a_refusal(world: World, recorded: str, reason: str, dry_run: bool) -> None:
    [decision] = world.decisions()
    assert draft_of(decision, "b9", "ann", "h", dry_run=dry_run) == AuditDraft(
        batch_id="b9", profile_id="p1", symbol="BTC/USD", trade_id="TRD-1", decision=AuditDecision(recorded),
        reason=reason, dry_run=dry_run, actor="ann", plan_hash="h", metadata=decision.metadata,
    )  # fmt: skip


def test_the_draft_of_a_row_that_an_operator_took_back_cites_it() -> None:
    [decision] = ONE.having(reverted=frozenset({("p1", "TRD-1", "X1")})).decisions()
    found = draft_of(decision, "b9", "ann", "h", dry_run=False)
    assert (found.decision, found.reason, found.exchange_order_id) == ("NO_GO", "reverted_by_operator", "X1")


def test_a_pending_row_ends_with_what_became_of_it() -> None:
    pending = draft("PENDING_APPLY", reason="eligible", metadata={"a": 1, "b": 2})
    done = settled(pending, AuditDecision.APPLIED, "inserted", T2, b=3, appliedSeq=1)
    assert done == draft("APPLIED", reason="inserted", metadata={"a": 1, "b": 3, "appliedSeq": 1}, applied_at=T2)
    assert json.loads(str(chained(done, 1, GENESIS, T1)["metadata"])) == {"a": 1, "b": 3, "appliedSeq": 1}
    assert settled(pending, AuditDecision.SKIP_EXISTING, "already_exists", None).applied_at is None
