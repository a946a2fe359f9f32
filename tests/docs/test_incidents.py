"""The runbook of an incident is run as it stands, on both databases."""

import json
import shutil
from pathlib import Path

from tests.docs.markdown import blocks
from tests.docs.runbook import Runner

from trueup.bootstrap import build
from trueup.ledger.attach import OrdersMap
from trueup.ledger.setup import SqlSetup
from trueup.ledger.sql import open_store

PAGE = "docs/incidents.md"
WORLD = Path(__file__).parent / "incident"


def test_every_command_of_the_incident_runbook_does_what_it_shows(tmp_path: Path, ledger_url: str) -> None:
    folder = tmp_path / "bot"
    shutil.copytree(WORLD, folder)
    store = open_store(ledger_url, OrdersMap())
    setup = SqlSetup(store)
    setup.initialise(build(folder / "trueup.toml", {}).configured)
    setup.add_orders(json.loads((folder / "orders.json").read_text()))
    store.close()
    runner = Runner(folder, ledger_url)
    page = blocks(PAGE)
    assert {block.language for block in page} == {"console"}
    for block in page:
        runner.console(block)
    exported = (folder / "incident.md").read_text()
    assert "- step: restored" in exported
    assert exported.count("canary ended") == 1
    assert exported.count("api:bea") == 5
