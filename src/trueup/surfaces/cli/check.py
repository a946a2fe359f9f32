"""The command check."""

import typer

from trueup.surfaces.cli.options import (
    EXIT_CODES_OF_CHECKS,
    AllOption,
    Format,
    FormatOption,
    ProfilesOption,
    SymbolsOption,
    add_command,
    chosen,
)
from trueup.surfaces.cli.output import print_json, remark, working
from trueup.surfaces.cli.session import open_app, session_of


def register(program: typer.Typer) -> None:
    """Add the command."""
    add_command(program, check, EXIT_CODES_OF_CHECKS)


def check(
    context: typer.Context,
    profile: ProfilesOption = None,
    everything: AllOption = False,
    symbol: SymbolsOption = None,
    form: FormatOption = Format.TEXT,
) -> int:
    """Compare the ledger's open trades with the venue; nothing is changed.

    Each disagreement with positions or executions is a break. What cannot be known is named, and never taken for flat.

    Example: trueup check --profile p1
    """
    from trueup.service.check import run_check
    from trueup.service.setup import remarks
    from trueup.surfaces.cli.views import checks

    profiles = chosen(profile, everything)
    app = open_app(context)
    for text in remarks(app, repairs=False):
        remark(text)
    with working("checking") as progress:
        report = run_check(app, profiles, tuple(symbol) if symbol else None, progress)
    if form is Format.JSON:
        print_json(report.as_json())
        for name in report.unknown_symbols:
            remark(f"no open trade, position or managed symbol is called {name}")
    else:
        checks.show(report, session_of(context).program)
    return report.exit_code
