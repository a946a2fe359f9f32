"""The commands incident and canary: what they print, how they end, and what they refuse."""

import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.program import Answer, Program
from tests.incidents.world import STAGES, SURPRISE, World, a_world
from tests.ledger.bot import Bot

from trueup.bootstrap import build
from trueup.core.incidents.written import plan_hash
from trueup.service.leading import propose_canary
from trueup.service.tokens import create_token, revoke_token

WHY = ("--reason", "because")
PROPOSE = ("canary", "propose", "--stage", STAGES[0], "--stage", STAGES[1], *WHY)
COMMANDS = (
    ("incident", "show"), ("incident", "next"), ("incident", "note", "--text", "x"), ("incident", "repair", *WHY),
    ("incident", "export"), PROPOSE, ("canary", "approve", *WHY), ("canary", "abort", *WHY), ("canary", "show"),
)  # fmt: skip


@pytest.fixture
def world(bot: Bot) -> World:
    """Give the incident."""
    return a_world(bot)


@pytest.fixture
def trueup(world: World) -> Program:
    """Give the program on its folder."""
    return Program(world.bot)


def approve(world: World, *more: str) -> tuple[str, ...]:
    """Return the command that signs off what is proposed now."""
    plan = world.incident.plan
    assert plan is not None
    return ("canary", "approve", "--plan", plan_hash(world.name, plan), *WHY, *more)


def refused(answer: Answer, code: int, words: str) -> None:
    """Check that a command says on stderr what is wrong, and nothing else anywhere."""
    assert (answer.code, answer.out) == (code, ""), answer
    assert answer.err.startswith("error: "), answer.err
    assert words in " ".join(answer.err.split())
    assert "Traceback" not in answer.err


def as_token(world: World, role: str) -> str:
    """Let the next commands act in the name of a token."""
    made = create_token(world.app, f"{role}-1", role)
    world.bot.environ["TRUEUP_TOKEN"] = made.secret
    return made.token.name


def test_the_whole_way_is_gone_by_commands(trueup: Program, world: World, tmp_path: Path) -> None:
    answer = trueup("incident", "list")
    assert answer.code == 0
    assert [line.split()[:5] for line in answer.out.splitlines()[1:]] == [
        [world.name, "account:main", "classified", "unclear", "high"]
    ]
    answer = trueup("incident", "repair", *WHY)
    assert (answer.code, "Next: Book from the venue what is missing" in answer.out) == (0, True)
    assert "line of its story" not in answer.out
    assert trueup("incident", "note", world.name, "--text", "ticket 4711").code == 0
    plan = trueup("backfill", "run", "--dry-run", "--format", "json").json["plan_hash"]
    assert trueup("backfill", "run", "--apply", "--plan", plan).code == 0
    world.look()
    refused(trueup(*PROPOSE), 1, "is not confirmed yet: 2 runs in a row without a break (1 of 2)")
    world.look()
    assert "trueup canary propose" in trueup("incident", "next").out
    answer = trueup(*PROPOSE)
    assert (answer.code, "Sign the first stage off" in answer.out) == (0, True)
    shown = trueup("canary", "show").out
    assert "1. p1: BTC/USD up to 500 for 30 min" in shown
    assert "2. p1: all symbols up to 1000 for 60 min" in shown
    refused(trueup("canary", "approve", *WHY), 1, "proposed this canary and cannot sign it off")
    as_token(world, "approver")
    for number in (1, 2):
        document = trueup(*approve(world, "--format", "json")).json
        assert (document["step"], document["stage"]) == ("canary", number)
        refused(trueup(*approve(world)), 1, f"Stage {number} of {world.name} has not passed")
        world.look()
    answer = trueup(*approve(world))
    assert (answer.code, "Next: Nothing: trading is restored." in answer.out) == (0, True)
    assert trueup("incident", "list").out == "No incident is open.\n"
    assert world.name in trueup("incident", "list", "--all").out
    out = tmp_path / "incident.md"
    answer = trueup("incident", "export", world.name, "--out", str(out))
    assert (answer.code, answer.out) == (0, "")
    assert f"{world.name} is written to" in " ".join(answer.err.split())
    as_json = trueup("incident", "export", world.name, "--out", str(out), "--format", "json")
    assert as_json.json == {"incident_id": world.name, "out": str(out)}
    trueup("incident", "export", world.name, "--out", str(out))
    text = out.read_text()
    assert text.count("| api:approver-1 |") == 3
    assert "| ghost_position | p1 BTC/USD | 1 | 0 |" in text
    assert "four eyes were off" not in text
    assert trueup("incident", "export", world.name).out == out.read_text()


