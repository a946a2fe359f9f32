"""Which tables are there, and in what shape."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, text

from trueup.core.errors import ConfigurationError
from trueup.ledger.attach import OrdersMap, OrdersTable, resolve
from trueup.ledger.engine import Database

Shape = tuple[tuple[Any, ...], ...]
"""A table's columns as the database's catalogue lists them: names first, then all that their types depend on."""

_SQLITE_SHAPE = text("SELECT name, type, hidden FROM pragma_table_xinfo(:name)")
_POSTGRES_SHAPE = text(
    "SELECT attname, atttypid, atttypmod, attcollation FROM pg_attribute"
    " WHERE attrelid = to_regclass(quote_ident(CAST(:name AS text))) AND attnum > 0 AND NOT attisdropped"
    " ORDER BY attnum"
)


def shape_of(connection: Connection, name: str) -> Shape:
    """Return a table's shape by one look into the catalogue; empty where there is no such table."""
    query = _SQLITE_SHAPE if connection.dialect.name == "sqlite" else _POSTGRES_SHAPE
    return tuple(tuple(row) for row in connection.execute(query, {"name": name}))


def has_table(connection: Connection, table: Table) -> bool:
    """Say whether a table is there."""
    return bool(shape_of(connection, table.name))


def fits(connection: Connection, table: Table) -> bool:
    """Say whether a table is there with all of our columns: one that is not is somebody else's."""
    return set(table.c.keys()) <= {column[0] for column in shape_of(connection, table.name)}


def lacking(connection: Connection, table: Table) -> list[str]:
    """Return the columns of ours that a table of this name lacks; none where there is no such table."""
    there = {column[0] for column in shape_of(connection, table.name)}
    return [name for name in table.c.keys() if name not in there] if there else []  # noqa: SIM118  # its names, in order


@dataclass(slots=True)
class Store:
    """The databases of one set-up: the bot's books, and where trueup's own tables are (the same, as a rule)."""

    books: Database
    state: Database
    wanted: OrdersMap
    _resolved: tuple[Shape, OrdersTable] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def one_database(self) -> bool:
        """Say whether a repair and its audit can be one transaction."""
        return self.books is self.state

    def require_one_database(self) -> None:
        """Refuse to write to a ledger that is attached read-only."""
        if not self.one_database:
            raise ConfigurationError(
                "The ledger is attached read-only ([ledger] state_url is set), so that nothing can be written to it.",
                "Use dry runs, or remove state_url so that a repair and its audit can be one transaction.",
            )

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files of SQLite, with those that it keeps beside a database."""
        databases = dict.fromkeys(file for file in (self.books.file, self.state.file) if file is not None)
        return tuple(file.with_name(file.name + end) for file in databases for end in ("", "-wal", "-shm", "-journal"))

    def close(self) -> None:
        """Close every connection."""
        self.books.close()
        self.state.close()

    def orders(self, connection: Connection) -> OrdersTable:
        """Return the orders table of a connection to the books.

        Reflecting it costs more than many a query, and what it gives depends on the catalogue's shape alone: as long as
        that is the same in the very transaction that asks, the answer is.
        """
        shape, known = shape_of(connection, self.wanted.table), self._resolved
        if shape and known is not None and known[0] == shape:
            return known[1]
        table = resolve(connection, self.wanted)
        self._resolved = (shape, table) if not table.depends_on_rows else None
        return table
