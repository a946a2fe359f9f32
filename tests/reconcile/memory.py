"""The ports that a reconciliation needs, in plain memory: the answers of the database, in a hundredth of the time.

`test_histories.py` plays the same histories on both and compares every row, audit and break.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

from trueup.core.audit import DONE, WROTE, AuditDecision, AuditDraft, settled
from trueup.core.decimals import cut_quantity, exactly, round_price
from trueup.core.gate import Beat, DeadmanRules
from trueup.core.incidents.incident import Move
from trueup.core.integrity.rules import RulesInForce
from trueup.core.modes import Mode
from trueup.core.orders import LedgerOrder, StatusClass, read_order, status_class
from trueup.core.reconcile.audited import announced, healed
from trueup.core.reconcile.changes import Change, Effect, NewRow, RowChange, booked_of
from trueup.core.reconcile.records import BreakRecord
from trueup.core.reconcile.watchdog import RunFact
from trueup.core.repair.booked import Applied, booked_index
from trueup.core.repair.decisions import ALREADY_EXISTS
from trueup.core.repair.rows import WITHOUT_ORDER
from trueup.core.repair.slices import fingerprint, slices_of
from trueup.core.symbols import Symbols
from trueup.core.tags import comparable, is_tagged
from trueup.core.times import iso, read_time
from trueup.ports import (
    HealBatch,
    HealResult,
    Kept,
    Lease,
    ModeChange,
    Profile,
    Realized,
    RepairBatch,
    RepairResult,
    RunEnd,
    RunStart,
)

_COLUMNS = {"filled_at", "exchange_order_id", "qty", "quantity", "price", "order_qty"}


class MemoryBooks:
    """The Ledger port."""

    writable = True

    def __init__(self, journal: "MemoryJournal") -> None:
        self.raw: dict[str, dict[str, Any]] = {}
        self.members: list[Profile] = []
        self._read: dict[str, LedgerOrder] = {}
        self._journal = journal

    def put(self, raw: Mapping[str, Any]) -> None:
        """Write one row, as anybody may."""
        name = str(raw["order_id"])
        self.raw[name] = dict(raw)
        self._read[name] = read_order(raw)

    def profiles(self) -> list[Profile]:
        return list(self.members)

    def every(self) -> Iterable[LedgerOrder]:
        return self._read.values()

    def _by_trade(self) -> dict[tuple[str, str], list[LedgerOrder]]:
        found: dict[tuple[str, str], list[LedgerOrder]] = {}
        for row in self.every():
            if row.trade_id is not None:
                found.setdefault((row.profile_id, row.trade_id), []).append(row)
        return found

    @exactly
    def open_trade_rows(self, profile_ids: Sequence[str]) -> list[LedgerOrder]:
        living: list[LedgerOrder] = []
        for (profile, _), rows in self._by_trade().items():
            if profile in profile_ids and any(
                piece.defect or abs(piece.open_qty) > Decimal("0.5e-8") for piece in slices_of(rows, Symbols())
            ):
                living += [row for row in rows if row.status is not StatusClass.DEAD]
        return living

    def trade_rows(self, trade_id: str, profile_ids: Sequence[str] | None = None) -> list[LedgerOrder]:
        rows = [r for r in self.every() if r.trade_id == trade_id and (not profile_ids or r.profile_id in profile_ids)]
        return sorted(rows, key=lambda row: (row.order_ms or 0, row.order_id))

    def rows_without_trade(self, profile_ids: Sequence[str]) -> int:
        filled = (row for row in self.every() if row.status is StatusClass.FILLED and row.trade_id is None)
        return sum(row.profile_id in profile_ids for row in filled)

    def rows_booking(
        self, exchange_order_ids: Iterable[str], client_order_ids: Iterable[str], tag_prefix: str
    ) -> list[LedgerOrder]:
        orders, clients = frozenset(exchange_order_ids), frozenset(client_order_ids)
        tags = frozenset(comparable(tag_prefix, name) for name in clients if is_tagged(tag_prefix, name))
        return [
            row
            for row in self.every()
            if row.order_id in orders
            or (row.exchange_order_id is not None and row.exchange_order_id in orders)
            or (row.client_order_id is not None
                and (row.client_order_id in clients or row.client_order_id.lower() in tags))
        ]  # fmt: skip

    def orders_to_compare(
        self,
        profile_ids: Sequence[str],
        since_ms: int,
        exchange_order_ids: Iterable[str],
        client_order_ids: Iterable[str],
        tag_prefix: str,
    ) -> list[LedgerOrder]:
        found = {row.order_id: row for row in self.rows_booking(exchange_order_ids, client_order_ids, tag_prefix)}
        for row in self.every():
            if row.profile_id not in profile_ids:
                continue
            recent = row.order_ms is None or row.order_ms >= since_ms
            named = row.exchange_order_id is not None or row.client_order_id is not None
            if (
                row.status is StatusClass.WORKING
                or row.word == "partially_filled"
                or (recent and (row.status is StatusClass.UNKNOWN or (row.status is StatusClass.FILLED and named)))
            ):
                found[row.order_id] = row
        return sorted(found.values(), key=lambda row: (row.profile_id, row.order_id))

    def trades_spelt(self, profile_ids: Sequence[str], names: Iterable[str]) -> frozenset[tuple[str, str]]:
        wanted = set(names)
        spelt = ((row.profile_id, row.trade_id.lower()) for row in self.every() if row.trade_id is not None)
        return frozenset((profile, name) for profile, name in spelt if profile in profile_ids and name in wanted)

    def rows_spelt(self, profile_ids: Sequence[str], names: Iterable[str]) -> list[LedgerOrder]:
        wanted = set(names)
        mine = (row for row in self.every() if row.profile_id in profile_ids and row.trade_id is not None)
        return [row for row in mine if str(row.trade_id).lower() in wanted]

    def rows_of_trades(self, trades: Sequence[tuple[str, str]]) -> list[LedgerOrder]:
        living = (row for row in self.every() if row.status is not StatusClass.DEAD)
        return [row for row in living if (row.profile_id, row.trade_id) in trades]

    def realized(self, profile_ids: Sequence[str], after: str | None = None) -> Realized:
        return Realized(None)

    def existing_ids(self, order_ids: Iterable[str]) -> frozenset[str]:
        return frozenset(order_ids) & self.raw.keys()

    def heal(self, batch: HealBatch, *, rehearse: bool) -> HealResult:
        """Make heals as the database does: nothing where a row or what is booked is not as it was."""
        names = [change.order_id for change in batch.changes]
        assert len(set(names)) == len(names)
        assert all(change.profile_id == batch.profile.profile_id for change in batch.changes)
        stale = tuple(
            change.order_id
            for change in batch.changes
            if isinstance(change, RowChange) and self._read.get(change.order_id) != change.before
        )
        stale += self._booked_otherwise(batch)
        if stale or rehearse:
            return HealResult(stale=stale)
        existing = self.existing_ids(c.order_id for c in batch.changes if isinstance(c, NewRow))
        effects: list[Effect] = []
        for change in batch.changes:
            pending = announced(change, batch.run_id, batch.actor, batch.plan_hash)
            if change.order_id in existing:
                self._journal.drafts.append(settled(pending, AuditDecision.SKIP_EXISTING, ALREADY_EXISTS, None))
                continue
            before = self.raw.get(change.order_id, {})
            after = _added(change, batch.now) if isinstance(change, NewRow) else _changed(change, before, batch.now)
            self.put(after)
            found = self._read[change.order_id]
            assert found.defect is None, found.detail
            effects.append(
                Effect(change.order_id, change.profile_id, change.trade_id, change.proof.rule, before, after)
            )
            self._journal.drafts.append(healed(pending, batch.now, before=dict(before), after=dict(after)))
        return HealResult(tuple(effects), tuple(sorted(existing)))

    def _booked_otherwise(self, batch: HealBatch) -> tuple[str, ...]:
        stale: list[str] = []
        for change in batch.changes:
            proof = change.proof
            if proof.booked_before is not None:
                index = self._index(batch, proof.exchange_order_id, proof.client_order_id)
                stale += [change.order_id] if booked_of(index, change) != proof.booked_before else []
        return tuple(stale)

    def _index(self, batch: HealBatch | RepairBatch, order_id: str | None, client_id: str | None) -> Any:
        ids, clients = {order_id} - {None}, {client_id} - {None}
        rows = [r for r in self.rows_booking(ids, clients, batch.tag_prefix) if r.profile_id not in batch.elsewhere]
        applied = [item for item in self._journal.applied(ids) if item.profile_id not in batch.elsewhere]
        return booked_index(rows, applied, batch.symbols, batch.tag_prefix)

    def book(self, batch: RepairBatch, *, rehearse: bool) -> RepairResult:
        """Book exits as the database does."""
        stale = []
        for booking in batch.bookings:
            row = booking.row
            mine = [r for r in self.every() if (r.profile_id, r.trade_id) == (row.profile_id, row.trade_id)]
            if fingerprint(mine) != booking.fingerprint:
                stale.append(row.trade_id)
            elif row.matched_by not in WITHOUT_ORDER:
                index = self._index(batch, row.exchange_order_id, row.client_order_id)
                found = index.of(row.symbol, row.side, row.exchange_order_id, row.client_order_id)
                stale += [row.trade_id] if found.qty != booking.booked_before else []
        if stale or rehearse:
            return RepairResult(stale=tuple(stale))
        existing = self.existing_ids(booking.row.order_id for booking in batch.bookings)
        for booking in batch.bookings:
            row = booking.row
            if row.order_id in existing:
                self._journal.drafts.append(settled(booking.pending, AuditDecision.SKIP_EXISTING, ALREADY_EXISTS, None))
                continue
            self.put(
                {
                    "order_id": row.order_id, "profile_id": row.profile_id, "user_id": row.user_id,
                    "symbol": row.symbol, "type": "market", "side": row.side.value, "qty": row.qty,
                    "quantity": row.qty, "price": row.price, "status": "filled", "timestamp": row.filled_ms,
                    "filled_at": iso(row.filled_ms), "trade_id": row.trade_id, "action": "EXIT", "source": "BOT",
                    "sub_tag": row.sub_tag, "client_order_id": row.client_order_id,
                    "exchange_order_id": row.exchange_order_id, "order_qty": row.qty, "created_at": batch.now,
                    "updated_at": batch.now,
                }
            )  # fmt: skip
            self._journal.drafts.append(settled(booking.pending, AuditDecision.APPLIED, "inserted", batch.now))
        inserted = tuple(b.row.order_id for b in batch.bookings if b.row.order_id not in existing)
        return RepairResult(inserted, tuple(sorted(existing)))


def _changed(change: RowChange, before: Mapping[str, Any], now: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "qty": _cut(change.qty), "quantity": _cut(change.qty), "order_qty": _cut(change.order_qty),
        "price": round_price(change.price) if change.price is not None else None,
        "filled_at": iso(change.filled_ms) if change.filled_ms is not None else None,
        "exchange_order_id": change.exchange_order_id,
    }  # fmt: skip
    kept = {name: value for name, value in values.items() if value is not None}
    return {**before, **kept, "status": change.status, "updated_at": now}


def _added(row: NewRow, now: str) -> dict[str, Any]:
    filled = status_class(row.status) is StatusClass.FILLED
    ordered = row.order_qty if row.order_qty is not None else row.qty
    qty = _cut(row.qty if filled else ordered)
    return {
        "order_id": row.order_id, "profile_id": row.profile_id, "user_id": row.user_id, "symbol": row.symbol,
        "type": "market" if filled or not row.price else "limit", "side": row.side.value, "qty": qty, "quantity": qty,
        "price": round_price(row.price), "status": row.status, "timestamp": row.time_ms,
        "filled_at": iso(row.time_ms) if filled else None, "trade_id": row.trade_id, "action": row.action.value,
        "source": "BOT", "sub_tag": row.sub_tag, "client_order_id": row.client_order_id,
        "exchange_order_id": row.exchange_order_id, "order_qty": _cut(ordered), "created_at": now, "updated_at": now,
    }  # fmt: skip


def _cut(qty: Decimal | None) -> Decimal | None:
    return cut_quantity(qty) if qty is not None else None


class MemoryJournal:
    """The part of the Journal port that a reconciliation calls; nothing is ever interrupted or taken back."""

    def __init__(self) -> None:
        self.drafts: list[AuditDraft] = []

    def audit_exists(self) -> bool:
        return True

    def record(self, drafts: Sequence[AuditDraft]) -> list[Any]:
        self.drafts += drafts
        return list(drafts)

    def applied(self, exchange_order_ids: Iterable[str]) -> list[Applied]:
        wanted, found = set(exchange_order_ids), {}
        for draft in self.drafts:
            if draft.exchange_order_id in wanted and draft.decision in DONE:
                found[draft.exchange_order_id, draft.backfill_order_id] = Applied(
                    draft.profile_id, draft.trade_id, draft.symbol, str(draft.exchange_order_id),
                    str(draft.backfill_order_id), draft.filled_qty or Decimal(0),
                )  # fmt: skip
        return [item for item in found.values() if item.qty]

    def reverted(self, profile_ids: Sequence[str]) -> frozenset[tuple[str, str, str]]:
        return frozenset()

    healed_and_reverted = reverted

    def wrote_since(self, profile_ids: Sequence[str], since_ms: int) -> bool:
        return any(draft.decision in WROTE and draft.profile_id in profile_ids for draft in self.drafts)

    def settled(self, profile_ids: Sequence[str]) -> list[tuple[str, str, str, int]]:
        newest: dict[tuple[str, str, str], int] = {}
        for draft in self.drafts:
            if draft.decision is AuditDecision.APPLIED and draft.profile_id in profile_ids:
                key = (draft.profile_id, draft.trade_id, draft.symbol)
                newest[key] = max(newest.get(key, 0), read_time(str(draft.metadata["asOf"])))
        return [(*key, as_of) for key, as_of in sorted(newest.items())]

    def interrupted(self, profile_ids: Sequence[str]) -> list[Any]:
        return []

    def close_batch(self, batch_id: str, closing: Callable[[Any], AuditDraft]) -> list[Any]:
        return []

    def unended_runs(self) -> list[Any]:
        return []

    def alert(self, kind: str, scope: str, text: str) -> None:
        return


class MemoryBreaks:
    """The Breaks port."""

    def __init__(self) -> None:
        self.records: dict[str, BreakRecord] = {}

    def open(self, account: str) -> list[BreakRecord]:
        return [r for r in self.records.values() if r.account == account and not r.state.over]

    def named(self, break_ids: Iterable[str]) -> list[BreakRecord]:
        return [self.records[name] for name in break_ids if name in self.records]

    def save(self, records: Sequence[BreakRecord], lease: Lease | None = None) -> None:
        self.records |= {record.break_id: record for record in records}


class MemoryRuns:
    """The Runs port."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._profiles: dict[str, str] = {}
        self._ended: dict[str, list[RunFact]] = {}

    def begin(self, starts: Sequence[RunStart]) -> None:
        self._profiles |= {start.run_id: start.profile_id for start in starts}

    def end(self, ends: Sequence[RunEnd], lease: Lease | None = None) -> None:
        for end in ends:
            counts = end.summary["counts"]
            assert isinstance(counts, Mapping)
            fact = RunFact(self._now_ms(), end.status, int(counts["found"]))
            self._ended.setdefault(self._profiles[end.run_id], []).append(fact)

    def last_head(self, profile_id: str) -> str | None:
        return None

    def since(self, profile_ids: Sequence[str], since_ms: int) -> dict[str, list[RunFact]]:
        return {name: [f for f in self._ended.get(name, []) if f.ended_ms > since_ms] for name in profile_ids}


