"""The runbook of lifecycle integrity is run as it stands, on both databases."""

from pathlib import Path

from tests.docs.markdown import Block, blocks
from tests.docs.runbook import Runner

from trueup.bootstrap import build
from trueup.ledger.attach import OrdersMap
from trueup.ledger.setup import SqlSetup
from trueup.ledger.sql import open_store

PAGE = "docs/integrity.md"
CONFIG = """
[[accounts]]
name = "main"
venue = "file:export.json"

[[profiles]]
id = "bot1"
account = "main"

[backfill]
trueup_order_tag_prefix = "demo"
"""
ORDERS = """
INSERT INTO orders (order_id, profile_id, symbol, side, qty, price, status, timestamp, trade_id, action, source,
 client_order_id) VALUES
 ('o1', 'bot1', 'BTC/USD', 'buy', '1', '100', 'filled', 1767322800000, 'TRD-0001', 'ENTRY', 'BOT', NULL),
 ('o2', 'bot1', 'BTC/USD', 'sell', '1', '110', 'filled', 1767322860000, 'TRD-0001', 'EXIT', 'BOT', NULL),
 ('o3', 'bot1', 'BTC/USD', 'buy', '2', '100', 'filled', 1767322920000, ' ', 'ENTRY', 'BOT', 'demo-bot1-TRD-0002-entry'),
 ('o4', 'bot1', 'BTC/USD', 'sell', '2', '110', 'filled', 1767322980000, '', 'EXIT', 'BOT', 'demo-bot1-TRD-0002-exit'),
 ('o5', 'bot1', 'ETH/USD', 'buy', '3', '10', 'canceled', 1767323040000, NULL, 'ENTRY', 'MANUAL', NULL)
"""
HISTORY = """
INSERT INTO trade_history (id, profile_id, trade_id, symbol, side, entry_qty, exit_qty, closed_at) VALUES
 ('h1', 'bot1', 'TRD-0001', 'BTC/USD', 'long', '1', '1', '2026-01-02T03:01:00Z'),
 ('h2', 'bot1', 'TRD-0002', 'BTC/USD', 'long', '2', '2', '2026-01-02T03:03:00Z')
"""


def test_every_command_of_the_integrity_runbook_does_what_it_shows(tmp_path: Path, ledger_url: str) -> None:
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / "trueup.toml").write_text(CONFIG)
    store = open_store(ledger_url, OrdersMap())
    SqlSetup(store).initialise(build(folder / "trueup.toml", {}).configured)
    store.close()
    runner = Runner(folder, ledger_url)
    for statement in (ORDERS, HISTORY):
        runner.write(Block("sql", statement, 0))
    page = blocks(PAGE)
    assert {block.language for block in page} == {"console"}
    for block in page:
        runner.console(block)
