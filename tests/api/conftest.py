"""What the tests of the HTTP API may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.server import Api, an_api
from tests.ledger.bot import Bot, a_bot, row, sold


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


@pytest.fixture
def api(sqlite_bot: Bot) -> Iterator[Api]:
    """Give the API on a paused bot with a proven ghost and a lost trade; its loop holds its runs back."""
    sqlite_bot.sells(sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"))
    app = sqlite_bot.ready(row("TRD-GHOST"), row("TRD-LOST", "2", symbol="ETH/USD"))
    with an_api(app) as served:
        yield served
