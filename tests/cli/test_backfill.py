import json
import re
import shlex

import pytest
from tests.cli.program import Program
from tests.ledger.bot import Bot, a_bot, leave, row, sold

from trueup.core.errors import CannotKnow
from trueup.core.modes import Mode
from trueup.ledger.journal import SqlJournal
from trueup.ledger.sql import SqlLedger
from trueup.ports import ModeChange

ROW = ("TRD-GHOST", "BTC/USD", "sell", "1", "110", "v-1", "client_order_id")


def plan_of(program: Program) -> str:
    return str(program("backfill", "run", "--dry-run", "--format", "json").json["plan_hash"])


def applied(program: Program) -> str:
    answer = program("backfill", "run", "--apply", "--format", "json")
    return str(answer.json["profiles"][0]["batch_id"])


def next_command(out: str) -> list[str]:
    """The words of the command that the last line names, without the program's name."""
    line = out.splitlines()[-1]
    return shlex.split(line[line.index("trueup ") :])[1:]


class TestDryRun:
    def test_shows_each_row_with_its_proof_and_each_refusal_with_its_reason(self, program: Program) -> None:
        answer = program("backfill", "run", "--dry-run")
        assert answer.code == 1
        line = next(line for line in answer.out.splitlines() if "v-1" in line)
        assert all(part in line.split() for part in ROW)
        assert "missing_fill_evidence_for_large_remainder" in answer.out
        assert "More is open than evidence covers; it is not guessed." in answer.out
        assert "coverage: positions complete" in answer.out
        assert not answer.err

    def test_ends_with_the_counts_the_plan_and_the_command_that_applies_it(self, program: Program) -> None:
        out = program("backfill", "run", "--dry-run").out
        assert "MISMATCH (dry run): 1 profile, 1 proposed, 1 unresolved" in out
        assert next_command(out) == ["backfill", "run", "--apply", "--plan", plan_of(program)]

    def test_names_the_scope_in_the_command_that_comes_next(self, program: Program) -> None:
        out = program("backfill", "run", "--profile", "p1", "--symbol", "BTC/USD").out
        assert next_command(out)[:6] == ["backfill", "run", "--profile", "p1", "--symbol", "BTC/USD"]

    def test_the_command_that_comes_next_does_what_it_says(self, proven: Program) -> None:
        out = proven("backfill", "run", "--profile", "p1", "--symbol", "BTC/USD").out
        answer = proven(*next_command(out))
        assert answer.code == 0
        assert "1 of 1 row booked" in answer.out

    def test_is_0_where_everything_open_is_proven(self, proven: Program) -> None:
        assert proven("backfill", "run").code == 0

    def test_in_json_is_one_document(self, program: Program) -> None:
        answer = program("backfill", "run", "--dry-run", "--format", "json")
        document = answer.json
        assert set(document) == {"profiles", "plan_hash", "summary"}
        assert document["profiles"][0]["proposed_rows"] == 1
        assert (answer.code, answer.err) == (1, "")

    def test_names_the_config_in_the_command_that_comes_next(self, proven: Program) -> None:
        out = proven("--config", "my bot.toml", "backfill", "run").out
        assert out.splitlines()[-1].startswith("Apply exactly this: trueup --config 'my bot.toml' backfill run --apply")


