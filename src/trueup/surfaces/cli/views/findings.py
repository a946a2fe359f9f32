"""The doctor's findings for people: a line each, what to do below it, all of it readable in 80 columns."""

import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, WARN, Piece, console, plain_text, say

if TYPE_CHECKING:
    from trueup.ports import Check

_INDENT = 6
_COLUMNS = 80


def show(checks: Sequence["Check"]) -> None:
    """Print the findings; what is found stands beside its name, or below it where that would be too wide."""
    names = max((len(plain_text(check.name)) for check in checks), default=0)
    width = console(sys.stdout).width if sys.stdout.isatty() else _COLUMNS
    for check in checks:
        verdict, style = ("ok", GOOD) if check.ok else ("warn", WARN) if not check.exit_code else ("FAIL", BAD)
        start: list[Piece] = [(verdict.ljust(_INDENT), style), (check.name, "" if check.ok else STRONG)]
        found = plain_text(check.found)
        if _INDENT + names + 2 + len(found) <= width:
            say(*start, " " * (names + 2 - len(plain_text(check.name))), found)
        else:
            say(*start)
            _below(found, "", width)
        if not check.ok and check.do:
            _below(plain_text(check.do), FAINT, width, "-> ")


def _below(text: str, style: str, width: int, mark: str = "") -> None:
    """Print text under a finding: broken between words on a terminal, elsewhere in one line that `grep` finds whole."""
    room = max(width - _INDENT, 20) if sys.stdout.isatty() else sys.maxsize
    lines = textwrap.wrap(
        mark + text, room, subsequent_indent=" " * len(mark), break_long_words=False, break_on_hyphens=False
    )
    for line in lines:
        say((line, style), indent=_INDENT)
