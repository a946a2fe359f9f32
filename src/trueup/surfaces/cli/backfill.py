"""The commands of the EXIT backfill: run, revert, reapply, list."""

from typing import Annotated

import typer

from trueup.core.errors import ConfigurationError
from trueup.surfaces.cli.options import (
    EXIT_CODES,
    AllOption,
    Format,
    FormatOption,
    ProfilesOption,
    ReasonOption,
    SymbolsOption,
    WaitOption,
    add_command,
    chosen,
    seconds,
)
from trueup.surfaces.cli.output import print_json, remark, working
from trueup.surfaces.cli.session import acting, open_app, session_of
from trueup.surfaces.cli.words import repeated

BatchArgument = Annotated[str, typer.Argument(metavar="BATCH_ID", help="The batch; `trueup backfill list` names them.")]
_EXIT_CODES_OF_RUN = (
    "Exit codes: 0 everything proposed is proven, or booked; 1 something remains unresolved, or a gate or a changed "
    "plan refused; 2 wrong usage or configuration; 3 inconclusive: a feed that was needed failed or was incomplete."
)


def register(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Book the exits that the ledger missed, each with its proof.", no_args_is_help=True)
    add_command(group, run, _EXIT_CODES_OF_RUN)
    add_command(group, revert, EXIT_CODES)
    add_command(group, reapply, EXIT_CODES)
    add_command(group, list_, EXIT_CODES, "list")
    program.add_typer(group, name="backfill")


def run(  # noqa: PLR0913  # Typer makes the command's options of the arguments
    context: typer.Context,
    *,
    profile: ProfilesOption = None,
    everything: AllOption = False,
    symbol: SymbolsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and rehearse; only the audit is written.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Book what is proven.")] = False,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="HASH", help="Apply only if the plan is still the one reviewed.")
    ] = None,
    wait: WaitOption = 0.0,
    form: FormatOption = Format.TEXT,
) -> int:
    """Find the open trades that the venue has closed, and book the missing exits.

    Without --dry-run or --apply, RECON_EXIT_BACKFILL_DRY_RUN decides (yes by default). Review the dry run, then apply
    exactly that: it is booked only if it is still the same.

    Example: trueup backfill run --dry-run, then trueup backfill run --apply --plan HASH
    """
    from trueup.service.backfill import BackfillRequest, run_backfill
    from trueup.service.setup import remarks
    from trueup.service.tokens import Permission, in_the_name_of
    from trueup.surfaces.cli.views import repairs

    profiles = chosen(profile, everything)
    if dry_run and apply:
        raise ConfigurationError("--dry-run and --apply exclude each other.", "Leave one of them out.")
    app = open_app(context)
    applies = apply or not (dry_run or app.backfill.dry_run)
    app = in_the_name_of(app, Permission.ACT) if applies else app
    if plan is not None and not applies:
        raise ConfigurationError("--plan is for an apply, and this is a dry run.", "Add --apply, or leave --plan out.")
    for text in remarks(app, repairs=True):
        remark(text)
    symbols = tuple(symbol) if symbol else None
    request = BackfillRequest(profiles, symbols, apply=applies, plan=plan, wait_seconds=seconds(wait))
    with working("planning") as progress:
        report = run_backfill(app, request, progress)
    if form is Format.JSON:
        print_json(report.as_json())
        for name in report.unknown_symbols:
            remark(f"no open trade, position or managed symbol is called {name}")
    else:
        scope = [*repeated("--profile", profiles), *repeated("--symbol", symbols)]
        repairs.show(report, session_of(context).program, scope)
    return report.exit_code


def revert(
    context: typer.Context,
    batch: BatchArgument,
    reason: ReasonOption,
    wait: WaitOption = 0.0,
    form: FormatOption = Format.TEXT,
) -> None:
    """Take an applied batch back: its rows become canceled, and nothing is deleted.

    A reconcile's run is a batch, too: with its RUN-… its heals and the exits of ghosts are taken back. Refused where a
    trade has changed since.

    Example: trueup backfill revert BATCH_ID --reason "wrong account"
    """
    _undo(context, batch, reason, wait, form, back=True)


def reapply(
    context: typer.Context,
    batch: BatchArgument,
    reason: ReasonOption,
    wait: WaitOption = 0.0,
    form: FormatOption = Format.TEXT,
) -> None:
    """Put a reverted batch in force again: its rows become filled.

    Refused where a trade has changed since.

    Example: trueup backfill reapply BATCH_ID --reason "it was right"
    """
    _undo(context, batch, reason, wait, form, back=False)


def list_(
    context: typer.Context,
    profile: ProfilesOption = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """List the batches, newest first.

    Each with what was decided in it and its state: dry_run, applied, reverted, partly_reverted, nothing_booked (an
    apply without a row to book, or all refused), interrupted (it failed, and booked nothing), or pending (it runs, or
    was killed; the next run closes it).

    Example: trueup backfill list --profile p1
    """
    from trueup.service.audit import batch_json, list_batches
    from trueup.service.gather import choose_profiles
    from trueup.surfaces.cli.views import batches

    app = open_app(context)
    if profile:
        choose_profiles(app, profile)
    found = list_batches(app, profile or None)
    if form is Format.JSON:
        print_json({"batches": [batch_json(batch) for batch in found]})
    else:
        batches.show(found)


def _undo(context: typer.Context, batch: str, reason: str, wait: float, form: Format, *, back: bool) -> None:
    from trueup.service import undo
    from trueup.surfaces.cli.views import batches

    app = acting(context)
    with working(f"{'reverting' if back else 'reapplying'} {batch}"):
        result = (undo.revert if back else undo.reapply)(app, batch, reason, seconds(wait))
    if form is Format.JSON:
        print_json(batches.undone_json(result))
    else:
        batches.show_undone(result, session_of(context).program, back=back)
