"""What the README tells a newcomer to do is done as it stands."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.markdown import ROOT, blocks
from tests.docs.runbook import Runner

OWN_TABLE = """
CREATE TABLE my_orders (id TEXT PRIMARY KEY, pair TEXT, side TEXT, filled REAL, avg_price REAL, state TEXT,
                        ts INTEGER, trade TEXT, kind TEXT, exchange_id TEXT, client_id TEXT);
INSERT INTO my_orders VALUES ('1', 'BTC/USD', 'buy', 0.4, 97000, 'filled', 1767315600000, 'TRD-1', 'ENTRY', 'o-0', NULL)
"""

EXPORT = {
    "as_of": "2026-01-02T03:04:05Z",
    "positions": [],
    "closed_orders": [
        {
            "id": "o-1",
            "client_order_id": "bytelyst-bot1-TRD-1-exit",
            "symbol": "BTC/USD",
            "side": "sell",
            "status": "filled",
            "filled_qty": "0.4",
            "filled_avg_price": "97100",
            "filled_at": "2026-01-02T02:40:00Z",
        }
    ],
}


def newcomer(folder: Path, config: str) -> Runner:
    (folder / "trueup.toml").write_text(config)
    (folder / "export").mkdir()
    (folder / "export" / "everything.json").write_text(json.dumps(EXPORT))
    return Runner(folder, "")


def schema(path: Path) -> list[tuple[str]]:
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'my_orders' ORDER BY sql").fetchall()


def test_the_three_commands_attach_a_database_with_a_table_of_its_own(tmp_path: Path) -> None:
    own, _ = (block.text for block in blocks("README.md", "toml"))
    database = tmp_path / "bot.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(OWN_TABLE)
    before = schema(database)
    runner = newcomer(tmp_path, own)
    (block,) = blocks("README.md", "console")
    runner.console(block)
    assert schema(database) == before
    said = runner.run("trueup check").stdout
    assert "TRD-1" in said
    assert "attributed by client_order_id" in said


def test_a_new_database_gets_a_ledger(tmp_path: Path) -> None:
    _, new = (block.text for block in blocks("README.md", "toml"))
    runner = newcomer(tmp_path, new)
    assert runner.run("trueup init").returncode == 0
    assert runner.run("trueup doctor").returncode == 0
    assert runner.run("trueup check").returncode == 0
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"orders", "positions", "trade_history", "profiles", "capital_ledger"} <= tables


def test_the_readme_shows_a_picture_that_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_pictures.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "pictures").glob("*.svg")), ids=lambda path: path.name)
def test_pictures_need_nothing_from_elsewhere(picture: Path) -> None:
    text = picture.read_text()
    assert "url(" not in text.replace("url(#", "")
    assert "@import" not in text
