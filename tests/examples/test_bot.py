"""The example bot trades on a simulated exchange only as long as the gate allows it: modes, and the dead-man."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.docs.markdown import ROOT
from tests.ledger.bot import pause

from trueup.bootstrap import SystemClock, build
from trueup.core.modes import Mode
from trueup.service.app import App
from trueup.service.setup import initialise
from trueup.sim.live import PROFILE, running_live

TIMEOUT_S = 2.0
SETTINGS = f"""
[safety]
deadman_timeout_seconds = {TIMEOUT_S}
"""
PATIENCE_S = 60


@dataclass
class Running:
    """The example bot as a process, and what it says with the moment at which it was heard."""

    process: subprocess.Popen[str]
    lines: "queue.Queue[tuple[float, dict[str, Any]]]" = field(default_factory=queue.Queue)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put((time.monotonic(), json.loads(line)))

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> tuple[float, dict[str, Any]]:
        """Wait for a line, and return it with its moment."""
        over = time.monotonic() + PATIENCE_S
        seen = []
        while time.monotonic() < over:
            try:
                heard, line = self.lines.get(timeout=1)
            except queue.Empty:
                assert self.process.poll() is None, self.process.communicate()
                continue
            seen.append(line)
            if wanted(line):
                return heard, line
        raise AssertionError(f"never heard; the last lines: {seen[-20:]}")


@contextmanager
def started(command: list[str], folder: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, cwd=folder, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@dataclass
class Scene:
    """An exchange with a worker and the example bot on it."""

    app: App
    worker: subprocess.Popen[str]
    bot: Running


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with running_live(tmp_path, SystemClock().now_ms) as exchange:
        world = exchange.world
        (tmp_path / "trueup.toml").write_text(world.config + SETTINGS)
        app = build(tmp_path / "trueup.toml", world.environ)
        initialise(app)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TRUEUP")} | world.environ
        command = [sys.executable, str(ROOT / "examples" / "bot.py"), "--url", exchange.url, "--profile", PROFILE]
        command += ["--pause", "0.1"]
        with (
            started([sys.executable, "-m", "trueup", "worker"], tmp_path, environ) as worker,
            started(command, tmp_path, environ) as process,
        ):
            bot = Running(process)
            listener = threading.Thread(target=bot.listen, daemon=True)
            listener.start()
            try:
                wait_for_beats(app)
                yield Scene(app, worker, bot)
            finally:
                process.kill()
                listener.join()
                app.close()


def wait_for_beats(app: App) -> None:
    over = time.monotonic() + PATIENCE_S
    while set(app.heartbeats.beats()) != {"account:sim", f"bot:{PROFILE}"}:
        assert time.monotonic() < over, app.heartbeats.beats()
        time.sleep(0.1)


def sent(intent: str) -> Callable[[dict[str, Any]], bool]:
    return lambda line: line["what"] == "sent" and line["intent"] == intent


def test_an_order_after_the_loop_died_is_stopped_in_time(scene: Scene) -> None:
    scene.bot.until(sent("open"))
    scene.bot.until(sent("reduce"))
    scene.bot.until(sent("open"))
    scene.worker.send_signal(signal.SIGKILL)
    scene.worker.wait()
    killed = time.monotonic()
    heard, line = scene.bot.until(lambda line: line["what"] == "refused")
    assert line["mode"] == "SAFE_MODE"
    assert heard - killed < TIMEOUT_S + 1
    time.sleep(max(killed + TIMEOUT_S + 1 - time.monotonic(), 0))
    while not scene.bot.lines.empty():
        scene.bot.lines.get()
    after = [scene.bot.until(lambda _: True)[1] for _ in range(5)]
    assert {line["what"] for line in after} == {"refused"}
    assert any("no healthy heartbeat of account:sim" in line["reason"] for line in after)


def test_in_close_only_the_bot_closes_and_opens_nothing(scene: Scene) -> None:
    scene.bot.until(sent("open"))
    scene.bot.until(sent("open"))
    pause(scene.app, Mode.CLOSE_ONLY)
    scene.bot.until(lambda line: line["what"] == "refused" and line["mode"] == "CLOSE_ONLY")
    heard = [scene.bot.until(sent("reduce"))[1]]
    time.sleep(1)
    while not scene.bot.lines.empty():
        heard.append(scene.bot.lines.get()[1])
    assert not [line for line in heard if line["what"] == "sent" and line["intent"] == "open"]
    pause(scene.app, Mode.NORMAL)
    scene.bot.until(sent("open"))
