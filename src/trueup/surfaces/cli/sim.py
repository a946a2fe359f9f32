"""The command about the simulated exchange: sim serve."""

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from trueup.core.errors import ConfigurationError
from trueup.surfaces.cli.options import add_command
from trueup.surfaces.cli.output import STRONG, note, say
from trueup.surfaces.cli.session import session_of

_PORT = 8642


def register(program: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(help="A simulated exchange, to try trueup without keys.", no_args_is_help=True)
    add_command(group, serve, "Exit codes: 2 the port or the folder is unusable, 130 stopped with Ctrl-C.")
    program.add_typer(group, name="sim")


def serve(
    context: typer.Context,
    venue: Annotated[
        str, typer.Option("--venue", metavar="NAME", help="Whose API it speaks: alpaca, binance or binanceusdm.")
    ] = "alpaca",
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="The bot's ledger and trueup.toml; made anew at each start.")
    ] = Path("trueup-sim"),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")] = _PORT,
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another week, and other faults.")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault", metavar="NAME=RATIO", help="A fault of the wire and how many requests it strikes; repeatable."
        ),
    ] = None,
) -> None:
    """Serve a simulated exchange on this machine, with a bot's week on it.

    It speaks a real venue's API over HTTP, so that the real client library talks to it unchanged but for its address.
    A folder with the bot's ledger and a trueup.toml is laid down beside it, in place of an earlier one: what you
    changed there is gone then. No folder but one of its own is touched. It answers until Ctrl-C.

    Example: trueup sim serve --venue binance --fault html_200=0.1
    """
    session = session_of(context)
    with session.trial(venue, folder, port, seed, _faults(fault or [])) as place:
        say(place.about)
        say("It answers at ", (place.url, STRONG), f"; the bot's folder is {place.folder}.")
        if place.anew:
            say("The folder was made anew: the earlier ledger, its audit and trueup.toml are gone.")
        say()
        say("In another terminal:")
        say(f"   cd {shlex.quote(str(place.folder))}")
        say("   export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in place.environ.items()))
        for words in ("doctor", "check", "mode set SAFE_MODE --scope global --reason trial", "backfill run --dry-run"):
            say(f"   {shlex.join(session.program[:1])} {words}")
        note("Stop it with Ctrl-C.")
        while True:
            time.sleep(3600)


def _faults(given: list[str]) -> dict[str, str]:
    """Read NAME=RATIO pairs."""
    found: dict[str, str] = {}
    for text in given:
        name, _, ratio = text.partition("=")
        try:
            ok = 0 < float(ratio) <= 1
        except ValueError:
            ok = False
        if not ok:
            raise ConfigurationError(
                f"--fault {text!r} is no NAME=RATIO.", "A ratio is above 0 and at most 1, for example html_200=0.1."
            )
        found[name.strip()] = ratio.strip()
    return found
