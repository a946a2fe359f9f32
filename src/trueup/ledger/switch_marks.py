"""Which bots trueup itself stopped, kept beside the other marks: `switch:PROFILE`, and the symbol or nothing."""

from sqlalchemy import and_, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from trueup.core.modes import Mode
from trueup.ledger import schema
from trueup.ledger.tables import Store, has_table

_START = "switch:"
_table = schema.watermarks


class SqlSwitchMarks:
    """The SwitchMarks port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def stopped(self) -> dict[tuple[str, str], Mode]:
        """Return the mode that trueup told each profile and symbol."""
        with self._state.reading() as connection:
            if not has_table(connection, _table):
                return {}
            mine = select(_table.c.scope, _table.c.feed, _table.c.position).where(_table.c.scope.like(f"{_START}%"))
            rows = connection.execute(mine).all()
        return {(row.scope.removeprefix(_START), row.feed): Mode[row.position] for row in rows}

    def mark(self, profile_id: str, symbol: str, mode: Mode, now: str) -> None:
        """Remember that trueup stops one, before the bot is told."""
        values = {"scope": _START + profile_id, "feed": symbol, "position": mode.name, "updated_at": now}
        with self._state.writing() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            statement = dialect.insert(_table).values(values)
            newer = {"position": mode.name, "updated_at": now}
            connection.execute(statement.on_conflict_do_update(index_elements=["scope", "feed"], set_=newer))

    def clear(self, profile_id: str, symbol: str) -> None:
        """Forget it, after the bot trades again."""
        mine = and_(_table.c.scope == _START + profile_id, _table.c.feed == symbol)
        with self._state.writing() as connection:
            connection.execute(delete(_table).where(mine))
