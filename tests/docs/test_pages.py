"""The documentation is current: printed pages, names of modules, examples, links."""

import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.docs.markdown import ROOT, blocks

from trueup.core.orders import DEAD, FILLED, SIDES, WORKING, Action
from trueup.core.snapshot import Feed
from trueup.settings import FLAGS, load
from trueup.venues.file import FileVenue

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_printed_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_pages.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_flag_is_on_its_page() -> None:
    text = (ROOT / "docs" / "flags.md").read_text()
    assert not [flag.name for flag in FLAGS if f"`{flag.name}`" not in text]


def test_every_word_of_a_ledger_row_is_on_its_page() -> None:
    text = (ROOT / "docs" / "ledger-rows.md").read_text()
    words = [*FILLED, *WORKING, *DEAD, *SIDES, *Action]
    assert not [name for name in words if f"`{name}`" not in text]
    assert "docs/ledger-rows.md" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_names_exist(page: Path) -> None:
    for name in sorted(set(re.findall(r"`(trueup(?:\.\w+)+)`", page.read_text()))):
        if not name.endswith((".toml", ".db")):
            assert _names_something(name), name


def _names_something(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return hasattr(importlib.import_module(module), attribute)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_in_python_and_toml_can_be_read(page: Path) -> None:
    name = str(page.relative_to(ROOT))
    for block in blocks(name, "python"):
        compile(block.text, f"{name}:{block.line}", "exec")
    for block in blocks(name, "toml"):
        tomllib.loads(block.text)


def test_the_example_of_flags_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "trueup.toml"
    path.write_text(blocks("docs/flags.md", "toml")[0].text)
    assert load(path, {}).backfill.enabled


def test_the_documents_of_the_file_venue_are_read_whole(tmp_path: Path) -> None:
    whole, beside = (block.text for block in blocks("docs/file-venue.md", "json"))
    path = tmp_path / "export.json"
    path.write_text(whole)
    read = FileVenue("main", path).read()
    assert all(cover.complete for cover in read.all_feeds().values())
    assert not read.malformed
    assert not read.notes
    folder = tmp_path / "alpaca"
    folder.mkdir()
    (folder / "about.json").write_text(beside)
    for name in ("orders", "positions", "activities"):
        (folder / f"{name}.json").write_text("[]")
    read = FileVenue("main", folder).read()
    assert read.feed(Feed.CLOSED_ORDERS).complete
    assert read.feed(Feed.CLOSED_ORDERS).since_ms is not None
    assert read.as_of_source == "venue"


def test_the_file_names_of_the_file_venues_examples_are_understood(tmp_path: Path) -> None:
    text = blocks("docs/file-venue.md", "python")[0].text
    names = re.findall(r'^    "(\w+)": exchange', text, re.MULTILINE)
    assert len(names) == 4
    for name in names:
        (tmp_path / f"{name}.json").write_text(json.dumps({"BTC": "0"} if name == "balance" else []))
    read = FileVenue("main", tmp_path).read()
    given = {feed for feed, cover in read.all_feeds().items() if cover.complete}
    assert given == {Feed.BALANCES, Feed.CLOSED_ORDERS, Feed.OPEN_ORDERS, Feed.FILLS}
