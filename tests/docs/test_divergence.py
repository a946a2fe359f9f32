"""The runbook of a divergence is run as it stands, on both databases."""

import json
import shutil
from pathlib import Path

from tests.docs.markdown import Block, blocks
from tests.docs.runbook import Runner

from trueup.bootstrap import build
from trueup.ledger.attach import OrdersMap
from trueup.ledger.setup import SqlSetup
from trueup.ledger.sql import open_store

PAGE = "docs/divergence.md"
WORLD = Path(__file__).parent / "divergence"


def test_every_command_and_statement_of_the_divergence_runbook_does_what_it_shows(
    tmp_path: Path, ledger_url: str
) -> None:
    folder = tmp_path / "bot"
    shutil.copytree(WORLD, folder)
    store = open_store(ledger_url, OrdersMap())
    setup = SqlSetup(store)
    setup.initialise(build(folder / "trueup.toml", {}).configured)
    setup.add_orders(json.loads((folder / "orders.json").read_text()))
    store.close()
    runner = Runner(folder, ledger_url)
    page = blocks(PAGE)
    assert {block.language for block in page} == {"console", "sql", "text"}
    for block, following in zip(page, [*page[1:], Block("", "", 0)], strict=True):
        if block.language == "console":
            runner.console(block)
        elif block.language == "sql":
            assert following.language == "text", f"line {block.line}: a statement shows what it answers"
            runner.sql(block, following.text)
