"""Programs that stay keep their memory flat: they collect garbage often, which a command that ends soon leaves."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.program import Program
from tests.ledger.bot import Bot, a_bot, row

from trueup.core.errors import CannotKnow
from trueup.service.app import App
from trueup.surfaces.cli.serve import answering
from trueup.surfaces.cli.session import COLLECT_OFTEN


@pytest.fixture(autouse=True)
def seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(1_000_000, 20, 100)
    yield
    gc.set_threshold(*before)


@pytest.fixture
def bot(tmp_path: Path, sqlite_url: str) -> Iterator[Bot]:
    with a_bot(tmp_path, sqlite_url) as made:
        made.ready(row("TRD-1"))
        yield made


def test_a_worker_collects_often(bot: Bot) -> None:
    assert Program(bot)("worker", "--cycles", "1").code == 0
    assert gc.get_threshold() == COLLECT_OFTEN


def test_a_server_collects_often() -> None:
    def fail() -> App:
        raise CannotKnow("no database")

    with pytest.raises(CannotKnow), answering(fail, ("127.0.0.1", 0, None, None, False)):
        pass
    assert gc.get_threshold() == COLLECT_OFTEN


def test_one_run_does_not(bot: Bot) -> None:
    Program(bot)("reconcile")
    assert gc.get_threshold() != COLLECT_OFTEN