class MemoryModes:
    """The Modes port."""

    def __init__(self) -> None:
        self.changes: list[ModeChange] = []

    def current(self) -> dict[str, Mode]:
        return {change.scope: change.mode for change in self.changes}

    def set(
        self,
        change: ModeChange,
        after: ModeChange | None = None,
        lease: Lease | None = None,
        within: Sequence[str] = (),
    ) -> ModeChange:
        made = replace(change, previous=self.current().get(change.scope, Mode.NORMAL))
        self.changes.append(made)
        return made

    def tighten(self, change: ModeChange) -> ModeChange | None:
        return self.set(change) if change.mode > self.current().get(change.scope, Mode.NORMAL) else None

    def of_scope(self, scope: str, limit: int) -> list[ModeChange]:
        return [change for change in reversed(self.changes) if change.scope == scope][:limit]


class MemoryBeats:
    """The Heartbeats port."""

    def beat(self, scope: str, at_ms: int, *, healthy: bool, rules: DeadmanRules) -> None:
        return

    def beats(self, scopes: Collection[str] | None = None) -> dict[str, Beat]:
        return {}


class MemoryRules:
    """The part of the Integrity port that a reconciliation calls: a ledger that binds no rule."""

    def in_force(self) -> RulesInForce:
        return RulesInForce()


