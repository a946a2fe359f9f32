"""Healing: rows that change their state and rows that are added, in one transaction with the audit and what follows.

Invariants 2 (Once), 7 (Audit before act), 8 (Reversible) and 12 (Fenced): the intent stands in the audit before this
runs; what a decision rests on is looked at again under locks; the audit keeps every column before and after.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import Connection, update
from sqlalchemy.dialects import postgresql, sqlite

from trueup.core.audit import AuditDecision, AuditDraft, settled
from trueup.core.books import ExitFacts
from trueup.core.decimals import cut_quantity, round_price
from trueup.core.errors import ConfigurationError, Refused
from trueup.core.orders import LedgerOrder, StatusClass, read_order, status_class
from trueup.core.reconcile.audited import announced, healed
from trueup.core.reconcile.changes import Change, Effect, NewRow, RowChange
from trueup.core.repair.decisions import ALREADY_EXISTS
from trueup.core.times import iso
from trueup.ledger import chain
from trueup.ledger.attach import NOTHING_LIKE_IT, OrdersTable, sample_row
from trueup.ledger.derived import rematerialise
from trueup.ledger.guards import fenced, require_pause, stale_heals, trade_marks
from trueup.ledger.kept_rows import unlike
from trueup.ledger.raw_rows import NOT_KEPT, locked_rows, mark_of, stored
from trueup.ledger.reading import existing_ids, read_row
from trueup.ledger.spelling import status_as_spelt
from trueup.ledger.tables import Store
from trueup.ports import HealBatch, HealResult


class _Rehearsed(Exception):
    """Ends a rehearsal: the transaction is rolled back."""


class Heals:
    """What the Ledger port writes by healing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def heal(self, batch: HealBatch, *, rehearse: bool) -> HealResult:
        """Make heals in one transaction with their audit and the derived tables; a rehearsal is rolled back."""
        self._store.require_one_database()
        _require_sound(batch)
        result = HealResult()
        try:
            with fenced(self._store.books, batch.lease) as connection:
                result = _Healing(connection, self._store.orders(connection), batch).make()
                if rehearse or result.stale:
                    raise _Rehearsed
        except _Rehearsed:
            pass
        return result


def _require_sound(batch: HealBatch) -> None:
    names = [change.order_id for change in batch.changes]
    assert len(set(names)) == len(names), "a row is named by two changes of one batch"
    assert all(names), "a row without an id cannot be changed"
    assert all(change.profile_id == batch.profile.profile_id for change in batch.changes), "a row of another profile"


@dataclass(slots=True)
class _Healing:
    """One transaction: the rows before and after it by order id, as they are kept."""

    connection: Connection
    table: OrdersTable
    batch: HealBatch
    before: dict[str, Mapping[str, object]] = field(default_factory=dict)
    after: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def make(self) -> HealResult:
        """Look again at what the decisions rest on, write, verify, and say in the audit what was done."""
        connection, table, batch = self.connection, self.table, self.batch
        require_pause(connection, batch.require_pause)
        changed = [change for change in batch.changes if isinstance(change, RowChange)]
        raw = locked_rows(connection, table, (change.order_id for change in changed))
        found = {name: [read_row(table, dict(row)) for row in rows] for name, rows in raw.items()}
        stale = stale_heals(connection, table, batch, found)
        if stale:
            return HealResult(stale=stale)
        self.before = {change.order_id: stored(table, raw[change.order_id][0]) for change in changed}
        for change in changed:
            self._change(change, raw[change.order_id][0])
        wanted = [change for change in batch.changes if isinstance(change, NewRow)]
        existing = existing_ids(connection, table, [change.order_id for change in wanted])
        added = [change for change in wanted if change.order_id not in existing]
        self._add(added)
        self._verify([*changed, *added])
        trade_ids = sorted({change.trade_id for change in batch.changes if change.trade_id})
        made: list[Change] = [*changed, *added]
        facts = {change.order_id: ExitFacts(change.proof.price_source, None) for change in made}
        rematerialise(connection, table, batch.profile, trade_ids, batch.symbols, now=batch.now, new_facts=facts)
        audit = chain.append(connection, self._drafts(existing), batch.now)
        effects = tuple(self._effect(change) for change in batch.changes if change.order_id not in existing)
        return HealResult(effects, tuple(sorted(existing)), audit=tuple(audit))

    def _change(self, change: RowChange, raw: Mapping[str, object]) -> None:
        values = changed_values(self.connection, self.table, change, raw, self.batch.now)
        statement = update(self.table.table).where(self.table["order_id"] == raw["order_id"]).values(values)
        if self.connection.execute(statement).rowcount != 1:
            raise Refused(f"Row {change.order_id} cannot be told from another one; nothing was written.")

    def _add(self, rows: Sequence[NewRow]) -> None:
        """Insert rows; one that another constraint of the table keeps out is an error, never a silent skip."""
        dialect = postgresql if self.connection.dialect.name == "postgresql" else sqlite
        for row in rows:
            values = added_values(self.connection, self.table, row, self.batch.now)
            self.connection.execute(dialect.insert(self.table.table).values(values).on_conflict_do_nothing())
        missing = {row.order_id for row in rows} - existing_ids(self.connection, self.table, [r.order_id for r in rows])
        if missing:
            raise ConfigurationError(
                f"The orders table did not take {len(missing)} row(s), {min(missing)} first: another of its constraints"
                " keeps them out. Nothing was written.",
                "Look at the table's unique constraints.",
            )

    def _verify(self, changes: Iterable[Change]) -> None:
        """Refuse to go on where the table keeps a row otherwise than it was written, by its types or its triggers."""
        changes = list(changes)
        raw = locked_rows(self.connection, self.table, (change.order_id for change in changes))
        for change in changes:
            rows = raw[change.order_id]
            other = unlike(self.table, read_order(dict(rows[0])), change) if len(rows) == 1 else "it is there twice"
            if other:
                raise ConfigurationError(
                    f"The orders table keeps {change.order_id} otherwise than it was written: {other}. Nothing was"
                    " written.",
                    "Look at the types of the table's columns and at its triggers.",
                )
            self.after[change.order_id] = stored(self.table, rows[0])

    def _drafts(self, existing: frozenset[str]) -> list[AuditDraft]:
        """Return what the audit says of each change: HEALED with the columns before and after, or that it was there."""
        batch = self.batch
        trade_ids = sorted({change.trade_id for change in batch.changes if change.trade_id})
        marks = trade_marks(self.connection, self.table, batch.profile.profile_id, trade_ids)
        drafts: list[AuditDraft] = []
        for change in batch.changes:
            pending = announced(change, batch.run_id, batch.actor, batch.plan_hash)
            if change.order_id in existing:
                drafts.append(settled(pending, AuditDecision.SKIP_EXISTING, ALREADY_EXISTS, None))
                continue
            effect = self._effect(change)
            mark = {"tradeFingerprint": marks[change.trade_id]} if change.trade_id else {}
            row_mark = mark_of(self.after[change.order_id])
            drafts.append(
                healed(
                    pending, batch.now, before=dict(effect.before), after=dict(effect.after), rowMark=row_mark, **mark
                )
            )
        return drafts

    def _effect(self, change: Change) -> Effect:
        before, after = self.before.get(change.order_id, {}), self.after[change.order_id]
        names = [name for name in after if before.get(name) != after[name]]
        return Effect(
            change.order_id,
            change.profile_id,
            change.trade_id,
            change.proof.rule,
            {name: before.get(name) for name in names} if before else {},
            {name: after[name] for name in names},
        )


