"""The record of flattenings in the database: added to under the account's lease, never changed.

Invariant 12 (Fenced): a worker that lost its lease puts nothing on record, and so sends nothing. The client order id of
a closing is unique: it is put on record once, whoever does it.
"""

from collections.abc import Sequence

from sqlalchemy import Row, func, insert, select

from trueup.core.decimals import read_decimal
from trueup.core.errors import Refused
from trueup.core.flatten.record import Entry, What
from trueup.core.orders import Side
from trueup.ledger import schema
from trueup.ledger.guards import fenced
from trueup.ledger.tables import Store, has_table
from trueup.ports import Lease


class SqlFlattenings:
    """The FlattenBook port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def story(self, episode: str) -> Sequence[Entry]:
        """Return the entries of one episode, oldest first."""
        table = schema.flatten_actions
        with self._state.reading() as connection:
            if not has_table(connection, table):
                return ()
            rows = connection.execute(select(table).where(table.c.episode == episode).order_by(table.c.seq))
            return [_entry(row) for row in rows]

    def add(self, entry: Entry, lease: Lease) -> None:
        """Put an entry on record; Refused where the lease was lost, or where the closing is on record already."""
        values = {
            "episode": entry.episode, "account": entry.account, "scope": entry.scope, "round": entry.round,
            "what": entry.what.value, "symbol": entry.symbol, "token": entry.token,
            "side": entry.side.value if entry.side is not None else None, "qty": entry.qty, "held": entry.held,
            "client_order_id": entry.client_order_id, "order_id": entry.order_id, "detail": entry.detail,
            "closing": entry.client_order_id if entry.what is What.CLOSING else None, "at": entry.at_ms,
        }  # fmt: skip
        table = schema.flatten_actions
        with fenced(self._state, lease) as connection:
            known = select(table.c.seq).where(table.c.closing == values["closing"])
            if values["closing"] is not None and connection.execute(known).first() is not None:
                raise Refused(
                    f"The closing order {entry.client_order_id} is on record already; it was not sent again.",
                    "See `trueup mode show`.",
                )
            connection.execute(insert(table).values(values))

    def newest(self) -> Sequence[Entry]:
        """Return the newest entry of each account and scope."""
        table = schema.flatten_actions
        newest = select(func.max(table.c.seq)).group_by(table.c.account, table.c.scope)
        with self._state.reading() as connection:
            if not has_table(connection, table):
                return ()
            rows = connection.execute(select(table).where(table.c.seq.in_(newest)).order_by(table.c.seq))
            return [_entry(row) for row in rows]

    def closings(self, account: str, since_ms: int) -> Sequence[Entry]:
        """Return the entries about closings of an account from a time on, oldest first."""
        table = schema.flatten_actions
        mine = (table.c.account == account) & (table.c.at >= since_ms) & table.c.client_order_id.is_not(None)
        with self._state.reading() as connection:
            if not has_table(connection, table):
                return ()
            return [_entry(row) for row in connection.execute(select(table).where(mine).order_by(table.c.seq))]


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        episode=row.episode, account=row.account, scope=row.scope, what=What(row.what), at_ms=int(row.at),
        round=row.round, symbol=row.symbol, token=row.token, side=Side(row.side) if row.side is not None else None,
        qty=read_decimal(row.qty) if row.qty is not None else None,
        held=read_decimal(row.held) if row.held is not None else None, client_order_id=row.client_order_id,
        order_id=row.order_id, detail=row.detail, seq=row.seq,
    )  # fmt: skip
