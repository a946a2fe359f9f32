"""Migrations: frozen, and at their end exactly the schema that the program declares."""

from typing import Any

import pytest
from tests.ledger.bot import Database

from trueup.ledger import migrate, schema
from trueup.ledger.engine import Database as Opened

POSTGRES = (
    "SELECT table_name, column_name, ordinal_position, column_default, is_nullable, data_type, numeric_precision,"
    " numeric_scale FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT conrelid::regclass::text AS on_table, conname, pg_get_constraintdef(oid) AS said FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace",
)


def shape(db: Database) -> list[Any]:
    """All tables but Alembic's own: columns with their types and defaults, keys, indexes with their conditions."""
    if db.is_sqlite:
        found = db.rows("SELECT type, tbl_name, name, sql FROM sqlite_master")
    else:
        found = [row for query in POSTGRES for row in db.rows(query)]
    lines = [str(list(row.values())) for row in found]
    return sorted(line for line in lines if schema.VERSION_TABLE not in line)


@pytest.mark.parametrize("start", ["base", "first"])
def test_upgraded_databases_have_exactly_the_schema_that_is_declared(ledger_url: str, start: str) -> None:
    """From nothing, and from what the first version laid down."""
    db = Database(ledger_url)
    opened = Opened(ledger_url)
    opened.create_file()
    steps = ["own@head", "native@head"] if start == "base" else ["own_0001", "native_0001", "own@head", "native@head"]
    with opened.writing() as connection:
        for step in steps:
            migrate._upgrade(connection, step)
    upgraded = shape(db)
    with opened.writing() as connection:
        for metadata in (schema.native, schema.own):
            metadata.drop_all(connection)
    assert shape(db) == []
    with opened.writing() as connection:
        for metadata in (schema.native, schema.own):
            metadata.create_all(connection)
    declared = shape(db)
    opened.close()
    db.engine.dispose()
    assert len(declared) > 30
    assert upgraded == declared
