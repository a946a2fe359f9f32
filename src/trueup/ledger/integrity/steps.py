"""The record of the phases of lifecycle integrity: added to, never changed."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, insert, select

from trueup.core.integrity.phases import ENDED, SCOPE, Phase
from trueup.core.times import iso
from trueup.ledger import schema
from trueup.ledger.leases import is_gone
from trueup.ledger.tables import Store, has_table
from trueup.ports import Clock, Doing
from trueup.ports.integrity import Step

OURS = frozenset({"added", "building", "built", "validated"})
"""The states of an object that trueup added."""


class Steps:
    """What the IntegrityBook port keeps and tells of the record."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def record(
        self,
        phase: str,
        what: str,
        object: str,  # noqa: A002  # the record's own word
        state: str,
        actor: str,
        *,
        batch_id: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> int:
        """Add an entry to the record in a transaction of its own, and return its seq."""
        step = {"phase": phase, "what": what, "object": object, "state": state, "actor": actor, "batch_id": batch_id}
        with self._store.state.writing() as connection:
            return put(connection, {**step, "detail": dict(detail or {})}, self._clock)

    def steps(self, *, phase: str | None = None, batch_id: str | None = None, limit: int = 1000) -> Sequence[Step]:
        """Return the newest entries of the record, oldest first."""
        table = schema.integrity_steps
        query = select(table).order_by(table.c.seq.desc()).limit(limit)
        for name, value in (("phase", phase), ("batch_id", batch_id)):
            query = query.where(table.c[name] == value) if value is not None else query
        with self._store.state.reading() as connection:
            if not has_table(connection, table):
                return []
            rows = connection.execute(query).mappings().all()
        return [
            Step(
                row["seq"], row["phase"], row["what"], row["object"], row["state"], row["actor"], row["batch_id"],
                json.loads(row["detail"] or "{}"), row["created_at"],
            )
            for row in reversed(rows)
        ]  # fmt: skip


def put(connection: Connection, step: Mapping[str, object], clock: Clock) -> int:
    """Add an entry inside the caller's transaction, and return its seq."""
    table = schema.integrity_steps
    values = {**step, "created_at": iso(clock.now_ms())}
    return int(connection.execute(insert(table).values(values).returning(table.c.seq)).scalar_one())


def step_of(name: str, table: str, doing: Doing, state: str, detail: Mapping[str, object]) -> dict[str, object]:
    """Return the entry of one object in the record."""
    return {
        "phase": doing.phase.value, "what": "object", "object": name, "state": state, "actor": doing.actor,
        "batch_id": doing.batch_id, "detail": {"table": table, **detail},
    }  # fmt: skip


def newest_of_objects(connection: Connection) -> dict[str, tuple[str, Mapping[str, object]]]:
    """Return the newest state of each object on record, with its detail."""
    table = schema.integrity_steps
    if not has_table(connection, table):
        return {}
    newest = select(func.max(table.c.seq)).where(table.c.what == "object").group_by(table.c.object)
    rows = connection.execute(select(table.c.object, table.c.state, table.c.detail).where(table.c.seq.in_(newest)))
    return {row.object: (row.state, json.loads(row.detail or "{}")) for row in rows}


def newest_snapshot(connection: Connection) -> tuple[int, str] | None:
    """Return the number and time of the newest snapshot, None where there is none."""
    table = schema.integrity_steps
    if not has_table(connection, table):
        return None
    mine = (table.c.phase == Phase.SNAPSHOT.value) & (table.c.what == "baseline")
    query = select(table.c.object, table.c.created_at).where(mine).order_by(table.c.seq.desc())
    row = connection.execute(query.limit(1)).first()
    return (int(row.object), str(row.created_at)) if row is not None else None


def newest_phase(connection: Connection) -> tuple[str, bool] | None:
    """Return the newest phase that changes the ledger, and whether it ended; None where there was none."""
    table = schema.integrity_steps
    if not has_table(connection, table):
        return None
    phases = [phase.value for phase in (Phase.APPLY, Phase.VALIDATE, Phase.ROLLBACK)]
    mine = (table.c.what == "phase") & table.c.phase.in_(phases)
    query = select(table.c.phase, table.c.state).where(mine).order_by(table.c.seq.desc())
    row = connection.execute(query.limit(1)).first()
    return (str(row.phase), row.state == ENDED) if row is not None else None


def was_applied(connection: Connection) -> bool:
    """Say whether an apply ever began."""
    table = schema.integrity_steps
    if not has_table(connection, table):
        return False
    mine = (table.c.what == "phase") & (table.c.phase == Phase.APPLY.value)
    return connection.execute(select(table.c.seq).where(mine).limit(1)).first() is not None


def is_running(connection: Connection, clock: Clock) -> bool:
    """Say whether a phase runs right now: whether a process that is not gone holds the lease."""
    table = schema.leases
    if not has_table(connection, table):
        return False
    row = connection.execute(select(table).where(table.c.scope == SCOPE)).first()
    return row is not None and row.owner is not None and row.expires_at > clock.now_ms() and not is_gone(row.owner)
