"""What the spellings of an orders table mean: its distinct statuses, actions and sides, read once a query."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, false, or_, select

from trueup.core.orders import Action, Side, StatusClass, read_side, status_class, text_or_none
from trueup.ledger.attach import OrdersTable


@dataclass(frozen=True, slots=True)
class Spellings:
    """The raw statuses of each class, and the raw actions and sides by their meaning; None stands for NULL.

    `all_actions_known` says that every row names its action.
    """

    statuses: dict[StatusClass, list[str | None]]
    entries: list[str]
    exits: list[str]
    buys: list[str]
    sells: list[str]
    all_actions_known: bool

    def has_status(self, table: OrdersTable, *classes: StatusClass) -> ColumnElement[bool]:
        """Return the condition that a row's status is of one of the classes."""
        return _among(table["status"], [raw for kind in classes for raw in self.statuses[kind]])


def _among(column: ColumnElement[Any], values: Iterable[str | None]) -> ColumnElement[bool]:
    values = list(values)
    parts: list[ColumnElement[bool]] = [column.is_(None)] if None in values else []
    named = [value for value in values if value is not None]
    if named:
        parts.append(column.in_(named))
    return or_(*parts) if parts else false()


def spellings(connection: Connection, table: OrdersTable) -> Spellings:
    """Read how the table spells statuses and actions."""
    statuses: dict[StatusClass, list[str | None]] = {kind: [] for kind in StatusClass}
    for raw in connection.scalars(select(table["status"]).distinct()):
        statuses[status_class(raw)].append(raw)
    actions = list(connection.scalars(select(table["action"]).distinct())) if "action" in table else [None]
    sides = connection.scalars(select(table["side"]).distinct()) if None in actions else ()
    by_side: dict[Side, list[str]] = {side: [] for side in Side}
    for raw in sides:
        try:
            by_side[read_side(raw)].append(raw)
        except ValueError:
            continue
    named = [raw for raw in actions if raw is not None]
    entries = [raw for raw in named if (text_or_none(raw) or "").upper() == Action.ENTRY]
    exits = [raw for raw in named if (text_or_none(raw) or "").upper() == Action.EXIT]
    known = len(entries) + len(exits) == len(actions)
    return Spellings(statuses, entries, exits, by_side[Side.BUY], by_side[Side.SELL], known)
