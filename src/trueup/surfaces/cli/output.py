"""Where answers and messages go: stdout has the answer and nothing else, stderr the rest.

Colours, borders and spinners are for terminals. Elsewhere a table is aligned text that no line length breaks, so that
`grep` and `awk` find whole ids. What venues and ledgers wrote is shown without its control characters.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Piece = str | tuple[str, str]
"""Text, or text with a style (`bold red`)."""

GOOD, BAD, WARN, FAINT, STRONG = "green", "bold red", "yellow", "dim", "bold"
_TABLE_INDENT = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; numbers stand to the right, and a long one gets what width is left."""

    title: str
    number: bool = False
    long: bool = False


def print_json(document: object) -> None:
    """Print the one document that a command answers with."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def say(*pieces: Piece, indent: int = 0) -> None:
    """Print a line of the answer."""
    _write(sys.stdout, (" " * indent, *pieces))


def note(*pieces: Piece) -> None:
    """Print a message that is not part of the answer."""
    sys.stdout.flush()
    _write(sys.stderr, pieces)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Piece]], indent: int = _TABLE_INDENT) -> None:
    """Print a table of the answer; nothing where it has no rows."""
    if not rows:
        return
    if sys.stdout.isatty():
        _draw(columns, rows, indent)
    else:
        _align(columns, rows, indent)


@contextmanager
def working(text: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what long work is at; what is yielded takes the next text."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=_console(sys.stderr), transient=True) as progress:
        task = progress.add_task(clean(text), total=None)
        yield lambda what: progress.update(task, description=clean(what))


def clean(text: str) -> str:
    """Return text that no terminal obeys: control and formatting characters are written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _write(stream: TextIO, pieces: Sequence[Piece]) -> None:
    if stream.isatty():
        _console(stream).print(_text(pieces), soft_wrap=True)
    else:
        stream.write("".join(map(_plain, pieces)).rstrip() + "\n")


def _plain(piece: Piece) -> str:
    return clean(piece if isinstance(piece, str) else piece[0])


def _align(columns: Sequence[Column], rows: Sequence[Sequence[Piece]], indent: int) -> None:
    lines = [[column.title.upper() for column in columns], *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        sys.stdout.write((" " * indent + "  ".join(cells)).rstrip() + "\n")


def _draw(columns: Sequence[Column], rows: Sequence[Sequence[Piece]], indent: int) -> None:
    from rich import box
    from rich.padding import Padding
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style=STRONG)
    for column in columns:
        drawn.add_column(
            column.title,
            justify="right" if column.number else "left",
            overflow="fold",
            no_wrap=column.number,
            ratio=1 if column.long else None,
        )
    for row in rows:
        drawn.add_row(*(_text([cell]) for cell in row))
    _console(sys.stdout).print(Padding(drawn, (0, 0, 0, indent)))


def _text(pieces: Sequence[Piece]) -> "Text":
    from rich.text import Text

    return Text.assemble(*(clean(p) if isinstance(p, str) else (clean(p[0]), p[1]) for p in pieces))


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    return Console(file=stream, force_terminal=True, markup=False, highlight=False, emoji=False)
