"""Logs: JSON for machines, text for people, ids and levels as asked for, and never a secret."""

import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import Terminal, process
from tests.ledger.bot import Bot, a_bot, row, sold

from trueup.service import events
from trueup.service.cycle import ReconcileRequest
from trueup.service.events import log, within
from trueup.service.reconcile import run_reconcile
from trueup.surfaces.logs import start_logs

SECRET = "hush-hush/1"


@pytest.fixture(autouse=True)
def afterwards_nobody_listens() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    events.listen_only(None)
    root.handlers[:], root.level = before


def lines(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def say_something() -> None:
    log("break_found", break_id="B", kind="ghost_position", symbol="BTC/USD", trade_id=None, state="open", reason="é")


def test_for_machines_every_line_is_an_object_with_the_ids() -> None:
    out = StringIO()
    start_logs("debug", "auto", (), out)
    with within(run_id="RUN-1", cycle_id="CYC-1"):
        say_something()
    [line] = lines(out)
    assert list(line)[:5] == ["timestamp", "level", "event", "cycle_id", "run_id"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["run_id"], line["reason"]) == ("warning", "break_found", "RUN-1", "é")
    assert line["trade_id"] is None
    assert not any(name.startswith("_") for name in line)


def test_for_people_it_is_text_with_colours() -> None:
    out = Terminal()
    start_logs("info", "auto", (), out)
    say_something()
    assert "break_found" in out.getvalue()
    assert "\x1b[" in out.getvalue()


def test_text_that_is_no_terminal_has_no_colours() -> None:
    out = StringIO()
    start_logs("info", "text", (), out)
    say_something()
    assert "break_found" in out.getvalue()
    assert "\x1b[" not in out.getvalue()


def test_a_terminal_gets_json_where_it_is_asked_for() -> None:
    out = Terminal()
    start_logs("info", "json", (), out)
    say_something()
    assert lines(out)[0]["event"] == "break_found"


@pytest.mark.parametrize(
    ("level", "heard"),
    [("debug", ["debug", "info", "warning", "error"]), ("info", ["info", "warning", "error"]),
     ("warning", ["warning", "error"]), ("error", ["error"])],
)  # fmt: skip
def test_a_level_leaves_out_what_is_below_it(level: str, heard: list[str]) -> None:
    out = StringIO()
    start_logs(level, "json", (), out)
    log("run_started", kind="k", scope="s")
    log("stream_opened", account="a")
    log("run_left_behind", left_run_id="RUN-1")
    log("run_failed", kind="k", scope="s", error="e")
    assert [line["level"] for line in lines(out)] == heard


def test_values_are_plain() -> None:
    out = StringIO()
    start_logs("info", "json", (), out)
    log(
        "parity_closed",
        trade_id={"b", "a"},
        symbol=("x", {"y": Decimal("1.50")}),
        qty=Decimal("1E-8"),
        order_id=Path("p"),
    )
    [line] = lines(out)
    assert (line["trade_id"], line["symbol"], line["qty"], line["order_id"]) == (
        ["a", "b"], ["x", {"y": "1.5"}], "0.00000001", "p",
    )  # fmt: skip


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_is_in_any_line(form: str) -> None:
    out = StringIO()
    start_logs("debug", form, (SECRET,), out)
    with within(run_id=SECRET):
        log("run_failed", kind=SECRET, scope=["x", {"deep": f"a {SECRET} b"}], error=f"https://h/?k={SECRET}")
    try:
        raise ValueError(f"wrong key {SECRET}")
    except ValueError:
        logging.getLogger("a.library").exception("could not use %s", SECRET)
    said = out.getvalue()
    assert "a.library" not in said or "could not use" in said
    assert "hush" not in said
    assert said.count("•••") >= 5


def test_libraries_are_heard_from_warning_up_with_the_ids() -> None:
    out = StringIO()
    start_logs("debug", "json", (), out)
    with within(run_id="RUN-1"):
        logging.getLogger("a.library").info("chatter")
        logging.getLogger("a.library").warning("look out for %s", "this")
    [line] = lines(out)
    assert (line["event"], line["level"], line["run_id"]) == ("look out for this", "warning", "RUN-1")


def test_started_twice_it_says_everything_once() -> None:
    first, second = StringIO(), StringIO()
    start_logs("info", "json", (), first)
    start_logs("info", "json", (), second)
    say_something()
    assert (first.getvalue(), len(lines(second))) == ("", 1)


class TestCommands:
    @pytest.fixture
    def bot(self, tmp_path: Path, sqlite_url: str) -> Iterator[Bot]:
        with a_bot(tmp_path, sqlite_url) as made:
            made.ready(row("TRD-1"))
            made.config  # noqa: B018  # writing the file is what it is asked for
            yield made

    def test_a_command_that_ends_is_quiet(self, bot: Bot) -> None:
        answer = process(bot.folder, "backfill", "run", environ={"ENABLE_RECON_EXIT_BACKFILL": "1"})
        assert "run_ended" not in answer.err + answer.out

    def test_it_logs_to_stderr_where_the_environment_says_so(self, bot: Bot) -> None:
        environ = {"ENABLE_RECON_EXIT_BACKFILL": "1", "TRUEUP_LOG_LEVEL": "debug"}
        answer = process(bot.folder, "backfill", "run", "--format", "json", environ=environ)
        told = [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]
        assert [line["event"] for line in told] == ["run_started", "run_ended"]
        assert answer.json["summary"]["run_id"] == told[0]["run_id"] == told[1]["run_id"]

    def test_a_word_that_is_no_level_is_refused(self, bot: Bot) -> None:
        answer = process(bot.folder, "check", environ={"TRUEUP_LOG_LEVEL": "loud"})
        assert answer.code == 2
        assert "TRUEUP_LOG_LEVEL" in answer.err


def test_a_heal_is_told_with_the_break_that_it_ended(tmp_path: Path, sqlite_url: str) -> None:
    with a_bot(tmp_path, sqlite_url) as bot:
        app = bot.ready(row("TRD-1", status="new", exchange_order_id="E1"))
        held = [{"symbol": "BTC/USD", "qty": "1", "side": "long"}]
        bot.sells(sold("E1", side="buy"), positions=held)
        out = StringIO()
        start_logs("info", "json", (), out)
        [run] = run_reconcile(app, ReconcileRequest()).runs
    [told] = [line for line in lines(out) if line["event"] == "break_healed"]
    [record] = run.breaks
    assert (told["break_id"], told["kind"], told["rule"]) == (record.break_id, "status_mismatch", "filled_at_venue")
    assert told["order_id"] == "p1/TRD-1/ENTRY/new/0"
