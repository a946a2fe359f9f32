"""Creating and upgrading the tables by Alembic, safely on a live database.

Two lines of migrations stand side by side in one version table: `own`, trueup's tables, and `native`, the ledger's,
which is laid down only where the database has no orders table.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from trueup.core.errors import ConfigurationError
from trueup.ledger import schema
from trueup.ledger.attach import OrdersMap
from trueup.ledger.engine import Database
from trueup.ledger.tables import fits

_MIGRATION_LOCK = 7_247_855_301


@dataclass(slots=True)
class Migrated:
    """What `init` did to one database: the tables that it created."""

    created: list[str] = field(default_factory=list)


def migrate(database: Database, wanted: OrdersMap | None) -> Migrated:
    """Bring trueup's tables up to date, and the native ledger's where the database has no orders table.

    `wanted` None is a database that holds no ledger. One transaction; other callers wait for it.
    """
    database.create_file()
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        before = set(inspect(connection).get_table_names())
        _upgrade(connection, "own@head")
        if wanted is not None and (_native_is_ours(connection) or not inspect(connection).has_table(wanted.table)):
            _upgrade(connection, "native@head")
            schema.native.create_all(connection)
        schema.own.create_all(connection)
        schema.profiles.create(connection, checkfirst=True)
        _require_ours(connection)
        after = set(inspect(connection).get_table_names())
    return Migrated(sorted(after - before - {schema.VERSION_TABLE}))


def _require_ours(connection: Connection) -> None:
    """Refuse a database where a table of somebody else stands under a name of ours, after creating what is missing."""
    for table in (*schema.own.sorted_tables, schema.profiles):
        if not fits(connection, table):
            raise ConfigurationError(
                f"The database has a table {table.name!r} that is not trueup's: it lacks columns that trueup needs."
                " Nothing was created.",
                "Rename that table; or set [ledger] state_url to a database of trueup's own and use dry runs.",
            )


def pending(connection: Connection) -> bool:
    """Say whether trueup's own tables are behind this program, or missing."""
    heads = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE}).get_current_heads()
    wanted = {_script().get_revision("own@head").revision}
    return not wanted <= set(heads)


def _native_is_ours(connection: Connection) -> bool:
    context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
    return any(head.startswith("native") for head in context.get_current_heads())


def _upgrade(connection: Connection, target: str) -> None:
    """Run what is missing of a line, as Alembic's own command does, but with the scripts read once a process."""
    config, script = _config(), _script()
    config.attributes["connection"] = connection
    with EnvironmentContext(config, script, fn=lambda at, _: script._upgrade_revs(target, at)):  # noqa: SLF001  # what Alembic's own command calls, and its recipes
        script.run_env()


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
