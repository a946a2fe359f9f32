"""What the crash tests may ask for: a process that forks children, a quick folder, a server that writes to disk."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.crash.child import NOW_MS
from tests.crash.worlds import Crashes
from tests.postgres import Postgres

from trueup.bootstrap import SystemClock


@pytest.fixture(scope="module")
def crashes() -> Iterator[Crashes]:
    forks = Crashes()
    yield forks
    forks.end()


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock stand still as long as the test goes on, at the time at which it does in the children."""
    monkeypatch.setattr(SystemClock, "now_ms", lambda self: NOW_MS)


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory where there is one: a killed process loses nothing that the disk would have kept."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path, prefix="trueup-") as folder:
        yield Path(folder)


@pytest.fixture
def durable(own_postgres: Postgres) -> Postgres:
    """Give a server that writes to the disk, as one in production does."""
    own_postgres.stop()
    with (own_postgres.folder / "postgresql.conf").open("a") as configuration:
        configuration.write("fsync = on\nfull_page_writes = on\n")
    own_postgres.start()
    return own_postgres
