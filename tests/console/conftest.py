"""What the tests of the console may ask for: a bot, and a server that shows it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.api.server import Api, an_api
from tests.ledger.bot import Bot, a_bot, row, sold

from trueup.service.cycle import ReconcileRequest
from trueup.service.reconcile import run_reconcile
from trueup.surfaces.api.reconciling import ServiceReconciling

INJECTED = "<script>alert('TRD')</script>"
"""What somebody wrote into a symbol, a trade id or an order's status."""


@dataclass
class Seconds:
    """A clock of sessions that a test sets forward."""

    passed: float = 0.0

    def __call__(self) -> float:
        return self.passed


@pytest.fixture
def bot(tmp_path: Path, sqlite_url: str) -> Iterator[Bot]:
    """Give a bot on SQLite: a proven ghost, one that nothing proves, and one with markup for names."""
    with a_bot(tmp_path, sqlite_url) as made:
        lay_down(made)
        yield made


def lay_down(bot: Bot) -> None:
    """Put the bot's ledger and its venue's claims in place, and pause trading."""
    bot.sells(sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"), sold("v-9", symbol="SOL/USD", qty="2"))
    bot.ready(
        row("TRD-GHOST"), row("TRD-LOST", "2", symbol="ETH/USD"),
        row(f"TRD-{INJECTED}", "3", symbol=f"{INJECTED}/USD", order_id=f"o-{INJECTED}"),
    )  # fmt: skip


@pytest.fixture
def seconds() -> Seconds:
    """Give the clock of the sessions."""
    return Seconds()


@pytest.fixture
def api(bot: Bot, seconds: Seconds) -> Iterator[Api]:
    """Serve the bot."""
    with served(bot, seconds) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Serve a bot for all tests of a module that leave it as it is, after the loop has looked."""
    folder = tmp_path_factory.mktemp("shared")
    with a_bot(folder, f"sqlite:///{folder / 'ledger.db'}") as made:
        lay_down(made)
        with served(made) as api:
            look(api)
            yield api


def served(bot: Bot, seconds: Seconds | None = None) -> AbstractContextManager[Api]:
    """Serve a bot with the real loop."""
    return an_api(bot.app(), reconciling=ServiceReconciling(), session_clock=seconds or Seconds())


def look(api: Api) -> None:
    """Let the loop look once."""
    run_reconcile(api.app, ReconcileRequest())
