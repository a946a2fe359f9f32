"""What the tests of the HTTP API may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledger.bot import Bot, a_bot


@pytest.fixture
def bot(tmp_path: Path, ledger_url: str) -> Iterator[Bot]:
    """Give a bot with an empty database, on each of the databases."""
    with a_bot(tmp_path, ledger_url) as made:
        yield made


@pytest.fixture
def sqlite_bot(tmp_path: Path, sqlite_url: str) -> Iterator[Bot]:
    """Give a bot on SQLite, whose file does not exist yet."""
    with a_bot(tmp_path, sqlite_url) as made:
        yield made
