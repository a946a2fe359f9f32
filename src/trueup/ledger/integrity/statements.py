"""The statements that add, validate and drop the rules and indexes, in each database's own words."""

from collections.abc import Iterator

from sqlalchemy import Connection

from trueup.core.integrity.rules import Rule
from trueup.ledger.integrity.things import UPDATE_SUFFIX, Wanted, rule_sql

REHEARSED = {
    "added": "would_add",
    "built": "would_build",
    "validated": "would_validate",
    "dropped": "would_drop",
}
"""What a step is called that was done and taken back."""


def quoted(connection: Connection, name: str) -> str:
    """Return a name as SQL has it."""
    return connection.dialect.identifier_preparer.quote(name)


def of(wanted: Wanted, state: str, connection: Connection) -> list[str]:
    """Return the statements that bring an object into a state."""
    if state == "built":
        return [index(wanted, connection)]
    if connection.dialect.name == "sqlite":
        return list(_triggers(wanted, state, connection))
    assert isinstance(wanted.about, Rule)
    condition = rule_sql(connection, wanted.about, quoted(connection, wanted.columns[0]))
    table = f"ALTER TABLE {quoted(connection, wanted.place.name)}"
    return {
        "added": [f"{table} ADD CONSTRAINT {wanted.name} CHECK ({condition}) NOT VALID"],
        "validated": [f"{table} VALIDATE CONSTRAINT {wanted.name}"],
        "dropped": [f"{table} DROP CONSTRAINT {wanted.name}"],
    }[state]


def index(wanted: Wanted, connection: Connection, how: str = "") -> str:
    """Return the statement that builds an index; `how` stands before its name."""
    columns = ", ".join(quoted(connection, column) for column in wanted.columns)
    return f"CREATE INDEX {how}{wanted.name} ON {quoted(connection, wanted.place.name)} ({columns})"


def _triggers(wanted: Wanted, state: str, connection: Connection) -> Iterator[str]:
    """Yield what adds or drops both triggers of a rule; a validated one stays as it is.

    A value that stays as it was is not looked at: rows from before the rule can be written, even whole.
    """
    if state == "validated":
        return
    for name in (wanted.name, f"{wanted.name}{UPDATE_SUFFIX}"):
        yield f"DROP TRIGGER IF EXISTS {name}"
    if state == "dropped":
        return
    assert isinstance(wanted.about, Rule)
    table, column = quoted(connection, wanted.place.name), quoted(connection, wanted.columns[0])
    broken = f"NOT {rule_sql(connection, wanted.about, f'NEW.{column}')}"
    refuse = f"BEGIN SELECT RAISE(ABORT, '{wanted.name}: {wanted.says}'); END"
    yield f"CREATE TRIGGER {wanted.name} BEFORE INSERT ON {table} WHEN {broken} {refuse}"
    yield (
        f"CREATE TRIGGER {wanted.name}{UPDATE_SUFFIX} BEFORE UPDATE OF {column} ON {table}"
        f" WHEN NEW.{column} COLLATE BINARY IS NOT OLD.{column} AND {broken} {refuse}"
    )
