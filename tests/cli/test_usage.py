import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.program import Answer, Program, call, process

from trueup import __version__
from trueup.core.errors import CannotKnow, ConfigurationError, Refused
from trueup.ports import BatchSummary
from trueup.service.app import App

COMMANDS = (
    (), ("init",), ("demo",), ("check",), ("backfill",), ("backfill", "run"), ("backfill", "revert"),
    ("backfill", "reapply"), ("backfill", "list"), ("mode",), ("mode", "set"), ("mode", "show"), ("audit",),
    ("audit", "verify"), ("audit", "export"), ("explain",), ("doctor",), ("alerts",),
    ("alerts", "list"), ("alerts", "test"), ("alerts", "deliver"), ("serve",), ("token",), ("token", "create"),
    ("token", "list"), ("token", "revoke"),
)  # fmt: skip
GROUPS = (("backfill",), ("mode",), ("audit",), ("alerts",), ("token",))
LEAVES = [words for words in COMMANDS if words and words not in GROUPS]
HEAVY = {
    "sqlalchemy",
    "pydantic",
    "pydantic_settings",
    "fastapi",
    "uvicorn",
    "alembic",
    "altair",
    "apprise",
    "prometheus_client",
    "vl_convert",
    "psycopg",
    "structlog",
    "rich",
}


def no_app(_: Path | None) -> App:
    raise AssertionError("this command builds no App")


def failing(error: BaseException) -> Answer:
    def build(_: Path | None) -> App:
        raise error

    return call(build, "check")


class TestHelp:
    @pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
    def test_is_there_for_every_command_and_builds_nothing(self, words: tuple[str, ...]) -> None:
        answer = call(no_app, *words, "--help")
        assert answer.code == 0
        assert answer.out.startswith(f"Usage: {' '.join(('trueup', *words))}")
        assert not answer.err

    @pytest.mark.parametrize("words", LEAVES, ids=" ".join)
    def test_teaches_with_an_example_and_the_exit_codes(self, words: tuple[str, ...]) -> None:
        out = " ".join(call(no_app, *words, "--help").out.split())
        assert f"Example: trueup {' '.join(words)}" in out
        assert "Exit codes: 0" in out
        assert "--format" in out

    def test_is_the_same_on_a_terminal(self) -> None:
        assert call(no_app, "check", "--help", terminal=True) == call(no_app, "check", "--help")

    def test_imports_nothing_heavy(self, tmp_path: Path) -> None:
        answer = process(tmp_path, "--help", python=("-X", "importtime"))
        assert answer.code == 0
        imported = {line.rpartition("|")[2].strip().split(".")[0] for line in answer.err.splitlines()}
        assert "typer" in imported
        assert not imported & HEAVY

    def test_takes_less_than_three_tenths_of_a_second(self, tmp_path: Path) -> None:
        """Count the processor's time, which other work on the machine does not lengthen."""
        took = []
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert process(tmp_path, "--help").code == 0
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert min(took) < 0.3

    def test_is_what_the_bare_program_shows(self) -> None:
        answer = call(no_app)
        assert (answer.code, answer.out) == (2, "")
        assert "Commands:" in answer.err


def test_every_state_of_a_batch_is_in_the_help_of_the_list() -> None:
    out = call(no_app, "backfill", "list", "--help").out
    states = re.findall(r"[a-z]+(?:_[a-z]+)?", (BatchSummary.__doc__ or "").partition("`state` is ")[2])
    assert not [state for state in states if state not in out and state != "or"]
    assert "nothing_booked" in states


