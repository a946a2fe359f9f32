"""The real program for the tests: run in this process on a bot's folder, or as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from tests.ledger.bot import Bot

from trueup.service.app import App
from trueup.surfaces.cli.main import run
from trueup.surfaces.cli.session import Demo

OURS = ("ENABLE_RECON", "EXCHANGE_STATE_", "RECON_", "TRUEUP_")
"""How the names of variables begin that would change what the program does."""


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on stdout, which must be the only thing there."""
        return json.loads(self.out)


def no_trial(*asked: object) -> Any:
    raise AssertionError(f"no test in this process serves a simulated venue: {asked}")


def call(build: Callable[[Path | None], App], *words: str, demo: Demo | None = None, terminal: bool = False) -> Answer:
    """Run one command in this process."""
    out, err = (Terminal(), Terminal()) if terminal else (StringIO(), StringIO())
    with redirect_stdout(out), redirect_stderr(err):
        code = run(build, demo or (lambda venue, folder, say, program: 0), no_trial, no_trial, words)
    return Answer(code, out.getvalue(), err.getvalue())


class Program:
    """The program on one bot's folder."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot

    def __call__(self, *words: str, terminal: bool = False) -> Answer:
        return call(lambda _: self.bot.app(), *words, terminal=terminal)


def process(folder: Path, *words: str, environ: dict[str, str] | None = None, python: tuple[str, ...] = ()) -> Answer:
    """Run one command in a process of its own, in a folder, with no settings in its environment but those given."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    command = [sys.executable, *python, "-m", "trueup", *words]
    done = subprocess.run(
        command, cwd=folder, env={**clean, **(environ or {})}, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)
