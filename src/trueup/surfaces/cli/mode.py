"""The commands about safe modes: mode set, mode show."""

from typing import TYPE_CHECKING, Annotated

import typer

from trueup.surfaces.cli.flatten import exit_of, flatten_now, rehearse_mode, say_flattened
from trueup.surfaces.cli.options import EXIT_CODES, Format, FormatOption, ReasonOption, add_command
from trueup.surfaces.cli.output import BAD, GOOD, STRONG, Piece, note, print_json, remark, say
from trueup.surfaces.cli.session import acting, open_app
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import short_time

if TYPE_CHECKING:
    from trueup.service.switching import Switched

_MODES = "NORMAL, CLOSE_ONLY, SAFE_MODE, FLATTEN or HALT"


def register(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="How much trading is allowed: set it, or see it.", no_args_is_help=True)
    add_command(group, set_, EXIT_CODES, "set")
    add_command(group, show, EXIT_CODES)
    program.add_typer(group, name="mode")


def set_(
    context: typer.Context,
    mode: Annotated[str, typer.Argument(metavar="MODE", help=f"{_MODES}, from loosest to strictest.")],
    scope: Annotated[
        str,
        typer.Option("--scope", metavar="SCOPE", help="global, account:NAME, profile:ID or symbol:ID:SYMBOL."),
    ],
    reason: ReasonOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With FLATTEN: show what would be canceled and closed, and do nothing.")
    ] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Put a mode in force for a scope, and keep who, when and why.

    Trading is paused from SAFE_MODE upwards; the strictest mode on the way from global to the symbol holds. FLATTEN
    cancels the scope's orders and closes its positions at once; exit 1 or 3 where it ended in HALT.

    Example: trueup mode set SAFE_MODE --scope profile:p1 --reason "ghosts in the ledger"
    """
    from trueup.service.modes import change_json, set_mode, unknown_symbol

    app = acting(context)
    if dry_run:
        raise typer.Exit(rehearse_mode(app, mode, scope, form))
    change = set_mode(app, mode, scope, reason, _told)
    if (told := unknown_symbol(app, change.scope)) is not None:
        remark(told)
    done = flatten_now(app, change)
    if form is Format.JSON:
        more = {"flatten": [each.as_json() for each in done]} if done is not None else {}
        print_json({**change_json(change), **more})
        raise typer.Exit(exit_of(done))
    say(
        (change.scope, STRONG), f": {change.previous.name} -> ", _mode(change.mode.name, change.mode.paused),
        f", by {change.actor}, {short_time(change.at)}: {change.reason}",
    )  # fmt: skip
    for each in done or ():
        say_flattened(each)
    raise typer.Exit(exit_of(done))


def _told(switched: "Switched") -> None:
    """Say how telling a bot went; a bot that goes on is what the person must know first."""
    what = f"{switched.profile_id} {switched.symbol}".strip()
    if switched.report.done:
        remark(f"{what}: the bot says {switched.report.detail}")
    else:
        note(("the bot was not switched: ", BAD), f"{what}: {switched.report.detail}")


def show(context: typer.Context, form: FormatOption = Format.TEXT) -> None:
    """Show the mode of every profile and where it comes from, every scope that is not NORMAL, and the newest changes.

    Example: trueup mode show
    """
    from trueup.service.modes import show_modes

    view = show_modes(open_app(context))
    if form is Format.JSON:
        print_json(view.as_json())
        return
    if view.profiles:
        rows = [
            [profile, _mode(mode.name, mode.paused), "PAUSED" if mode.paused else "RUNNING", scope]
            for profile, (mode, scope) in sorted(view.profiles.items())
        ]
        table((Column("profile"), Column("mode"), Column("trading"), Column("because of")), rows, indent=0)
    else:
        say("There is no profile yet: name one in trueup.toml and run `trueup init`.")
    for profile, why in sorted(view.dead.items()):
        say(f"{profile}, as the gate says it: {why}.")
    if view.tightened:
        say()
        say("Scopes that are not NORMAL:")
        table(
            (Column("scope"), Column("mode")),
            [[scope, _mode(mode.name, mode.paused)] for scope, mode in sorted(view.tightened.items())],
        )
    if view.history:
        say()
        say("Newest changes:")
        _history([[short_time(c.at), c.scope, c.previous.name, c.mode.name, c.actor, c.reason] for c in view.history])

    for entry in view.as_json()["flattening"]:  # type: ignore[attr-defined]  # a list, by its form
        say()
        say(f"Flattening of {entry['scope']} at {entry['account']}: ", (entry["state"], STRONG), f", {entry['detail']}")


def _history(rows: list[list[Piece]]) -> None:
    names = ("when", "scope", "before", "after", "by")
    table((*map(Column, names), Column("why", below=True)), rows)


def _mode(name: str, paused: bool) -> Piece:
    return (name, BAD if paused else GOOD)
