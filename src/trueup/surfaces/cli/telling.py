"""How the demonstration's lines look on a terminal: steps stand out, commands and decisions are told by colour."""

import re

from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, WARN, Piece, say

COMMAND = "cyan"

_STYLES = (
    (re.compile(r"\d+\. "), STRONG),
    (re.compile(r"   \$ "), COMMAND),
    (re.compile(r" +book |trueup: healed |Ledger equals venue: yes"), GOOD),
    (re.compile(r"bot: (lost|wrote|delays) "), WARN),
    (re.compile(r"Ledger equals venue: NO"), BAD),
    (re.compile(r" +(NO_GO|SKIP_\w+|nothing to insert)  "), WARN),
    (re.compile(r"   (\w+_position) "), WARN),
    (re.compile(r"   [0-9a-f]{64}$"), FAINT),
)


def styled(line: str) -> Piece:
    """Return a line of the demonstration with its style."""
    return next(((line, style) for pattern, style in _STYLES if pattern.match(line)), line)


def tell(line: str) -> None:
    """Print a line of the demonstration."""
    say(styled(line))