def test_version_is_printed() -> None:
    answer = call(no_app, "--version")
    assert (answer.code, answer.out) == (0, f"trueup {__version__}\n")


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("chekc",), "chekc"),
            (("check", "--frofile", "p1"), "--frofile"),
            (("check", "--format", "xml"), "xml"),
            (("check", "--profile", "p1", "--all"), "exclude each other"),
            (("backfill", "run", "--dry-run", "--apply"), "exclude each other"),
            (("backfill", "run", "--profile", "p1", "--all"), "exclude each other"),
            (("backfill", "run", "--dry-run", "--plan", "abc"), "--plan is for an apply"),
            (("backfill", "run", "--plan", "abc"), "--plan is for an apply"),
            (("backfill", "run", "--wait", "-1"), "--wait"),
            (("backfill", "run", "--wait", "nan"), "--wait"),
            (("backfill", "run", "--wait", "soon"), "--wait"),
            (("backfill", "revert", "B-1"), "--reason"),
            (("backfill", "revert", "--reason", "x"), "BATCH_ID"),
            (("backfill", "revert", "B-1", "--reason", " "), "reason is needed"),
            (("backfill", "revert", "B-1", "--reason", "x"), "no batch 'B-1'"),
            (("backfill", "list", "--profile", "p2"), "no profile 'p2'"),
            (("check", "--profile", "p2"), "no profile 'p2'"),
            (("check", "--symbol", "/-"), "'/-' is no symbol"),
            (("check", "--symbol", ""), "'' is no symbol"),
            (("backfill", "run", "--symbol", "BTC/USD", "--symbol", " "), "' ' is no symbol"),
            (("mode", "set", "SAFE", "--scope", "global", "--reason", "x"), "SAFE_MODE"),
            (("mode", "set", "SAFE_MODE", "--scope", "profil:p1", "--reason", "x"), "not a scope"),
            (("mode", "set", "SAFE_MODE", "--scope", "profile:p2", "--reason", "x"), "binds nobody"),
            (("mode", "set", "SAFE_MODE", "--reason", "x"), "--scope"),
            (("audit", "export", "--batch", "B-1"), "no batch 'B-1'"),
            (("audit", "export", "--out", "missing/file"), "missing/file cannot be written"),
            (("explain", "TRD-9"), "no trade 'TRD-9'"),
            (("explain", "ghost"), "Did you mean TRD-GHOST?"),
            (("explain", "TRD-GOHST"), "Did you mean TRD-GHOST or TRD-LOST?"),
            (("explain", "t"), "Did you mean TRD-LOST or TRD-GHOST?"),
            (("explain", "tt"), "Did you mean TRD-LOST or TRD-GHOST?"),
            (("explain", "zzz"), "\n`trueup check` lists the open ones."),
            (("explain", "TRD-GHOST", "--profile", "p2"), "no trade 'TRD-GHOST' of profile 'p2'"),
            (("check", "--config", "x.toml"), "before the command: trueup --config FILE check"),
            (("backfill", "run", "--config=x"), "before the command: trueup --config FILE backfill run"),
            (("explain", "TRD-GHOST", "--plot", "trade.gif"), ".png or .svg"),
            (("explain", "TRD-GHOST", "--plot", "missing/trade.png"), "folder that exists"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_exits_with_2_and_says_what_is_wrong(self, program: Program, words: tuple[str, ...], said: str) -> None:
        answer = program(*words)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("error: ")
        assert said in answer.err
        assert "Traceback" not in answer.err

    @pytest.mark.parametrize("words", [("check", "--profile", "p2"), ("explain", "TRD-9")], ids=" ".join)
    def test_leaves_stdout_empty_in_json_too(self, program: Program, words: tuple[str, ...]) -> None:
        answer = program(*words, "--format", "json")
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("error: ")
        assert "after an error stdout stays empty" in " ".join(call(no_app, "--help").out.split())

    @pytest.mark.parametrize("words", [("--config",), ("backfill", "run", "--profile")], ids=" ".join)
    def test_of_an_option_without_its_value_says_where_to_look(self, words: tuple[str, ...]) -> None:
        answer = call(no_app, *words)
        assert answer.code == 2
        assert "--help` shows how it is used" in answer.err

    @pytest.mark.parametrize("words", [("backfill",), ("mode",), ("audit",)], ids=" ".join)
    def test_of_a_group_alone_shows_its_help(self, words: tuple[str, ...]) -> None:
        answer = call(no_app, *words)
        assert (answer.code, answer.out) == (2, "")
        assert "Commands:" in answer.err

    def test_of_a_file_that_is_not_there_names_it(self, tmp_path: Path) -> None:
        answer = process(tmp_path, "--config", "nowhere.toml", "check")
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("error: ")
        assert "nowhere.toml" in answer.err


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "code"), [(ConfigurationError, 2), (CannotKnow, 3), (Refused, 1)], ids=["2", "3", "1"]
    )
    def test_say_what_is_wrong_and_what_to_do(self, error: type[ConfigurationError], code: int) -> None:
        assert failing(error("It is broken.", "Mend it.")) == Answer(code, "", "error: It is broken.\nMend it.\n")

    def test_that_nobody_foresaw_are_one_line_without_a_traceback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TRUEUP_TRACEBACK", raising=False)
        answer = failing(ZeroDivisionError("division\nby zero"))
        assert (answer.code, answer.out) == (3, "")
        assert answer.err == (
            "error: trueup failed unexpectedly: ZeroDivisionError: division by zero. "
            "Nothing was written that the audit does not show. Report it with TRUEUP_TRACEBACK=1\n"
        )

    def test_show_a_traceback_where_one_is_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRUEUP_TRACEBACK", "1")
        answer = failing(ZeroDivisionError("division by zero"))
        assert answer.code == 3
        assert "Traceback (most recent call last)" in answer.err

    def test_show_no_control_characters_of_others(self) -> None:
        answer = failing(CannotKnow("\x1b[31mred\x07", "\u202egnorw"))
        assert answer.err == "error: \\x1b[31mred\\x07\n\\u202egnorw\n"

    def test_an_interruption_is_one_line_and_130(self) -> None:
        answer = failing(KeyboardInterrupt())
        assert (answer.code, answer.out) == (130, "")
        assert re.fullmatch(r"interrupted.*\n", answer.err)

    def test_a_reader_that_went_away_is_nothing_to_talk_about(self, program: Program) -> None:
        environ = {**os.environ, "ENABLE_RECON_EXIT_BACKFILL": "true"}
        for _ in range(30):
            program("backfill", "run", "--dry-run")
        shell = f"{sys.executable} -m trueup audit export; echo $? >&2"
        with subprocess.Popen(
            shell, shell=True, cwd=program.bot.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as started:
            assert started.stdout is not None
            assert started.stderr is not None
            started.stdout.close()
            said = started.stderr.read().decode()
        assert said == f"{128 + signal.SIGPIPE}\n"


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "trueup.toml").write_text('[ledger]\nurl = "postgresql://bot:hunter2@127.0.0.1:1/books"\n')
    for words in (("doctor",), ("check",), ("doctor", "--format", "json")):
        answer = process(tmp_path, *words)
        assert answer.code in (2, 3)
        assert "hunter2" not in answer.out + answer.err
