"""How an orders table spells a status, so that what is written to it looks like its own rows."""

from sqlalchemy import Connection, Enum, select

from trueup.core.errors import ConfigurationError
from trueup.core.orders import word
from trueup.ledger.attach import OrdersTable, in_case_of
from trueup.ledger.statuses import variants

_SAME = {"canceled": ("canceled", "cancelled"), "cancelled": ("canceled", "cancelled")}


def status_as_spelt(connection: Connection, table: OrdersTable, profile_id: str, status: str, like: object) -> str:
    """Return a status as the table has it: its enumeration's label, as another row has it, or like a row's own."""
    names = _SAME.get(status, (status,))
    kind = table.kind("status")
    if isinstance(kind, Enum):
        label = next((label for label in kind.enums if word(label) in names), None)
        if label is None:
            raise ConfigurationError(
                f"The column {table.name_of('status')!r} has no label for {status}: it knows {', '.join(kind.enums)}.",
                "Add the label to the type, or map a column that has it.",
            )
        return str(label)
    first = _like(status, like)
    if table.is_native:
        return first
    asked = [first, *variants(names)]
    query = select(table["status"]).where(table["profile_id"] == profile_id, table["status"].in_(asked))
    return str(connection.scalar(query.limit(1)) or first)


def _like(status: str, like: object) -> str:
    """Return a status in the case of another one, with its separators."""
    if not isinstance(like, str):
        return status
    between = next((mark for mark in "_- " if mark in like.strip()), "_")
    spelt = in_case_of(status, like.strip())
    return spelt.replace("_", between)
