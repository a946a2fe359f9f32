"""Adding, validating and dropping the rules and indexes on a live database.

Each step is one transaction with its entry in the record, but for an index on Postgres: that is announced, built
outside of any transaction, and put on record; what a killed build left is dropped and built anew.
"""

from collections.abc import Mapping
from time import monotonic

from sqlalchemy import Connection

from trueup.core.errors import Refused
from trueup.core.integrity.phases import Kind, State, Thing
from trueup.ledger.integrity import statements
from trueup.ledger.integrity.builds import Builds
from trueup.ledger.integrity.busy import GENTLE_LOCK_MS, LOCK_MS, changing, tried
from trueup.ledger.integrity.steps import newest_of_objects, put, step_of
from trueup.ledger.integrity.things import (
    Found,
    Wanted,
    catalogue,
    check_sql,
    definition_of,
    places,
    require_table,
    thing_of,
    wanted_of,
)
from trueup.ledger.tables import Store
from trueup.ports import Clock, Doing, Done


class Rollout:
    """What the IntegrityBook port changes."""

    _store: Store
    _clock: Clock

    def add(self, name: str, doing: Doing) -> Done:
        """Add a rule or index that is missing; CannotKnow names who holds a table that stays busy."""
        wanted, thing, found = self._look(name)
        if found is not None and found.elsewhere is not None:
            raise Refused(
                f"The name {name} is taken: the table {found.elsewhere} has something of that name.",
                "Rename it, so that trueup's can be told from it; then run the command again.",
            )
        if thing.stands:
            return self._stays(wanted, thing, found, doing)
        if thing.state is State.UNFINISHED and not thing.ours:
            raise Refused(
                f"{name} on {thing.table} is there, is not whole, and was not added by trueup.",
                "Drop or rename it; then run the command again.",
            )
        with self._store.books.reading() as connection:
            require_table(connection, wanted)
        if thing.kind is Kind.INDEX and not self._store.books.is_sqlite:
            return Builds(self._store, self._clock).build(wanted, doing)
        return self._changed(wanted, thing, doing, "built" if thing.kind is Kind.INDEX else "added")

    def validate(self, name: str, doing: Doing) -> Done:
        """Make a rule hold for every row; Refused where a row breaks it."""
        wanted, thing, _ = self._look(name)
        if thing.stands and thing.changed:
            raise Refused(f"{name} was changed meanwhile.", "Look at `trueup integrity status`.")
        if thing.state is State.VALID:
            return _done(wanted, thing, "kept", note="valid already")
        if thing.state is not State.NOT_VALID:
            raise Refused(f"{name} is not there any more.", "Run `trueup integrity apply` again.")
        if self._store.books.is_sqlite:
            self._scan(wanted)
        return self._changed(wanted, thing, doing, "validated")

    def drop(self, name: str, doing: Doing) -> Done:
        """Drop a rule that trueup added, or the rest of an index whose build was cut short."""
        wanted, thing, _ = self._look(name)
        if thing.state is State.MISSING:
            return _done(wanted, thing, "absent")
        if not thing.ours:
            return _done(wanted, thing, "kept", note="it was there before trueup, or is not trueup's")
        if thing.changed:
            return _done(wanted, thing, "kept", note="it was changed since trueup added it")
        if thing.kind is Kind.INDEX:
            if thing.state is not State.UNFINISHED:
                return _done(wanted, thing, "kept", note="indexes stay")
            return Builds(self._store, self._clock).clear(wanted, doing)
        return self._changed(wanted, thing, doing, "dropped")

    def _look(self, name: str) -> tuple[Wanted, Thing, Found | None]:
        """Return an object, how it stands and how the catalogue has it."""
        self._store.require_one_database()
        with self._store.books.reading() as connection:
            wanted = self._wanted(connection, name)
            found = catalogue(connection, [wanted]).get(name)
            known = newest_of_objects(connection).get(name)
        kind = Kind.TRIGGER if self._store.books.is_sqlite else Kind.CONSTRAINT
        return wanted, thing_of(wanted, found, known, kind), found

    def _wanted(self, connection: Connection, name: str) -> Wanted:
        wanted, _ = wanted_of(places(connection, self._store))
        found = next((item for item in wanted if item.name == name), None)
        if found is None:
            raise Refused(f"The table of {name} is not there any more.", "Run the command again.")
        return found

    def _stays(self, wanted: Wanted, thing: Thing, found: Found | None, doing: Doing) -> Done:
        """Leave what is there; that it was there before trueup, or that a killed build ended well, goes on record."""
        assert found is not None
        with self._store.books.reading() as connection:
            state, _ = newest_of_objects(connection).get(thing.name, ("", {}))
        now = "built" if state == "building" else "kept" if not thing.ours and state != "kept" else state
        if now != state and not doing.rehearse:
            with changing(self._store.books, doing) as connection:
                self._put(connection, wanted, doing, now, {"definition": found.definition})
        note = "there already" if thing.ours else "it was there before trueup, and stays as it is"
        if thing.changed:
            note = "it was changed since trueup added it, and stays as it is"
        return _done(wanted, thing, "kept", note=note)

    def _changed(self, wanted: Wanted, thing: Thing, doing: Doing, state: str) -> Done:
        """Do one step in a transaction with its entry; a busy table is tried again."""
        began = monotonic()
        books, table = self._store.books, wanted.place.name

        def act() -> None:
            with changing(books, doing) as connection:
                self._step(connection, wanted, thing, doing, state)

        _, tries = tried(books, self._clock, doing, table, act)
        said = statements.REHEARSED[state] if doing.rehearse else state
        return _done(wanted, thing, said, round((monotonic() - began) * 1000), tries)

    def _step(self, connection: Connection, wanted: Wanted, thing: Thing, doing: Doing, state: str) -> None:
        gentle = state == "validated"
        if not self._store.books.is_sqlite:
            _hold_gently(connection, wanted.place.name)
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{GENTLE_LOCK_MS if gentle else LOCK_MS}ms'")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        for statement in statements.of(wanted, state, connection):
            connection.exec_driver_sql(statement)
        # The bot may wait for this table now: one look into the catalogue, the entry, and the commit.
        found = definition_of(connection, wanted)
        detail = {"definition": found} if found is not None else {}
        ours = thing.ours or state != "validated"
        self._put(connection, wanted, doing, state, {**detail, "ours": ours})

    def _put(
        self, connection: Connection, wanted: Wanted, doing: Doing, state: str, detail: Mapping[str, object]
    ) -> None:
        put(connection, step_of(wanted.name, wanted.place.name, doing, state, detail), self._clock)

    def _scan(self, wanted: Wanted) -> None:
        """Look at every row of a table on SQLite, of which the triggers bind each new one; it blocks nobody."""
        with self._store.books.reading() as connection:
            condition, table = check_sql(wanted, connection), statements.quoted(connection, wanted.place.name)
            broken = connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE NOT {condition}").scalar_one()  # noqa: S608  # names are quoted, the condition is ours
        if broken:
            raise Refused(
                f"{wanted.name} ({wanted.says}) is broken by {broken} of {wanted.place.name}'s rows.",
                "See `trueup integrity report`.",
            )


def _hold_gently(connection: Connection, table: str) -> None:
    """Take the lock that lets a bot write and keeps autovacuum and other changes away."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{GENTLE_LOCK_MS}ms'")
    connection.exec_driver_sql(f"LOCK TABLE {statements.quoted(connection, table)} IN SHARE UPDATE EXCLUSIVE MODE")


def _done(wanted: Wanted, thing: Thing, state: str, took_ms: int = 0, tries: int = 1, note: str = "") -> Done:
    return Done(wanted.name, wanted.place.name, thing.kind.value, state, took_ms, tries, {"note": note} if note else {})
