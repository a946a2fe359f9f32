"""Heartbeats in the database: when each scope was last looked at, and for how many looks in a row it was well."""

from sqlalchemy import case
from sqlalchemy.dialects import postgresql, sqlite

from trueup.ledger import schema
from trueup.ledger.tables import Store


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
