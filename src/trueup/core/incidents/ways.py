"""What people do to an incident, and what each step demands before it may be left: the only way to loosen anything.

Invariant 10 (Tighten freely, loosen only through gates): a canary needs confirmed books and the sign-off of another
person than who proposed it; each next stage and the restoration need a stage that passed and such a sign-off again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trueup.core.decimals import plain
from trueup.core.errors import Refused
from trueup.core.incidents.classes import Pattern
from trueup.core.incidents.incident import (
    Act,
    Contained,
    EndCanary,
    Entry,
    Incident,
    Loosen,
    Move,
    Plan,
    Running,
    Stage,
    StartCanary,
    Step,
    Tighten,
)
from trueup.core.incidents.policy import IncidentPolicy
from trueup.core.incidents.written import plan_hash
from trueup.core.modes import Mode
from trueup.core.people import same_person
from trueup.core.times import for_how_long


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the operator's checklist: computed, never typed."""

    step: Step
    what: str
    done: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What is to be done now, why it is allowed (or what is waited for), and the commands that do it."""

    what: str
    why: str
    commands: tuple[str, ...] = ()
    waiting: bool = False


REPAIRS: dict[Pattern, tuple[str, tuple[str, ...]]] = {
    Pattern.DELAY: (
        "Wait, and read again with a wider window: a late event heals by itself, and a repair would double it.",
        ("trueup reconcile --full {whose}",),
    ),
    Pattern.DUP: (
        "Deduplicate by identity: of identical rows the later one is canceled, others are a person's to decide.",
        ("trueup reconcile --full {whose}", "trueup breaks {whose} --kind duplicate"),
    ),
    Pattern.MISSING: (
        "Book from the venue what is missing: each row with its proof, after a dry run that you have read.",
        (
            "trueup breaks {whose}",
            "trueup backfill run {whose} --dry-run",
            "trueup backfill run {whose} --apply --plan HASH",
            "trueup reconcile --full {whose}",
            'trueup breaks acknowledge BREAK_ID --reason "what a person put right, or takes over"',
        ),
    ),
    Pattern.OUT_OF_ORDER: (
        "Read every order again by the venue's time; a heal makes positions, history and capital of its trades anew.",
        ("trueup reconcile --full {whose}", "trueup explain TRADE_ID"),
    ),
}
"""What repairs each class, and the commands that do it."""

_SIGNS = (
    "Somebody else signs off, with an approver's token in TRUEUP_TOKEN or in the console; a single operator sets"
    " TRUEUP_FOUR_EYES=false."
)


def started_repair(incident: Incident, actor: str, reason: str, rules: IncidentPolicy) -> Move:
    """Begin the repair of a classified incident; its whole profile is paused for it, since repairs demand that."""
    _require(incident, Step.CLASSIFIED, "Only a classified incident is repaired.")
    entries = [Entry(Step.REPAIRING, "repair started", actor, reason, incident.run_ids[-1:])]
    incident = replace(incident, step=Step.REPAIRING)
    acts: tuple[Act, ...] = ()
    if incident.scope.startswith("symbol:"):
        where, why = f"profile:{_owner(incident)}", "a repair demands that the profile is paused"
        if rules.enforce:
            acts = (Tighten(where, Mode.SAFE_MODE, f"{incident.incident_id}: {why}"),)
            entries.append(Entry(Step.CONTAINED, f"contained: {where} in SAFE_MODE", actor, why))
        held = Contained(where, Mode.SAFE_MODE, Mode.SAFE_MODE)
        incident = replace(incident, scope=where, contained=(*incident.contained, held))
    return Move(incident, tuple(entries), acts)


def noted(incident: Incident, actor: str, text: str) -> Move:
    """Attach a note."""
    return Move(incident, (Entry(incident.step, "note", actor, text),))


REPLACED = "canary proposed, replacing"
"""How the story begins to tell of a proposal that takes the place of another one."""


def proposed(
    incident: Incident, stages: Sequence[Stage], actor: str, reason: str, now_ms: int, rules: IncidentPolicy
) -> Move:
    """Propose the way back: the stages of a canary; Refused before the books are confirmed."""
    _require(incident, Step.CONFIRMING, "A canary is proposed when the books are confirmed after the repair.")
    missing = [item for item in confirmation(incident, now_ms, rules) if not item.done]
    if missing:
        raise Refused(
            f"{incident.incident_id} is not confirmed yet: {missing[0].what} ({missing[0].detail}).",
            "See `trueup incident next`.",
        )
    if not stages:
        raise Refused("A canary needs at least one stage.", "Name one with --stage PROFILE:SYMBOLS:LIMIT:MINUTES.")
    told = "; ".join(map(stage_words, stages))
    entry = Entry(Step.CONFIRMING, "canary proposed", actor, f"{told}; {reason}")
    if incident.plan is not None:
        known = plan_hash(incident.incident_id, incident.plan)
        what = f"{REPLACED} the proposal {known[:12]} of {incident.plan.proposed_by}"
        entry = replace(entry, what=what)
    return Move(replace(incident, plan=Plan(tuple(stages), actor, now_ms)), (entry,))


def stage_words(stage: Stage) -> str:
    """Return a stage in words."""
    symbols = ", ".join(stage.symbols) if stage.symbols is not None else "all symbols"
    return f"{stage.profile_id}: {symbols} up to {plain(stage.limit)} for {_minutes(stage.duration_ms)} min"


def _minutes(duration_ms: int) -> str:
    return plain((Decimal(duration_ms) / 60_000).quantize(Decimal("0.01")).normalize())


@dataclass(frozen=True, slots=True)
class SignOff:
    """A person's word that the next step may be taken.

    `canary_id` names the canary that it would start, `exposure` is what is at risk in its stage already (quote
    currency), every order included that was granted up to `covered_ms`.
    """

    actor: str
    reason: str
    canary_id: str
    at_ms: int
    exposure: Decimal = Decimal(0)
    covered_ms: int = 0


def signed_off(incident: Incident, word: SignOff, rules: IncidentPolicy) -> Move:
    """Sign the next step off: the first stage, the next one, or the restoration of trading.

    Refused to who proposed the plan, where four eyes are wanted, and where what the step demands is not there.
    """
    plan = incident.plan
    if plan is None:
        raise Refused(f"Nothing of {incident.incident_id} waits for a sign-off.", "Propose a canary first.")
    require_signer(incident, word.actor, rules)
    if not rules.four_eyes:
        word = replace(word, reason=f"{word.reason} (four eyes were off)")
    if incident.step is Step.CONFIRMING:
        missing = [item for item in confirmation(incident, word.at_ms, rules) if not item.done]
        if missing:
            raise Refused(f"{incident.incident_id} is not confirmed: {missing[0].what} ({missing[0].detail}).")
        return _start(incident, plan, 1, word)
    _require(incident, Step.CANARY, "Nothing waits for a sign-off.")
    running = incident.running
    assert running is not None
    missing = [item for item in passing(incident, word.at_ms, rules) if not item.done]
    if missing:
        raise Refused(
            f"Stage {running.stage} of {incident.incident_id} has not passed: {missing[0].what} ({missing[0].detail}).",
            "See `trueup canary show`.",
        )
    ended = EndCanary(running.canary_id, "passed")
    if running.stage < len(plan.stages):
        move = _start(incident, plan, running.stage + 1, word)
        return replace(move, acts=(ended, *move.acts))
    why = f"{incident.incident_id}: {_stages(len(plan.stages))} passed, signed off by {word.actor}: {word.reason}"
    done = replace(
        incident, step=Step.RESTORED, running=None, closed_ms=word.at_ms, stages_done=len(plan.stages),
    )  # fmt: skip
    entry = Entry(Step.RESTORED, "signed off and restored", word.actor, word.reason, incident.run_ids[-1:], signs=True)
    return Move(done, (entry,), (ended, Loosen(incident.contained, why)))


def require_signer(incident: Incident, actor: str, rules: IncidentPolicy, *, by_token: bool = True) -> None:
    """Refuse who may not sign a canary off where four eyes are wanted: who proposed it, and who only says their name.

    A person and the token of the same name are one: `api:bea` is `bea`.
    """
    plan = incident.plan
    if plan is None or not rules.four_eyes:
        return
    if same_person(actor, plan.proposed_by):
        raise Refused(f"{actor} proposed this canary and cannot sign it off.", _SIGNS)
    if not by_token:
        raise Refused(f"{actor} needs an approver's token to sign {incident.incident_id} off.", _SIGNS)


def _start(incident: Incident, plan: Plan, number: int, word: SignOff) -> Move:
    stage = plan.stages[number - 1]
    running = Running(word.canary_id, number, word.at_ms, word.at_ms + stage.duration_ms, exposure=word.exposure)
    told = f"stage {number} of {len(plan.stages)} signed off"
    entry = Entry(
        Step.CANARY, told, word.actor, f"{stage_words(stage)}; {word.reason}", incident.run_ids[-1:], signs=True
    )
    moved = replace(incident, step=Step.CANARY, running=running, stages_done=number - 1)
    return Move(moved, (entry,), (StartCanary(stage, running, word.covered_ms),))


def aborted(incident: Incident, actor: str, reason: str) -> Move:
    """End a canary, or take its proposal back: what was in force before is in force again at once."""
    if incident.running is None and incident.plan is None:
        raise Refused(f"{incident.incident_id} has no canary.", "See `trueup incident show`.")
    running = incident.running
    step = Step.CLASSIFIED if running is not None else incident.step
    returns = incident.returns
    moved = replace(
        incident, step=step, running=None, plan=None, stages_done=0, clean_runs=0, clean_since_ms=None, returns=returns
    )
    entry = Entry(Step.CANARY if running is not None else incident.step, "canary aborted", actor, reason)
    return Move(moved, (entry,), (EndCanary(running.canary_id, f"aborted: {reason}"),) if running is not None else ())


def confirmation(incident: Incident, now_ms: int, rules: IncidentPolicy) -> list[Item]:
    """Return what confirms the books after a repair, and whether it is there."""
    since_ms = incident.clean_since_ms
    watched_ms = now_ms - since_ms if since_ms is not None else 0
    return [
        Item(
            Step.CONFIRMING, f"{_runs(rules.confirm_runs)} in a row without a break",
            incident.clean_runs >= rules.confirm_runs,
            f"{incident.clean_runs} of {rules.confirm_runs}",
        ),
        Item(
            Step.CONFIRMING, f"{for_how_long(rules.observation_ms)} of observation",
            since_ms is not None and watched_ms >= rules.observation_ms,
            f"{for_how_long(max(watched_ms, 0))} of {for_how_long(rules.observation_ms)}",
        ),
    ]  # fmt: skip


def passing(incident: Incident, now_ms: int, rules: IncidentPolicy) -> list[Item]:
    """Return what a running stage needs to pass, and whether it is there."""
    running, plan = incident.running, incident.plan
    assert running is not None
    assert plan is not None
    limit = plan.stages[running.stage - 1].limit
    return [
        Item(
            Step.CANARY, f"{_runs(rules.canary_runs)} in a row without a break or an alert",
            running.clean_runs >= rules.canary_runs, f"{running.clean_runs} of {rules.canary_runs}",
        ),
        Item(
            Step.CANARY, f"exposure within {plain(limit)}", running.exposure <= limit,
            f"{plain(running.exposure)} at risk",
        ),
        Item(
            Step.CANARY, "within its time", now_ms < running.until_ms,
            f"{for_how_long(max(running.until_ms - now_ms, 0))} left",
        ),
    ]  # fmt: skip


def checklist(incident: Incident, now_ms: int, rules: IncidentPolicy) -> list[Item]:
    """Return the operator's checklist: every step, whether it is done, and by what."""
    past = incident.step.rank
    verdict = incident.verdict
    scopes = ", ".join(f"{item.scope} in {item.mode.name}" for item in incident.contained)
    items = [
        Item(Step.DETECTED, "the mismatch is on record", True, f"seen in {_runs(incident.runs)}"),
        Item(Step.CONTAINED, "trading is contained", bool(incident.contained), scopes or "nothing was contained"),
        Item(
            Step.CLASSIFIED, "class and blast radius are known", verdict is not None,
            f"{'unclear' if verdict.unclear else verdict.primary}, {verdict.radius}" if verdict is not None else "",
        ),
        Item(
            Step.REPAIRING, "the books agree after the repair", past >= Step.CONFIRMING.rank,
            "" if past >= Step.CONFIRMING.rank else "no run without a break yet",
        ),
    ]  # fmt: skip
    if past > Step.CONFIRMING.rank:
        items.append(Item(Step.CONFIRMING, "the books stayed in agreement", True))
    else:
        items += confirmation(incident, now_ms, rules)
    plan = incident.plan
    items.append(
        Item(
            Step.CANARY, "a canary is proposed", plan is not None,
            f"{_stages(len(plan.stages))}, by {plan.proposed_by}" if plan is not None else "",
        )
    )  # fmt: skip
    if incident.running is not None:
        items += passing(incident, now_ms, rules)
    for number, _ in enumerate(plan.stages if plan is not None else (), 1):
        items.append(Item(Step.CANARY, f"stage {number} passed", number <= incident.stages_done))
    items.append(Item(Step.RESTORED, "signed off and restored", incident.step is Step.RESTORED))
    return items


