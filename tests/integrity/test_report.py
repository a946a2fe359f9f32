"""The report on real databases: what is planted is found and named, and nothing else; attached ledgers; unread rows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import Program
from tests.integrity.ledgers import Ledger
from tests.integrity.playing import Place, a_place, kinds_of, play
from tests.ledger.attached import Form
from tests.ledger.bot import Bot, at, leave, row

from trueup.core.errors import CannotKnow
from trueup.core.integrity.kinds import ABOUT, Kind
from trueup.core.times import iso
from trueup.service import integrity
from trueup.service.integrity_report import report
from trueup.service.trade_ids import ByHand, by_hand

DOUBLE_ROUND = 2 * (len(Kind) + 4)


@pytest.fixture
def place(tmp_path: Path, ledger_url: str) -> Iterator[Place]:
    with a_place(tmp_path, ledger_url) as made:
        yield made


@pytest.fixture
def bot(place: Place) -> Bot:
    return place.bot


def test_each_kind_alone_and_mixtures_are_found_and_named(place: Place) -> None:
    played = [play(seed, place) for seed in range(DOUBLE_ROUND)]
    assert {game.planted for game in played} >= {(), *((kind,) for kind in Kind)}
    assert not [game for game in played if not game.well]


def test_clean_ledgers_give_nothing(place: Place) -> None:
    for seed in range(1000, 1010):
        place.fill(Ledger(seed).tables())
        assert place.found() == ({}, 0)
    assert () in {kinds_of(seed) for seed in range(20)}


def told(bot: Bot, trade: str = "TRD-1", qty: str = "1", **said: Any) -> None:
    row = {
        "id": f"h-{trade}", "profile_id": "p1", "trade_id": trade, "symbol": "BTC/USD", "side": "long",
        "entry_qty": qty, "exit_qty": qty, "closed_at": iso(at(5)), **said,
    }  # fmt: skip
    bot.db.insert("trade_history", [row])


def kinds(place: Place) -> dict[str, int]:
    return report(place.app).counts


def test_a_ledger_that_trueup_itself_keeps_is_clean(place: Place) -> None:
    from tests.ledger.bot import run, sold

    bot = place.bot
    bot.environ["ENABLE_RECON_EXIT_BACKFILL"] = "true"
    bot.ready(row("TRD-1", "1"), row("TRD-2", "2.0005", 1))
    bot.sells(sold("X1", "1", 10, trade_id="TRD-1"), sold("X3", "2", 12, trade_id="TRD-2"))
    assert run(bot.app(), apply=True).exit_code == 0
    found = report(place.app)
    assert [(item.kind, item.what) for item in found.findings()] == []
    assert found.exit_code == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"qty": None, "quantity": None}, {"status": "odd"}, {"side": "sideways"}, {"action": "HOLD"}, {"symbol": None},
        {"timestamp": None, "filled_at": None}, {"qty": "1", "quantity": "2"},
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_makes_the_report_inconclusive(place: Place, wrong: dict[str, Any]) -> None:
    place.bot.db.orders(row("TRD-1", order_id="e"), leave("TRD-1", **{"order_id": "x", **wrong}))
    told(place.bot)
    found = report(place.app)
    assert found.exit_code == 3
    assert not found.clean
    assert [ref.id for item in found.unknown for ref in item.rows] == ["x"]


def test_a_filled_row_of_which_nothing_says_whose_it_is_makes_the_report_inconclusive(place: Place) -> None:
    nobodys = row(None, order_id="e", source=None)
    others = (
        row(None, order_id="w", source=None, status="new"), row(None, order_id="c", source=None, status="canceled"),
        row(None, order_id="m", source="MANUAL"),
    )  # fmt: skip
    place.bot.db.orders(nobodys, *others)
    found = report(place.app)
    assert (found.exit_code, found.clean, found.counts) == (3, False, {})
    assert [ref.id for item in found.unknown for ref in item.rows] == ["e"]
    integrity.take_snapshot(place.app, keep=True)
    integrity.apply(place.app, wait_s=10.0, dry_run=False)
    with pytest.raises(CannotKnow, match="inconclusive"):
        integrity.validate(place.app, wait_s=10.0, dry_run=False)
    by_hand(place.app, ByHand((), ("e",), "seen"))
    assert report(place.app).clean


def test_a_cell_that_a_spreadsheet_would_run_is_text(place: Place, tmp_path: Path) -> None:
    import csv

    import duckdb

    bad = '=HYPERLINK("http://x")\n"y",é'
    place.bot.db.orders(row(bad, order_id="e", symbol="@SUM(1)", status="canceled"))
    program = Program(place.bot)
    for form in ("csv", "parquet"):
        assert program("integrity", "report", "--format", form, "--out", str(tmp_path / f"out.{form}")).code == 1
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        [found] = csv.DictReader(stream)
    assert (found["trade_id"], found["symbol"]) == (f"'{bad}", "'@SUM(1)")
    [kept] = duckdb.sql(f"SELECT trade_id, symbol FROM '{tmp_path / 'out.parquet'}'").fetchall()
    assert kept == (bad, "@SUM(1)")


def test_unread_rows_of_history_and_positions_are_said(place: Place) -> None:
    place.bot.db.orders(row("TRD-1"), leave("TRD-1"))
    told(place.bot, side="sideways")
    place.bot.db.insert("positions", [{"profile_id": "p1", "symbol": "ETH/USD", "side": "up", "qty": "1"}])
    found = report(place.app)
    assert [item.rows[0].table for item in (list(found.findings()), found.unknown)[1]] == ["trade_history", "positions"]
    assert found.counts == {}


def test_equal_within_a_hundred_millionth_is_equal(place: Place) -> None:
    place.bot.db.orders(row("TRD-1", "1"), leave("TRD-1", "0.99999999"))
    told(place.bot, exit_qty="0.99999999")
    assert kinds(place) == {}
    place.bot.db.run("UPDATE orders SET qty = '0.99999998', quantity = '0.99999998' WHERE action = 'EXIT'")
    assert kinds(place) == {"history_mismatch": 1, "missing_position": 1}


def test_entries_come_first_at_equal_times(place: Place) -> None:
    place.bot.db.orders(row("TRD-1", "1", 3, order_id="z"), leave("TRD-1", "1", 3, order_id="a"))
    told(place.bot)
    assert kinds(place) == {}


def test_a_trade_id_of_two_profiles_is_two_trades(place: Place) -> None:
    for profile in ("p1", "p2"):
        place.bot.db.orders(row("TRD-1", profile_id=profile), leave("TRD-1", profile_id=profile))
        told(place.bot, id=f"h-{profile}", profile_id=profile)
    assert kinds(place) == {}
    place.bot.db.run("DELETE FROM trade_history WHERE profile_id = 'p2'")
    [found] = report(place.app).findings()
    assert (found.kind, found.profile_id) == (Kind.MISSING_HISTORY, "p2")


def test_a_history_that_was_emptied_when_a_trade_was_taken_back_is_no_anomaly(place: Place) -> None:
    place.bot.db.orders(row("TRD-1", status="canceled"))
    told(place.bot, entry_qty="0", exit_qty="0", closed_at=None)
    assert kinds(place) == {}


def test_a_row_of_a_profile_that_nobody_knows_gets_no_command_that_would_refuse_it(place: Place) -> None:
    place.bot.db.orders(row(None, profile_id="p1", source="BOT"), row(None, profile_id="stranger", source="BOT"))
    mine, strange = sorted(report(place.app).findings(), key=lambda found: found.profile_id or "")
    assert (mine.command, "trueup.toml" in mine.resolve) == ("trueup integrity backfill --profile p1", False)
    assert (strange.command, "trueup.toml" in strange.resolve) == (None, True)
    program = Program(place.bot)
    said = program("integrity", "report").out
    assert "--profile stranger" not in said
    assert "blank_trade_id of stranger: no command" in " ".join(said.split())
    assert program("integrity", "backfill", "--profile", "stranger").code == 2


def test_the_command_in_the_text_is_for_every_profile_that_has_such_a_finding(place: Place) -> None:
    place.bot.db.orders(row("TRD-1", profile_id="p1"), row("TRD-2", profile_id="p2"))
    said = " ".join(Program(place.bot)("integrity", "report").out.split())
    assert "backfill run --profile p1 --profile p2" in said


def test_clean_says_nothing_of_what_was_left_out(place: Place) -> None:
    program = Program(place.bot)
    assert "clean: orders, positions and history agree" in program("integrity", "report").out
    place.bot.db.run("DROP TABLE positions")
    answer = program("integrity", "report")
    assert (answer.code, "positions" in answer.out, "agree" in answer.out) == (0, True, False)


def test_the_text_says_what_to_do_about_rows_that_cannot_be_read(place: Place) -> None:
    place.bot.db.orders(row("TRD-1", symbol=None))
    answer = Program(place.bot)("integrity", "report")
    assert answer.code == 3
    assert "unknown: correct the rows" in answer.out


@pytest.mark.parametrize("kind", [Kind.GHOST_POSITION, Kind.MISSING_POSITION, Kind.POSITION_MISMATCH])
def test_no_command_is_said_to_change_a_positions_row_that_the_venue_contradicts(kind: Kind) -> None:
    assert "no command" in ABOUT[kind].resolves
    assert "by hand" in ABOUT[kind].resolves


def test_profiles_that_are_named_are_all_that_is_looked_at(place: Place) -> None:
    place.bot.db.orders(row("TRD-1", profile_id="p2", source="BOT"), leave("abc", profile_id="stranger"))
    assert report(place.app, ["p1"]).clean
    assert report(place.app, ["p2"]).counts == {"missing_position": 1}
    assert report(place.app).counts == {"missing_position": 1, "orphan_exit": 1, "malformed_trade_id": 1}


@pytest.mark.parametrize("clock", ["s", "iso", "digits", "ms"])
def test_an_attached_ledger_is_walked_by_its_own_columns(tmp_path: Path, sqlite_url: str, clock: str) -> None:
    from tests.ledger.bot import a_bot

    with a_bot(tmp_path, sqlite_url) as bot:
        form = Form(qty="REAL", at="TEXT" if clock in ("iso", "digits") else "INTEGER", clock=clock)
        app = form.attach(bot).init()
        found = report(app)
        assert found.counts == {}
        assert len(found.left_out) == 2
        bot.db.run("UPDATE deals SET at = :at WHERE id = 'o4'", {"at": form.moment(-5)})
        assert report(app).counts == {"out_of_order_lifecycle": 1}
        bot.db.run("UPDATE deals SET deal = 'TRD-9' WHERE id = 'o4'")
        assert report(app).counts == {"orphan_exit": 1}


def test_the_command_says_it_in_every_form(place: Place, tmp_path: Path) -> None:
    import duckdb

    program = Program(place.bot)
    assert program("integrity", "report").code == 0
    place.bot.db.orders(row("TRD-1", order_id="e"), leave("TRD-1", order_id="x"))
    answer = program("integrity", "report", "--format", "json")
    assert answer.code == 1
    [found] = answer.json["findings"]
    assert found["kind"] == "missing_history"
    assert found["rows"] == [{"table": "orders", "id": "e"}, {"table": "orders", "id": "x"}]
    assert answer.json["counts"] == {"missing_history": 1}
    assert "missing_history" in program("integrity", "report").out
    assert program("integrity", "report", "--format", "csv").out.splitlines()[1].startswith("missing_history,p1,")
    for form in ("json", "csv", "parquet"):
        file = tmp_path / f"findings.{form}"
        assert program("integrity", "report", "--format", form, "--out", str(file)).code == 1
        assert file.stat().st_size
    assert json.loads((tmp_path / "findings.json").read_text())["clean"] is False
    rows = duckdb.sql(f"SELECT kind, trade_id FROM '{tmp_path / 'findings.parquet'}'").fetchall()
    assert rows == [("missing_history", "TRD-1")]
    assert program("integrity", "report", "--format", "parquet").code == 2
    assert program("integrity", "report", "--profile", "p9").code == 2
