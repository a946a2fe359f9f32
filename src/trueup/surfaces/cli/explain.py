"""The command explain."""

from pathlib import Path
from typing import Annotated

import typer

from trueup.surfaces.cli.options import Format, FormatOption, add_command
from trueup.surfaces.cli.output import note, print_json, working
from trueup.surfaces.cli.session import open_app

_EXIT_CODES = (
    "Exit codes: 0 told, 2 wrong usage or configuration, 3 inconclusive: the venue, or a feed or ledger row that the "
    "decision needed, could not be read in full."
)


def register(program: typer.Typer) -> None:
    """Add the command."""
    add_command(program, explain, _EXIT_CODES)


def explain(
    context: typer.Context,
    trade: Annotated[str, typer.Argument(metavar="TRADE_ID", help="The trade; `trueup check` names the open ones.")],
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="ID", help="Whose trade, where several have one of that id.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw it too: FILE.png or FILE.svg.")
    ] = None,
    form: FormatOption = Format.TEXT,
) -> int:
    """Tell one trade's story: what is decided about it, and why.

    Its ledger rows, the venue's executions with what became of each, and the audit, in the order of time.

    Example: trueup explain TRD-1 --plot trade.png
    """
    from trueup.service import explain as service
    from trueup.surfaces import pictures
    from trueup.surfaces.cli.views import explanations

    if plot is not None:
        pictures.require(plot)
    app = open_app(context)
    with working("reading"):
        found = service.explain(app, trade, profile)
    if plot is not None:
        with working("drawing"):
            pictures.save(found, plot)
        note(f"picture written to {plot}")
    if form is Format.JSON:
        print_json(found.as_json())
    else:
        explanations.show(found)
    return found.exit_code
