"""The page of the gate is followed as it stands: its Python in one session, its commands through the real program."""

import contextlib
import io
import os
from pathlib import Path

import pytest
from tests.docs.markdown import ROOT, blocks
from tests.docs.runbook import Runner

import trueup
from trueup.core.gate import DeadmanRules
from trueup.core.modes import Mode
from trueup.settings import load

PAGE = "docs/gate.md"
CONFIG = """
[ledger]
url = "sqlite:///ledger.db"
[[accounts]]
name = "main"
venue = "file:export"
[[profiles]]
id = "bot1"
"""


def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trueup.toml").write_text(CONFIG)
    runner = Runner(tmp_path, "")
    assert runner.run("trueup init").returncode == 0
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TRUEUP")]:
        monkeypatch.delenv(name)
    session: dict[str, object] = {}
    told = io.StringIO()
    for block in blocks(PAGE, "python", "console"):
        if block.language == "console":
            runner.console(block)
        else:
            with contextlib.redirect_stdout(told):
                exec(block.text, session)
    assert told.getvalue() == ""
    assert isinstance(session["answer"], trueup.GateAnswer)
    assert session["answer"].allowed
    gate = session["gate"]
    assert isinstance(gate, trueup.Gate)
    gate.close()


def test_its_settings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [block] = blocks(PAGE, "toml")
    (tmp_path / "trueup.toml").write_text('[[accounts]]\nname = "main"\nvenue = "file:export"\n' + block.text)
    profiles = load(tmp_path / "trueup.toml", {}).profiles
    assert [profile.switch for profile in profiles] == [
        "gate", "freqtrade:http://127.0.0.1:8080", "http:http://127.0.0.1:9000",
    ]  # fmt: skip


def test_it_says_what_holds() -> None:
    text = " ".join((ROOT / PAGE).read_text().split())
    rules = DeadmanRules()
    assert f"`DEADMAN_TIMEOUT_SECONDS` ({rules.timeout_ms // 1000})" in text
    assert f"`DEADMAN_RECOVERY_BEATS` ({rules.recovery_beats})" in text
    assert f"`TRUEUP_GATE_LEASE_MS` ({rules.lease_ms // 1000} s)" in text
    assert f"({rules.action.name})" in text
    assert not [mode for mode in Mode if f"| `{mode.name}` |" not in text]