def test_every_answer_is_there_as_json(trueup: Program, world: World) -> None:
    listed = trueup("incident", "list", "--format", "json").json
    assert (listed["total"], listed["incidents"][0]["incident_id"]) == (1, world.name)
    shown = trueup("incident", "show", "--format", "json").json
    assert trueup("incident", "show", world.name, "--format", "json").json == shown
    assert trueup("incident", "next", "--format", "json").json == shown["next"]
    exported = trueup("incident", "export", "--format", "json").json
    assert exported == {**shown, "repairs": [], "modes": exported["modes"]}
    assert [(mode["mode"], mode["before"]) for mode in exported["modes"]] == [("SAFE_MODE", "NORMAL")]
    assert trueup("canary", "show", "--format", "json").json == {
        "incident_id": world.name, "step": "classified", "plan": None, "canary": None, "next": shown["next"],
    }  # fmt: skip
    noted = trueup("incident", "note", "--text", "n", "--format", "json").json
    assert (noted["story"][-1]["what"], noted["story"][-1]["reason"]) == ("note", "n")
    assert trueup("incident", "repair", *WHY, "--format", "json").json["step"] == "repairing"
    assert trueup("canary", "show").out.startswith("No canary is proposed.\n")


def test_with_json_nothing_is_on_stdout_when_it_is_refused(trueup: Program) -> None:
    for words in (PROPOSE, ("canary", "approve", *WHY), ("canary", "abort", *WHY)):
        answer = trueup(*words, "--format", "json")
        assert (answer.code, answer.out) == (1, ""), words


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_a_name_that_is_wrong_is_told_with_the_nearest(trueup: Program, world: World, words: tuple[str, ...]) -> None:
    wrong = f"{world.name[:-1]}_"
    refused(trueup(*words, wrong), 2, f"There is no incident '{wrong}'.")
    assert world.name in trueup(*words, wrong).err


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_without_an_open_incident_one_is_to_be_named(bot: Bot, words: tuple[str, ...]) -> None:
    bot.init()
    refused(Program(bot)(*words), 2, "No incident is open. Name one: see `trueup incident list`.")


def test_where_none_ever_was_the_list_says_so(bot: Bot) -> None:
    bot.init()
    program = Program(bot)
    assert program("incident", "list").out == "No incident is open.\n"
    assert program("incident", "list", "--all").out == "There was no incident.\n"
    assert program("incident", "list", "--format", "json").json == {"total": 0, "incidents": []}


def test_a_closed_incident_is_shown_and_left_as_it_is(trueup: Program, world: World) -> None:
    world.restored(replace(world.app, actor="somebody else"))
    assert "(given back)" in trueup("incident", "show", world.name).out
    for words in COMMANDS:
        if words[1] not in ("show", "next", "export"):
            refused(trueup(*words, world.name), 1, "is closed. A new mismatch opens a new one.")


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("p9:BTC/USD:500:30", "begins with no profile"), ("p1", "is not whole"), ("", "no profile"),
        ("p1:500:30", "is not whole"), ("p1:BTC/USD:0:30", "more than 0"), ("p1:BTC/USD:-1:30", "more than 0"),
        ("p1:BTC/USD:NaN:30", "no numbers"), ("p1:BTC/USD:Infinity:30", "no numbers"),
        ("p1:BTC/USD:1e400:30", "no numbers"), ("p1:BTC/USD:1_000:30", "no numbers"),
        ("p1:BTC/USD:much:30", "no numbers"), ("p1:BTC/USD:500:0", "more than 0"),
        ("p1:BTC/USD:500:1e-9", "more than 0"), ("p1:BTC/USD:500:10081", "up to 10080"),
        ("p1:BTC/USD:500:1e400", "no numbers"), ("p1::500:30", "names no symbol"), ("p1: , :500:30", "no symbol"),
    ],
)  # fmt: skip
def test_a_stage_that_is_none_is_told(trueup: Program, world: World, stage: str, words: str) -> None:
    world.confirmed()
    refused(trueup("canary", "propose", "--stage", stage, *WHY), 2, words)
    assert world.incident.plan is None


def test_a_symbol_may_hold_a_colon(trueup: Program, world: World) -> None:
    world.confirmed()
    assert trueup("canary", "propose", "--stage", "p1:BTC/USDT:USDT:500:30", *WHY).code == 0
    plan = world.incident.plan
    assert plan is not None
    assert plan.stages[0].symbols == ("BTC/USDT:USDT",)
    assert "1. p1: BTC/USDT:USDT up to 500 for 30 min" in trueup("canary", "show").out


