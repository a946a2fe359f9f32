"""`venue snapshot --out`: an export takes the place of an earlier one, and of nothing else."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.program import Answer, Program, call
from tests.ledger.bot import NOW, Bot, at, row

from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ports import EVERYTHING, ReadScope
from trueup.service.app import Account, App
from trueup.venues.file import FileVenue

DOCUMENT = {
    "as_of": iso(at(NOW)),
    "coverage": {"positions": {"state": "complete"}, "balances": {"state": "failed", "reason": "x", "given": False}},
    "positions": [], "closed_orders": [],
}  # fmt: skip


class Exporting(FileVenue):
    """A venue that is asked for its document, and counts how often."""

    asked = 0

    def export(self, scope: ReadScope = EVERYTHING) -> Mapping[str, object]:
        Exporting.asked += 1
        return DOCUMENT


@pytest.fixture(autouse=True)
def nothing_asked() -> None:
    Exporting.asked = 0


def exporting(bot: Bot) -> App:
    venue = Exporting("main", bot.folder / "main.json")
    return replace(bot.app(), accounts={"main": Account("main", Symbols(), lambda: venue)})


def snapshot(program: Program, out: Path) -> Answer:
    return call(lambda _: exporting(program.bot), "venue", "snapshot", "main", "--out", str(out))


def test_a_new_file_is_its_owners_alone_and_an_earlier_snapshot_is_replaced(program: Program, tmp_path: Path) -> None:
    out = tmp_path / "kept.json"
    said = snapshot(program, out)
    assert (said.code, "balances: not given: x" in said.out, "failed" in said.out) == (0, True, False)
    assert json.loads(out.read_text()) == DOCUMENT
    assert out.stat().st_mode & 0o777 == 0o600
    out.write_text(json.dumps({**DOCUMENT, "notes": ["older"]}))
    out.chmod(0o640)
    assert snapshot(program, out).code == 0
    assert json.loads(out.read_text()) == DOCUMENT
    assert out.stat().st_mode & 0o777 == 0o640
    assert not list(tmp_path.glob(".kept*"))


def test_an_empty_file_is_written_and_a_link_stays_a_link(program: Program, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("empty")
    assert snapshot(program, tmp_path / "link").code == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "empty").read_text()) == DOCUMENT


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal", "ledger.db-shm", "trueup.toml"])
@pytest.mark.parametrize("way", ["path", "link", "hard link"])
def test_nothing_takes_the_place_of_the_bots_own_files(bot: Bot, tmp_path: Path, name: str, way: str) -> None:
    """Also not where the file is no database or a snapshot by its content, or is not there at the moment."""
    bot.ready(row("TRD-GHOST"))
    own = tmp_path / name
    before = own.read_bytes() if own.exists() else None
    out = own
    if way != "path":
        if before is None and way == "hard link":
            pytest.skip("there is nothing to link to")
        out = tmp_path / "other.json"
        out.symlink_to(own) if way == "link" else os.link(own, out)
    for words in (("venue", "snapshot", "main"), ("audit", "export")):
        answer = call(lambda _: exporting(bot), *words, "--out", str(out))
        assert (answer.code, answer.out) == (2, "")
        assert "belongs to trueup's own set-up" in answer.err
    assert (own.read_bytes() if own.exists() else None) == before
    assert Exporting.asked == 0


def test_the_state_database_is_an_own_file_too(bot: Bot, tmp_path: Path) -> None:
    bot.ledger = {"state_url": f"sqlite:///{tmp_path}/state%20of.db"}
    state = {file.name for file in bot.app().own_files}
    assert {"ledger.db", "ledger.db-wal", "trueup.toml"} < state
    assert any(name.startswith("state") for name in state)


@pytest.mark.parametrize("text", ["anything", "[]", "{}", '{"as_of": "2026-01-01T00:00:00Z"}', "{" * 100_000, "\x00"])
def test_what_is_no_snapshot_is_not_overwritten_and_the_venue_not_asked(
    program: Program, tmp_path: Path, text: str
) -> None:
    out = tmp_path / "mine"
    out.write_text(text)
    answer = snapshot(program, out)
    assert (answer.code, answer.out) == (2, "")
    assert "is there already and holds something else" in answer.err
    assert out.read_text() == text
    assert Exporting.asked == 0


def test_where_nothing_can_be_written_the_venue_is_not_asked(program: Program, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "nowhere" / "x.json", tmp_path, tmp_path / "file" / "x.json", tmp_path / ("x" * 300)):
        answer = snapshot(program, out)
        assert (answer.code, answer.out) == (2, "")
        assert str(out) in answer.err
    assert Exporting.asked == 0
