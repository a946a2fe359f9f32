"""The options that several commands share, and what their help says about exit codes."""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from trueup.core.errors import ConfigurationError


class Format(StrEnum):
    """How a command prints its answer."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How to print the answer; errors go to stderr.")]
ProfilesOption = Annotated[
    list[str] | None, typer.Option("--profile", metavar="ID", help="A profile to look at; may be repeated.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every enabled profile; this is the default.")]
SymbolsOption = Annotated[
    list[str] | None,
    typer.Option("--symbol", metavar="SYMBOL", help="A symbol to look at, BTC/USD or BTCUSD; may be repeated."),
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept for those who ask later.")]
WaitOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="How long to wait for another run on the account.")
]

EXIT_CODES = "Exit codes: 0 done, 1 refused by a rule, 2 wrong usage or configuration, 3 inconclusive."
EXIT_CODES_OF_CHECKS = (
    "Exit codes: 0 clean, 1 breaks or unresolved trades, 2 wrong usage or configuration, "
    "3 inconclusive: a feed that the answer needed failed or was incomplete."
)


def add_command(group: typer.Typer, function: Callable[..., object], epilog: str, name: str | None = None) -> None:
    """Add a command whose help is its docstring, a paragraph a line: what it does, more, and an example."""
    paragraphs = [" ".join(part.split()) for part in (function.__doc__ or "").split("\n\n")]
    group.command(name, help="\n\n".join(paragraphs), short_help=paragraphs[0], epilog=epilog)(function)


def chosen(profiles: list[str] | None, everything: bool) -> tuple[str, ...] | None:
    """Return the profiles that a command is about, None for every enabled one; both ways at once are wrong usage."""
    if profiles and everything:
        raise ConfigurationError("--profile and --all exclude each other.", "Leave one of them out.")
    return tuple(profiles) if profiles else None


def seconds(wait: float) -> float:
    """Check a time to wait."""
    if not math.isfinite(wait) or wait < 0:
        raise ConfigurationError(f"--wait {wait} is not a time to wait.", "Give seconds, 0 or more.")
    return wait
