"""The commands about canaries: propose, approve, abort, show."""

from typing import Annotated

import typer

from trueup.surfaces.cli.incident import IncidentArgument, tell
from trueup.surfaces.cli.options import EXIT_CODES, Format, FormatOption, ReasonOption, add_command
from trueup.surfaces.cli.output import print_json, remark, say
from trueup.surfaces.cli.session import acting, open_app


def register(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The way back to trading, in small stages that end by themselves.", no_args_is_help=True)
    for command in (propose, approve, abort, show):
        add_command(group, command, EXIT_CODES)
    program.add_typer(group, name="canary")


def propose(
    context: typer.Context,
    stage: Annotated[
        list[str],
        typer.Option(
            "--stage", metavar="PROFILE:SYMBOLS:LIMIT:MINUTES",
            help="Who may trade what (* is all symbols), up to which notional, for how long; repeat it for stages.",
        ),
    ],
    reason: ReasonOption,
    incident: IncidentArgument = None,
    form: FormatOption = Format.TEXT,
) -> None:  # fmt: skip
    """Propose how trading comes back after an incident whose repair is confirmed.

    Example: trueup canary propose --stage p1:BTC/USD:500:30 --stage "p1:*:5000:60" --reason "books agree again"
    """
    from trueup.core.incidents.ways import REPLACED
    from trueup.service.leading import propose_canary

    view = propose_canary(acting(context), incident, stage, reason)
    told = view.story[-1]
    if told.what.startswith(REPLACED):
        remark(f"this proposal takes the place of another one: {told.what}")
    tell(view, form)


def approve(
    context: typer.Context,
    reason: ReasonOption,
    incident: IncidentArgument = None,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="HASH", help="The hash of the plan that you read; four eyes demand it."),
    ] = None,
    stage: Annotated[
        int | None,
        typer.Option("--stage", metavar="NUMBER", help="The stage to start; one more than there are is the end."),
    ] = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """Sign off the next step: the first stage, the next one, or trading restored.

    Whoever proposed the canary cannot, and an approver's token in TRUEUP_TOKEN says who signs; where
    TRUEUP_FOUR_EYES is false, a single operator signs without one.

    What is signed off is the plan that was read: `incident next` prints its hash.

    Example: trueup canary approve --plan HASH --stage 1 --reason "read the plan and the runs"
    """
    from trueup.core.incidents.ways import Read
    from trueup.service.leading import sign_off
    from trueup.service.tokens import Permission, in_the_name_of

    app = in_the_name_of(open_app(context), Permission.SIGN)
    by_token = app.acting_token() is not None
    tell(sign_off(app, incident, reason, Read(plan, stage), by_token=by_token), form)


def abort(
    context: typer.Context,
    reason: ReasonOption,
    incident: IncidentArgument = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """End a canary at once, or take its proposal back; what was in force before is in force again.

    Example: trueup canary abort --reason "the market is too wild"
    """
    from trueup.service.leading import abort_canary

    tell(abort_canary(acting(context), incident, reason), form)


def show(context: typer.Context, incident: IncidentArgument = None, form: FormatOption = Format.TEXT) -> None:
    """Show the canary that is proposed or runs.

    Example: trueup canary show
    """
    from trueup.core.incidents.incident import Step
    from trueup.core.incidents.ways import stage_words
    from trueup.service.leading import show_incident

    view = show_incident(open_app(context), incident)
    found = view.as_json()
    if form is Format.JSON:
        print_json({name: found[name] for name in ("incident_id", "step", "plan", "canary", "next")})
        return
    plan, running = view.incident.plan, view.incident.running
    if plan is None:
        say("No canary is proposed.")
    else:
        say(f"Proposed by {plan.proposed_by}, plan {view.plan_hash}:")
        for number, stage in enumerate(plan.stages, 1):
            done = number <= view.incident.stages_done
            now = running is not None and running.stage == number
            say(f"  {number}. {stage_words(stage)}  {'passed' if done else 'runs' if now else ''}")
    if running is not None:
        for item in view.checklist:
            if item.step is Step.CANARY and item.detail:
                say(f"  {item.what}: {item.detail}")
    say()
    say(f"Next: {view.next.what}")
    say(f"  {view.next.why}")
    for command in view.next.commands:
        say(f"  {command}")
