"""Sign-offs in the database: one row for each step that a person took."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row, insert, select, text

from trueup.ledger import schema
from trueup.ledger.tables import Store
from trueup.ports import SignOff

_table = schema.sign_offs


class SqlSignOffs:
    """The SignOffs port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def add(self, sign_off: SignOff, check: Callable[[Sequence[SignOff]], None] = lambda _: None) -> None:
        """Record a step, in one transaction with a check of the subject's earlier ones, which may raise Refused."""
        values = {
            "incident_id": sign_off.subject, "step": sign_off.step, "actor": sign_off.actor, "note": sign_off.note,
            "created_at": sign_off.at,
        }  # fmt: skip
        mine = select(_table).where(_table.c.incident_id == sign_off.subject).order_by(_table.c.seq)
        with self._state.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"LOCK TABLE {_table.name} IN SHARE ROW EXCLUSIVE MODE"))
            check([_sign_off(row) for row in connection.execute(mine)])
            connection.execute(insert(_table).values(values))

    def about(self, subject: str) -> list[SignOff]:
        """Return the steps about a subject, oldest first."""
        query = select(_table).where(_table.c.incident_id == subject).order_by(_table.c.seq)
        with self._state.reading() as connection:
            return [_sign_off(row) for row in connection.execute(query)]

    def newest(self, prefix: str, step: str, limit: int) -> list[SignOff]:
        """Return the newest steps of a name about subjects that begin like this, newest first."""
        wanted = _table.c.incident_id.startswith(prefix, autoescape=True)
        query = select(_table).where(wanted, _table.c.step == step).order_by(_table.c.seq.desc()).limit(limit)
        with self._state.reading() as connection:
            return [_sign_off(row) for row in connection.execute(query)]


def _sign_off(row: Row[Any]) -> SignOff:
    return SignOff(row.incident_id, row.step, row.actor, row.note or "", row.created_at)
