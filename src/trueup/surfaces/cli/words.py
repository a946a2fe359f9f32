"""The words that several answers share: times, counts, coverage, and commands to type next."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from trueup.core.decimals import plain
from trueup.core.times import iso
from trueup.surfaces.cli.output import FAINT, WARN, Piece

if TYPE_CHECKING:
    from trueup.core.repair.rows import ExitRow
    from trueup.core.snapshot import Coverage, Snapshot

_AS_OF = {"file_time": ", which is when the file was changed", "clock": ", by this machine's clock"}


def moment(ms: int | None) -> str:
    """Write a time as people read it, UTC, with milliseconds only where there are some; `unknown` for none."""
    return short_time(iso(ms)) if ms is not None else "unknown"


def short_time(text: str) -> str:
    """Write an ISO time as people read it: a blank for the T, no milliseconds where they are zero."""
    return text.replace("T", " ", 1).replace(".000Z", "Z")


def count(number: int, thing: str) -> str:
    """Write a number of things: 1 row, 2 rows, 3 batches."""
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}{'es' if thing.endswith(('s', 'ch')) else 's'}"
    return f"{number} {thing if number == 1 else plural}"


def counts(numbers: Mapping[str, int]) -> str:
    """Write counts by name: 2 ghost_position, 1 missing_in_db."""
    return ", ".join(f"{number} {name}" for name, number in numbers.items())


def command(program: Sequence[str], *words: str) -> str:
    """Write a command as it must be typed."""
    return shlex.join([*program, *words])


def repeated(flag: str, values: Iterable[str] | None) -> list[str]:
    """Return a repeatable option as it was given."""
    return [word for value in values or () for word in (flag, value)]


def as_of(snapshot: "Snapshot") -> str:
    """Say when the venue's claims are of, and who says so."""
    return f"venue as of {moment(snapshot.as_of_ms)}{_AS_OF.get(snapshot.as_of_source, '')}"


def coverage_line(snapshot: "Snapshot") -> list[Piece]:
    """Say how much of each feed was read; feeds that were not read stand out, those of one reason together."""
    names: dict[object, list[str]] = {}
    covers: dict[object, Coverage] = {}
    for feed, cover in snapshot.all_feeds().items():
        key: object = feed if cover.complete or not cover.given else (cover.state, cover.since_ms, cover.reason)
        names.setdefault(key, []).append(feed.value)
        covers[key] = cover
    pieces: list[Piece] = []
    for place, shared in covers.items():
        pieces += [", " if pieces else "", _coverage(", ".join(names[place]), shared)]
    return pieces


def _coverage(name: str, cover: "Coverage") -> Piece:
    if not cover.given:
        return (f"{name} not given", FAINT)
    reach = f" since {moment(cover.since_ms)}" if cover.since_ms is not None else ""
    if cover.complete:
        return f"{name} complete{reach}"
    return (f"{name} {cover.state.value.upper()}{reach}: {cover.reason or 'no reason given'}", WARN)


def price_of(row: "ExitRow") -> str:
    """Write a row's price; one that nobody reported is none, and stands as 0 in the ledger's column."""
    return plain(row.price) if row.price_source != "none" else "none"


def nobodys(symbols: Sequence[str]) -> str:
    """Say at the end of a summary that symbols were asked for which nobody knows; empty where there are none."""
    if not symbols:
        return ""
    return f"; no open trade, position or managed symbol is called {' or '.join(symbols)}"
