"""The commands reconcile and breaks."""

from typing import Annotated

import typer

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
from trueup.surfaces.cli.output import print_json, remark, say, working
from trueup.surfaces.cli.session import open_app, session_of
from trueup.surfaces.cli.words import short_time

_EXIT_CODES_OF_RECONCILE = (
    "Exit codes: 0 all that was found is healed, 1 a break remains, 2 wrong usage or configuration, "
    "3 inconclusive: a feed that the answer needed failed or was incomplete."
)


def register(program: typer.Typer) -> None:
    """Add the commands."""
    add_command(program, reconcile, _EXIT_CODES_OF_RECONCILE)
    group = typer.Typer(help="The breaks across runs: see them, or take one over.", no_args_is_help=True)
    add_command(group, list_breaks, EXIT_CODES, "list")
    add_command(group, show_break, EXIT_CODES, "show")
    add_command(group, acknowledge, EXIT_CODES)
    program.add_typer(group, name="breaks")


TradesOption = Annotated[
    list[str] | None, typer.Option("--trade", metavar="TRADE_ID", help="A trade to look at; may be repeated.")
]


def reconcile(  # noqa: PLR0913, PLR0917  # each parameter is an option of the command line
    context: typer.Context,
    profile: ProfilesOption = None,
    everything: AllOption = False,
    symbol: SymbolsOption = None,
    trade: TradesOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be healed; the run is listed as dry_run, and counted nowhere."),
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Read the whole ledger, whatever changed.")] = False,
    wait: WaitOption = 0.0,
    form: FormatOption = Format.TEXT,
) -> int:
    """Compare orders and positions with the venue, heal what has proof, and record the rest as breaks.

    Each heal is audited and reversible: trueup backfill revert RUN_ID --reason TEXT. What cannot be known waits, and
    what only a person can decide is quarantined.

    Example: trueup reconcile --profile p1 --dry-run
    """
    from trueup.service.cycle import ReconcileRequest
    from trueup.service.reconcile import run_reconcile
    from trueup.service.setup import remarks
    from trueup.surfaces.cli.views import reconciliations

    request = ReconcileRequest(
        profiles=chosen(profile, everything), symbols=tuple(symbol) if symbol else None,
        trade_ids=tuple(trade) if trade else None, dry_run=dry_run, full=full, wait_seconds=seconds(wait),
    )  # fmt: skip
    app = open_app(context)
    for text in remarks(app, repairs=False):
        remark(text)
    with working("reconciling") as progress:
        report = run_reconcile(app, request, progress)
    if form is Format.JSON:
        print_json(report.as_json())
    else:
        reconciliations.show(report, session_of(context).program)
    for name in report.unknown_symbols:
        remark(f"no open trade, position or managed symbol is called {name}")
    for name in report.unknown_trades:
        remark(f"neither the ledger nor the venue has a trade {name}")
    return report.exit_code


def list_breaks(
    context: typer.Context,
    profile: Annotated[str | None, typer.Option("--profile", metavar="ID", help="Of one profile.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="NAME", help="Of one account.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="In one state; else all that are not over.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, the newest first.")] = 50,
    form: FormatOption = Format.TEXT,
) -> int:
    """List the breaks that the reconciliations found.

    Example: trueup breaks list --state quarantined
    """
    from trueup.service.breaks import find_breaks
    from trueup.surfaces.cli.views import reconciliations

    app = open_app(context)
    total, records = find_breaks(app, account=account, profile_id=profile, state=state, page_size=limit)
    now_ms = app.clock.now_ms()
    if form is Format.JSON:
        print_json({"total": total, "breaks": [record.as_json(now_ms) for record in records]})
    else:
        reconciliations.records(records, now_ms)
        say(f"{total} breaks" if total != 1 else "1 break")
    return 0


def show_break(
    context: typer.Context,
    break_id: Annotated[str, typer.Argument(metavar="BREAK_ID", help="The id that `breaks list` shows.")],
    form: FormatOption = Format.TEXT,
) -> int:
    """Show one break: what disagrees, since when, and what becomes of it.

    Example: trueup breaks show BRK-0123
    """
    from trueup.service.breaks import one_break
    from trueup.surfaces.cli.views import reconciliations

    app = open_app(context)
    record = one_break(app, break_id)
    if form is Format.JSON:
        print_json(record.as_json(app.clock.now_ms()))
    else:
        reconciliations.one(record, app.clock.now_ms())
    return 0


def acknowledge(
    context: typer.Context,
    break_id: Annotated[str, typer.Argument(metavar="BREAK_ID", help="The id that `breaks list` shows.")],
    reason: ReasonOption,
    form: FormatOption = Format.TEXT,
) -> int:
    """Take a break over: it is yours to decide, and no run counts it as a mismatch any more.

    It stays on the list until no run sees it, and its reason is kept; so is that of whoever had it before.

    Example: trueup breaks acknowledge BRK-0123 --reason "manual order, mine"
    """
    from trueup.service.breaks import take_over

    app = open_app(context)
    record = take_over(app, break_id, reason)
    if form is Format.JSON:
        print_json(record.as_json(app.clock.now_ms()))
    else:
        *earlier, newest = record.history
        say(f"{record.break_id} is {record.owner}'s: {newest['reason']}")
        for one in reversed(earlier):
            say(f"It was {one['owner']}'s before, since {short_time(one['at'])}: {one['reason']}")
    return 0