def next_of(incident: Incident, now_ms: int, rules: IncidentPolicy) -> Next:
    """Return what is to be done now, and why it is allowed."""
    name = incident.incident_id
    if incident.step is Step.RESTORED:
        return Next("Nothing: trading is restored.", "The incident is closed.", waiting=True)
    if incident.step is Step.CANARY:
        return _next_of_canary(incident, now_ms, rules)
    if incident.step is Step.CONFIRMING:
        missing = [item for item in confirmation(incident, now_ms, rules) if not item.done]
        if missing:
            what = "Wait: the books are watched."
            return Next(what, "; ".join(f"{item.what}: {item.detail}" for item in missing), waiting=True)
        if incident.plan is None:
            propose = f"trueup canary propose {name} --stage {_owner(incident)}:SYMBOL:LIMIT:MINUTES --reason TEXT"
            return Next("Propose the way back: a canary in stages.", "The books are confirmed.", (propose,))
        what = f"Sign the first stage off; that is for {_signer(incident.plan, rules)}."
        return Next(what, "The books are confirmed.", (approve_command(incident, rules),))
    verdict = incident.verdict
    pattern = verdict.primary if verdict is not None else Pattern.MISSING
    what, commands = REPAIRS[pattern]
    told = tuple(command.format(whose=_whose(incident)) for command in commands)
    start = () if incident.step is Step.REPAIRING else (f"trueup incident repair {name} --reason TEXT",)
    unclear = verdict is None or verdict.unclear
    why = "It is unclear, so that it is treated as missing and out_of_order." if unclear else f"It is {pattern}."
    if incident.untrusted:
        why += f" The books are not trusted: {incident.untrusted}."
    return Next(what, f"{why} Trading is contained meanwhile.", (*start, *told))


