"""What lifecycle integrity adds to one ledger, by the names of its own tables, and how that stands in the catalogue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, text

from trueup.core.errors import Refused
from trueup.core.integrity.phases import Kind, Standing, State, Thing
from trueup.core.integrity.rules import INDEXES, RULES, IndexRule, Rule, RulesInForce
from trueup.ledger import schema
from trueup.ledger.integrity.rules import holds_sql
from trueup.ledger.integrity.steps import (
    OURS,
    is_running,
    newest_of_objects,
    newest_phase,
    newest_snapshot,
    was_applied,
)
from trueup.ledger.tables import Store, fits, lacking
from trueup.ports import Clock

UPDATE_SUFFIX = "_update"
"""SQLite's triggers watch one event each: that of inserts has the rule's name, that of updates has this at its end."""


_SHOWN = 120
"""So many characters of somebody else's definition are shown."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of our tables as a ledger has it: its name there, and its columns by our names; all are raw, not quoted."""

    ours: str
    name: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object to add: its rule or index, and where."""

    about: Rule | IndexRule
    place: Place

    @property
    def name(self) -> str:
        """Return the object's name."""
        return self.about.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it is on, by their names in the table."""
        ours = (self.about.column,) if isinstance(self.about, Rule) else self.about.columns
        return tuple(self.place.columns[name] for name in ours if name in self.place.columns)

    @property
    def says(self) -> str:
        """Return the rule in words, or the columns of the index."""
        return self.about.words if isinstance(self.about, Rule) else f"index on {', '.join(self.columns)}"


def places(connection: Connection, store: Store) -> dict[str, Place]:
    """Return the tables that this ledger has, by our names."""
    orders = store.orders(connection)
    known = {name: orders.name_of(name) for name in schema.ORDER_COLUMNS if name in orders}
    found = {"orders": Place("orders", store.wanted.table, known)}
    for table in (schema.trade_history, schema.positions):
        if fits(connection, table):
            found[table.name] = Place(table.name, table.name, {column.name: column.name for column in table.c})
    return found


def wanted_of(found: Mapping[str, Place]) -> tuple[list[Wanted], list[str]]:
    """Return what is to be added to a ledger, and sentences on what it has no table or column for."""
    wanted: list[Wanted] = []
    left_out: list[str] = []
    for about in (*RULES, *INDEXES):
        place = found.get(about.table)
        if place is None:
            continue
        if isinstance(about, Rule) and about.column not in place.columns:
            left_out.append(f"{about.name}: the table {place.name} has no column for {about.column}.")
            continue
        wanted.append(Wanted(about, place))
    return wanted, left_out


def missing_tables(connection: Connection, found: Mapping[str, Place]) -> Iterator[str]:
    """Yield a sentence on each table of ours that the ledger does not have."""
    for table in (schema.trade_history, schema.positions):
        if table.name not in found:
            lacks = lacking(connection, table)
            what = f"has no column {', '.join(lacks)}" if lacks else "is not there"
            yield f"{table.name}: the table {what}, so that its rules, indexes and report are left out."


def standing_of(store: Store, clock: Clock) -> Standing:
    """Return where a ledger stands; the books are read first, and then what is on record."""
    with store.books.reading() as connection:
        found = places(connection, store)
        wanted, left_out = wanted_of(found)
        left_out += missing_tables(connection, found)
        there = catalogue(connection, wanted)
    with store.state.reading() as connection:
        known, snapshot = newest_of_objects(connection), newest_snapshot(connection)
        last, running = newest_phase(connection), is_running(connection, clock)
        ever_applied = was_applied(connection)
    rule_kind = Kind.TRIGGER if store.books.is_sqlite else Kind.CONSTRAINT
    things = tuple(thing_of(item, there.get(item.name), known.get(item.name), rule_kind) for item in wanted)
    return Standing(
        things=things,
        snapshot=snapshot[0] if snapshot else None,
        snapshot_at=snapshot[1] if snapshot else None,
        left_out=tuple(left_out),
        writable=store.one_database,
        last=last[0] if last is not None else None,
        unended=last is not None and not last[1],
        running=running,
        ever_applied=ever_applied,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """An object in the catalogue: how it is defined, and whether it is whole and valid; `kind` as the database has it.

    `elsewhere` is the table that it is on, where that is not the one where it belongs; a table, view or sequence that
    has the name of an index is its own.
    """

    kind: Kind
    definition: str
    whole: bool
    valid: bool
    elsewhere: str | None = None


def thing_of(
    wanted: Wanted, found: Found | None, known: tuple[str, Mapping[str, object]] | None, rule_kind: Kind
) -> Thing:
    """Return how an object stands, by the catalogue and by what is on record of it.

    One of its name on another table is none, and what is on record of another table is not about it: the ledger may
    have been attached to another table since.
    """
    kind = rule_kind if isinstance(wanted.about, Rule) else Kind.INDEX
    state, detail = known if known is not None else ("", {})
    if detail.get("table", wanted.place.name) != wanted.place.name:
        state, detail = "", {}
    if found is None or found.elsewhere is not None:
        return Thing(wanted.name, wanted.place.name, kind, State.MISSING, wanted.says)
    same = detail.get("definition", found.definition) == found.definition
    ours = state in OURS and detail.get("ours", True) is True
    valid = found.valid or (kind is Kind.TRIGGER and state == "validated" and same)
    stands = State.UNFINISHED if not found.whole else State.VALID if valid else State.NOT_VALID
    as_added = ours and same
    says = wanted.says if as_added or kind is Kind.INDEX else _beginning(found.definition)
    return Thing(wanted.name, wanted.place.name, kind, stands, says, ours, ours and not same)


def _beginning(definition: str) -> str:
    """Return how an object is defined, in one line that fits a table."""
    line = " ".join(definition.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


_SQLITE_KIND = text("SELECT type FROM sqlite_master WHERE name = :name AND type IN ('table', 'view')")
_POSTGRES_KIND = text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(quote_ident(:name))")
_PARTITIONED = "p"


def require_table(connection: Connection, wanted: Wanted) -> None:
    """Refuse what can take no rule or index: a view, or a partitioned table for an index that is built concurrently."""
    name = wanted.place.name
    is_sqlite = connection.dialect.name == "sqlite"
    kind = connection.scalar(_SQLITE_KIND if is_sqlite else _POSTGRES_KIND, {"name": name})
    if kind == _PARTITIONED and not isinstance(wanted.about, Rule):
        raise Refused(
            f"The table {name} is partitioned, so that {wanted.name} cannot be built concurrently.",
            f"Build it by hand: an index of that name on {', '.join(wanted.columns)}; then run the command again.",
        )
    if kind not in ("table", "r", _PARTITIONED):
        raise Refused(
            f"{name} is not a table but a view, so that it can take no rule or index.",
            "Attach the table that it shows ([ledger] orders_table), or keep the rules where its rows are written.",
        )


def catalogue(connection: Connection, wanted: list[Wanted]) -> dict[str, Found]:
    """Return which of the wanted objects the database has, by name."""
    return (_sqlite if connection.dialect.name == "sqlite" else _postgres)(connection, wanted)


_SQLITE = text("SELECT name, type, tbl_name, sql FROM sqlite_master WHERE name IN :names").bindparams(
    bindparam("names", expanding=True)
)
_CONSTRAINTS = text(
    "SELECT conname, convalidated, pg_get_constraintdef(oid) AS definition FROM pg_constraint"
    " WHERE contype = 'c' AND conrelid = to_regclass(quote_ident(:name)) AND conname IN :names"
).bindparams(bindparam("names", expanding=True))
_INDEXES = text(
    "SELECT made.relname AS name, on_table.relname AS table_name, indisvalid AND indisready AS whole,"
    " pg_get_indexdef(indexrelid) AS definition FROM pg_index JOIN pg_class made ON made.oid = indexrelid"
    " JOIN pg_class on_table ON on_table.oid = indrelid WHERE made.relname IN :names"
    " AND made.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(quote_ident(:name)))"
).bindparams(bindparam("names", expanding=True))


_TAKEN = text(
    "SELECT relname FROM pg_class WHERE relname IN :names AND relkind NOT IN ('i', 'I')"
    " AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(quote_ident(:name)))"
).bindparams(bindparam("names", expanding=True))


_BOUND_SQLITE = text(
    "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (:orders, :history) AND name IN :names"
).bindparams(bindparam("names", expanding=True))
_BOUND_POSTGRES = text(
    "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conname IN :names AND conrelid IN"
    " (to_regclass(quote_ident(CAST(:orders AS text))), to_regclass(quote_ident(CAST(:history AS text))))"
).bindparams(bindparam("names", expanding=True))


def rules_in_force(connection: Connection, orders: str) -> RulesInForce:
    """Return the rules that bind a ledger; a trigger of SQLite looks at new values alone, a constraint at every row."""
    is_sqlite = connection.dialect.name == "sqlite"
    asked = {"names": [rule.name for rule in RULES], "orders": orders, "history": schema.trade_history.name}
    found = connection.scalars(_BOUND_SQLITE if is_sqlite else _BOUND_POSTGRES, asked)
    return RulesInForce(frozenset(found), old_rows=not is_sqlite)


def definition_of(connection: Connection, wanted: Wanted) -> str | None:
    """Return how an object is defined by one look into the catalogue, None where it is not there."""
    if connection.dialect.name == "sqlite" or not isinstance(wanted.about, Rule):
        found = catalogue(connection, [wanted]).get(wanted.name)
        return found.definition if found is not None else None
    row = connection.execute(_CONSTRAINTS, {"name": wanted.place.name, "names": [wanted.name]}).first()
    return str(row.definition.removesuffix(" NOT VALID")) if row is not None else None


def _sqlite(connection: Connection, wanted: list[Wanted]) -> dict[str, Found]:
    names = [item.name for item in wanted]
    names += [f"{item.name}{UPDATE_SUFFIX}" for item in wanted if isinstance(item.about, Rule)]
    rows = {row.name: row for row in connection.execute(_SQLITE, {"names": names})}
    found: dict[str, Found] = {}
    for item in wanted:
        parts = [rows.get(item.name)]
        if isinstance(item.about, Rule):
            parts.append(rows.get(f"{item.name}{UPDATE_SUFFIX}"))
        there = [part for part in parts if part is not None]
        if not there:
            continue
        elsewhere = next((part.tbl_name for part in there if part.tbl_name != item.place.name), None)
        definition = "\n".join(str(part.sql) for part in there)
        is_rule = isinstance(item.about, Rule)
        kind = Kind.TRIGGER if is_rule else Kind.INDEX
        found[item.name] = Found(kind, definition, len(there) == len(parts), not is_rule, elsewhere)
    return found


def _postgres(connection: Connection, wanted: list[Wanted]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    by_table = {item.place.name: [other for other in wanted if other.place == item.place] for item in wanted}
    for name, items in by_table.items():
        asked = {"name": name, "names": [item.name for item in items]}
        for row in connection.execute(_CONSTRAINTS, asked):
            definition = row.definition.removesuffix(" NOT VALID")
            found[row.conname] = Found(Kind.CONSTRAINT, definition, whole=True, valid=row.convalidated)
        for row in connection.execute(_INDEXES, asked):
            elsewhere = row.table_name if row.table_name != name else None
            found[row.name] = Found(Kind.INDEX, row.definition, row.whole, valid=True, elsewhere=elsewhere)
        for taken in connection.scalars(_TAKEN, asked):
            found[taken] = Found(Kind.INDEX, "", whole=False, valid=False, elsewhere=taken)
    return found


def check_sql(wanted: Wanted, connection: Connection) -> str:
    """Return the condition of a rule on its table's own column."""
    assert isinstance(wanted.about, Rule)
    column = connection.dialect.identifier_preparer.quote(wanted.columns[0])
    return rule_sql(connection, wanted.about, column)


def rule_sql(connection: Connection, rule: Rule, column: str) -> str:
    """Return the condition of a rule on a quoted column, as this database takes it."""
    dialect = connection.dialect.name
    ascii_only = dialect != "sqlite" and connection.scalar(text("SHOW server_encoding")) != "UTF8"
    return holds_sql(rule.kind, column, dialect, ascii_only=ascii_only)
