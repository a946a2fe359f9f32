"""Laying down the tables, and looking whether they are well."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from sqlalchemy import func, insert, inspect, select, text, update

from trueup.core.decimals import plain
from trueup.core.errors import ConfigurationError, Refused, TrueupError
from trueup.ledger import schema
from trueup.ledger.attach import require_insertable, require_text_ids
from trueup.ledger.engine import Database, ping
from trueup.ledger.examine import examine
from trueup.ledger.tables import Store, fits
from trueup.ports import Check, InitReport, Profile


class SqlSetup:
    """The Setup port."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def initialise(self, profiles: Sequence[Profile]) -> InitReport:
        """Create what is missing and add or change the profiles; idempotent and safe on a live database."""
        from trueup.ledger.migrate import migrate  # Alembic is heavy, and most commands do without it

        store = self._store
        self._require_their_table()
        created = migrate(store.state, store.wanted if store.one_database else None).created
        with store.books.reading() as connection:
            store.orders(connection)
        changed = self._upsert(profiles)
        # A database that may not be written can look complete, so that nothing above had to write to it.
        _writable(store.state)
        return InitReport(tuple(created), tuple(changed))

    def _require_their_table(self) -> None:
        """Refuse a table that cannot be attached, and a native ledger where trueup.toml says that there is another."""
        wanted, books = self._store.wanted, self._store.books
        native = wanted.table == schema.orders.name and not wanted.columns
        if books.file is not None and not books.file.exists():
            if native:
                return
            raise ConfigurationError(
                f"There is no database at {books.file}, where trueup.toml says that {wanted.table!r} is.",
                "Check [ledger] url. Nothing was created.",
            )
        with books.reading() as connection:
            if native and not inspect(connection).has_table(wanted.table):
                return
            table = self._store.orders(connection)
            if not table.is_native and self._store.one_database:
                require_text_ids(table)

    def _upsert(self, profiles: Sequence[Profile]) -> list[str]:
        """Add or change profiles by what trueup.toml says; `enabled` changes only where it says so."""
        table = schema.profiles
        changed: list[str] = []
        with self._store.state.writing() as connection:
            if not fits(connection, table):
                return []
            for profile in profiles:
                values = _values(profile)
                mine = table.c.profile_id == profile.profile_id
                found = connection.execute(select(table).where(mine)).mappings().first()
                if profile.enabled is not None:
                    values["enabled"] = profile.enabled
                if found is None:
                    first = {"profile_id": profile.profile_id, "enabled": True, **values}
                    connection.execute(insert(table).values(first))
                elif any(_shown(found[name]) != _shown(value) for name, value in values.items()):
                    connection.execute(update(table).where(mine).values(**values))
                else:
                    continue
                changed.append(profile.profile_id)
        return changed

    def add_orders(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert orders by the native column names; refused where the ledger has orders already."""
        with self._store.books.writing() as connection:
            if connection.execute(select(func.count()).select_from(schema.orders)).scalar_one():
                raise Refused("The ledger has orders already.", "Choose an empty folder.")
            connection.execute(insert(schema.orders), [dict(row) for row in rows])

    def inspect(self) -> list[Check]:
        """Look at the databases, the tables and the rights; what cannot be looked at is a finding, not an error."""
        state, books = self._store.state, self._store.books
        checks = [_look("database", lambda: f"{books.name}, version {ping(books)}")]
        if not checks[0].ok:
            return checks
        checks.append(_look("orders table", self._orders_table))
        if checks[-1].ok:
            checks += self._rows()
        checks.append(_look("trueup's tables", lambda: _own_tables(state)))
        checks.append(_look("profiles table", self._profiles))
        checks.append(_look("write access", lambda: _writable(state)))
        if books.is_sqlite:
            checks.append(self._journal_mode())
        return checks

    def _orders_table(self) -> str:
        with self._store.books.reading() as connection:
            table = self._store.orders(connection)
            count = connection.execute(select(func.count()).select_from(table.table)).scalar_one()
            if not table.is_native and self._store.one_database:
                require_insertable(connection, table, self._store.wanted)
        kind = "the native table" if table.is_native else f"attached table {table.table.name}"
        return f"{kind}, {count} {'row' if count == 1 else 'rows'}"

    def _rows(self) -> list[Check]:
        """Look at a sample of the rows of the profiles that are known."""
        try:
            with self._store.state.reading() as connection:
                if not fits(connection, schema.profiles):
                    return []
                names = [str(name) for name in connection.scalars(select(schema.profiles.c.profile_id))]
            with self._store.books.reading() as connection:
                return examine(connection, self._store.orders(connection), names) if names else []
        except TrueupError as error:
            return [Check("ledger rows", False, error.what, error.do, max(error.exit_code, 2))]

    def _journal_mode(self) -> Check:
        """Look whether readers and writers of SQLite's file block each other; others' ledgers are theirs to change."""
        books = self._store.books
        found = _look("write-ahead log", lambda: _journal_mode(books))
        if found.ok or self._store.one_database:
            return found
        do = "trueup does not change a ledger that is attached read-only; where its owner can, WAL is better."
        return replace(found, do=do, exit_code=0)

    def _profiles(self) -> str:
        with self._store.state.reading() as connection:
            if not fits(connection, schema.profiles):
                raise Refused("There is no table of profiles.", "Run `trueup init`.")
            count = connection.execute(select(func.count()).select_from(schema.profiles)).scalar_one()
        if not count:
            raise Refused("There is no profile.", "Name one in trueup.toml ([[profiles]]) and run `trueup init`.")
        return f"{count} {'profile' if count == 1 else 'profiles'}"


def _look(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except TrueupError as error:
        return Check(name, False, error.what, error.do, max(error.exit_code, 2))


def _own_tables(state: Database) -> str:
    from trueup.ledger.migrate import pending

    with state.reading() as connection:
        if not inspect(connection).has_table(schema.AUDIT):
            raise Refused(f"The table {schema.AUDIT} is missing.", "Run `trueup init`.")
        if pending(connection):
            raise Refused("trueup's tables are of an older version.", "Run `trueup init`.")
    return "up to date"


def _writable(state: Database) -> str:
    with state.writing() as connection:
        connection.execute(update(schema.leases).where(schema.leases.c.scope == "doctor").values(fence=0))
    return "granted"


def _journal_mode(books: Database) -> str:
    with books.reading() as connection:
        mode = str(connection.execute(text("PRAGMA journal_mode")).scalar_one())
    if mode != "wal":
        raise Refused(f"SQLite's journal_mode is {mode}, so that readers and writers block each other.",
                      "Run `trueup init`, which sets WAL.")  # fmt: skip
    return mode


def _shown(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)


def _values(profile: Profile) -> dict[str, object]:
    values: dict[str, object] = {
        "user_id": profile.user_id,
        "account": profile.account,
        "managed_symbols": ",".join(profile.managed_symbols) if profile.managed_symbols else None,
        "allocated_capital": profile.allocated_capital,
    }
    return values
