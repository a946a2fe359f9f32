"""The runbook of a divergence is run as it stands, on both databases."""

from pathlib import Path

from tests.docs.markdown import Block, blocks
from tests.docs.runbook import Runner

PAGE = "docs/divergence.md"
FILES = {"toml": "trueup.toml", "json": "venue.json"}


def test_every_command_and_statement_of_the_divergence_runbook_does_what_it_shows(
    tmp_path: Path, ledger_url: str
) -> None:
    runner = Runner(tmp_path, ledger_url)
    page = blocks(PAGE)
    assert {block.language for block in page} == {"console", "sql", "text", *FILES}
    for block, following in zip(page, [*page[1:], Block("", "", 0)], strict=True):
        if block.language in FILES:
            (tmp_path / FILES[block.language]).write_text(block.text)
        elif block.language == "console":
            runner.console(block)
        elif block.language == "sql" and block.text.startswith("INSERT"):
            runner.write(block)
        elif block.language == "sql":
            assert following.language == "text", f"line {block.line}: a statement shows what it answers"
            runner.sql(block, following.text)
