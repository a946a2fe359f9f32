"""`trueup gate` and `trueup heartbeat`: for bots in any language, by exit code and by JSON."""

import pytest
from tests.cli.program import Program
from tests.ledger.bot import Bot, pause

from trueup.core.modes import Mode


@pytest.mark.parametrize(
    ("mode", "intent", "code"),
    [
        (Mode.NORMAL, "open", 0), (Mode.CLOSE_ONLY, "open", 1), (Mode.CLOSE_ONLY, "reduce", 0),
        (Mode.SAFE_MODE, "reduce", 1), (Mode.HALT, "REDUCE", 1),
    ],
)  # fmt: skip
def test_the_exit_code_is_the_answer(program: Program, bot: Bot, mode: Mode, intent: str, code: int) -> None:
    pause(bot.app(), mode)
    answer = program("gate", "p1", "BTC/USD", "--intent", intent)
    assert answer.code == code
    assert answer.out.startswith("allowed: p1 may " if code == 0 else "refused: p1 may not ")
    assert f"mode {mode.name}, because of global" in answer.out
    document = program("gate", "p1", "BTC/USD", "--intent", intent, "--format", "json").json
    assert (document["allowed"], document["mode"], document["intent"]) == (code == 0, mode.name, intent.lower())


@pytest.mark.parametrize(
    "words",
    [
        ("p9", "BTC/USD"), ("p1", "/"), ("p1", "BTC/USD", "--intent", "sell"), ("p1", "BTC/USD", "--notional", "x"),
        ("p1",), ("p1", "BTC/USD", "--order-ref", ""),
    ],
)  # fmt: skip
def test_a_wrong_question_is_wrong_usage(program: Program, words: tuple[str, ...]) -> None:
    answer = program("gate", *words)
    assert (answer.code, answer.out) == (2, "")


def test_a_database_that_cannot_be_read_is_3(program: Program, bot: Bot) -> None:
    bot.close()
    (bot.folder / "ledger.db").write_bytes(b"this is no database" * 1000)
    answer = program("gate", "p1", "BTC/USD")
    assert (answer.code, answer.out) == (3, "")


def test_a_bot_beats_and_is_missed(program: Program, bot: Bot) -> None:
    pause(bot.app(), Mode.NORMAL)
    assert program("heartbeat", "p1", "--unhealthy", "--format", "json").json["healthy_at"] is None
    assert program("heartbeat", "p1").out == "recorded\n"
    assert program("gate", "p1", "BTC/USD").code == 0
    bot.db.run("UPDATE heartbeats SET healthy_at = healthy_at - 100000, beat_at = beat_at - 100000")
    missed = program("gate", "p1", "BTC/USD")
    assert missed.code == 1
    assert "no healthy heartbeat of bot:p1 for 1" in missed.out
    shown = program("mode", "show", "--format", "json").json
    reason = shown["profiles"]["p1"].pop("reason")
    assert reason.startswith("no healthy heartbeat of bot:p1 for 1")
    assert shown["profiles"]["p1"] == {"mode": "SAFE_MODE", "from": "bot:p1", "status": "PAUSED"}
    assert "came back: 1 of 3" in program("heartbeat", "p1").out
    told = "p1, as the gate says it: bot:p1 came back: 1 of 3 healthy heartbeats."
    assert told in program("mode", "show").out
    assert program("gate", "p1", "BTC/USD").code == 1
    for _ in range(2):
        assert program("heartbeat", "p1").code == 0
    assert program("gate", "p1", "BTC/USD").code == 0
    assert program("heartbeat", "p9").code == 2
