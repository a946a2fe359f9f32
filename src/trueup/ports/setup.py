"""Laying down the tables, and looking whether they are well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trueup.ports.books import Profile
from trueup.ports.venues import Check


@dataclass(frozen=True, slots=True)
class InitReport:
    """What `init` created: tables by name, and the profiles that it added or changed."""

    tables: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()


class Setup(Protocol):
    """Laying down the tables, and looking whether they are well."""

    def initialise(self, profiles: Sequence[Profile]) -> InitReport:
        """Create what is missing and add or change the profiles; idempotent and safe on a live database."""
        ...

    def inspect(self) -> list[Check]:
        """Look at the databases, the tables and the rights."""
        ...

    def add_orders(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert orders by the native column names, for demonstrations; Refused where the ledger has orders."""
        ...