class MemoryOutbox:
    """The part of the Outbox port that a reconciliation calls."""

    def __init__(self) -> None:
        self._stories: dict[str, list[Any]] = {}

    def page(self, limit: int, *, pending: bool = False) -> list[Any]:
        return []

    def change(self, key: str, decide: Callable[[Sequence[Any]], Any], now_ms: int) -> Any:
        return decide(())


class MemoryIncidents:
    """The part of the Incidents port that a reconciliation calls; modes and canaries are not kept."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}

    def open_in(self, account: str) -> Kept | None:
        found = (kept for kept in self.kept.values() if kept.incident.account == account and kept.incident.is_open)
        return next(found, None)

    def commit(self, move: Move, version: int | None, at_ms: int, lease: Lease | None = None) -> Kept:
        kept = Kept(move.incident, (version or 0) + 1)
        self.kept[move.incident.incident_id] = kept
        return kept


class MemoryLeases:
    """The Leases port: nobody else is there."""

    @contextmanager
    def hold(self, scope: str, wait_seconds: float) -> Iterator[Lease | None]:
        yield Lease(scope, "me", 1, 2**62)


__all__ = [
    "Change",
    "MemoryBooks",
    "MemoryBreaks",
    "MemoryIncidents",
    "MemoryJournal",
    "MemoryLeases",
    "MemoryModes",
    "MemoryRuns",
]
