"""Migrations: frozen, and at their end exactly the schema that the program declares."""

from typing import Any

import pytest
from sqlalchemy import inspect
from tests.ledger.bot import Bot, Database, row

from trueup.ledger import migrate, schema
from trueup.ledger.engine import Database as Opened
from trueup.service.setup import initialise

COLUMNS = """
    SELECT table_name, column_name, ordinal_position, column_default, is_nullable, data_type, numeric_precision,
           numeric_scale
    FROM information_schema.columns WHERE table_schema = 'public'
"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
CONSTRAINTS = """
    SELECT CAST(conrelid AS regclass) AS on_table, conname, pg_get_constraintdef(oid) AS said
    FROM pg_constraint WHERE connamespace = CAST('public' AS regnamespace)
"""

LATER_INDEXES = (
    "idx_orders_padded_ids", "idx_orders_lower_client_order_id", "idx_orders_lower_trade_id",
    "idx_orders_profile_id_status", "idx_orders_profile_id_timestamp", "idx_orders_profile_id_updated_at",
    "idx_trade_history_profile_id_closed_at",
)  # fmt: skip


def shape(db: Database) -> list[Any]:
    """All tables but Alembic's own: columns with their types and defaults, keys, indexes with their conditions."""
    if db.is_sqlite:
        found = db.rows("SELECT type, tbl_name, name, sql FROM sqlite_master WHERE type <> 'table'")
        names = [line["name"] for line in db.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found += [{"table": name} | line for name in names for line in db.rows(f"PRAGMA table_xinfo({name})")]
    else:
        found = [line for query in (COLUMNS, INDEXES, CONSTRAINTS) for line in db.rows(query)]
    lines = [str(list(line.values())) for line in found]
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


def test_a_ledger_of_the_first_version_is_upgraded_by_init_with_its_rows(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    whole = shape(bot.db)
    for index in LATER_INDEXES:
        bot.db.run(f"DROP INDEX {index}")
    bot.db.run(f"UPDATE {schema.VERSION_TABLE} SET version_num = 'native_0001' WHERE version_num LIKE 'native%'")
    before = bot.db.table("orders")
    assert initialise(app).tables == ()
    assert (shape(bot.db), bot.db.table("orders")) == (whole, before)


def test_an_upgrade_of_a_ledger_whose_orders_table_was_dropped_makes_it_anew(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    whole = shape(bot.db)
    bot.db.run("DROP TABLE orders")
    bot.db.run(f"UPDATE {schema.VERSION_TABLE} SET version_num = 'native_0001' WHERE version_num LIKE 'native%'")
    assert initialise(app).tables == ("orders",)
    assert shape(bot.db) == whole


def test_an_attached_table_gets_no_index_of_ours(bot: Bot) -> None:
    if bot.db.is_sqlite:
        (bot.folder / "ledger.db").touch()
    names = ("order_id", "symbol", "side", "status", "timestamp", "trade_id", "qty", "profile_id")
    bot.db.run(f"CREATE TABLE orders ({', '.join(f'{name} TEXT' for name in names)})")
    bot.init()
    assert inspect(bot.db.engine).get_indexes("orders") == []


def test_what_stood_in_our_own_tables_before_an_upgrade_stands_there_after_it(ledger_url: str) -> None:
    db, opened = Database(ledger_url), Opened(ledger_url)
    opened.create_file()
    with opened.writing() as connection:
        migrate._upgrade(connection, "own_0001")
    at = "'2026-01-02T03:04:05.000Z'"
    db.run(f"INSERT INTO alerts (kind, scope, text, created_at) VALUES ('k', 's', 't', {at})")
    db.run("INSERT INTO leases (scope, fence, expires_at) VALUES ('account:a', 7, 0)")
    db.run(
        "INSERT INTO reconcile_runs (run_id, kind, scope, status, audit_head, started_at)"
        f" VALUES ('RUN-1', 'backfill', 'p1', 'OK', 'h', {at})"
    )
    with opened.writing() as connection:
        migrate._upgrade(connection, "own@head")
    [alert], [lease], [run] = db.table("alerts"), db.table("leases"), db.table("reconcile_runs")
    assert (alert["text"], alert["severity"], alert["count"], alert["attempts"]) == ("t", "warning", 1, 0)
    assert (lease["fence"], lease["contended"], lease["fenced_out"]) == (7, 0, 0)
    assert (run["run_id"], run["profile_id"]) == ("RUN-1", None)
    opened.close()
    db.engine.dispose()
