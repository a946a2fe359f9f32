"""The audit as a file: JSON lines, one JSON document, or CSV, written row by row whatever its length."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from trueup.core.audit import HASHED, AuditRow
from trueup.surfaces.cli.files import target

_COLUMNS = (*HASHED, "reverted_at", "prev_hash", "hash")


@dataclass(frozen=True, slots=True)
class Export:
    """What is written out: the rows, and where the chain's head is read once they are."""

    rows: Iterable[AuditRow]
    head: Callable[[], str]


def write(export: Export, form: str, out: Path | None) -> int:
    """Write audit rows to a file or stdout and return how many; a file is there whole or not at all."""
    rows = _Counted(export.rows)
    with target(out) as stream:
        if form == "json":
            _document(rows, export.head, stream)
        elif form == "csv":
            _csv(rows, stream)
        else:
            _lines(rows, stream)
    return rows.number


@dataclass(slots=True)
class _Counted:
    """Rows that are counted as they go by."""

    rows: Iterable[AuditRow]
    number: int = 0

    def __iter__(self) -> Iterator[AuditRow]:
        for row in self.rows:
            self.number += 1
            yield row


def _lines(rows: Iterable[AuditRow], stream: TextIO) -> None:
    stream.writelines(json.dumps(row.as_json()) + "\n" for row in rows)


def _document(rows: Iterable[AuditRow], head: Callable[[], str], stream: TextIO) -> None:
    """Write one document, without ever holding it whole."""
    stream.write('{"rows": [')
    separator = "\n"
    for row in rows:
        stream.write(separator + json.dumps(row.as_json()))
        separator = ",\n"
    stream.write(f'\n], "head": {json.dumps(head())}}}\n')


def _csv(rows: Iterable[AuditRow], stream: TextIO) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in _COLUMNS])


def _cell(value: str | bool | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value or ""
