"""Breaks in the database: one row for each, whatever runs see of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trueup.core.decimals import read_decimal
from trueup.core.errors import ConfigurationError
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.core.times import iso, read_time
from trueup.ledger import schema
from trueup.ledger.guards import fenced
from trueup.ledger.reading import chunks
from trueup.ledger.tables import Store
from trueup.ports import Lease

_OVER = tuple(state.value for state in BreakState if state.over)


class SqlBreaks:
    """The Breaks port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def open(self, account: str) -> list[BreakRecord]:
        """Return the breaks of an account that are not over."""
        table = schema.breaks
        with self._state.reading() as connection:
            return _read(connection, and_(table.c.account == account, table.c.resolved_at.is_(None)))

    def named(self, break_ids: Iterable[str]) -> list[BreakRecord]:
        """Return the breaks with the given ids, over or not."""
        table = schema.breaks
        with self._state.reading() as connection:
            return [r for part in chunks(break_ids) for r in _read(connection, table.c.break_id.in_(part))]

    def save(self, records: Sequence[BreakRecord], lease: Lease | None = None) -> None:
        """Write records, new ones and known ones, in one transaction; an acknowledgement made meanwhile stays."""
        if not records:
            return
        table = schema.breaks
        with self._state.writing() if lease is None else fenced(self._state, lease) as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            statement = dialect.insert(table)
            new = statement.excluded
            taken = and_(table.c.state == BreakState.ACKNOWLEDGED.value, new.resolved_at.is_(None))
            changes = {column.name: new[column.name] for column in table.c if column.name != "break_id"}
            for name in ("state", "owner", "resolution"):
                changes[name] = case((taken, table.c[name]), else_=new[name])
            upsert = statement.on_conflict_do_update(index_elements=[table.c.break_id], set_=changes)
            connection.execute(upsert, [_columns(record) for record in records])

    def acknowledge(self, break_id: str, owner: str, reason: str, at_ms: int) -> BreakRecord:
        """Record that a person took a break over, after whoever did so before; ConfigurationError for an unknown id."""
        table = schema.breaks
        said = f"{iso(at_ms)} {owner}: {' '.join(reason.split())}"
        taken = and_(table.c.state == BreakState.ACKNOWLEDGED.value, table.c.resolution.is_not(None))
        values = {
            "state": BreakState.ACKNOWLEDGED.value, "owner": owner,
            "resolution": case((taken, table.c.resolution + f"\n{said}"), else_=said),
        }  # fmt: skip
        with self._state.writing() as connection:
            mine = and_(table.c.break_id == break_id, table.c.resolved_at.is_(None))
            if connection.execute(update(table).where(mine).values(values)).rowcount != 1:
                raise ConfigurationError(f"There is no open break {break_id!r}.", "See `trueup breaks list`.")
            return _read(connection, table.c.break_id == break_id)[0]

    def page(
        self,
        *,
        account: str | None = None,
        profile_id: str | None = None,
        kind: str | None = None,
        state: str | None = None,
        page: int = 1,
        page_size: int = 50,
    ) -> tuple[int, list[BreakRecord]]:
        """Return how many breaks there are, and one page of them, newest first; `state` None is those not over."""
        table = schema.breaks
        wanted = [table.c.account == account] if account is not None else []
        wanted += [table.c.profile_id == profile_id] if profile_id is not None else []
        wanted += [table.c.kind == kind] if kind is not None else []
        wanted += [table.c.state == state] if state is not None else [table.c.resolved_at.is_(None)]
        where = and_(*wanted)
        with self._state.reading() as connection:
            total = int(connection.scalar(select(func.count()).select_from(table).where(where)) or 0)
            order = (table.c.first_seen_at.desc(), table.c.break_id)
            query = select(table).where(where).order_by(*order).limit(page_size).offset((page - 1) * page_size)
            return total, [_record(row) for row in connection.execute(query).mappings()]


def _read(connection: Connection, where: ColumnElement[bool]) -> list[BreakRecord]:
    table = schema.breaks
    rows = connection.execute(select(table).where(where).order_by(table.c.break_id)).mappings()
    return [_record(row) for row in rows]


def _record(row: Mapping[Any, Any]) -> BreakRecord:
    return BreakRecord(
        break_id=row["break_id"], kind=row["kind"], scope=row["scope"], account=row["account"],
        state=BreakState(row["state"]), profile_id=row["profile_id"], symbol=row["symbol"], trade_id=row["trade_id"],
        exchange_order_id=row["exchange_order_id"], reason=row["reason"], ledger_qty=row["ledger_qty"],
        venue_qty=row["venue_qty"],
        notional=read_decimal(row["notional"]) if row["notional"] is not None else None,
        detail=json.loads(row["detail"]) if row["detail"] is not None else {}, confirmations=row["confirmations"],
        as_of_ms=row["as_of"], owner=row["owner"], resolution=row["resolution"], first_run_id=row["first_run_id"],
        last_run_id=row["last_run_id"], first_seen_ms=read_time(row["first_seen_at"]),
        last_seen_ms=read_time(row["last_seen_at"]),
        resolved_ms=read_time(row["resolved_at"]) if row["resolved_at"] is not None else None,
    )  # fmt: skip


def _columns(record: BreakRecord) -> dict[str, object]:
    return {
        "break_id": record.break_id, "kind": record.kind, "scope": record.scope, "account": record.account,
        "profile_id": record.profile_id, "symbol": record.symbol, "trade_id": record.trade_id,
        "exchange_order_id": record.exchange_order_id, "state": record.state.value, "reason": record.reason,
        "ledger_qty": record.ledger_qty, "venue_qty": record.venue_qty, "notional": record.notional,
        "detail": dict(record.detail), "confirmations": record.confirmations, "as_of": record.as_of_ms,
        "owner": record.owner, "resolution": record.resolution, "first_run_id": record.first_run_id,
        "last_run_id": record.last_run_id, "first_seen_at": iso(record.first_seen_ms),
        "last_seen_at": iso(record.last_seen_ms),
        "resolved_at": iso(record.resolved_ms) if record.resolved_ms is not None else None,
    }  # fmt: skip
