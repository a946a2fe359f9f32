"""Heartbeats in the database: the last healthy one of each scope, and whether it is back from a silence.

One statement does it all, so that two who beat at once never lose each other's beat.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, false, func, select
from sqlalchemy.dialects import postgresql, sqlite

from trueup.core.gate import Beat, DeadmanRules
from trueup.ledger import schema
from trueup.ledger.reading import chunks
from trueup.ledger.tables import Store, has_table

_table = schema.heartbeats
HEALTHY_AT: ColumnElement[int] = func.coalesce(_table.c.healthy_at, case((_table.c.healthy, _table.c.beat_at)))
"""When a scope was last well; a row of an older build says it by its newest beat."""

BEAT = (_table.c.scope, HEALTHY_AT.label("healthy_at"), _table.c.recovering, _table.c.streak)


class SqlHeartbeats:
    """The Heartbeats port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def beat(self, scope: str, at_ms: int, *, healthy: bool, rules: DeadmanRules) -> Beat | None:
        """Record that a scope was looked at; an older beat never takes the place of a newer one."""
        with self._state.writing() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            first = {
                "scope": scope, "beat_at": at_ms, "healthy": healthy, "streak": int(healthy),
                "healthy_at": at_ms if healthy else None, "recovering": False,
            }  # fmt: skip
            statement = dialect.insert(_table).values(first)
            after = _healthy(at_ms, rules) if healthy else _unhealthy()
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[_table.c.scope],
                    set_={"beat_at": at_ms, "healthy": healthy, **after},
                    where=_table.c.beat_at <= at_ms,
                )
            )
            row = connection.execute(select(*BEAT).where(_table.c.scope == scope)).one()
        return beat_of(row)

    def beats(self, scopes: Collection[str] | None = None) -> dict[str, Beat]:
        """Return the heartbeats of scopes that were ever well, of all scopes without a choice."""
        with self._state.reading() as connection:
            if not has_table(connection, _table):
                return {}
            if scopes is None:
                rows = list(connection.execute(select(*BEAT)))
            else:
                parts = [select(*BEAT).where(_table.c.scope.in_(part)) for part in chunks(scopes)]
                rows = [row for query in parts for row in connection.execute(query)]
        return {beat.scope: beat for beat in map(beat_of, rows) if beat is not None}


def _healthy(at_ms: int, rules: DeadmanRules) -> dict[str, Any]:
    """Return what a healthy beat makes of a row: after a silence it counts anew, and enough of them end it."""
    was_dead = and_(HEALTHY_AT.is_not(None), at_ms - HEALTHY_AT > rules.timeout_ms)
    streak = case((was_dead, 1), else_=_table.c.streak + 1)
    recovering = case(
        (was_dead, rules.recovery_beats > 1),
        (_table.c.recovering, _table.c.streak + 1 < rules.recovery_beats),
        else_=false(),
    )
    return {"healthy_at": at_ms, "streak": streak, "recovering": recovering}


def _unhealthy() -> dict[str, Any]:
    """Return what an unhealthy beat makes of a row: nothing of the silence before it is forgotten."""
    return {"healthy_at": HEALTHY_AT, "streak": 0}


def beat_of(row: Row[Any]) -> Beat | None:
    """Return what a row says, None where the scope was never well."""
    if row.healthy_at is None:
        return None
    return Beat(str(row.scope), int(row.healthy_at), bool(row.recovering), int(row.streak))
