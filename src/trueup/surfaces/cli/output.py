"""Where answers and messages go: stdout has the answer and nothing else, stderr the rest.

Colours and spinners are for terminals. What venues and ledgers wrote is shown without its control characters.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from trueup.service.progress import Progress

Piece = str | tuple[str, str]
"""Text, or text with a style (`bold red`)."""

_FEW = 100

FIRST_WORD_S, NEXT_WORD_S = 5.0, 15.0
"""After how many seconds long work says on stderr what it is at, and how often then."""

GOOD, BAD, WARN, FAINT, STRONG = "green", "bold red", "yellow", "dim", "bold"


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


def remark(text: str) -> None:
    """Print what is worth knowing and no part of the answer."""
    note(("note: ", WARN), text)


@contextmanager
def working(text: str) -> Iterator["Progress"]:
    """Show what long work is at; what is yielded takes the next text, and how far it is if known.

    On a terminal it moves; elsewhere a line says so after some seconds, and again later.
    """
    if not sys.stderr.isatty():
        with _slow_work(text) as tell:
            yield tell
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    far = TextColumn("{task.fields[far]}", markup=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), far, TimeElapsedColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        task = progress.add_task(clean(text), total=None, far="")

        def tell(what: str, done: int = 0, total: int | None = None) -> None:
            far = f"{done}/{total}" if total is not None else str(done or "")
            progress.update(task, description=clean(what), completed=done, total=total, far=far)
            if total is None or total <= _FEW:
                progress.refresh()  # many steps are drawn by the clock instead, which costs them nothing

        yield tell


@contextmanager
def _slow_work(text: str) -> Iterator["Progress"]:
    """Say on stderr what work is at that takes long."""
    at, over, began = [text], Event(), monotonic()

    def watch() -> None:
        wait = FIRST_WORD_S
        while not over.wait(wait):
            note(f"still at work: {at[0]} ({monotonic() - began:.0f} s)")
            wait = NEXT_WORD_S

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda what, done=0, total=None: at.__setitem__(0, what)  # noqa: ARG005  # the names are the protocol's
    finally:
        over.set()
        watcher.join()


def clean(text: str) -> str:
    """Return text that no terminal obeys: control and formatting characters are written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _write(stream: TextIO, pieces: Sequence[Piece]) -> None:
    if stream.isatty():
        console(stream).print(styled(pieces), soft_wrap=True)
    else:
        stream.write("".join(map(plain_text, pieces)).rstrip() + "\n")


def plain_text(piece: Piece) -> str:
    """Return a piece without its style."""
    return clean(piece if isinstance(piece, str) else piece[0])


def styled(pieces: Sequence[Piece]) -> "Text":
    """Return pieces as Rich shows them."""
    from rich.text import Text

    return Text.assemble(*(clean(p) if isinstance(p, str) else (clean(p[0]), p[1]) for p in pieces))


def console(stream: TextIO) -> "Console":
    """Return the terminal of a stream; it minds NO_COLOR and TERM by itself."""
    from rich.console import Console

    return Console(file=stream, force_terminal=True, markup=False, highlight=False, emoji=False)
