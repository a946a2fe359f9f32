"""The safe modes in the database: every change is a row, the newest row of a scope is in force.

Invariant 10 (Tighten freely, loosen only through gates).
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text

from trueup.core.errors import Refused
from trueup.core.modes import Mode
from trueup.ledger import schema
from trueup.ledger.containment import floor, leave_to_incident
from trueup.ledger.guards import current_modes, fenced
from trueup.ledger.tables import Store, has_table
from trueup.ports import Lease, ModeChange


class SqlModes:
    """The Modes port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def current(self) -> dict[str, Mode]:
        """Return the mode of every scope that has one; none before `trueup init`."""
        with self._state.reading() as connection:
            return current_modes(connection) if has_table(connection, schema.safety_modes) else {}

    def set(
        self,
        change: ModeChange,
        after: ModeChange | None = None,
        lease: Lease | None = None,
        within: Sequence[str] = (),
    ) -> ModeChange:
        """Put a mode in force and return the change as it is recorded, with the mode before it."""
        with self._state.writing() if lease is None else fenced(self._state, lease) as connection:
            previous = standing(connection, change.scope)
            if after is not None and _newest(connection, 1, change.scope) != [after]:
                raise Refused(
                    f"{change.scope} stays as it is: its mode was changed meanwhile.", "See `trueup mode show`."
                )
            if change.mode < previous:
                _require_loosest(connection, change, previous, within, own=after is not None)
            done = record(connection, change, previous)
            if after is None:
                seq = newest_seq(connection, change.scope)
                leave_to_incident(connection, change.scope, within, change.mode, seq, previous)
            return done

    def tighten(self, change: ModeChange) -> ModeChange | None:
        """Put a mode in force unless one as strict is already; return the recorded change, None where nothing changed.

        Whatever others do at the same moment, nothing is loosened by this.
        """
        with self._state.writing() as connection:
            previous = standing(connection, change.scope)
            return record(connection, change, previous) if change.mode > previous else None

    def least(self, scope: str, within: Sequence[str]) -> Mode:
        """Return the loosest mode that open incidents leave a scope."""
        with self._state.reading() as connection:
            return floor(connection, scope, within)[0]

    def since(self, scope: str) -> ModeChange | None:
        """Return the change that put a scope's mode in force; None where it never had one."""
        table = schema.safety_modes
        with self._state.reading() as connection:
            if not has_table(connection, table):
                return None
            changes = (table.c.scope == scope) & (table.c.mode != table.c.previous_mode)
            row = connection.execute(select(table).where(changes).order_by(table.c.seq.desc()).limit(1)).first()
        return _change(row) if row is not None else None

    def of_scope(self, scope: str, limit: int) -> list[ModeChange]:
        """Return the newest changes of one scope first."""
        with self._state.reading() as connection:
            return _newest(connection, limit, scope)

    def history(self, limit: int) -> list[ModeChange]:
        """Return the newest changes first."""
        with self._state.reading() as connection:
            return _newest(connection, limit)

    def between(self, since: str, until: str) -> list[ModeChange]:
        """Return the changes from one time to another, oldest first."""
        table = schema.safety_modes
        query = select(table).where(table.c.created_at.between(since, until)).order_by(table.c.seq)
        with self._state.reading() as connection:
            return [_change(row) for row in connection.execute(query)] if has_table(connection, table) else []


def _require_loosest(
    connection: Connection, change: ModeChange, previous: Mode, within: Sequence[str], *, own: bool
) -> None:
    """Refuse to loosen a scope beyond what open incidents hold it in.

    `own` is a machine that takes its own change back: it does so only where no incident is open in or around the scope.
    """
    if own:
        least, incident = previous, open_incident(connection, change.scope, within)
    else:
        least, incident = floor(connection, change.scope, within)
    if incident is None or change.mode >= least:
        return
    told = f"See `trueup incident next {incident}`: it is closed through its own steps."
    if least < previous:
        least_command = f"trueup mode set {least.name} --scope {shlex.quote(change.scope)} --reason TEXT"
        told = f"It may go back to {least.name}, which {incident} holds it in: {least_command}"
    raise Refused(f"{change.scope} stays in {previous.name}: incident {incident} is open in it.", told)


def open_incident(connection: Connection, scope: str, within: Sequence[str]) -> str | None:
    """Return an incident that is open at a scope, or at one of the scopes that it is within."""
    table = schema.incidents
    here = table.c.scope.in_([scope, *within])
    found = connection.scalar(select(table.c.incident_id).where(table.c.closed_at.is_(None), here).limit(1))
    return str(found) if found is not None else None


def _newest(connection: Connection, limit: int, scope: str | None = None) -> list[ModeChange]:
    table = schema.safety_modes
    if not has_table(connection, table):
        return []
    query = select(table).order_by(table.c.seq.desc()).limit(limit)
    return [_change(row) for row in connection.execute(query if scope is None else query.where(table.c.scope == scope))]


def standing(connection: Connection, scope: str) -> Mode:
    """Return the mode that a scope has, and keep others from changing it until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE safety_modes IN SHARE ROW EXCLUSIVE MODE"))
    return current_modes(connection).get(scope, Mode.NORMAL)


def newest_seq(connection: Connection, scope: str) -> int:
    """Return the number of a scope's newest change, 0 where it never had one."""
    table = schema.safety_modes
    return int(connection.scalar(select(func.max(table.c.seq)).where(table.c.scope == scope)) or 0)


def record(connection: Connection, change: ModeChange, previous: Mode) -> ModeChange:
    """Write a change down, and return it with the mode before it."""
    values = {
        "scope": change.scope, "mode": change.mode.name, "previous_mode": previous.name,
        "source": change.source, "actor": change.actor, "reason": change.reason, "created_at": change.at,
    }  # fmt: skip
    connection.execute(insert(schema.safety_modes).values(values))
    return replace(change, previous=previous)


def _change(row: Row[Any]) -> ModeChange:
    return ModeChange(
        row.scope, Mode[row.mode], Mode[row.previous_mode], row.source, row.actor, row.reason, row.created_at
    )