@pytest.mark.parametrize("words", [(*PROPOSE[:-1], " "), ("incident", "repair", "--reason", ""),
                                   ("incident", "note", "--text", " ")], ids=lambda words: words[1])  # fmt: skip
def test_a_reason_is_needed(trueup: Program, world: World, words: tuple[str, ...]) -> None:
    refused(trueup(*words), 2, "needed" if words[1] != "note" else "A note needs a text.")


@pytest.mark.parametrize("words", [("canary", "propose", *WHY), ("incident", "note"), ("incident", "lead"),
                                   ("canary", "approve"), ("incident", "list", "--page", "2")], ids=str)  # fmt: skip
def test_wrong_usage_is_2(trueup: Program, words: tuple[str, ...]) -> None:
    answer = trueup(*words)
    assert (answer.code, answer.out) == (2, "")


class TestTokens:
    def test_one_that_opens_nothing_signs_nothing(self, trueup: Program, world: World) -> None:
        world.proposed()
        world.bot.environ["TRUEUP_TOKEN"] = "trueup_wrong"
        refused(trueup("canary", "approve", *WHY), 2, "The token in TRUEUP_TOKEN opens nothing.")
        name = as_token(world, "approver")
        revoke_token(world.app, name)
        refused(trueup("canary", "approve", *WHY), 2, "opens nothing")
        assert world.incident.running is None

    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_another_role_does_not_sign(self, trueup: Program, world: World, role: str) -> None:
        world.proposed()
        as_token(world, role)
        refused(trueup("canary", "approve", *WHY), 1, f"The role {role} may not sign")
        assert world.incident.running is None

    def test_an_approver_signs_in_their_name(self, trueup: Program, world: World) -> None:
        world.proposed()
        as_token(world, "approver")
        assert trueup(*approve(world)).code == 0
        line = world.app.incidents.story(world.name)[-1]
        assert (line.what, line.actor) == ("stage 1 of 2 signed off", "api:approver-1")

    @pytest.mark.parametrize("name", ["LOGNAME", "USER", "LNAME", "USERNAME"])
    def test_a_name_in_the_environment_is_nobody(
        self, trueup: Program, world: World, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, "mallory")
        app = build(world.bot.config, world.bot.environ)
        assert app.actor == pwd.getpwuid(os.getuid()).pw_name
        world.proposed(app)
        refused(trueup("canary", "approve", *WHY), 1, "proposed this canary and cannot sign it off")
        assert world.incident.running is None

    def test_four_eyes_ask_for_a_token_even_of_another_user(self, trueup: Program, world: World) -> None:
        world.proposed(replace(world.app, actor="ann"))
        refused(trueup("canary", "approve", *WHY), 1, "needs an approver's token")
        assert world.incident.running is None
        world.bot.environ["TRUEUP_FOUR_EYES"] = "false"
        assert trueup("canary", "approve", *WHY).code == 0

    def test_a_user_and_the_token_of_their_name_are_one_person(self, trueup: Program, world: World) -> None:
        world.proposed(replace(world.app, actor="approver-1"))
        as_token(world, "approver")
        refused(trueup("canary", "approve", *WHY), 1, "api:approver-1 proposed this canary and cannot sign it off")

    def test_what_a_token_does_is_booked_in_its_name(self, trueup: Program, world: World) -> None:
        name = as_token(world, "operator")
        assert trueup("incident", "repair", *WHY).code == 0
        assert trueup("incident", "note", "--text", "n").code == 0
        world.repaired_rows()
        assert trueup(*PROPOSE).code == 0
        plan = world.incident.plan
        assert plan is not None
        assert plan.proposed_by == f"api:{name}"
        assert trueup("canary", "abort", *WHY).code == 0
        mine = [line.what for line in world.app.incidents.story(world.name) if line.actor == f"api:{name}"]
        assert mine == ["repair started", "note", "canary proposed", "canary aborted"]

    @pytest.mark.parametrize("words", [("incident", "repair", *WHY), ("incident", "note", "--text", "x"), PROPOSE,
                                       ("canary", "abort", *WHY)], ids=lambda words: " ".join(words[:2]))  # fmt: skip
    def test_an_approver_only_signs(self, trueup: Program, world: World, words: tuple[str, ...]) -> None:
        as_token(world, "approver")
        refused(trueup(*words), 1, "The role approver may not act")

    def test_no_secret_is_printed(self, trueup: Program, world: World) -> None:
        world.proposed()
        as_token(world, "viewer")
        answer = trueup("canary", "approve", *WHY)
        assert world.bot.environ["TRUEUP_TOKEN"] not in answer.out + answer.err


