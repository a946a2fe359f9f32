import re
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.program import Program, Terminal
from tests.ledger.bot import Bot, row, sold

from trueup.surfaces.cli import output
from trueup.surfaces.cli.output import Piece, clean, say, working
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import count

LONG = "e0a9c2d4-7f31-4d52-9a53-1f6f2b9b7c11" * 3
ESCAPE = "\x1b["


def on_terminal(show: Callable[[], None], columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is shown on a terminal, without its colours."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with redirect_stdout(Terminal()) as stream:
        show()
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


def test_colours_and_borders_are_for_terminals(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for words in (("check",), ("backfill", "run"), ("mode", "show"), ("doctor",), ("explain", "TRD-GHOST")):
        plain, shown = program(*words), program(*words, terminal=True)
        assert ESCAPE not in plain.out
        assert "─" not in plain.out
        assert ESCAPE in shown.out
        assert "─" in shown.out
        assert plain.code == shown.code


def test_no_color_is_respected(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = program("check", terminal=True).out
    assert "\x1b[3" not in out
    assert "\x1b[1;3" not in out


def test_progress_is_shown_on_a_terminal_and_on_stderr_only(program: Program) -> None:
    shown = program("check", terminal=True)
    assert "reading main" in shown.err
    assert "reading main" not in shown.out
    assert not program("check").err


def test_progress_is_told_by_count_where_the_total_is_known(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    bot.accounts = ["main", "other"]
    bot.profiles.append({"id": "p2", "account": "other"})
    bot.venue("other")
    bot.ready(row("TRD-GHOST"), row("TRD-2", profile_id="p2"))
    program = Program(bot)
    for words, said in (
        (("check",), r"reading other.* 1/2 "),
        (("backfill", "run"), r"rehearsing p2.* 1/2 "),
        (("audit", "verify"), r"checking the chain.* 0/2 "),
        (("audit", "export"), r"exporting the audit.* 0/2 "),
    ):
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", program(*words, terminal=True).err)
        assert re.search(said, shown), words


def test_json_on_a_terminal_is_json(program: Program) -> None:
    assert program("check", "--format", "json", terminal=True).json["status"] == "MISMATCH"


def test_ids_are_never_broken_whatever_the_width(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    bot.sells(sold(LONG, client_order_id="bytelyst-p1-TRD-GHOST-exit"))
    bot.ready(row("TRD-GHOST"), row("TRD-" + "X" * 110, symbol="ETH/USD"))
    for columns in ("20", "60", "100", "400"):
        monkeypatch.setenv("COLUMNS", columns)
        for terminal in (True, False):
            out = Program(bot)("backfill", "run", terminal=terminal).out
            assert LONG in out
            assert "TRD-" + "X" * 110 in out


def test_what_others_wrote_moves_no_terminal(bot: Bot) -> None:
    bot.ready(row("TRD-\x1b[2J\u202e[red]ghost", symbol="ETH/USD"))
    for terminal in (True, False):
        out = Program(bot)("check", terminal=terminal).out
        assert "\x1b[2J" not in out
        assert "\u202e" not in out
        assert "TRD-\\x1b[2J\\u202e[red]ghost" in out


def test_a_narrow_terminal_gets_the_last_columns_under_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (Column("trade"), Column("qty", number=True), Column("why", below=True), Column("proof", below=True))
    rows: list[list[Piece]] = [
        ["T-1", ("10", "bold"), "because of " + "many words " * 8, "id-1"],
        ["T-22", "5", "", "id-2"],
    ]
    lines = on_terminal(lambda: table(columns, rows), 60, monkeypatch).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert any("why: because of many words" in line for line in lines)
    assert any("proof: id-1" in line for line in lines)
    assert not any("why: ;" in line for line in lines)


def test_a_table_without_rows_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_terminal(lambda: table((Column("trade"),), []), 60, monkeypatch) == ""


def test_plain_tables_stand_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    table((Column("trade"), Column("qty", number=True), Column("why")), [["T-1", "5", "x y"], ["T-22", "12.5", ""]])
    assert capsys.readouterr().out == "  TRADE   QTY  WHY\n  T-1       5  x y\n  T-22   12.5\n"


def test_working_says_nothing_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with working("thinking") as progress:
        progress("still thinking")
    assert capsys.readouterr() == ("", "")


def test_markup_of_others_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    said = on_terminal(lambda: say("[bold]x[/bold] :smile:", ("[/]", "red")), 60, monkeypatch)
    assert said == "[bold]x[/bold] :smile:[/]\n"


@given(st.text())
def test_clean_text_is_printable_and_keeps_what_was(text: str) -> None:
    assert clean(text).isprintable()
    assert text.isprintable() is False or clean(text) == text


@pytest.mark.parametrize(
    ("number", "thing", "told"),
    [(1, "row", "1 row"), (0, "row", "0 rows"), (2, "batch", "2 batches"), (3, "entry", "3 entries")],
)
def test_counts_are_english(number: int, thing: str, told: str) -> None:
    assert count(number, thing) == told


def test_long_work_says_what_it_is_at_also_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "FIRST_WORD_S", 0.01)
    monkeypatch.setattr(output, "NEXT_WORD_S", 0.01)
    said = StringIO()
    with redirect_stderr(said), working("checking") as progress:
        progress("reading main", 0, 1)
        until = time.monotonic() + 5
        while said.getvalue().count("\n") < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert said.getvalue().splitlines()[-1] == "still at work: reading main (0 s)"
    short = StringIO()
    monkeypatch.setattr(output, "FIRST_WORD_S", 60)
    with redirect_stderr(short), working("checking"):
        pass
    assert short.getvalue() == ""