class TestApply:
    def test_books_what_was_reviewed_and_says_how_to_take_it_back(self, proven: Program) -> None:
        answer = proven("backfill", "run", "--apply", "--plan", plan_of(proven))
        assert answer.code == 0
        assert "booked" in next(line for line in answer.out.splitlines() if "v-1" in line)
        assert "post-fix validation passed" in answer.out
        assert next_command(answer.out)[:2] == ["backfill", "revert"]

    def test_refuses_a_plan_that_is_not_the_plan_any_more(self, proven: Program) -> None:
        plan = plan_of(proven)
        proven("backfill", "run", "--apply")
        answer = proven("backfill", "run", "--apply", "--plan", plan)
        assert answer.code == 1
        said = f"REFUSED: the plan is not {plan} any more, or was never that. Nothing was booked"
        assert answer.out.startswith(said)
        assert answer.out.count(said) == 2
        assert "plan REFUSED: nothing booked, nothing recorded; 0 rows would be proposed now" in answer.out
        assert next_command(answer.out) == ["backfill", "run", "--dry-run"]

    @pytest.mark.parametrize("cut", [slice(12), slice(63)])
    def test_says_of_a_shortened_hash_that_it_is_one(self, proven: Program, cut: slice) -> None:
        short = plan_of(proven)[cut]
        answer = proven("backfill", "run", "--apply", "--plan", short)
        assert answer.code == 1
        assert answer.out.startswith(f"REFUSED: {short} is only the beginning of the plan hash; give all of it.")
        assert "any more" not in answer.out
        document = proven("backfill", "run", "--apply", "--plan", short, "--format", "json").json
        assert document["summary"]["plan_refusal"].endswith("give all of it")

    def test_says_what_a_refused_plan_would_have_booked(self, proven: Program) -> None:
        answer = proven("backfill", "run", "--apply", "--plan", "0" * 64)
        assert answer.code == 1
        assert "not applied" in next(line for line in answer.out.splitlines() if "v-1" in line)

    def test_tells_a_reason_that_several_trades_share_once_with_their_number(self, bot: Bot) -> None:
        bot.venue(positions=None, coverage={"positions": {"state": "failed", "reason": "the key is wrong"}})
        bot.ready(row("TRD-A"), row("TRD-B"), row("TRD-C", symbol="ETH/USD"))
        out = Program(bot)("backfill", "run").out
        assert out.count("Unknown is not flat.") == 1
        assert "×3 venue_position_unknown: Unknown is not flat. (the position feed is failed: the key is wrong)" in out
        assert all(re.search(rf"{name} .* venue_position_unknown$", out, re.MULTILINE) for name in ("TRD-A", "TRD-C"))

    def test_that_fails_says_so_in_the_count_and_by_row(self, proven: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        def locked(*_: object, **__: object) -> None:
            raise CannotKnow("The database is locked.", "Find the lock.")

        monkeypatch.setattr(SqlLedger, "book", locked)
        answer = proven("backfill", "run", "--apply")
        assert answer.code == 3
        assert "error: The database is locked." in answer.out
        assert "0 of 1 row booked, 0 unresolved, 1 FAILED" in answer.out
        assert "INTERRUPTED apply_failed" in next(line for line in answer.out.splitlines() if "v-1" in line)

    def test_without_a_flag_follows_the_settings(self, bot: Bot) -> None:
        bot.ready(row("TRD-GHOST"))
        bot.environ["RECON_EXIT_BACKFILL_DRY_RUN"] = "false"
        assert "(apply)" in Program(bot)("backfill", "run").out
        assert "(dry run)" in Program(bot)("backfill", "run", "--dry-run").out


class TestGates:
    def test_a_pause_that_is_needed_comes_with_the_command_that_sets_it(self, program: Program) -> None:
        program("mode", "set", "NORMAL", "--scope", "global", "--reason", "go on")
        answer = program("backfill", "run")
        assert answer.code == 1
        assert "skipped p1: pause_required" in answer.out
        line = next(line for line in answer.out.splitlines() if "Pause it:" in line)
        words = shlex.split(line[line.index("trueup ") :])[1:]
        assert words[:5] == ["mode", "set", "SAFE_MODE", "--scope", "profile:p1"]
        assert program(*words).code == 0
        assert "pause_required" not in program("backfill", "run").out

    def test_a_backfill_that_is_switched_off_says_how_to_switch_it_on(self, bot: Bot) -> None:
        bot.ready(row("TRD-GHOST"))
        del bot.environ["ENABLE_RECON_EXIT_BACKFILL"]
        answer = Program(bot)("backfill", "run")
        assert answer.code == 0
        assert "skipped p1: disabled" in answer.out
        assert "ENABLE_RECON_EXIT_BACKFILL=true" in answer.out
        said = "NOTHING LOOKED AT: ENABLE_RECON_EXIT_BACKFILL (false) left out every profile."
        assert answer.out.splitlines()[-1].startswith(said)
        assert "OK (" not in answer.out

    def test_an_allowlist_that_leaves_a_profile_out_is_named(self, bot: Bot) -> None:
        bot.ready(row("TRD-GHOST"))
        bot.environ["RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST"] = "p2"
        answer = Program(bot)("backfill", "run")
        assert answer.code == 0
        said = "NOTHING LOOKED AT: RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST left out every profile."
        assert answer.out.splitlines()[-1].startswith(said)
        assert "OK (" not in answer.out

    def test_profiles_that_were_left_out_are_counted_beside_those_that_were_not(self, bot: Bot) -> None:
        bot.profiles.append({"id": "p2"})
        bot.ready(row("TRD-GHOST"))
        bot.environ["RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST"] = "p1"
        answer = Program(bot)("backfill", "run")
        assert "OK (" not in answer.out
        assert "1 profile, 1 proposed, 0 unresolved, 1 not looked at" in answer.out

    def test_an_allowlist_that_names_nobody_is_noted_and_the_rest_goes_on(self, program: Program) -> None:
        program.bot.environ["RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST"] = "p1,p7"
        answer = program("backfill", "run", "--format", "json")
        assert answer.json["profiles"][0]["attempted"] is True
        said = "note: RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST names p7, which is no profile\n"
        assert (answer.code, answer.err) == (1, said)
        assert not program("check").err
        doctor = program("doctor")
        assert doctor.code == 0
        assert "no profile is called p7" in doctor.out

    def test_a_missing_audit_table_is_created_by_init(self, program: Program) -> None:
        program.bot.db.run("DROP TABLE reconciliation_backfill_audit")
        answer = program("backfill", "run")
        assert answer.code == 1
        assert "Create it: trueup init" in answer.out

    def test_an_account_that_another_run_holds_can_be_waited_for(self, program: Program) -> None:
        with program.bot.app().leases.hold("account:main", 0.0) as lease:
            assert lease is not None
            answer = program("backfill", "run")
        assert answer.code == 1
        assert "another run holds this account" in answer.out
        assert "--wait" in answer.out

    def test_many_profiles_behind_one_gate_are_told_together(self, bot: Bot) -> None:
        bot.profiles = [{"id": f"p{number}"} for number in range(20)]
        app = bot.init()
        app.modes.set(ModeChange("global", Mode.NORMAL, Mode.NORMAL, "operator", "a", "b", "2026-01-02T03:04:05.000Z"))
        out = Program(bot)("backfill", "run").out
        assert out.count("pause_required") == 1
        assert "and 10 more" in out
        assert "--scope global" in out


class TestUndo:
    def test_reverts_and_reapplies_a_batch(self, proven: Program) -> None:
        batch = applied(proven)
        back = proven("backfill", "revert", batch, "--reason", "wrong")
        assert back.code == 0
        assert "1 row canceled; 0 were canceled already." in back.out
        twice = proven("backfill", "revert", batch, "--reason", "wrong", "--format", "json")
        assert (twice.code, twice.json["changed"], len(twice.json["unchanged"])) == (0, [], 1)
        again = proven("backfill", "reapply", batch, "--reason", "right", "--format", "json")
        assert set(again.json) == {"batch_id", "changed", "unchanged", "audit"}
        assert (again.json["batch_id"], len(again.json["changed"])) == (batch, 1)
        assert [entry["decision"] for entry in again.json["audit"]] == ["REAPPLIED"]

    def test_is_refused_where_a_trade_has_changed(self, proven: Program) -> None:
        batch = applied(proven)
        proven.bot.db.orders(row("TRD-GHOST", "5", 20, order_id="late"))
        answer = proven("backfill", "revert", batch, "--reason", "wrong")
        assert (answer.code, answer.out) == (1, "")
        assert answer.err.startswith("error: ")

    def test_names_the_batch_that_was_meant(self, proven: Program) -> None:
        batch = applied(proven)
        assert batch in proven("backfill", "revert", batch[:-1], "--reason", "wrong").err


class TestList:
    def test_is_empty_at_first(self, program: Program) -> None:
        assert program("backfill", "list", "--format", "json").json == {"batches": []}
        assert "no batch yet" in program("backfill", "list").out

    def test_shows_each_batch_with_its_state(self, proven: Program) -> None:
        plan_of(proven)
        batch = applied(proven)
        found = proven("backfill", "list", "--format", "json").json["batches"]
        assert [entry["state"] for entry in found] == ["applied", "dry_run"]
        assert found[0]["batch_id"] == batch
        line = next(line for line in proven("backfill", "list", "--profile", "p1").out.splitlines() if batch in line)
        assert "applied" in line


def test_a_venue_that_cannot_be_read_is_inconclusive_and_said_first(program: Program) -> None:
    (program.bot.folder / "main.json").write_text("<html>")
    answer = program("backfill", "run")
    assert answer.code == 3
    assert answer.out.index("UNREADABLE") < answer.out.index("not booked")
    assert "venue_position_unknown" in answer.out


def test_an_interrupted_batch_is_named(proven: Program) -> None:
    batch = applied(proven)
    db = proven.bot.db
    db.run("DELETE FROM reconciliation_backfill_audit WHERE decision = 'APPLIED'")
    db.run("DELETE FROM orders WHERE order_id LIKE 'BFILL-%'")
    out = proven("backfill", "run").out
    assert f"INTERRUPTED {batch}" in out


def test_a_symbol_that_nobody_knows_is_noted_on_stderr(program: Program) -> None:
    answer = program("backfill", "run", "--symbol", "BTC/USDD", "--format", "json")
    assert answer.json["profiles"][0]["proposed_rows"] == 0
    assert "called BTC/USDD" in answer.err
    assert not program("backfill", "run", "--symbol", "BTCUSD").err


def test_a_profile_that_init_has_not_put_into_the_ledger_is_noted(program: Program) -> None:
    program.bot.profiles = [{"id": "renamed"}]
    said = "note: profile renamed: in trueup.toml, but not in the ledger yet (new, or renamed); run `trueup init`\n"
    for words in (("check",), ("backfill", "run")):
        assert program(*words).err == said
    doctor = program("doctor")
    assert doctor.code == 2
    assert "renamed: in trueup.toml, but not in the ledger yet" in doctor.out
    assert "Run `trueup init`." in doctor.out
    program("init")
    assert not program("check").err


def test_a_run_that_was_killed_is_named(proven: Program) -> None:
    values = {"kind": "backfill", "scope": "p1", "status": "PENDING", "audit_head": "0"}
    proven.bot.db.insert("reconcile_runs", [{**values, "run_id": "RUN-1", "started_at": "2020-01-01T00:00:00Z"}])
    assert "KILLED RUN-1 never said how it ended" in proven("backfill", "run").out
    assert "KILLED" not in proven("backfill", "run").out


def test_a_run_whose_end_cannot_be_written_says_so_after_what_it_did(
    proven: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise CannotKnow("The disk is full.")

    monkeypatch.setattr(SqlJournal, "end_run", full)
    answer = proven("backfill", "run", "--apply")
    assert answer.code == 3
    assert "1 of 1 row booked" in answer.out
    assert "NOT RECORDED how this run ended could not be written: The disk is full." in answer.out


def test_trades_of_others_symbols_and_used_evidence_are_counted(bot: Bot) -> None:
    bot.profiles = [{"id": "p1", "managed_symbols": ["BTC/USD"]}]
    bot.sells(sold("v-0"), sold("v-9", minute=-6000), sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"))
    done = [row("TRD-DONE"), leave("TRD-DONE", exchange_order_id="v-0")]
    bot.ready(row("TRD-GHOST"), row("TRD-ELSE", symbol="DOGE/USD"), *done)
    out = Program(bot)("backfill", "run").out
    assert "1 open trade, and 1 of symbols that it does not manage" in out
    assert "1 booked before" in out
    assert "1 outside the look-back" in out


def test_json_is_never_more_than_a_document(program: Program) -> None:
    for words in (("check",), ("backfill", "run"), ("backfill", "list"), ("mode", "show"), ("doctor",), ("init",)):
        answer = program(*words, "--format", "json")
        assert json.loads(answer.out)
        assert not answer.err


@pytest.mark.postgres
def test_works_on_postgres_alike(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> None:
    with a_bot(tmp_path_factory.mktemp("bot"), postgres_url) as bot:
        bot.sells(sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"))
        bot.ready(row("TRD-GHOST"))
        program = Program(bot)
        assert program(*next_command(program("backfill", "run").out)).code == 0
        assert program("audit", "verify").code == 0


def test_dust_without_an_execution_has_no_price(bot: Bot) -> None:
    """The row has 0 in its column, and that is no price."""
    bot.ready(row("TRD-DUST", "0.0005"))
    out = Program(bot)("backfill", "run").out
    assert re.search(r"TRD-DUST +BTC/USD +sell +0\.0005 +none ", out)


def test_a_batch_that_does_not_exist_leads_to_those_that_can_be_taken_back(proven: Program) -> None:
    dry = proven("backfill", "run", "--dry-run", "--format", "json").json["profiles"][0]["batch_id"]
    assert "There is none that can be." in proven("backfill", "revert", "BATCH-x", "--reason", "r").err
    batch = proven("backfill", "run", "--apply", "--format", "json").json["profiles"][0]["batch_id"]
    said = proven("backfill", "revert", "BATCH-x", "--reason", "r").err
    assert f"The newest that can be: {batch}. " in said
    assert dry not in said
    assert f"Did you mean {batch}?" in proven("backfill", "revert", batch[:-1] + "z", "--reason", "r").err
    assert "There is none that can be." in proven("backfill", "reapply", "BATCH-x", "--reason", "r").err


def test_a_batch_of_which_nothing_is_recorded_is_not_named(bot: Bot) -> None:
    bot.ready()
    assert "p1  dry run  nothing recorded" in Program(bot)("backfill", "run").out


def test_check_says_what_lies_outside_the_look_back(bot: Bot) -> None:
    bot.sells(sold("v-old", minute=-6 * 24 * 60))
    bot.ready(row("TRD-GHOST"))
    assert "executions left out: 1 outside the look-back" in Program(bot)("check").out
    assert Program(bot)("check", "--format", "json").json["accounts"][0]["outside_lookback"] == 1
