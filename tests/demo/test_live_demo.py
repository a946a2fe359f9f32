"""The main job at simulated venues, through alpaca-py and ccxt over HTTP: as the README's commands start it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from trueup.core.snapshot import Feed
from trueup.core.symbols import Symbols
from trueup.sim.trial import KEY, KINDS, SECRET
from trueup.venues.file import FileVenue

TRUEUP = [sys.executable, "-m", "trueup"]


def called(*words: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "TRUEUP_TRACEBACK": "1", **environ}
    return subprocess.run(
        [*TRUEUP, *words], check=False, cwd=folder, env=known, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("venue", KINDS)
def test_the_demo_at_a_venue_does_the_main_job(venue: str, tmp_path: Path) -> None:
    done = called("demo", "--venue", venue, "--folder", "bot", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("missing_in_db", "Plan hash", "rows booked, batch", "filled again", "The audit is whole"):
        assert word in done.stdout
    assert f"{venue}-secret" not in done.stdout
    assert b"-secret" not in b"".join(path.read_bytes() for path in (tmp_path / "bot").iterdir() if path.is_file())


@contextmanager
def serving(folder: Path, *words: str, said: list[str] | None = None) -> Iterator[dict[str, str]]:
    """Serve a trial, and give the environment that it tells to set; what it says goes to `said`."""
    command = [*TRUEUP, "sim", "serve", "--port", "0", "--folder", "bot", *words]
    known = {**os.environ, "PYTHONUNBUFFERED": "1"}
    listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores Ctrl-C
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=known,
        preexec_fn=listening,  # noqa: PLW1509  # nothing else runs in the child before it becomes the program
    )  # fmt: skip
    assert process.stdout is not None
    try:
        told = ""
        while "backfill run --dry-run" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        if said is not None:
            said.append(told)
        yield dict(re.findall(rf"({KEY}|{SECRET})=(\S+)", told))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        process.stdout.close()


def test_what_is_served_is_doctored_checked_and_kept_in_a_file(tmp_path: Path) -> None:
    with serving(tmp_path, "--venue", "alpaca", "--seed", "4") as environ:
        bot = tmp_path / "bot"
        doctor = called("doctor", folder=bot, **environ)
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        checked = called("check", "--format", "json", folder=bot, **environ)
        assert checked.returncode == 1
        kept = called("venue", "snapshot", "sim", "--out", "kept.json", folder=bot, **environ)
        assert kept.returncode == 0, kept.stdout + kept.stderr
        outputs = [done.stdout + done.stderr for done in (doctor, checked, kept)]
    read = FileVenue("sim", bot / "kept.json", Symbols()).read()
    assert all(read.feed(feed).complete for feed in (Feed.POSITIONS, Feed.CLOSED_ORDERS, Feed.FILLS))
    config = (bot / "trueup.toml").read_text()
    replay = re.sub(r'venue = "alpaca"\n.*\n.*\n.*\n', 'venue = "file:kept.json"\n', config)
    assert "base_url" not in replay
    (bot / "replay.toml").write_text(replay)
    again = called("--config", "replay.toml", "check", "--format", "json", folder=bot)
    assert again.returncode == 1
    assert said(again.stdout) == said(checked.stdout)
    secrets = [environ[KEY], environ[SECRET]]
    assert not [text for text in (*outputs, again.stdout, (bot / "kept.json").read_text()) if secrets[1] in text]


def said(document: str) -> list[tuple[object, ...]]:
    breaks = json.loads(document)["breaks"]
    return sorted((b["kind"], b["symbol"], str(b["trade_id"]), str(b["ledger"]), str(b["venue"])) for b in breaks)


def test_without_its_secret_nothing_is_asked_and_the_variable_is_named(tmp_path: Path) -> None:
    with serving(tmp_path) as environ:
        done = called("check", folder=tmp_path / "bot", **{KEY: environ[KEY], SECRET: ""})
        assert done.returncode == 2
        assert f"the environment variable {SECRET}, which secret_env names, is not set" in done.stderr
        wrong = called("check", folder=tmp_path / "bot", **{KEY: environ[KEY], SECRET: "wrong-hush-hush"})
        assert wrong.returncode == 3
        assert "wrong-hush-hush" not in wrong.stdout + wrong.stderr


def test_a_folder_that_is_served_is_made_anew_by_nobody_and_afterwards_it_is_said(tmp_path: Path) -> None:
    with serving(tmp_path):
        kept = (tmp_path / "bot" / "trueup.toml").read_text()
        for words in (("demo",), ("demo", "--venue", "binance"), ("sim", "serve", "--port", "0")):
            refused = called(*words, "--folder", "bot", folder=tmp_path)
            assert refused.returncode == 2, refused.stdout + refused.stderr
            assert "is in use: a `trueup sim serve` runs on it" in refused.stderr
        assert (tmp_path / "bot" / "trueup.toml").read_text() == kept
    done = called("demo", "--venue", "alpaca", "--folder", "bot", folder=tmp_path)
    assert done.returncode == 0
    assert "sim serve --venue alpaca" in done.stdout
    told: list[str] = []
    with serving(tmp_path, said=told):
        assert "The folder was made anew" in told[0]


def test_somebody_elses_folder_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot" / "mine.txt").touch()
    for words in (("demo",), ("sim", "serve", "--port", "0")):
        done = called(*words, "--folder", "bot", folder=tmp_path)
        assert (done.returncode, "not a demonstration's" in done.stderr) == (2, True)


def test_a_fault_that_does_not_exist_and_a_venue_that_does_not_are_named(tmp_path: Path) -> None:
    for words, said_ in (
        (("--fault", "moon=0.5"), "there is no fault 'moon'; known: "),
        (("--fault", "reset"), "'reset' is no NAME=RATIO"),
        (("--fault", "reset=2"), "'reset=2' is no NAME=RATIO"),
        (("--venue", "alpacca"), "There is no simulated venue 'alpacca'."),
    ):
        done = called("sim", "serve", *words, folder=tmp_path)
        assert done.returncode == 2
        assert said_ in done.stderr
