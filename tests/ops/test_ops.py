"""The dashboard and the alert rules name metrics that are really served, and do what they say."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from sqlalchemy.engine import make_url
from tests.cli.program import OURS
from tests.ledger.bot import Bot, a_bot, pause, row, run, sold
from tests.ops.promtool import needs_promtool, promtool
from tests.surfaces.runs import busy

from trueup.core.gate import DeadmanRules
from trueup.surfaces.metrics import METRICS, render

OPS = Path(__file__).parents[2] / "ops"
RULES, RULES_TEST = OPS / "prometheus" / "rules.yml", OPS / "prometheus" / "rules_test.yml"
DASHBOARD = OPS / "grafana" / "trueup.json"
NAME = re.compile(r"\b(?:trueup|reconciliation)_\w+")


@pytest.fixture
def served(tmp_path: Path, sqlite_url: str) -> Iterator[set[str]]:
    """Give the names of all series that a busy set-up serves."""
    assert make_url(sqlite_url).database
    with a_bot(tmp_path, sqlite_url) as bot:
        yield names_of(bot)


def names_of(bot: Bot) -> set[str]:
    bot.profiles = [{"id": name, "allocated_capital": "10000"} for name in ("p1", "p2")]
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    run(app, apply=True)
    busy(bot, app)
    pause(app)
    lines = render(app)[0].decode().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if line and not line.startswith("#")}


@pytest.mark.parametrize("file", [RULES, RULES_TEST, DASHBOARD], ids=lambda file: file.name)
def test_every_metric_that_is_named_is_served(file: Path, served: set[str]) -> None:
    named = set(NAME.findall(file.read_text()))
    assert len(named) > 15
    assert not named - served


def test_the_rules_call_the_loop_dead_when_the_gate_does() -> None:
    seconds = DeadmanRules().timeout_ms // 1000
    text = RULES.read_text()
    for metric in ("trueup_seconds_since_last_run", "trueup_heartbeat_age_seconds"):
        assert re.findall(rf"expr: {metric} > (\d+)", text) == [str(seconds)]


def test_every_metric_is_on_the_dashboard() -> None:
    named = {name.removesuffix("_bucket") for name in NAME.findall(DASHBOARD.read_text())}
    seen_elsewhere = {"trueup_heartbeat_healthy", "trueup_last_run_mismatches", "trueup_last_run_status"}
    assert {metric.name for metric in METRICS} - named == seen_elsewhere


def test_the_dashboard_is_current() -> None:
    done = subprocess.run(
        [sys.executable, OPS / "grafana" / "make_dashboard.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_alert_is_tested() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    assert len(alerts) > 15
    assert len(set(alerts)) == len(alerts)
    for alert in alerts:
        assert len(re.findall(rf"alertname: {alert}\b", RULES_TEST.read_text())) >= 2, alert


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", RULES.name, folder=RULES.parent)


@needs_promtool
def test_the_rules_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", RULES_TEST.name, folder=RULES.parent)


@needs_promtool
def test_promtool_accepts_what_a_real_server_answers(tmp_path: Path, sqlite_url: str) -> None:
    with a_bot(tmp_path, sqlite_url) as bot:
        names_of(bot)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "trueup", "serve", "--port", "0", "--format", "json"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=clean, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert server.stdout is not None
            said = b"".join(iter(server.stdout.readline, b"}\n")) + b"}"
            with urlopen(f"{json.loads(said)['url']}/metrics", timeout=30) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                promtool("check", "metrics", given=answer.read())
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
