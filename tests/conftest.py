"""What a test may ask for: an empty database on SQLite or a real Postgres; and how hard Hypothesis tries."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

from trueup.bootstrap import SystemClock

if TYPE_CHECKING:
    from tests.postgres import Postgres

# The Postgres wheel looks for this folder, warns of it in some shapes, and does not need it.
os.environ.pop("XDG_RUNTIME_DIR", None)

settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
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


@pytest.fixture(scope="session", autouse=True)
def steady_clock() -> Iterator[None]:
    """Let the time of this process only go on, whatever is done to the machine's clock meanwhile.

    What happens when a clock is set back is a test's own to try (tests/incidents/test_clock_set_back.py).
    """
    began_ns = time.time_ns() - time.monotonic_ns()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: began_ns + time.monotonic_ns())
        patch.setattr(time, "time", lambda: time.time_ns() / 1_000_000_000)
        yield


@pytest.fixture(autouse=True)
def clock_is_left_alone() -> Iterator[None]:
    """Fail the test that leaves another clock behind for those after it."""
    now_ms = SystemClock.now_ms
    yield
    assert SystemClock.now_ms is now_ms, "the test changed trueup's clock for good: let monkeypatch do it"


@pytest.fixture(scope="session")
def postgres_turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file by which the test processes take turns in setting up a server."""
    return tmp_path_factory.getbasetemp().parent / "postgres.lock"


@pytest.fixture(scope="session")
def postgres(postgres_turns: Path) -> Iterator["Postgres"]:
    """Give the Postgres server of this test process; it starts when the first test asks."""
    from tests.postgres import running_postgres

    with running_postgres(postgres_turns) as server:
        yield server


@pytest.fixture
def own_postgres(postgres_turns: Path) -> Iterator["Postgres"]:
    """Give a Postgres server of the test's own, which it may kill and start again."""
    from tests.postgres import running_postgres

    with running_postgres(postgres_turns) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: "Postgres") -> Iterator[str]:
    """Give the URL of an empty Postgres database."""
    with postgres.fresh_database() as url:
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
