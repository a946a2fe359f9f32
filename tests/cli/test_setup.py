import os
from pathlib import Path

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

    def test_in_json_names_tables_and_profiles(self, bot: Bot) -> None:
        document = Program(bot)("init", "--format", "json").json
        assert set(document) == {"tables", "profiles"}
        assert "reconciliation_backfill_audit" in document["tables"]
        assert document["profiles"] == ["p1"]


class TestDoctor:
    def test_finds_all_well(self, program: Program) -> None:
        answer = program("doctor")
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
        assert [check["name"] for check in failed] == ["venue of main"]
        assert all(set(check) == {"name", "ok", "found", "do"} for check in answer.json["checks"])

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

    def test_in_json_is_one_document(self) -> None:
        def demo(folder: Path, say: Say) -> int:
            say(f"laid down in {folder}")
            return 1

        answer = call(lambda _: Program, "demo", "--folder", "try", "--format", "json", demo=demo)  # type: ignore[arg-type, return-value]  # no App is built
        assert answer.code == 1
        assert answer.json == {"folder": "try", "told": ["laid down in try"], "exit_code": 1}

    def test_that_is_refused_says_why(self) -> None:
        def demo(folder: Path, say: Say) -> int:
            raise Refused("The folder is somebody else's.", "Name another.")

        answer = call(lambda _: Program, "demo", demo=demo)  # type: ignore[arg-type, return-value]  # no App is built
        assert (answer.code, answer.err) == (1, "error: The folder is somebody else's.\nName another.\n")


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
