"""The commands about the rows of lifecycles: the report, and the backfill of trade ids."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trueup.core.errors import ConfigurationError
from trueup.surfaces.cli.options import AllOption, Format, FormatOption, ProfilesOption, WaitOption, chosen, seconds
from trueup.surfaces.cli.output import note, print_json, working
from trueup.surfaces.cli.session import acting, open_app, session_of

if TYPE_CHECKING:
    from trueup.service.trade_ids import Reverted

EXIT_CODES_OF_REPORT = (
    "Exit codes: 0 clean, 1 anomalies found, 2 wrong usage or configuration, 3 inconclusive: rows cannot be read."
)
EXIT_CODES_OF_IDS = (
    "Exit codes: 0 every row of the bot has its trade id, or would get it; 1 rows are left for a person, or a rule"
    " refused; 2 wrong usage or configuration; 3 inconclusive."
)
EXIT_CODES_OF_HISTORY = (
    "Exit codes: 0 every closed trade has its history row, or would get it; 1 some are left, or a rule refused; 2 wrong"
    " usage or configuration; 3 inconclusive."
)


DryRunIds = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Write nothing, and show what would be; the default, except with --assign, --manual and --revert.",
    ),
]
PlanOption = Annotated[
    str | None, typer.Option("--plan", metavar="HASH", help="Apply only if the plan is still the one reviewed.")
]
AssignOption = Annotated[
    list[str] | None,
    typer.Option("--assign", metavar="ORDER_ID=TRADE_ID", help="Give a row an id, at once; may be repeated."),
]
ManualOption = Annotated[
    list[str] | None,
    typer.Option("--manual", metavar="ORDER_ID", help="Say at once that a row is not the bot's; may be repeated."),
]
RevertOption = Annotated[
    str | None, typer.Option("--revert", metavar="BATCH_ID", help="Take back at once what a batch gave.")
]


class ReportFormat(StrEnum):
    """How the report is written out."""

    TEXT = "text"
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def report(
    context: typer.Context,
    profile: ProfilesOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every row, whatever its profile; this is the default.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A file instead of stdout.")] = None,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="How to print it; parquet needs --out and the extra of this name.")
    ] = ReportFormat.TEXT,
) -> int:
    """Walk orders, positions and history against each other, and name every anomaly; nothing is changed.

    Each finding has its kind, the rows that show it, and what would resolve it. Rows that cannot be read are named, and
    the report is inconclusive for as long as there are any.

    Example: trueup integrity report --format csv --out findings.csv
    """
    from trueup.service.integrity_report import report as walk
    from trueup.surfaces.cli import tabular
    from trueup.surfaces.cli.files import require_target
    from trueup.surfaces.cli.views import integrity_rows as view

    profiles = chosen(profile, everything)
    if out is not None and form in (ReportFormat.TEXT, ReportFormat.TABLE):
        raise ConfigurationError("--out is for a file of findings.", "Add --format json, csv or parquet.")
    app = open_app(context)
    if out is not None:
        require_target(out, app.own_files)
    packed = tabular.require_parquet(out) if form is ReportFormat.PARQUET else None
    with working("walking the lifecycles") as progress:
        found = walk(app, profiles, progress)
        if form is ReportFormat.JSON:
            tabular.write_json(found.findings(), found.summary, out)
        elif form is ReportFormat.CSV:
            tabular.write_csv(found.findings(), out)
        elif packed is not None:
            tabular.write_parquet(found.findings(), packed)
        else:
            view.show_report(found, session_of(context).program)
    if out is not None:
        note(f"{sum(found.counts.values())} findings written to {out}")
    if form in (ReportFormat.CSV, ReportFormat.PARQUET):
        for item in found.unknown:
            note(f"unknown: {item.what}")
    return found.exit_code


def backfill(  # noqa: PLR0913  # Typer makes the command's options of the arguments
    context: typer.Context,
    *,
    profile: ProfilesOption = None,
    everything: AllOption = False,
    dry_run: DryRunIds = False,
    apply: Annotated[bool, typer.Option("--apply", help="Give the ids.")] = False,
    plan: PlanOption = None,
    assign: AssignOption = None,
    manual: ManualOption = None,
    revert: RevertOption = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; needed for what a person decides.")
    ] = None,
    wait: WaitOption = 0.0,
    form: FormatOption = Format.TEXT,
) -> int:
    """Give the bot's rows without a trade id the id that their tags or their lifecycle prove; blank ids become NULL.

    Whatever could be read in two ways is left and listed, for a person to decide with --assign or --manual. A lifecycle
    gets its id whole or not at all; every change is in the audit, and --revert takes a batch back. Those three write at
    once; --dry-run shows beforehand what they would do.

    Example: trueup integrity backfill, then trueup integrity backfill --apply --plan HASH
    """
    from trueup.service import trade_ids
    from trueup.surfaces.cli.views import integrity_rows as view

    profiles = chosen(profile, everything)
    ways = [apply, bool(assign or manual), revert is not None]
    if sum(ways) > 1:
        raise ConfigurationError(
            "--apply, --assign or --manual, and --revert exclude each other.",
            "Do one after the other; what a person decides needs no --apply.",
        )
    _one_way(dry_run=dry_run, apply=apply, reverts=revert is not None, plan=plan)
    app = acting(context) if (apply or assign or manual or revert) and not dry_run else open_app(context)
    with working("reading the rows without a trade id") as progress:
        if revert is not None:
            taken = trade_ids.revert(app, revert, reason or "", seconds(wait), progress, dry_run=dry_run)
        elif assign or manual:
            named = tuple(assign or ()), tuple(manual or ())
            asked = trade_ids.ByHand(*named, reason or "", seconds(wait), dry_run)
            given = trade_ids.by_hand(app, asked)
        else:
            request = trade_ids.IdRequest(profiles, apply, plan, seconds(wait))
            given = trade_ids.backfill(app, request, progress)
    if revert is not None:
        _show_taken(taken, form)
        return 0
    if form is Format.JSON:
        print_json(given.as_json())
    else:
        view.show_naming(given, session_of(context).program)
    return given.exit_code


def history(  # noqa: PLR0913  # Typer makes the command's options of the arguments
    context: typer.Context,
    *,
    profile: ProfilesOption = None,
    everything: AllOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be added; this is the default.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Add the rows.")] = False,
    plan: PlanOption = None,
    revert: Annotated[
        str | None, typer.Option("--revert", metavar="BATCH_ID", help="Take back what a batch added.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; needed for --revert.")] = None,
    wait: WaitOption = 0.0,
    form: FormatOption = Format.TEXT,
) -> int:
    """Add the history rows that closed trades lack, made from the trade's own orders and their proof.

    A trade of which the report says anything else is left and listed, and so is one that closed just now, since the bot
    may be about to write its row. Every row is in the audit, and --revert takes a batch back at once; --dry-run shows
    beforehand what it would do.

    Example: trueup integrity history, then trueup integrity history --apply --plan HASH
    """
    from trueup.service import histories
    from trueup.surfaces.cli.views import integrity_rows as view

    profiles = chosen(profile, everything)
    _one_way(dry_run=dry_run, apply=apply, reverts=revert is not None, plan=plan)
    app = acting(context) if (apply or revert) and not dry_run else open_app(context)
    with working("walking the trades") as progress:
        if revert is not None:
            taken = histories.remove_histories(app, revert, reason or "", seconds(wait), progress, dry_run=dry_run)
        else:
            request = histories.HistoryRequest(profiles, apply, plan, seconds(wait))
            told = histories.write_histories(app, request, progress)
    if revert is not None:
        _show_taken(taken, form)
        return 0
    if form is Format.JSON:
        print_json(told.as_json())
    else:
        view.show_histories(told, session_of(context).program)
    return told.exit_code


def _one_way(*, dry_run: bool, apply: bool, reverts: bool, plan: str | None) -> None:
    """Refuse options that exclude each other."""
    if dry_run and apply:
        raise ConfigurationError("--dry-run and --apply exclude each other.", "Leave one of them out.")
    if apply and reverts:
        raise ConfigurationError("--apply and --revert exclude each other.", "Do one after the other.")
    if plan is not None and not apply:
        raise ConfigurationError("--plan is for an apply, and this is none.", "Add --apply, or leave --plan out.")


def _show_taken(taken: "Reverted", form: Format) -> None:
    from trueup.surfaces.cli.views import integrity_rows as view

    if form is Format.JSON:
        print_json(taken.as_json())
    else:
        view.show_reverted(taken)
