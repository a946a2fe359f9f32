"""Heartbeats in the database: when each scope was last looked at, and for how many looks in a row it was well."""

from collections.abc import Collection

from sqlalchemy import case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from trueup.core.gate import Beat
from trueup.ledger import schema
from trueup.ledger.reading import chunks
from trueup.ledger.tables import Store, has_table


class SqlHeartbeats:
    """The Heartbeats port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def beat(self, scope: str, at_ms: int, *, healthy: bool) -> None:
        """Record that a scope was looked at; an older beat never takes the place of a newer one."""
        table = schema.heartbeats
        with self._state.writing() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            first = {"scope": scope, "beat_at": at_ms, "healthy": healthy, "streak": int(healthy)}
            statement = dialect.insert(table).values(first)
            streak = case((statement.excluded.healthy, table.c.streak + 1), else_=0)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[table.c.scope],
                    set_={"beat_at": at_ms, "healthy": healthy, "streak": streak},
                    where=table.c.beat_at <= at_ms,
                )
            )

    def beats(self, scopes: Collection[str] | None = None) -> dict[str, Beat]:
        """Return the heartbeats of scopes that were ever well, of all scopes without a choice."""
        table = schema.heartbeats
        healthy_at = func.coalesce(table.c.healthy_at, case((table.c.healthy, table.c.beat_at)))
        query = select(table.c.scope, healthy_at, table.c.recovering, table.c.streak)
        with self._state.reading() as connection:
            if not has_table(connection, table):
                return {}
            parts = [query] if scopes is None else [query.where(table.c.scope.in_(part)) for part in chunks(scopes)]
            rows = [row for part in parts for row in connection.execute(part)]
        found = [Beat(str(name), int(at), bool(back), int(streak)) for name, at, back, streak in rows if at is not None]
        return {beat.scope: beat for beat in found}
