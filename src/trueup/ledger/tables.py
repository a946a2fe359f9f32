"""Which tables are there, and in what shape."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Table, inspect

from trueup.core.errors import ConfigurationError
from trueup.ledger.attach import OrdersMap, OrdersTable, resolve
from trueup.ledger.engine import Database


def has_table(connection: Connection, table: Table) -> bool:
    """Say whether a table is there."""
    return inspect(connection).has_table(table.name)


def fits(connection: Connection, table: Table) -> bool:
    """Say whether a table is there with all of our columns: one that is not is somebody else's."""
    found = inspect(connection)
    if not found.has_table(table.name):
        return False
    return set(table.c.keys()) <= {column["name"] for column in found.get_columns(table.name)}


@dataclass(slots=True)
class Store:
    """The databases of one set-up: the bot's books, and where trueup's own tables are (the same, as a rule)."""

    books: Database
    state: Database
    wanted: OrdersMap

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
        """Return the orders table of a connection to the books."""
        return resolve(connection, self.wanted)
