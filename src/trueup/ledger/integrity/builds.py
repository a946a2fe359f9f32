"""Building indexes on Postgres while a bot writes: outside of any transaction, announced before and checked after."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from sqlalchemy import Connection, text

from trueup.core.errors import CannotKnow, TrueupError
from trueup.core.integrity.phases import Kind
from trueup.ledger.integrity import statements
from trueup.ledger.integrity.busy import changing, is_busy, stays_busy
from trueup.ledger.integrity.steps import put, step_of
from trueup.ledger.integrity.things import Found, Wanted, catalogue
from trueup.ledger.tables import Store
from trueup.ports import Clock, Doing, Done

_POLL_S = 0.5
NOT_REHEARSED = "it would be built concurrently, which no transaction can take back: it was not rehearsed"
_BUILDING = text(
    "SELECT pid FROM pg_stat_progress_create_index WHERE relid = to_regclass(quote_ident(:name))"
    " AND index_relid = to_regclass(quote_ident(:made))"
)


class Builds:
    """The indexes of one ledger on Postgres."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._books, self._clock = store.books, clock

    def build(self, wanted: Wanted, doing: Doing) -> Done:
        """Build an index; what a killed build left is waited for while it is still under way, else dropped."""
        if doing.rehearse:
            return self._done(wanted, "would_build", 0, NOT_REHEARSED)
        began = monotonic()
        note = self._clear_rest(wanted, doing)
        if self._found(wanted) is None:
            self._record(wanted, doing, "building", None)
            self._create(wanted, doing)
        found = self._found(wanted)
        if found is None or not found.whole:
            raise CannotKnow(f"The index {wanted.name} was not built whole.", "Run `trueup integrity apply` again.")
        self._record(wanted, doing, "built", found)
        return self._done(wanted, "built", round((monotonic() - began) * 1000), note)

    def clear(self, wanted: Wanted, doing: Doing) -> Done:
        """Drop what a killed build left."""
        if doing.rehearse:
            return self._done(wanted, "would_drop", 0, NOT_REHEARSED.replace("built", "dropped"))
        began = monotonic()
        self._clear_rest(wanted, doing)
        if (found := self._found(wanted)) is not None:
            self._record(wanted, doing, "built", found)
            return self._done(wanted, "kept", 0, "the build ended meanwhile; indexes stay")
        self._record(wanted, doing, "dropped", None)
        return self._done(wanted, "dropped", round((monotonic() - began) * 1000), "the rest of a killed build")

    def _clear_rest(self, wanted: Wanted, doing: Doing) -> str:
        """Drop an index that is not whole, once nobody builds it any more; say so."""
        until = self._clock.now_ms() + doing.wait_s * 1000
        while (found := self._found(wanted)) is not None and not found.whole:
            builder = self._builder(wanted)
            if builder is None:
                with self._outside(doing) as connection:
                    connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {wanted.name}")
                return "what an earlier build left was dropped first"
            if self._clock.now_ms() > until:
                raise CannotKnow(
                    f"Process {builder} of Postgres still builds {wanted.name}, for a run that is gone.",
                    "Let it end, then run the command again; --wait SECONDS waits for longer.",
                )
            self._clock.sleep(_POLL_S)
        return ""

    def _create(self, wanted: Wanted, doing: Doing) -> None:
        try:
            with self._outside(doing) as connection:
                connection.exec_driver_sql(statements.index(wanted, connection, "CONCURRENTLY "))
        except TrueupError as error:
            if not is_busy(error):
                raise
            busy = stays_busy(self._books, doing, wanted.place.name, 1)
            self._try_to_drop(wanted, doing)
            raise busy from error

    def _try_to_drop(self, wanted: Wanted, doing: Doing) -> None:
        """Drop what a build left that was given up; where that fails, the next run does it."""
        try:
            with self._outside(doing, wait_ms=1000) as connection:
                connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {wanted.name}")
        except TrueupError as error:
            if not is_busy(error):
                raise

    @contextmanager
    def _outside(self, doing: Doing, wait_ms: int | None = None) -> Iterator[Connection]:
        """Open a connection without a transaction; it waits for others, and nobody who writes waits for it."""
        wait = wait_ms if wait_ms is not None else max(round(doing.wait_s * 1000), 1)
        settings = {"lock_timeout": f"'{wait}ms'", "statement_timeout": "0", "max_parallel_maintenance_workers": "0"}
        with self._books.outside() as connection:
            try:
                for name, value in settings.items():
                    connection.exec_driver_sql(f"SET {name} = {value}")
                yield connection
            finally:
                for name in settings:
                    connection.exec_driver_sql(f"RESET {name}")

    def _builder(self, wanted: Wanted) -> int | None:
        asked = {"name": wanted.place.name, "made": wanted.name}
        with self._books.outside() as connection:
            found = connection.execute(_BUILDING, asked).first()
        return int(found.pid) if found is not None else None

    def _found(self, wanted: Wanted) -> Found | None:
        with self._books.reading() as connection:
            return catalogue(connection, [wanted]).get(wanted.name)

    def _record(self, wanted: Wanted, doing: Doing, state: str, found: Found | None) -> None:
        detail = {"definition": found.definition} if found is not None else {}
        with changing(self._books, doing) as connection:
            put(connection, step_of(wanted.name, wanted.place.name, doing, state, detail), self._clock)

    def _done(self, wanted: Wanted, state: str, took_ms: int, note: str) -> Done:
        detail = {"note": note} if note else {}
        return Done(wanted.name, wanted.place.name, Kind.INDEX.value, state, took_ms, 1, detail)