def changed_values(
    connection: Connection, table: OrdersTable, change: RowChange, raw: Mapping[str, object], now: str
) -> dict[str, object]:
    """Return the assignments of a change by the table's own names and forms.

    Both columns of a quantity are written, so that they never disagree.
    """
    ours: dict[str, object] = {
        "filled_at": iso(change.filled_ms) if change.filled_ms is not None else None,
        "exchange_order_id": change.exchange_order_id,
        NOT_KEPT: now,
        **_numbers(change.qty, change.price, change.order_qty),
    }
    like = NOTHING_LIKE_IT if table.is_native else _like(connection, table, change.before, raw)
    spelt = status_as_spelt(connection, table, change.profile_id, change.status, raw["status"])
    return {**table.to_theirs(ours, like), table.name_of("status"): spelt}


def added_values(connection: Connection, table: OrdersTable, row: NewRow, now: str) -> dict[str, object]:
    """Return a new row by the table's own names and forms; a working one has what was ordered for its quantity."""
    filled = status_class(row.status) is StatusClass.FILLED
    ordered = row.order_qty if row.order_qty is not None else row.qty
    ours: dict[str, object] = {
        "order_id": row.order_id, "profile_id": row.profile_id, "user_id": row.user_id, "symbol": row.symbol,
        "type": "market" if filled or not row.price else "limit", "side": row.side.value, "timestamp": row.time_ms,
        "filled_at": iso(row.time_ms) if filled else None, "trade_id": row.trade_id, "action": row.action.value,
        "source": "BOT", "sub_tag": row.sub_tag, "client_order_id": row.client_order_id,
        "exchange_order_id": row.exchange_order_id, "created_at": now, NOT_KEPT: now,
        **_numbers(row.qty if filled else ordered, row.price, ordered),
    }  # fmt: skip
    like = NOTHING_LIKE_IT
    if not table.is_native:
        like = _filled_in(
            sample_row(connection, table, row.profile_id, row.trade_id or ""),
            sample_row(connection, table, row.profile_id, None),
        )
    spelt = status_as_spelt(connection, table, row.profile_id, row.status, like.get("status"))
    return {**table.to_theirs(ours, like), table.name_of("status"): spelt}


def _numbers(qty: Decimal | None, price: Decimal | None, order_qty: Decimal | None) -> dict[str, object]:
    cut = {"qty": qty, "quantity": qty, "order_qty": order_qty}
    found: dict[str, object] = {name: cut_quantity(value) for name, value in cut.items() if value is not None}
    return found | ({"price": round_price(price)} if price is not None else {})


def _like(
    connection: Connection, table: OrdersTable, row: LedgerOrder, raw: Mapping[str, object]
) -> Mapping[str, object]:
    """Return how the table writes a row: as this one is, its trade's others, or else the profile's."""
    trade = sample_row(connection, table, row.profile_id, row.trade_id or "")
    return _filled_in(_filled_in(raw, trade), sample_row(connection, table, row.profile_id, None))


def _filled_in(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, object]:
    """Return the first row with the second one's values where it has none."""
    return {**second, **{name: value for name, value in first.items() if value is not None}}