def test_a_canary_that_runs_is_shown_and_aborted(trueup: Program, world: World) -> None:
    world.proposed()
    as_token(world, "approver")
    trueup(*approve(world))
    del world.bot.environ["TRUEUP_TOKEN"]
    shown = trueup("canary", "show").out
    assert "500 for 30 min  runs" in shown
    assert "exposure within 500: 0 at risk" in shown
    assert "1 run in a row without a break or an alert: 0 of 1" in shown
    assert "Next: Wait: stage 1 of 2 runs." in shown
    document = trueup("canary", "abort", *WHY, "--format", "json").json
    assert (document["step"], document["plan"], document["canary"]) == ("classified", None, None)
    refused(trueup("canary", "abort", *WHY), 1, "has no canary")


def test_a_mismatch_ends_it_and_the_commands_say_so(trueup: Program, world: World) -> None:
    world.proposed()
    as_token(world, "approver")
    trueup(*approve(world))
    world.look(SURPRISE)
    assert trueup("canary", "show").out.startswith("No canary is proposed.\n")
    assert "canary ended" in trueup("incident", "show").out


def test_an_export_overwrites_nothing_of_the_bot(trueup: Program, world: World) -> None:
    ledger = world.bot.folder / "ledger.db"
    before = ledger.read_bytes() if ledger.exists() else b""
    for target in (world.bot.config, ledger):
        answer = trueup("incident", "export", "--out", str(target))
        assert (answer.code, answer.out) == (2, ""), target
    assert (ledger.read_bytes() if ledger.exists() else b"") == before
    assert world.bot.config.read_text().startswith("[ledger]")


def test_what_somebody_wrote_cannot_turn_the_page_or_the_terminal(trueup: Program, world: World) -> None:
    trueup("incident", "note", "--text", "a|b \\| c\r\nd \x1b[31mred \N{RIGHT-TO-LEFT OVERRIDE}e <b>f</b>")
    for words in (("incident", "show"), ("incident", "export")):
        out = trueup(*words).out
        assert not {"\x1b", "\r", "\N{RIGHT-TO-LEFT OVERRIDE}"} & set(out), words
    [line] = [line for line in out.splitlines() if "| note |" in line]
    assert "a\\|b \\\\\\| c" in line
    assert line.replace("\\\\", "").replace("\\|", "").count("|") == 7
    assert "<b>" not in line


def test_a_sign_off_is_of_the_plan_that_was_read(trueup: Program, world: World) -> None:
    world.proposed(replace(world.app, actor="ann"))
    read = approve(world)
    assert read[3] in trueup("canary", "show").out
    assert f"--plan {read[3]} --stage 1" in trueup("incident", "next").out
    assert trueup("incident", "show", "--format", "json").json["plan"]["plan_hash"] == read[3]
    answer = trueup("canary", "propose", "--stage", "p1:*:1000000:600", *WHY)
    assert (answer.code, "takes the place of another one" in answer.err) == (0, True)
    line = world.app.incidents.story(world.name)[-1]
    assert line.what == f"canary proposed, replacing the proposal {read[3][:12]} of ann"
    propose_canary(replace(world.app, actor="mallory"), None, ["p1:*:2000000:600"], "quick")
    as_token(world, "approver")
    for words in (read, ("canary", "approve", *WHY)):
        answer = trueup(*words)
        refused(answer, 1, "Nothing was signed off. Proposed is plan")
        told = "".join(answer.err.split())
        assert approve(world)[3] in told
        assert "p1:allsymbolsupto" in told
    refused(trueup(*approve(world, "--stage", "2")), 1, "Stage 2 does not wait for a sign-off, but stage 1")
    assert world.incident.running is None
    assert trueup(*approve(world, "--stage", "1")).code == 0


def test_without_four_eyes_no_plan_has_to_be_named_but_a_wrong_one_is_refused(trueup: Program, world: World) -> None:
    world.bot.environ["TRUEUP_FOUR_EYES"] = "false"
    world.proposed()
    refused(trueup("canary", "approve", "--plan", "0" * 64, *WHY), 1, "is not proposed any more")
    assert trueup("canary", "approve", *WHY).code == 0
    assert world.app.incidents.story(world.name)[-1].reason.endswith("because (four eyes were off)")
