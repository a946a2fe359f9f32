"""The commands about tokens of the HTTP API: token create, token list, token revoke."""

from typing import TYPE_CHECKING, Annotated

import typer

from trueup.surfaces.cli.options import EXIT_CODES, Format, FormatOption, add_command
from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, Piece, note, print_json, say
from trueup.surfaces.cli.session import open_app
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import short_time

if TYPE_CHECKING:
    from trueup.ports import Token

_ROLES = "viewer reads; operator reads and acts; approver reads and signs off, and does not act."


def register(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Who may use the HTTP API: make, list and revoke tokens.", no_args_is_help=True)
    add_command(group, create, EXIT_CODES)
    add_command(group, list_, EXIT_CODES, "list")
    add_command(group, revoke, EXIT_CODES)
    program.add_typer(group, name="token")


def create(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Who it is for; the audit names them by it.")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help=_ROLES)],
    expires_days: Annotated[
        int | None, typer.Option("--expires-days", metavar="N", help="Days until it expires; without it, never.")
    ] = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """Make a token and print it, this once.

    Only a hash of it is stored. A name is never given twice.

    Example: trueup token create --name alice --role operator --expires-days 90
    """
    from trueup.service.tokens import create_token, token_json

    app = open_app(context)
    made = create_token(app, name, role, expires_days)
    if form is Format.JSON:
        print_json({**token_json(app, made.token), "token": made.secret})
        return
    until = f", until {short_time(made.token.expires_at)}" if made.token.expires_at is not None else ""
    note(f"Token of {made.token.name}, {made.token.role}{until}. Keep it: it is not shown again.")
    say((made.secret, STRONG))


def list_(context: typer.Context, form: FormatOption = Format.TEXT) -> None:
    """List the tokens that were ever made, oldest first.

    Example: trueup token list
    """
    from trueup.service.tokens import list_tokens, token_json, usable

    app = open_app(context)
    tokens = list_tokens(app)
    if form is Format.JSON:
        print_json({"tokens": [token_json(app, token) for token in tokens]})
        return
    if not tokens:
        say("There is no token yet. `trueup serve` or `trueup token create` makes one.")
    names = ("name", "role", "state", "made", "expires")
    table(tuple(map(Column, names)), [_row(token, ok=usable(app, token)) for token in tokens], indent=0)


def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose; `trueup token list` names them.")],
    form: FormatOption = Format.TEXT,
) -> None:
    """Revoke a token: from now on it opens nothing.

    Example: trueup token revoke alice
    """
    from trueup.service.tokens import revoke_token, token_json

    app = open_app(context)
    token = revoke_token(app, name)
    if form is Format.JSON:
        print_json(token_json(app, token))
        return
    say((token.name, STRONG), f" is revoked since {short_time(token.revoked_at or '')}.")


def _row(token: "Token", *, ok: bool) -> list[Piece]:
    state: Piece = ("usable", GOOD) if ok else ("revoked", BAD) if token.revoked_at else ("expired", FAINT)
    expires = short_time(token.expires_at) if token.expires_at is not None else "never"
    return [token.name, token.role, state, short_time(token.created_at), expires]
