"""Connections: how each database is opened, and how its errors are told."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchTableError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from trueup.core.errors import CannotKnow, ConfigurationError, TrueupError

BUSY_SECONDS = 5
"""How long a statement waits for a lock before the program gives up and names the lock."""

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

    @contextmanager
    def glancing(self) -> Iterator[Connection]:
        """Open a connection for one statement, which sees one moment by itself: no transaction is begun or ended."""
        self._require_file()
        with self._told(), self._engine.connect() as connection:
            how = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
            yield connection.execution_options(trueup_glances=True, **how)

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


def _postgres(url: URL) -> Engine:
    options = f"-c lock_timeout={BUSY_SECONDS}s -c timezone=UTC"
    engine = create_engine(url, connect_args={"connect_timeout": 10, "options": options}, pool_pre_ping=True)

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


def told(error: SQLAlchemyError, name: str) -> TrueupError:
    """Return a database error as a sentence on what is wrong and one on what to do."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    for signs, kind, what, do in _TELLTALE:
        if any(sign in reason.lower() for sign in signs):
            return kind(f"The database {name} {what} ({reason}).", do)
    if isinstance(error, IntegrityError):
        what, do = "refused a row", "Nothing was written. See the column or constraint that it names."
        return ConfigurationError(f"The database {name} {what} ({reason}).", do)
    if isinstance(error, (ProgrammingError, NoSuchTableError)):
        return ConfigurationError(
            f"The database {name} is not set up as expected ({reason}).", "Run `trueup init`, then `trueup doctor`."
        )
    return CannotKnow(f"The database {name} cannot be used ({reason}).", "Check that it runs and can be reached.")


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
