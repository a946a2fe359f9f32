import re
from dataclasses import replace
from pathlib import Path

import pytest

from trueup.bootstrap import build, demo
from trueup.core.errors import ConfigurationError, TrueupError
from trueup.core.world import Story, World
from trueup.service.demo import run_demo
from trueup.service.demo_folder import MARKER
from trueup.sim.week import world


def told(folder: Path) -> str:
    lines: list[str] = []
    assert demo(folder, lines.append) == 0
    return "\n".join(lines)


def run(folder: Path, told_world: World) -> tuple[int, str]:
    lines: list[str] = []
    code = run_demo(lambda made: build(made / "trueup.toml", {}), told_world, folder, lines.append)
    return code, "\n".join(lines)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_goes_as_it_tells_and_fits_a_narrow_terminal(tmp_path: Path) -> None:
    text = told(tmp_path / "trueup-demo").replace(str(tmp_path), "")
    assert [line for line in text.splitlines() if len(line) > 78 or line != line.rstrip()] == []
    steps = [line for line in text.splitlines() if re.match(r"\d+\. ", line)]
    assert len(steps) == 9
    for what in (
        "ghost_position",
        "The plan hash:",
        "reverted_by_operator",
        "trueup init",
        "12 stay open",
        "25 breaks",
    ):
        assert what in text.replace("plan's", "plan")


def test_it_can_be_run_again_and_tells_the_same(tmp_path: Path) -> None:
    changing = r"BATCH-\w+-\w+|\b[0-9a-f]{64}\b"
    first = re.sub(changing, "X", told(tmp_path))
    assert re.sub(changing, "X", told(tmp_path)) == first


def test_a_rerun_deletes_only_what_the_demonstration_made(tmp_path: Path) -> None:
    told(tmp_path)
    before = names(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    told(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert names(tmp_path) == before | {"notes.txt"}


def test_a_folder_of_somebody_else_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty"):
        told(tmp_path)
    assert names(tmp_path) == {"ledger.db"}


def test_a_marker_of_another_text_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("")
    with pytest.raises(ConfigurationError, match="not empty"):
        told(tmp_path)


def test_a_strange_file_among_the_exports_is_refused(tmp_path: Path) -> None:
    told(tmp_path)
    (tmp_path / "alpaca" / "fills.json").write_text("[]")
    with pytest.raises(ConfigurationError, match=re.escape("fills.json")):
        told(tmp_path)
    assert (tmp_path / "ledger.db").exists()


def test_an_export_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "orders.json").write_text("mine")
    folder = tmp_path / "demo"
    told(folder)
    for path in (folder / "kraken").iterdir():
        path.unlink()
    (folder / "kraken").rmdir()
    (folder / "kraken").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="link"):
        told(folder)
    assert (elsewhere / "orders.json").read_text() == "mine"


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(TrueupError, match="is not a folder"):
        told(tmp_path / "demo")


def test_a_parent_that_is_a_file_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TrueupError, match="cannot be written"):
        told(tmp_path / "file" / "demo")


def test_the_environments_ledger_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUEUP_LEDGER_URL", f"sqlite:///{tmp_path / 'production.db'}")
    monkeypatch.setenv("TRUEUP_CONFIG", str(tmp_path / "production.toml"))
    monkeypatch.setenv("RECON_EXIT_BACKFILL_FLATNESS", "evidence")
    told(tmp_path / "demo")
    assert names(tmp_path) == {f"demo/{name}" for name in names(tmp_path / "demo")}


@pytest.mark.parametrize("wrong", [("BOOK", "client_order_id"), ("NO_GO", "missing_fill_evidence_for_large_remainder")])
def test_a_story_that_does_not_come_true_is_told_and_fails(tmp_path: Path, wrong: tuple[str, str]) -> None:
    week = world()
    stories = tuple(
        Story(s.profile_id, s.trade_id, s.happened, (wrong,)) if s.trade_id == "TRD-DOT-4" else s
        for s in week.stories
    )  # fmt: skip
    code, text = run(tmp_path, replace(week, stories=stories))
    assert code == 1
    assert "did not go as it should" in text
    assert "TRD-DOT-4: decided" in text


def test_a_world_in_which_nothing_is_wrong_is_no_demonstration(tmp_path: Path) -> None:
    week = world()
    open_trades = {story.trade_id for story in week.stories}
    fine = tuple(row for row in week.orders if row["trade_id"] not in open_trades)
    code, _ = run(tmp_path, replace(week, orders=fine, stories=()))
    assert code == 1
