"""The commands that a bot in any language may ask with: gate, heartbeat."""

from typing import TYPE_CHECKING, Annotated

import typer

from trueup.surfaces.cli.options import Format, FormatOption, add_command
from trueup.surfaces.cli.output import BAD, GOOD, STRONG, print_json, say
from trueup.surfaces.cli.session import open_app

if TYPE_CHECKING:
    from trueup.core.gate import GateAnswer

_GATE_CODES = "Exit codes: 0 allowed, 1 refused, 2 wrong usage or configuration, 3 it cannot be known: send nothing."
_BEAT_CODES = "Exit codes: 0 recorded, 2 wrong usage or configuration, 3 the database did not take it."

ProfileArgument = Annotated[str, typer.Argument(metavar="PROFILE", help="The bot's profile.")]


def register(program: typer.Typer) -> None:
    """Add the commands."""
    add_command(program, gate, _GATE_CODES)
    add_command(program, heartbeat, _BEAT_CODES)


def gate(
    context: typer.Context,
    profile: ProfileArgument,
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="BTC/USD or BTCUSD.")],
    *,
    intent: Annotated[
        str, typer.Option("--intent", metavar="open|reduce", help="Whether the order opens or adds, or only reduces.")
    ] = "open",
    notional: Annotated[
        str | None, typer.Option("--notional", metavar="N", help="What the order is worth, in quote currency.")
    ] = None,
    order_ref: Annotated[
        str | None, typer.Option("--order-ref", metavar="REF", help="Your own name of the order: asking again is safe.")
    ] = None,
    form: FormatOption = Format.TEXT,
) -> int:
    """Ask whether a bot may send an order now.

    The answer follows from the modes on the way to the symbol, from the heartbeats of reconciliation and bot, and from
    a canary's limit, of which an allowed order takes its part.

    Example: trueup gate bot1 BTC/USD --intent open --notional 250 --order-ref A-17
    """
    from trueup.service.gate import ask

    answer = ask(open_app(context), profile, symbol, intent, notional, order_ref)
    if form is Format.JSON:
        print_json({"instance_id": profile, "symbol": symbol, "intent": intent.strip().lower(), **answer.as_json()})
    else:
        _say(profile, symbol, intent.strip().lower(), answer)
    return 0 if answer.allowed else 1


def _say(profile: str, symbol: str, intent: str, answer: "GateAnswer") -> None:
    word = ("allowed", GOOD) if answer.allowed else ("refused", BAD)
    say(word, f": {profile} {'may' if answer.allowed else 'may not'} {intent} ", (symbol, STRONG), f": {answer.reason}")
    say(f"mode {answer.mode.name}, because of {answer.because_of}; holds for {answer.lease_ms / 1000:g} s", indent=2)


def heartbeat(
    context: typer.Context,
    profile: ProfileArgument,
    *,
    unhealthy: Annotated[
        bool, typer.Option("--unhealthy", help="The bot runs, and knows that it should not trade.")
    ] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Say that a bot is alive.

    The first healthy one arms the dead-man: a bot that is silent for DEADMAN_TIMEOUT_SECONDS is refused by the gate
    until DEADMAN_RECOVERY_BEATS healthy ones came in a row.

    Example: trueup heartbeat bot1
    """
    from trueup.service.gate import beat_bot, beat_json

    app = open_app(context)
    told = beat_json(app, profile, beat_bot(app, profile, healthy=not unhealthy))
    if form is Format.JSON:
        print_json(told)
    elif told["recovering"]:
        say(f"recorded; {profile} came back: {told['streak']} of {app.safety.deadman.recovery_beats} in a row")
    else:
        say("recorded")
