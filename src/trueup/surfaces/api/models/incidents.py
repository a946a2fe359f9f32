"""Incidents and canaries: what is asked, and what is answered."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from trueup.surfaces.api.models.parts import Amount, Answer, Asked, Moment, PageQuery, Reason

StepName = Literal["detected", "contained", "classified", "repairing", "confirming", "canary", "restored"]
PatternName = Literal["delay", "dup", "missing", "out_of_order"]

StageText = Annotated[
    str,
    StringConstraints(min_length=7, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+:[^\x00-\x1f\x7f]+:[0-9.]+:[0-9.]+$"),
    Field(description="PROFILE:SYMBOLS:LIMIT:MINUTES; * is all symbols.", examples=["bot1:BTC/USD:500:30"]),
]


class IncidentsQuery(PageQuery):
    """Which incidents."""

    open: bool = Field(default=True, description="Only those that are open.")


class SignalItem(Answer):
    """What one break tells of the class."""

    break_id: str
    kind: str
    signal: str
    pattern: PatternName | None


class Classification(Answer):
    """The class of an incident, how far it reaches, and the signals; unclear is missing with out_of_order."""

    primary: PatternName
    secondary: PatternName | None
    unclear: bool
    radius: Literal["low", "medium", "high"]
    reasons: list[str]
    signals: list[SignalItem]


class ContainedItem(Answer):
    """A mode that the incident put in force; not in force where it only observes or the scope was as strict."""

    scope: str
    mode: str
    before: str
    in_force: bool


class IncidentItem(Answer):
    """An incident in a list."""

    incident_id: str
    account: str
    scope: str
    step: StepName
    stage: int | None
    opened_at: Moment
    closed_at: Moment | None
    classification: Classification | None
    contained: list[ContainedItem]
    runs: int = Field(description="How many runs saw a mismatch.")
    returns: int = Field(description="How often it came back after a repair.")
    untrusted: str | None = Field(description="Why the books are not trusted, if so.")
    run_ids: list[str]


class ChecklistItem(Answer):
    """One line of the checklist."""

    step: StepName
    what: str
    done: bool
    detail: str


class NextStep(Answer):
    """What is to be done now, and why it is allowed or what is waited for."""

    what: str
    why: str
    commands: list[str]
    waiting: bool


class StoryLine(Answer):
    """One line of the story."""

    seq: int
    step: str
    what: str
    actor: str
    reason: str
    run_ids: list[str]
    at: Moment


class CanaryRunning(Answer):
    """The canary that runs."""

    canary_id: str
    stage: int
    since_ms: int
    until_ms: int
    clean_runs: int
    exposure: Amount
    passed: bool


class IncidentDocument(IncidentItem):
    """An incident with its story, its checklist and what is next; `plan` is the canary that is proposed."""

    plan: dict[str, Any] | None
    canary: CanaryRunning | None
    next: NextStep
    checklist: list[ChecklistItem]
    breaks: list[str]
    story: list[StoryLine]


class ReasonAsked(Asked):
    """Something done with a reason."""

    reason: Reason


class ApproveAsked(ReasonAsked):
    """A sign-off of what was read; where four eyes are wanted it names the plan."""

    plan_hash: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="The hash of the plan that was read: plan.plan_hash."
    )
    stage: int | None = Field(
        default=None, ge=1, le=21, description="The stage to start; one more than there are is the restoration."
    )


class NoteAsked(Asked):
    """A note."""

    text: Reason


class CanaryAsked(Asked):
    """A way back that is proposed."""

    stages: list[StageText] = Field(min_length=1, max_length=20)
    reason: Reason
