"""What every command is handed: the way to build the App, and the configuration that was named for it."""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from trueup.service.app import App, LivePlace, TrialPlace

NAME = "trueup"

COLLECT_OFTEN = (50_000, 20, 100)
"""How many objects a program that stays makes between two collections of garbage: its memory is as flat as that."""

Say = Callable[[str], None]
Demo = Callable[[str | None, Path, Say, str], int]
"""Runs the demonstration in a folder, tells it line by line, and returns the exit code.

The first argument names a simulated venue, None is the made-up week of exported files; the last one is how the program
is called from a shell.
"""
Trial = Callable[[str, Path, int, int, Mapping[str, str]], "AbstractContextManager[TrialPlace]"]
"""Serves a simulated venue: its name, the bot's folder, the port, the seed, and the faults by name and ratio."""

Live = Callable[[Path, int], "AbstractContextManager[LivePlace]"]
"""Runs a simulated venue with a careless bot on it: the bot's folder, and the seed."""


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the program; `config` is what --config names."""

    build: "Callable[[Path | None], App]"
    demo: Demo
    trial: Trial
    live: Live
    config: Path | None = None

    @property
    def program(self) -> list[str]:
        """Return the words that a command to type next begins with."""
        return [called(sys.argv[0]), *(["--config", str(self.config)] if self.config is not None else [])]


def called(started: str) -> str:
    """Return how a shell finds the program again that was started by a path: by its name, else by its whole path."""
    path = Path(started)
    if path.name != NAME or not path.is_file():
        return NAME
    found = shutil.which(NAME)
    same = found is not None and Path(found).resolve() == path.resolve()
    return NAME if same else os.path.abspath(path)


def session_of(context: typer.Context) -> Session:
    """Return the session that a command runs in."""
    found = context.find_object(Session)
    assert found is not None
    return found


def open_app(context: typer.Context, *, creates: bool = False, logs: str | None = None) -> "App":
    """Build the App of a command; one that creates no ledger needs one that is named, or there.

    `logs` is the level that a command logs from where the environment names none; None is a command that says on
    stdout and stderr all that it has to say.
    """
    session = session_of(context)
    app = session.build(session.config)
    app.start_logs(logs)
    if not creates:
        app.require_ledger()
    return app


def acting(context: typer.Context) -> "App":
    """Build the App of a command that acts: in the name of the token in TRUEUP_TOKEN, if its role may."""
    from trueup.service.tokens import Permission, in_the_name_of

    return in_the_name_of(open_app(context), Permission.ACT)


def stays() -> None:
    """Collect garbage often from now on: a command that ends soon leaves it to its end, one that stays would grow."""
    gc.set_threshold(*COLLECT_OFTEN)
