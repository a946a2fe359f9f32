"""The lifecycle report as a file: JSON, CSV or Parquet, written finding by finding whatever their number."""

import csv
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.core.errors import ConfigurationError
from trueup.core.integrity.kinds import Finding
from trueup.surfaces.cli.files import target
from trueup.surfaces.cli.views.integrity_rows import COLUMNS, lines

if TYPE_CHECKING:
    from typing import TextIO


def write_json(found: Iterable[Finding], summary: Callable[[], Mapping[str, object]], out: Path | None) -> None:
    """Write one document: the findings, and behind them the summary, which is known at the end."""
    with target(out) as stream:
        stream.write('{"findings": [')
        separator = "\n"
        for item in found:
            stream.write(separator + json.dumps(item.as_json()))
            separator = ",\n"
        rest = json.dumps(dict(summary()), indent=2)
        stream.write(f"],\n{rest[1:].lstrip()}\n")


def write_csv(found: Iterable[Finding], out: Path | None) -> None:
    """Write a table with one line a finding; a cell that a spreadsheet would run as a formula begins with a quote."""
    with target(out) as stream:
        _csv(([_inert(cell) for cell in cells] for cells in lines(found)), stream)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""By what a spreadsheet knows a formula: a bot's ids and symbols can be any text."""


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _csv(rows: Iterable[Sequence[str]], stream: "TextIO") -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)


def require_parquet(out: Path | None) -> Path:
    """Refuse Parquet on a terminal's stdout, and where its extra is not installed, before long work."""
    if out is None:
        raise ConfigurationError("Parquet is no text.", "Name a file with --out FILE.")
    try:
        import duckdb  # noqa: F401  # whether it is there is all that is asked
    except ModuleNotFoundError:
        raise ConfigurationError(
            "Parquet needs the Python package duckdb, which is not installed.",
            "Install it: pip install 'trueup[parquet]'.",
        ) from None
    return out


def write_parquet(found: Iterable[Finding], out: Path) -> None:
    """Write a Parquet file of text columns; it is there whole or not at all."""
    import duckdb

    with tempfile.TemporaryDirectory(dir=out.resolve().parent, prefix=".trueup-") as folder:
        plain, packed = Path(folder, "findings.csv"), Path(folder, "findings.parquet")
        with plain.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            _csv(lines(found), stream)
        database = duckdb.connect(config={"memory_limit": "256MB", "threads": 1})
        try:
            rows = database.read_csv(
                str(plain), header=True, all_varchar=True, delimiter=",", quotechar='"', escapechar='"'
            )
            rows.write_parquet(str(packed))
        finally:
            database.close()
        packed.replace(out.resolve())
