"""Changing a table that a bot writes to: never in its way for longer than a moment.

A change that needs the table for itself waits in the table's queue, and everything that comes after it waits behind
it: behind a long transaction that would stop the bot. So it waits for a tenth of a second at a time, gives up, and
tries again. Before that it takes the lock that keeps autovacuum away and lets the bot write, since autovacuum makes way
only for those who wait for longer than a second.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import SystemRandom
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from trueup.core.errors import CannotKnow, TrueupError
from trueup.ledger.engine import Database
from trueup.ledger.guards import fenced
from trueup.ports import Clock, Doing

LOCK_MS = 100
"""For so long a change may stand in the way of others."""

GENTLE_LOCK_MS = 2500
"""For so long it waits where nobody waits behind it; autovacuum makes way after one second."""

_PAUSE_S = (0.3, 2.0)
"""Between two tries: at first and at last, give or take a half of it."""

_TRY_AGAIN = frozenset({"55P03", "40P01"})
"""Postgres's codes for a lock that was not given in time, and for a deadlock."""

_NOBODY = "nobody holds it now"

_T = TypeVar("_T")


class Rehearsed(Exception):
    """Ends a rehearsal: the transaction is rolled back."""


@contextmanager
def changing(database: Database, doing: Doing) -> Iterator[Connection]:
    """Open the transaction of one step under the lease; a rehearsal is rolled back at its end."""
    try:
        with fenced(database, doing.lease) as connection:
            yield connection
            if doing.rehearse:
                raise Rehearsed
    except Rehearsed:
        pass


def tried(database: Database, clock: Clock, doing: Doing, table: str, act: Callable[[], _T]) -> tuple[_T, int]:
    """Act until the table is free for it, and return what it gave and after how many tries.

    CannotKnow names who holds the table, when the time to wait is over.
    """
    until, pause, tries = clock.now_ms() + doing.wait_s * 1000, _PAUSE_S[0], 0
    while True:
        tries += 1
        try:
            return act(), tries
        except TrueupError as error:
            if not is_busy(error):
                raise
            if clock.now_ms() + pause * 1000 > until:
                raise stays_busy(database, doing, table, tries) from error
        clock.sleep(pause * SystemRandom().uniform(0.5, 1.5))
        pause = min(pause * 1.5, _PAUSE_S[1])


def is_busy(error: TrueupError) -> bool:
    """Say whether an error is that a lock was not given in time."""
    cause = error.__cause__
    if not isinstance(cause, DBAPIError):
        return False
    return getattr(cause.orig, "sqlstate", None) in _TRY_AGAIN or "database is locked" in str(cause.orig)


@contextmanager
def naming_holders(database: Database, table: str) -> Iterator[None]:
    """Say who holds a table, where even reading it had to give up."""
    try:
        yield
    except TrueupError as error:
        if database.is_sqlite or not is_busy(error):
            raise
        said = "; ".join(holders_of(database, table)) or _NOBODY
        raise CannotKnow(
            f"The table {table} could not even be read, since it is locked: {said}.",
            "Let that transaction end, and run the command again.",
        ) from error


def stays_busy(database: Database, doing: Doing, table: str, tries: int) -> CannotKnow:
    """Return the error that names who holds a table."""
    said = "; ".join(holders_of(database, table)) or _NOBODY
    done = "Nothing was changed." if doing.rehearse else "What was done stays."
    return CannotKnow(
        f"The table {table} stayed busy for {doing.wait_s:g} s ({tries} tries), so that {doing.phase} stopped: {said}.",
        f"{done} Let that transaction end, and run the command again; --wait SECONDS tries for longer.",
    )


_HOLDERS = text(
    "SELECT held.pid, usename, application_name, state, extract(epoch FROM now() - xact_start)::int AS seconds,"
    " left(regexp_replace(query, '\\s+', ' ', 'g'), 80) AS query, string_agg(DISTINCT mode, ', ') AS modes"
    " FROM pg_locks held JOIN pg_stat_activity USING (pid)"
    " WHERE held.granted AND held.pid <> pg_backend_pid() AND held.relation = to_regclass(quote_ident(:name))"
    " GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY seconds DESC NULLS LAST LIMIT 3"
)
_OLDEST = text(
    "SELECT pid, usename, application_name, state, extract(epoch FROM now() - xact_start)::int AS seconds,"
    " left(regexp_replace(query, '\\s+', ' ', 'g'), 80) AS query, NULL AS modes FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    " AND backend_type = 'client backend' ORDER BY xact_start LIMIT 3"
)


def holders_of(database: Database, table: str) -> list[str]:
    """Return in words who holds a table on Postgres, else whose transactions are oldest; SQLite does not tell."""
    if database.is_sqlite:
        return ["another program keeps a transaction open that writes to the file"]
    with database.outside() as connection:
        rows = connection.execute(_HOLDERS, {"name": table}).all() or connection.execute(_OLDEST).all()
    return [
        f"process {row.pid} of {row.usename} ({row.application_name or 'unnamed program'}) holds it"
        f"{f' ({row.modes})' if row.modes else ' up'}, {row.state}, in a transaction for {row.seconds} s,"
        f" with {row.query!r}"
        for row in rows
    ]
