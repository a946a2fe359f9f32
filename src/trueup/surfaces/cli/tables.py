"""Tables: drawn where a terminal is wide enough, else aligned text; an id is never broken.

Elsewhere than on a terminal a table is one line a row, whatever its length, so that `grep` and `awk` find whole rows.
On a terminal that is too narrow the last columns (`below`) go under their row, word by word.
"""

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from trueup.surfaces.cli.output import FAINT, STRONG, Piece, console, plain_text, say, styled

INDENT = 2
_GAP = 2
_DRAWN_GAP = 3

Row = Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: numbers stand to the right; `below` says that it may go under the row where width is short."""

    title: str
    number: bool = False
    below: bool = False


def table(columns: Sequence[Column], rows: Sequence[Row], indent: int = INDENT) -> None:
    """Print a table of the answer; nothing where it has no rows."""
    if not rows:
        return
    widths = _widths(columns, rows)
    if not sys.stdout.isatty():
        say(_line([column.title.upper() for column in columns], columns, widths), indent=indent)
        for row in rows:
            say(_line([plain_text(cell) for cell in row], columns, widths), indent=indent)
        return
    width = console(sys.stdout).width
    if indent + sum(widths) + _DRAWN_GAP * (len(widths) - 1) <= width:
        _draw(columns, rows, indent)
    else:
        _stack(columns, rows, indent, width)


def _widths(columns: Sequence[Column], rows: Sequence[Row]) -> list[int]:
    return [
        max(len(column.title), *(len(plain_text(row[place])) for row in rows)) for place, column in enumerate(columns)
    ]


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    """Return a line of cells that stand below each other."""
    padded = [
        cell.rjust(width) if column.number else cell.ljust(width)
        for cell, column, width in zip(cells, columns, widths, strict=True)
    ]
    return (" " * _GAP).join(padded).rstrip()


def _draw(columns: Sequence[Column], rows: Sequence[Row], indent: int) -> None:
    from rich import box
    from rich.padding import Padding
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style=STRONG)
    for column in columns:
        drawn.add_column(column.title, justify="right" if column.number else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*(styled([cell]) for cell in row))
    console(sys.stdout).print(Padding(drawn, (0, 0, 0, indent)))


def _stack(columns: Sequence[Column], rows: Sequence[Row], indent: int, width: int) -> None:
    """Print each row as a line, and what does not fit into it under it."""
    first = [place for place, column in enumerate(columns) if not column.below]
    upper = [columns[place] for place in first]
    widths = _widths(upper, [[row[place] for place in first] for row in rows])
    say((_line([column.title for column in upper], upper, widths), STRONG), indent=indent)
    for row in rows:
        pieces: list[Piece] = []
        for place, size in zip(first, widths, strict=True):
            cell = row[place]
            text, space = plain_text(cell), " " * _GAP
            padded = text.rjust(size) if columns[place].number else text.ljust(size)
            pieces.append(padded + space if isinstance(cell, str) else (padded + space, cell[1]))
        say(*pieces, indent=indent)
        told = [(column.title, plain_text(row[place])) for place, column in enumerate(columns) if column.below]
        _under("; ".join(f"{title}: {text}" for title, text in told if text), indent + 2 * INDENT, width)


def _under(text: str, indent: int, width: int) -> None:
    """Print text under a row, broken between words only."""
    for line in textwrap.wrap(text, max(width - indent, 20), break_long_words=False, break_on_hyphens=False):
        say((line, FAINT), indent=indent)
