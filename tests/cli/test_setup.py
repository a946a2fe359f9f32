import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.program import Program, call, process
from tests.ledger.bot import Bot, row

from trueup.core.errors import Refused
from trueup.surfaces.cli.session import Say


class TestInit:
    def test_creates_what_is_missing_and_then_nothing(self, bot: Bot) -> None:
        program = Program(bot)
        answer = program("init")
        assert answer.code == 0
        assert "orders" in answer.out
        assert "1 profile added or changed: p1" in answer.out
        again = program("init")
        assert (again.code, again.out) == (0, "Nothing was missing.\n")

    def test_without_any_settings_names_the_ledger_that_it_creates(self, tmp_path: Path) -> None:
        answer = process(tmp_path, "init")
        said = f"note: no trueup.toml found in {tmp_path}: the ledger is the embedded one, {tmp_path / 'trueup.db'}\n"
        assert (answer.code, answer.err.startswith(said)) == (0, True)
        assert "trueup.db" in os.listdir(tmp_path)
        assert "no enabled profile" in process(tmp_path, "check").err

    def test_of_a_database_that_may_not_be_written_says_so(self, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
        """SQLite quietly turns a write transaction on a read-only file into one that only reads."""
        bot.init()
        program = Program(bot)
        monkeypatch.chdir(bot.folder)  # where the odd name of the file may be made
        bot.url = f"sqlite:///file:{bot.folder}/ledger.db?mode=ro&uri=true"
        monkeypatch.setattr("trueup.settings.sections.database_url", lambda value, _: value)
        answer = program("init")
        assert (answer.code, answer.out) == (2, "")
        assert "may not be written" in answer.err
        assert "state_url" in answer.err

    def test_in_json_names_tables_and_profiles(self, bot: Bot) -> None:
        document = Program(bot)("init", "--format", "json").json
        assert set(document) == {"tables", "profiles"}
        assert "reconciliation_backfill_audit" in document["tables"]
        assert document["profiles"] == ["p1"]


class TestDoctor:
    def test_finds_all_well(self, bot: Bot) -> None:
        bot.ready(row("TRD-GHOST", client_order_id="c-1"))
        answer = Program(bot)("doctor")
        assert answer.code == 0
        assert answer.out.splitlines()[-1] == "All is well."
        assert "FAIL" not in answer.out

    def test_says_what_to_do_about_a_failure(self, bot: Bot) -> None:
        answer = Program(bot)("doctor")
        assert answer.code == 2
        assert "FAIL" in answer.out
        assert "run `trueup init`" in answer.out

    def test_in_json_has_every_check_and_the_exit_code(self, program: Program) -> None:
        (program.bot.folder / "main.json").write_text("[")
        answer = program("doctor", "--format", "json")
        assert set(answer.json) == {"checks", "exit_code"}
        assert (answer.code, answer.json["exit_code"]) == (3, 3)
        failed = [check for check in answer.json["checks"] if not check["ok"]]
        assert [check["name"] for check in failed] == ["ids of executions", "venue of main"]
        assert all(set(check) == {"name", "ok", "found", "do"} for check in answer.json["checks"])

    @pytest.mark.parametrize("terminal", [True, False])
    def test_fits_80_columns_and_says_what_to_do_below(
        self, bot: Bot, monkeypatch: pytest.MonkeyPatch, terminal: bool
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("TERM", "xterm")
        bot.venue(positions=[{"symbol": "BTC/USD", "qty": "n/a"}])
        bot.ready(row("TRD-GHOST", client_order_id="c-1"))
        bot.profiles = [{"id": "renamed"}]
        out = re.sub(r"\x1b\[[0-9;]*m", "", Program(bot)("doctor", terminal=terminal).out)
        lines = out.partition("\nSettings that")[0].splitlines()
        place = next(number for number, line in enumerate(lines) if line.startswith("FAIL  profiles"))
        assert "      -> Run `trueup init`." in lines[place:]
        assert [line for line in lines if len(line) > 80 and str(bot.folder) not in line] == []

    def test_names_the_symbols_of_the_ledger_that_the_venue_does_not_list(self, bot: Bot) -> None:
        bot.venue(unknown_symbols={"BTC/USD": "the venue lists no BTC/USD", "OTHER": "of nobody"})
        bot.ready(row("TRD-GHOST", client_order_id="c-1"))
        answer = Program(bot)("doctor")
        assert answer.code == 3
        assert "the venue lists no BTC/USD" in answer.out
        assert "OTHER" not in answer.out
        assert Program(bot)("check").code == 3

    def test_warns_of_a_managed_symbol_that_the_venue_does_not_list(self, bot: Bot) -> None:
        bot.venue(unknown_symbols={"NOPE/USD": "the venue lists no NOPE/USD"})
        bot.profiles = [{"id": "p1", "managed_symbols": ["BTC/USD", "NOPE/USD"]}]
        bot.ready(row("TRD-GHOST", client_order_id="c-1"))
        answer = Program(bot)("doctor")
        assert (answer.code, "the venue lists no NOPE/USD" in answer.out) == (0, True)

    def test_counts_broken_settings_among_its_findings(self, tmp_path: Path) -> None:
        (tmp_path / "trueup.toml").write_text("[ledgr]\n")
        answer = process(tmp_path, "doctor")
        assert (answer.code, answer.err) == (2, "")
        assert "FAIL  settings" in answer.out
        assert "1 failure: settings" in answer.out

    def test_shows_the_settings_that_were_set(self, program: Program) -> None:
        line = next(line for line in program("doctor").out.splitlines() if "ENABLE_RECON_EXIT_BACKFILL" in line)
        assert line.split() == ["ENABLE_RECON_EXIT_BACKFILL", "true", "env"]


class TestDemo:
    def test_runs_in_a_folder_of_its_own_as_it_tells(self, tmp_path: Path) -> None:
        answer = process(tmp_path, "demo", "--folder", "try", environ={"TRUEUP_LEDGER_URL": "sqlite:///mine.db"})
        assert answer.code == 0, answer.out + answer.err
        assert "trueup backfill run" in answer.out
        assert os.listdir(tmp_path) == ["try"]

    @pytest.mark.parametrize("found", [True, False], ids=["on the path", "in a folder of its own"])
    def test_ends_with_commands_that_work_as_typed(self, tmp_path: Path, found: bool) -> None:
        program = Path(sys.executable).parent / "trueup"
        folders = [os.defpath, *([str(program.parent)] if found else [])]
        environ = {"PATH": os.pathsep.join(folders), "HOME": str(tmp_path)}
        done = subprocess.run([program, "demo"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
        last = done.stdout.partition("Look around")[2].splitlines()[2:6]
        assert last[1].strip() == f"{'trueup' if found else program} explain TRD-NVDA-3"
        typed = subprocess.run(
            ["sh", "-e", "-c", "\n".join(last)], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
        )
        assert typed.stdout.startswith("trade TRD-NVDA-3")

    def test_in_json_is_one_document(self) -> None:
        def demo(venue: str | None, folder: Path, say: Say, program: str) -> int:
            say(f"laid down in {folder}")
            return 1

        answer = call(lambda _: Program, "demo", "--folder", "try", "--format", "json", demo=demo)  # type: ignore[arg-type, return-value]  # no App is built
        assert answer.code == 1
        assert answer.json == {"folder": "try", "told": ["laid down in try"], "exit_code": 1}

    def test_that_is_refused_says_why(self) -> None:
        def demo(venue: str | None, folder: Path, say: Say, program: str) -> int:
            raise Refused("The folder is somebody else's.", "Name another.")

        answer = call(lambda _: Program, "demo", demo=demo)  # type: ignore[arg-type, return-value]  # no App is built
        assert (answer.code, answer.err) == (1, "error: The folder is somebody else's.\nName another.\n")


class TestWithoutSettings:
    @pytest.mark.parametrize(
        "words",
        [("check",), ("backfill", "run"), ("backfill", "list"), ("mode", "show"), ("audit", "verify"),
         ("audit", "export"), ("explain", "TRD-1"), ("backfill", "revert", "B", "--reason", "x")],
        ids=" ".join,
    )  # fmt: skip
    def test_a_command_says_that_there_are_none_and_creates_nothing(
        self, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        answer = process(tmp_path, *words)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith(f"error: No trueup.toml found in {tmp_path}, and nothing else names a ledger.\n")
        assert os.listdir(tmp_path) == []

    def test_the_doctor_finds_it(self, tmp_path: Path) -> None:
        answer = process(tmp_path, "doctor")
        assert answer.code == 2
        assert f"No trueup.toml found in {tmp_path}" in answer.out

    def test_a_ledger_in_the_environment_is_enough(self, tmp_path: Path) -> None:
        answer = process(tmp_path, "check", environ={"TRUEUP_LEDGER_URL": "sqlite:///mine.db"})
        assert f"There is no database at {tmp_path / 'mine.db'}" in answer.err


class TestModes:
    def test_a_mode_is_set_and_shown(self, bot: Bot) -> None:
        bot.ready(row("TRD-GHOST"))
        program = Program(bot)
        change = program("mode", "set", "halt", "--scope", "profile:p1", "--reason", "smoke", "--format", "json").json
        assert (change["scope"], change["mode"], change["reason"]) == ("profile:p1", "HALT", "smoke")
        view = program("mode", "show", "--format", "json").json
        assert view["profiles"]["p1"] == {"mode": "HALT", "from": "profile:p1", "status": "PAUSED"}
        out = program("mode", "show").out
        assert ["p1", "HALT", "PAUSED", "profile:p1"] in [line.split() for line in out.splitlines()]
        assert "smoke" in out
        said = program("mode", "set", "NORMAL", "--scope", "profile:p1", "--reason", "out").out
        assert said.startswith("profile:p1: HALT -> NORMAL, by ")

    def test_before_there_is_a_profile_the_way_to_one_is_shown(self, bot: Bot) -> None:
        bot.profiles = []
        bot.init()
        assert "trueup init" in Program(bot)("mode", "show").out
