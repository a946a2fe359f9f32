"""Connections: how each database is opened, and how its errors are told."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchTableError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from trueup.core.errors import CannotKnow, ConfigurationError, Refused, TrueupError
from trueup.core.integrity.rules import Rule, rule_named

T = TypeVar("T")
Ask = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]
"""What asks one statement in the driver's own words, with its values by name, and returns all rows."""

BUSY_SECONDS = 5
"""How long a statement waits for a lock before the program gives up and names the lock."""

_POOLED = 15
"""So many connections a pool has at most."""

FROZEN_SECONDS = 10
"""For so long a transaction that writes may say nothing; then Postgres ends it.

A process that is frozen in the middle of one (a stopped container, a sleeping machine) would else keep its locks for as
long as it sleeps: no other worker could write to the audit, nor the bot to its own orders.
"""


class Database:
    """One database: reads see one moment, writes are one transaction each."""

    def __init__(self, url: str, setting: str = "url") -> None:
        self.url = _parsed(url)
        self._setting = setting
        self.name = self.url.render_as_string(hide_password=True)
        self._engine = _sqlite(self.url) if self.is_sqlite else _postgres(self.url)
        self._glances = None if self.is_sqlite else _glances(self.url)

    @property
    def is_sqlite(self) -> bool:
        """Say whether this is SQLite; otherwise it is Postgres."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """Return SQLite's file, None for a database in memory and for Postgres."""
        name = self.url.database
        return Path(name) if self.is_sqlite and name and name != ":memory:" else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one moment and writes nothing."""
        self._require_file()
        with self._told(), self._engine.connect() as connection:
            reader = connection
            if not self.is_sqlite:
                reader = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with reader.begin():
                yield reader

    def glance(self, look: Callable[[Ask], T]) -> T:
        """Let something ask single statements, each of which sees one moment by itself: no transaction is begun.

        On Postgres this has connections of its own, which are neither asked whether they live nor rolled back: the
        driver forgets its prepared statements with every ROLLBACK. Where the server closed one meanwhile, it is put
        away and everything is asked once more by the next one; so `look` must change nothing.
        """
        self._require_file()
        with self._told():
            if self._glances is None:
                with self._engine.connect() as connection:
                    return look(asking(connection.execution_options(trueup_glances=True)))
            for _ in range(_POOLED):
                try:
                    return _asked(self._glances, look)
                except DBAPIError as error:
                    if not error.connection_invalidated:
                        raise
            return _asked(self._glances, look)

    @contextmanager
    def outside(self) -> Iterator[Connection]:
        """Open a connection on which each statement is a transaction by itself: for what Postgres runs in none."""
        self._require_file()
        with self._told(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that is committed at its end, or rolled back where it raises."""
        self._require_file()
        with self._told(), self._engine.connect() as connection:
            writer = connection.execution_options(trueup_writes=True)
            with writer.begin():
                if not self.is_sqlite:
                    limit = f"SET LOCAL idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'"
                    writer.exec_driver_sql(limit)
                yield writer

    def _require_file(self) -> None:
        """Refuse a missing SQLite file, which opening it would create."""
        try:
            missing = self.file is not None and not self.file.exists()
        except OSError as error:
            raise ConfigurationError(
                f"{self.file} cannot be opened: {error.strerror}.", "Check the path and its rights."
            ) from None
        if missing:
            raise ConfigurationError(
                f"There is no database at {self.file}.",
                f"Check [ledger] {self._setting} in trueup.toml, or run `trueup init` to create it.",
            )

    def create_file(self) -> None:
        """Create SQLite's file where it is missing, and put it into WAL mode."""
        if self.file is None:
            return
        try:
            if not self.file.exists():
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.touch()
        except OSError as error:
            raise ConfigurationError(f"{self.file} cannot be created: {error.strerror}.", "Check the path.") from None
        try:
            with closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error as error:
            raise told(OperationalError("PRAGMA journal_mode=WAL", None, error), self.name) from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
        if self._glances is not None:
            self._glances.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except TrueupError:
            raise
        except SQLAlchemyError as error:
            raise told(error, self.name) from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "The ledger's URL cannot be read.", "Use sqlite:///PATH or postgresql://USER@HOST/DATABASE."
        ) from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigurationError(
            f"trueup does not know the database {parsed.get_backend_name()!r}.", "Use SQLite or Postgres."
        )
    return parsed


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def set_up(connection: object, _: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3: we begin transactions ourselves
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]  # a sqlite3 connection

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("trueup_glances", False):
            return
        writes = options.get("trueup_writes", False)
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres(url: URL, **more: Any) -> Engine:
    options = f"-c lock_timeout={BUSY_SECONDS}s -c timezone=UTC"
    how = {"pool_pre_ping": True, **more}
    engine = create_engine(url, connect_args={"connect_timeout": 10, "options": options}, **how)

    @event.listens_for(engine, "connect")
    def refuse_lossy(connection: object, _: object) -> None:
        with connection.cursor() as cursor:  # type: ignore[attr-defined]  # a psycopg connection
            cursor.execute("SHOW synchronous_commit")
            setting = cursor.fetchone()[0]
        connection.rollback()  # type: ignore[attr-defined]  # a psycopg connection
        if setting == "off":
            raise ConfigurationError(
                "Postgres runs with synchronous_commit=off: a commit could be lost in a crash after trueup said it"
                " was done, and the audit would then not hold what the ledger holds.",
                "Set synchronous_commit to on for this database or role.",
            )

    return engine


