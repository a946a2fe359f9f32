"""The safe modes in the database: every change is a row, the newest row of a scope is in force.

Invariant 10 (Tighten freely, loosen only through gates).
"""

from sqlalchemy import Connection, insert, select, text

from trueup.core.errors import Refused
from trueup.core.modes import Mode
from trueup.ledger import schema
from trueup.ledger.guards import current_modes
from trueup.ledger.tables import Store, has_table
from trueup.ports import ModeChange

_MODES_LOCK = 7_247_855_302


class SqlModes:
    """The Modes port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def current(self) -> dict[str, Mode]:
        """Return the mode of every scope that has one; none before `trueup init`."""
        with self._state.reading() as connection:
            return current_modes(connection) if has_table(connection, schema.safety_modes) else {}

    def set(self, change: ModeChange, after: ModeChange | None = None) -> ModeChange:
        """Put a mode in force and return the change as it is recorded, with the mode before it."""
        with self._state.writing() as connection:
            _serialise(connection)
            if after is not None and _newest(connection, change.scope, 1) != [after]:
                raise Refused(
                    f"{change.scope} stays as it is: its mode was changed meanwhile.", "See `trueup mode show`."
                )
            previous = current_modes(connection).get(change.scope, Mode.NORMAL)
            incidents = schema.incidents
            open_here = select(incidents.c.incident_id).where(
                incidents.c.closed_at.is_(None), incidents.c.scope == change.scope
            )
            incident = connection.execute(open_here.limit(1)).scalar() if change.mode < previous else None
            if incident is not None:
                raise Refused(
                    f"{change.scope} stays in {previous.name}: incident {incident} is open in it.",
                    "Close the incident through its own steps.",
                )
            values = {
                "scope": change.scope, "mode": change.mode.name, "previous_mode": previous.name,
                "source": change.source, "actor": change.actor, "reason": change.reason, "created_at": change.at,
            }  # fmt: skip
            connection.execute(insert(schema.safety_modes).values(values))
        return ModeChange(change.scope, change.mode, previous, change.source, change.actor, change.reason, change.at)

    def of_scope(self, scope: str, limit: int) -> list[ModeChange]:
        """Return the newest changes of one scope first."""
        with self._state.reading() as connection:
            return _newest(connection, scope, limit)

    def history(self, limit: int) -> list[ModeChange]:
        """Return the newest changes first."""
        with self._state.reading() as connection:
            return _newest(connection, None, limit)


def _serialise(connection: Connection) -> None:
    """Let one change be made at a time: what it looks at must be so when it is written (SQLite does so anyway)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MODES_LOCK})


def _newest(connection: Connection, scope: str | None, limit: int) -> list[ModeChange]:
    table = schema.safety_modes
    if not has_table(connection, table):
        return []
    query = select(table).order_by(table.c.seq.desc()).limit(limit)
    rows = connection.execute(query if scope is None else query.where(table.c.scope == scope))
    return [
        ModeChange(
            row.scope, Mode[row.mode], Mode[row.previous_mode], row.source, row.actor, row.reason, row.created_at
        )
        for row in rows
    ]
