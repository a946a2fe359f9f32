"""The bot that a test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledger.bot import Bot, a_bot


@pytest.fixture
def sqlite_bot(tmp_path: Path, sqlite_url: str) -> Iterator[Bot]:
    """Give a bot on SQLite, whose file does not exist yet."""
    with a_bot(tmp_path, sqlite_url) as made:
        yield made