def _glances(url: URL) -> Engine:
    return _postgres(url, pool_pre_ping=False, pool_reset_on_return=None, isolation_level="AUTOCOMMIT")


def asking(connection: Connection) -> Ask:
    """Return what asks a connection statements in the driver's own words."""

    def ask(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        found = connection.exec_driver_sql(statement, dict(values)) if values else connection.exec_driver_sql(statement)
        return [tuple(row) for row in found]

    return ask


def _asked(engine: Engine, look: Callable[[Ask], T]) -> T:
    """Look by the bare driver: what SQLAlchemy does around a statement costs as much as the statement."""
    driver_error = engine.dialect.loaded_dbapi.Error
    try:
        pooled = engine.raw_connection()
    except driver_error as error:
        raise DBAPIError.instance(None, None, error, driver_error) from error
    try:
        cursor = pooled.cursor()

        def ask(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

        return look(ask)
    except driver_error as error:
        gone = pooled.driver_connection is None or bool(pooled.driver_connection.closed)
        if gone:
            pooled.invalidate(error)
        raise DBAPIError.instance(None, None, error, driver_error, connection_invalidated=gone) from error
    finally:
        pooled.close()


def told(error: SQLAlchemyError, name: str) -> TrueupError:
    """Return a database error as a sentence on what is wrong and one on what to do."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    for signs, kind, what, do in _TELLTALE:
        if any(sign in reason.lower() for sign in signs):
            return kind(f"The database {name} {what} ({reason}).", do)
    rule = rule_named(reason) if isinstance(error, IntegrityError) else None
    if rule is not None:
        return _against(rule, error)
    if isinstance(error, IntegrityError):
        what, do = "refused a row", "Nothing was written. See the column or constraint that it names."
        return ConfigurationError(f"The database {name} {what} ({reason}).", do)
    if isinstance(error, (ProgrammingError, NoSuchTableError)):
        return ConfigurationError(
            f"The database {name} is not set up as expected ({reason}).", "Run `trueup init`, then `trueup doctor`."
        )
    return CannotKnow(f"The database {name} cannot be used ({reason}).", "Check that it runs and can be reached.")


def _against(rule: Rule, error: SQLAlchemyError) -> Refused:
    """Return what a rule of lifecycle integrity said, with the row that it refused where the database tells it."""
    row = getattr(getattr(getattr(error, "orig", None), "diag", None), "message_detail", None)
    told_row = f" {str(row)[:_ROW_SHOWN]}" if row else ""
    return Refused(
        f"The ledger's rule {rule.name} refused a row: {rule.words}.{told_row}",
        "Nothing was written. `trueup integrity report` lists the rows whose ids break a rule; correct the trade's id,"
        " or take the rules back with `trueup integrity rollback`.",
    )


_ROW_SHOWN = 200

_TELLTALE: tuple[tuple[tuple[str, ...], type[TrueupError], str, str], ...] = (
    (
        ("locked", "lock timeout", "lock_timeout"),
        CannotKnow,
        f"is locked: another program held its lock for over {BUSY_SECONDS} s",
        "Find the program that keeps a transaction open, or try again.",
    ),
    (
        ("readonly", "read-only", "permission denied", "must be owner"),
        ConfigurationError,
        "may not be written",
        "Grant the rights, or set [ledger] state_url to a database of trueup's own and use dry runs.",
    ),
    (
        ("unable to open database file",),
        CannotKnow,
        "cannot be opened, not even for reading: SQLite has to write its write-ahead log (-wal, -shm) beside the file",
        "Make its folder writable, or name a copy (with its -wal) in [ledger] url, and state_url for trueup's own.",
    ),
    (
        ("not a database", "malformed", "disk i/o"),
        CannotKnow,
        "cannot be read",
        "Check the file, or restore it from a copy.",
    ),
    (
        ("no such table", "no such column"),
        ConfigurationError,
        "is not set up as expected",
        "Run `trueup init`, then `trueup doctor`.",
    ),
)
"""What a database says, and what it means; the first row with a sign in it tells."""


def ping(database: Database) -> str:
    """Return the database's version; raises what keeps it from answering."""
    with database.reading() as connection:
        statement = "SELECT sqlite_version()" if database.is_sqlite else "SHOW server_version"
        return str(connection.execute(text(statement)).scalar_one())
