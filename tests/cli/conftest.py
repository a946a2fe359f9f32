"""What the tests of the command line may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.program import Program
from tests.ledger.bot import Bot, a_bot, row, sold


@pytest.fixture
def bot(tmp_path: Path, sqlite_url: str) -> Iterator[Bot]:
    """Give a bot whose TRD-GHOST was closed at the venue, while nothing says so of TRD-LOST."""
    with a_bot(tmp_path, sqlite_url) as made:
        made.sells(sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"))
        yield made


@pytest.fixture
def program(bot: Bot) -> Program:
    """Give the program on the bot's folder; the ledger is set up, and trading is paused."""
    bot.ready(row("TRD-GHOST"), row("TRD-LOST", "2", symbol="ETH/USD"))
    return Program(bot)


@pytest.fixture
def proven(bot: Bot) -> Program:
    """Give the program on a ledger with the proven ghost alone."""
    bot.ready(row("TRD-GHOST"))
    return Program(bot)