def _next_of_canary(incident: Incident, now_ms: int, rules: IncidentPolicy) -> Next:
    running, plan = incident.running, incident.plan
    assert running is not None
    assert plan is not None
    missing = [item for item in passing(incident, now_ms, rules) if not item.done]
    if missing:
        told = "; ".join(f"{item.what}: {item.detail}" for item in missing)
        return Next(f"Wait: stage {running.stage} of {len(plan.stages)} runs.", told, waiting=True)
    last = running.stage == len(plan.stages)
    what = "Sign the restoration of trading off" if last else f"Sign stage {running.stage + 1} off"
    told = f"{what}; that is for {_signer(plan, rules)}."
    return Next(told, f"Stage {running.stage} passed.", (approve_command(incident, rules),))


def _signer(plan: Plan, rules: IncidentPolicy) -> str:
    return f"anybody but {plan.proposed_by}, with an approver's token" if rules.four_eyes else "you"


def awaited(incident: Incident) -> int:
    """Return the number of the stage that a sign-off would start; one more than there are is the restoration."""
    return incident.running.stage + 1 if incident.running is not None else 1


def approve_command(incident: Incident, rules: IncidentPolicy) -> str:
    """Return the command that signs off exactly what waits now."""
    assert incident.plan is not None
    read = f"--plan {plan_hash(incident.incident_id, incident.plan)} --stage {awaited(incident)}"
    token = "TRUEUP_TOKEN=TOKEN " if rules.four_eyes else ""
    return f"{token}trueup canary approve {incident.incident_id} {read} --reason TEXT"


