"""The commands about the audit: audit verify, audit export."""

import re
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from trueup.core.errors import ConfigurationError
from trueup.surfaces.cli.options import EXIT_CODES, Format, FormatOption, add_command
from trueup.surfaces.cli.output import BAD, GOOD, note, print_json, say, working
from trueup.surfaces.cli.session import open_app
from trueup.surfaces.cli.words import count


class ExportFormat(StrEnum):
    """How the audit is written out; text and jsonl are both a row a line."""

    TEXT = "text"
    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"


def register(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The audit of every decision: is it whole, and what is in it.", no_args_is_help=True)
    verdicts = "Exit codes: 0 the chain is whole, 1 it is broken, 2 wrong usage or configuration, 3 it cannot be read."
    add_command(group, verify, verdicts)
    add_command(group, export, EXIT_CODES)
    program.add_typer(group, name="audit")


def verify(
    context: typer.Context,
    expect_head: Annotated[
        str | None,
        typer.Option("--expect-head", metavar="HASH", help="A head seen earlier; also finds a tail that was cut off."),
    ] = None,
    form: FormatOption = Format.TEXT,
) -> int:
    """Check the audit's hash chain, and name the first row that is broken.

    Keep the head that it prints somewhere else, and give it back next time.

    Example: trueup audit verify --expect-head 9f2c…
    """
    from trueup.service.audit import verify_audit

    if expect_head is not None and not re.fullmatch("[0-9a-f]{64}", expect_head):
        raise ConfigurationError(
            f"--expect-head {expect_head} is no head: a head has 64 digits from 0 to f.",
            "Give the one that `trueup audit verify` printed earlier, in full.",
        )
    app = open_app(context)
    with working("checking the chain") as progress:
        found = verify_audit(app, expect_head, progress)
    broken = None if found.ok else {"seq": found.broken_seq, "reason": found.reason}
    if form is Format.JSON:
        print_json({"ok": found.ok, "rows": found.rows, "head": found.head, "first_broken": broken})
    elif found.ok:
        say(("whole", GOOD), f": {count(found.rows, 'row')}")
        say(f"head {found.head}")
    else:
        say(("BROKEN", BAD), f" at seq {found.broken_seq}: {found.reason}")
        say(f"{count(found.rows, 'row')} read; the head there is {found.head}")
    return 0 if found.ok else 1


def export(
    context: typer.Context,
    batch: Annotated[str | None, typer.Option("--batch", metavar="ID", help="One batch alone.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A file instead of stdout.")] = None,
    form: Annotated[
        ExportFormat,
        typer.Option("--format", help="A row a line (text, jsonl), one document with the head (json), or a table."),
    ] = ExportFormat.TEXT,
) -> None:
    """Write the audit out, row by row, as it is stored.

    Example: trueup audit export --format csv --out audit.csv
    """
    from trueup.service.audit import export_audit
    from trueup.surfaces.cli.export import Export, write
    from trueup.surfaces.cli.files import require_target

    app = open_app(context)
    if out is not None:
        require_target(out, app.own_files)
    with working("exporting the audit") as progress:
        rows = export_audit(app, batch, progress)
        first = next(rows, None)
        if first is None and batch is not None:
            raise ConfigurationError(f"There is no batch {batch!r}.", "`trueup backfill list` names them.")
        all_rows = chain([first] if first is not None else [], rows)
        written = write(Export(all_rows, app.journal.head), form.value, out)
    if out is not None:
        note(f"{count(written, 'row')} written to {out}")
