"""The runbook of a divergence is run as it stands, on both databases."""

from pathlib import Path

from tests.docs.markdown import Block, blocks
from tests.docs.runbook import Runner

PAGE = "docs/divergence.md"
FILES = {"toml": "trueup.toml", "json": "venue.json"}


def lay_down(folder: Path) -> None:
    """Write the files that the page shows."""
    for block in blocks(PAGE, *FILES):
        (folder / FILES[block.language]).write_text(block.text)


def orders() -> Block:
    """Return the statement by which the bot of the page wrote its orders."""
    [found] = [block for block in blocks(PAGE, "sql") if block.text.startswith("INSERT")]
    return found


def test_every_command_and_statement_of_the_divergence_runbook_does_what_it_shows(
    tmp_path: Path, ledger_url: str
) -> None:
    lay_down(tmp_path)
    runner = Runner(tmp_path, ledger_url)
    page = blocks(PAGE)
    assert {block.language for block in page} == {"console", "sql", "text", *FILES}
    for block, following in zip(page, [*page[1:], Block("", "", 0)], strict=True):
        if block.language == "console":
            runner.console(block)
        elif block == orders():
            runner.write(block)
        elif block.language == "sql":
            assert following.language == "text", f"line {block.line}: a statement shows what it answers"
            runner.sql(block, following.text)
