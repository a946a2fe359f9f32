"""Snapshots: what the tables hold, and which rows break the rules, counted in one moment."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    MetaData,
    Table,
    and_,
    case,
    func,
    literal_column,
    not_,
    select,
)
from sqlalchemy.types import NullType

from trueup.core.integrity.phases import Phase
from trueup.core.integrity.rules import Rule
from trueup.core.times import iso
from trueup.ledger import chain, schema, statuses
from trueup.ledger.attach import OrdersTable
from trueup.ledger.integrity.busy import naming_holders
from trueup.ledger.integrity.steps import newest_snapshot, put
from trueup.ledger.integrity.things import Place, Wanted, check_sql, places, standing_of, wanted_of
from trueup.ledger.statuses import among
from trueup.ledger.tables import Store, has_table
from trueup.ports import Clock
from trueup.ports.integrity import Baseline, Breaking

SAMPLED = 5
"""So many ids of rows that break a rule are named."""

NO_ID = "(no id)"
"""What stands for the id of a row that has none."""

NOBODYS = "(none)"
"""The profile of rows that name none."""


class Snapshots:
    """What the IntegrityBook port counts."""

    _store: Store
    _clock: Clock

    def breaking(self) -> tuple[Breaking, ...]:
        """Return the rows that break each rule; rules that no row breaks are there with none."""
        return self._count()[2]

    def _count(self) -> tuple["Counts", "Counts", tuple[Breaking, ...]]:
        books = self._store.books
        with naming_holders(books, self._store.wanted.table), books.reading() as connection:
            return _counted(connection, self._store)

    def snapshot(self, actor: str, batch_id: str, *, keep: bool) -> Baseline:
        """Count everything in one moment, and keep it under the next number."""
        with naming_holders(self._store.books, self._store.wanted.table):
            standing = standing_of(self._store, self._clock)
        tables, nameless, breaking = self._count()
        with self._store.state.reading() as connection:
            head = chain.newest(connection)[1] if has_table(connection, schema.audit) else ""
            last = newest_snapshot(connection)
        number, at = (last[0] if last else 0) + 1, iso(self._clock.now_ms())
        baseline = Baseline(number, at, head, tables, nameless, breaking, standing)
        if keep:
            step = {
                "phase": Phase.SNAPSHOT.value, "what": "baseline", "object": str(number), "state": "taken",
                "actor": actor, "batch_id": batch_id, "detail": _detail(baseline),
            }  # fmt: skip
            with self._store.state.writing() as connection:
                put(connection, step, self._clock)
        return baseline


def _detail(baseline: Baseline) -> dict[str, object]:
    found = asdict(baseline)
    standing = found.pop("standing")
    return {**found, "things": standing["things"], "left_out": standing["left_out"]}


Counts = dict[str, dict[str, int]]


def _counted(connection: Connection, store: Store) -> tuple[Counts, Counts, tuple[Breaking, ...]]:
    """Return rows by table and profile, those without a trade id, and those that break each rule."""
    found = places(connection, store)
    wanted, _ = wanted_of(found)
    orders = store.orders(connection)
    tables: Counts = {}
    nameless: Counts = {}
    breaking: list[Breaking] = []
    for place in found.values():
        rules = [item for item in wanted if item.place == place and isinstance(item.about, Rule)]
        counted = _Counting(connection, place, rules, orders if place.ours == "orders" else None)
        tables[place.name] = counted.rows()
        if "trade_id" in place.columns:
            nameless[place.name] = counted.of("nameless")
        breaking += [counted.breaking(item) for item in rules]
    return tables, nameless, tuple(breaking)


class _Counting:
    """The counts of one table, made by one walk over it; the rows that break a rule are then looked up."""

    def __init__(self, connection: Connection, place: Place, rules: list[Wanted], orders: OrdersTable | None) -> None:
        self._connection, self._place, self._orders = connection, place, orders
        self._table = Table(place.name, MetaData(), *(Column(name, NullType()) for name in place.columns.values()))
        self._broken: dict[str, ColumnElement[bool]] = {
            item.name: not_(literal_column(check_sql(item, connection))) for item in rules
        }
        self._counts = self._walk()

    def _column(self, ours: str) -> ColumnElement[Any]:
        return self._orders[ours] if self._orders is not None else self._table.c[self._place.columns[ours]]

    def _walk(self) -> list[Mapping[str, Any]]:
        profile = self._column("profile_id")
        columns: list[ColumnElement[Any]] = [profile.label("profile"), func.count().label("rows")]
        if "trade_id" in self._place.columns:
            columns.append(_sum(self._column("trade_id").is_(None)).label("nameless"))
        for name, broken in self._broken.items():
            columns.append(_sum(broken).label(name))
        grouped = select(*columns).select_from(self._from).group_by(literal_column("1"))
        return [dict(row) for row in self._connection.execute(grouped).mappings()]

    @property
    def _from(self) -> Table:
        return self._orders.table if self._orders is not None else self._table

    def rows(self) -> dict[str, int]:
        """Return the rows of each profile."""
        return self.of("rows")

    def of(self, name: str) -> dict[str, int]:
        """Return one count of each profile, without those that have none."""
        found: dict[str, int] = {}
        for row in self._counts:
            profile = str(row["profile"]) if row["profile"] is not None else NOBODYS
            if row[name]:
                found[profile] = found.get(profile, 0) + int(row[name])
        return dict(sorted(found.items()))

    def breaking(self, item: Wanted) -> Breaking:
        """Return the rows that break a rule."""
        rows, broken = self.of(item.name), self._broken[item.name]
        if not rows or self._orders is None:
            return Breaking(item.name, self._place.name, rows, samples=self._ids(broken) if rows else ())
        works = and_(broken, among(self._column("status"), statuses.WORKING))
        working = int(self._connection.scalar(select(func.count()).select_from(self._from).where(works)) or 0)
        named = self._ids(works) if working else ()
        return Breaking(item.name, self._place.name, rows, working, self._ids(broken), named)

    def _ids(self, where: ColumnElement[bool]) -> tuple[str, ...]:
        key = self._column("order_id" if self._orders is not None else "id")
        query = select(key).select_from(self._from).where(where).limit(SAMPLED)
        return tuple(str(found) if found is not None else NO_ID for found in self._connection.scalars(query))


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))
