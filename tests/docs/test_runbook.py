"""The runbook of the EXIT backfill is run as it stands, on both databases."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.docs.markdown import Block, blocks
from tests.docs.runbook import Runner, first_missing, read_console

from trueup.bootstrap import build
from trueup.ledger.attach import OrdersMap
from trueup.ledger.setup import SqlSetup
from trueup.ledger.sql import open_store
from trueup.service.demo_folder import lay_down
from trueup.sim.week import world

PAGE = "docs/exit-backfill.md"
PLAIN_BACKFILL = '[backfill]\ntrueup_order_tag_prefix = "demo"\n'


def lay_down_the_week(folder: Path, url: str) -> None:
    """Set up the demonstration's week before its repair, with the flags of the backfill at their defaults."""
    week = world()
    lay_down(folder, replace(week, config=week.config.partition("[backfill]")[0] + PLAIN_BACKFILL))
    configured = build(folder / "trueup.toml", {}).configured
    store = open_store(url, OrdersMap())
    setup = SqlSetup(store)
    setup.initialise(configured)
    setup.add_orders(week.orders)
    store.books.close()
    store.state.close()


def test_every_command_and_statement_of_the_runbook_does_what_it_shows(tmp_path: Path, ledger_url: str) -> None:
    folder = tmp_path / "week"
    lay_down_the_week(folder, ledger_url)
    runner = Runner(folder, ledger_url)
    page = blocks(PAGE)
    assert {block.language for block in page} == {"console", "sql", "text"}
    for block, following in zip(page, [*page[1:], Block("", "", 0)], strict=True):
        if block.language == "console":
            runner.console(block)
        elif block.language == "sql":
            assert following.language == "text", f"line {block.line}: a statement shows what it answers"
            runner.sql(block, following.text)


def test_a_block_is_read_as_commands_with_their_output_and_exit_code() -> None:
    text = "$ one\nsaid\n(exit code 3)\n$ two\n"
    assert read_console(text) == [("one", ["said"], 3), ("two", [], 0)]


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (["a b", "c"], None),
        (["c", "a b"], "a b"),
        (["a b", "…", "d"], None),
        (["a b", "d"], "d"),
        (["a…", "c"], None),
        (["a"], "a"),
    ],
)
def test_output_is_compared_line_by_line(shown: list[str], missing: str | None) -> None:
    assert first_missing(shown, "a   b\n\nc\nd\n") == missing