@dataclass(frozen=True, slots=True)
class Read:
    """What somebody says they read before they sign off: the hash of the plan, and which of its stages comes next."""

    plan_hash: str | None = None
    stage: int | None = None


def require_read(incident: Incident, read: Read, rules: IncidentPolicy) -> None:
    """Refuse a sign-off of another plan or stage than was read; four eyes demand that the plan is named."""
    plan = incident.plan
    if plan is None:
        return
    known, number = plan_hash(incident.incident_id, plan), awaited(incident)
    stages = "; ".join(f"{place}. {stage_words(stage)}" for place, stage in enumerate(plan.stages, 1))
    now = f"Proposed is plan {known}, by {plan.proposed_by}: {stages}."
    do = f"Read it, then sign it off: {approve_command(incident, rules)}"
    if read.plan_hash is None and rules.four_eyes:
        raise Refused(f"The sign-off names no plan. Nothing was signed off. {now}", do)
    if read.plan_hash is not None and read.plan_hash != known:
        raise Refused(f"The plan {read.plan_hash} is not proposed any more. Nothing was signed off. {now}", do)
    if read.stage is not None and read.stage != number:
        waits = f"stage {number}" if number <= len(plan.stages) else f"the restoration, {number}"
        raise Refused(f"Stage {read.stage} does not wait for a sign-off, but {waits}. {now}", do)


def _runs(count: int) -> str:
    return f"{count} run{'s' if count != 1 else ''}"


def _stages(count: int) -> str:
    return f"{count} stage{'s' if count != 1 else ''}"


def _whose(incident: Incident) -> str:
    return " ".join(f"--profile {name}" for name in _owners(incident)) or "--all"


def _owners(incident: Incident) -> list[str]:
    return sorted({item.profile_id for item in incident.breaks.values() if item.profile_id})


def _owner(incident: Incident) -> str:
    owners = _owners(incident)
    return owners[0] if owners else "PROFILE"


def _require(incident: Incident, step: Step, why: str) -> None:
    if incident.step is not step:
        told = f"{incident.incident_id} is {incident.step}."
        raise Refused(f"{told} {why}", f"See `trueup incident next {incident.incident_id}`.")
