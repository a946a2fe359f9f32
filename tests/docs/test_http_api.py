"""The page of the HTTP API is followed as it stands, against a server that runs."""

import re
import shutil
from pathlib import Path

import pytest
from tests.api.server import an_api
from tests.docs.markdown import ROOT, blocks
from tests.docs.runbook import Runner
from tests.ledger.bot import Bot, a_bot, pause, row, sold

from trueup.core.modes import Mode
from trueup.surfaces.api.reconciling import ServiceReconciling
from trueup.surfaces.api.serving import Place

PAGE = "docs/http-api.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page's examples are curl commands")
def test_every_command_of_the_page_answers_what_it_shows(tmp_path: Path, sqlite_url: str) -> None:
    with a_bot(tmp_path, sqlite_url) as bot:
        follow(bot)


def follow(bot: Bot) -> None:
    bot.sells(sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"))
    app = bot.ready(row("TRD-GHOST"))
    pause(app, Mode.NORMAL)
    with an_api(app, reconciling=ServiceReconciling()) as api:
        environ = {"TOKEN": api.secrets["operator"], **bot.environ, "TRUEUP_CONFIG": str(bot.config)}
        runner = Runner(bot.folder, "", environ, {str(Place().port): api.url.rpartition(":")[2]})
        for block in blocks(PAGE, "console"):
            runner.console(block)


def test_the_page_says_what_holds() -> None:
    text = " ".join((ROOT / PAGE).read_text().split())
    assert f"Port {Place().port} of this machine" in text
    assert re.search(r"<!-- routes: .*? -->\s*\| route", text)
