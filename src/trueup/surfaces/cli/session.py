"""What every command is handed: the way to build the App, and the configuration that was named for it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from trueup.service.app import App

Say = Callable[[str], None]
Demo = Callable[[Path, Say], int]
"""Runs the demonstration in a folder, tells it line by line, and returns the exit code."""


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the program; `config` is what --config names."""

    build: "Callable[[Path | None], App]"
    demo: Demo
    config: Path | None = None

    @property
    def program(self) -> list[str]:
        """Return the words that a command to type next begins with."""
        return ["trueup", *(["--config", str(self.config)] if self.config is not None else [])]


def session_of(context: typer.Context) -> Session:
    """Return the session that a command runs in."""
    found = context.find_object(Session)
    assert found is not None
    return found


def open_app(context: typer.Context, *, creates: bool = False) -> "App":
    """Build the App of a command; one that creates no ledger needs one that is named, or there."""
    session = session_of(context)
    app = session.build(session.config)
    if not creates:
        app.require_ledger()
    return app
