"""The Ledger port on SQL, and the set-up of one database or two."""

from trueup.ledger.attach import OrdersMap
from trueup.ledger.comparing import Comparing
from trueup.ledger.engine import Database
from trueup.ledger.heal import Heals
from trueup.ledger.reading import Reader
from trueup.ledger.repair import Repairs
from trueup.ledger.tables import Store
from trueup.ledger.undo import Undoing


class SqlLedger(Reader, Comparing, Repairs, Heals, Undoing):
    """The Ledger port: the bot's books, read and repaired."""


def open_store(url: str, wanted: OrdersMap, state_url: str | None = None) -> Store:
    """Open the books and, where they are read-only, the database of trueup's own tables."""
    books = Database(url)
    return Store(books, Database(state_url, "state_url") if state_url is not None else books, wanted)
