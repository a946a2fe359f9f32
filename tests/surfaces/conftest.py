"""The bot that a test may ask for, its ledger on each of the databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledger.bot import Bot, a_bot


@pytest.fixture
def bot(tmp_path: Path, ledger_url: str) -> Iterator[Bot]:
    """Give a bot with two profiles on one account, and an empty database."""
    with a_bot(tmp_path, ledger_url) as made:
        made.profiles = [{"id": name, "allocated_capital": "10000"} for name in ("p1", "p2")]
        yield made


@pytest.fixture
def sqlite_bot(tmp_path: Path, sqlite_url: str) -> Iterator[Bot]:
    """Give a bot on SQLite, whose file does not exist yet."""
    with a_bot(tmp_path, sqlite_url) as made:
        yield made
