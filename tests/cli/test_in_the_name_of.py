"""Who acts on the command line: the token in TRUEUP_TOKEN if there is one and its role may, else the system user."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.program import Program
from tests.ledger.bot import Bot, a_bot, leave, row

from trueup.service.app import App
from trueup.service.tokens import create_token

SET = ("mode", "set", "SAFE_MODE", "--scope", "profile:p1", "--reason", "trial")
WRITES = [
    SET, ("integrity", "apply"), ("integrity", "backfill", "--apply"), ("integrity", "history", "--apply"),
    ("integrity", "validate"), ("integrity", "rollback"), ("backfill", "run", "--apply"),
    ("backfill", "revert", "BATCH-1", "--reason", "wrong"),
]  # fmt: skip
READS = [
    ("integrity", "backfill"),
    ("integrity", "history"),
    ("integrity", "apply", "--dry-run"),
    ("integrity", "report"),
]


@pytest.fixture
def bot(tmp_path: Path, sqlite_url: str) -> Iterator[Bot]:
    with a_bot(tmp_path, sqlite_url) as made:
        made.environ["ENABLE_RECON_EXIT_BACKFILL"] = "true"
        made.ready(row("TRD-1", order_id="e"), leave("TRD-1", order_id="x"))
        yield made


def with_token(bot: Bot, role: str) -> App:
    app = bot.app()
    bot.environ["TRUEUP_TOKEN"] = create_token(app, "ann", role).secret
    return app


def test_what_a_token_does_is_done_in_its_name(bot: Bot) -> None:
    program, app = Program(bot), with_token(bot, "operator")
    assert program(*SET).code == 0
    assert program("integrity", "snapshot").code == 0
    assert program("integrity", "apply").code == 0
    assert program("integrity", "history", "--apply").code == 0
    assert app.modes.history(1)[0].actor == "api:ann"
    assert {step.actor for step in app.integrity.steps(phase="apply")} == {"api:ann"}
    assert {said["actor"] for said in app.journal.audit_rows()} == {"api:ann"}


@pytest.mark.parametrize("words", WRITES, ids=" ".join)
def test_a_viewers_token_writes_nothing(bot: Bot, words: tuple[str, ...]) -> None:
    with_token(bot, "viewer")
    answer = Program(bot)(*words)
    assert (answer.code, answer.out) == (1, "")
    assert "The role viewer may not act" in answer.err


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_a_viewers_token_looks(bot: Bot, words: tuple[str, ...]) -> None:
    with_token(bot, "viewer")
    program = Program(bot)
    assert program("integrity", "snapshot", "--dry-run").code == 0
    assert "may not" not in program(*words).err
