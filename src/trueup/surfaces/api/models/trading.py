"""How much trading is allowed: modes, pauses, and their history."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from trueup.core.errors import ConfigurationError
from trueup.core.modes import read_scope
from trueup.surfaces.api.models.parts import Answer, Asked, Moment, Query, Reason

_SCOPE = (
    r"^(global|(account|profile):[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?"
    r"|symbol:[^\x00-\x20\x7f:][^\x00-\x1f\x7f]*:[A-Za-z0-9/:._-]*[A-Za-z0-9])$"
)


def _scope(text: str) -> str:
    try:
        return read_scope(text)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


Scope = Annotated[
    str,
    StringConstraints(max_length=300, pattern=_SCOPE),
    AfterValidator(_scope),
    Field(description="global, account:NAME, profile:ID or symbol:ID:SYMBOL.", examples=["profile:bot1"]),
]
ModeName = Literal["NORMAL", "CLOSE_ONLY", "SAFE_MODE", "FLATTEN", "HALT"]
PausingMode = Literal["SAFE_MODE", "FLATTEN", "HALT"]
TradingWord = Literal["RUNNING", "PAUSED"]


class TradingStatus(Answer):
    """Whether trading is allowed in a scope, by the strictest mode on its path."""

    status: TradingWord
    mode: ModeName
    scope: str
    because_of: str = Field(description="The scope that demands the mode.")
    source: str | None = Field(
        default=None, description="What put it in force: operator, parity_watchdog, …; null for the default."
    )
    since: Moment | None = None
    actor: str | None = None
    reason: str | None = None


class TradingQuery(Query):
    """Whose trading."""

    scope: Scope = "global"


class PauseAsked(Asked):
    """A pause that is asked for; it never loosens a stricter mode."""

    reason: Reason
    scope: Scope = "global"
    mode: PausingMode = "SAFE_MODE"


class ResumeAsked(Asked):
    """A pause that is to end; wider scopes stay as they are."""

    reason: Reason
    scope: Scope = "global"


class ModeAsked(Asked):
    """A mode that is to be put in force."""

    mode: ModeName
    scope: Scope
    reason: Reason
    dry_run: bool = Field(
        default=False, description="With FLATTEN: answer what would be canceled and closed, and do nothing."
    )


class WouldCancel(Answer):
    """A working order that FLATTEN would cancel."""

    symbol: str
    order_id: str
    client_order_id: str | None = None
    side: Literal["buy", "sell"]


class WouldClose(Answer):
    """A position that FLATTEN would close: how much of what is held, in base units."""

    symbol: str
    side: Literal["buy", "sell"]
    qty: str
    held: str


class Rehearsed(Answer):
    """What FLATTEN would do in one account, and what stands in its way."""

    account: str
    scope: str
    allowed: bool
    cancels: list[WouldCancel]
    closes: list[WouldClose]
    in_the_way: list[str]
    of_others: list[str]


class ModeRehearsed(Answer):
    """A rehearsal: nothing was sent, and no mode was changed."""

    dry_run: Literal[True] = True
    mode: ModeName
    accounts: list[Rehearsed]


class FlattenState(Answer):
    """How far a flattening is, by the newest entry of its record."""

    account: str
    scope: str
    state: Literal["going_on", "flat", "gave_up"]
    round: int
    newest: str
    detail: str
    at: Moment


class ModeChanged(Answer):
    """One change of a mode."""

    scope: str
    mode: ModeName
    previous_mode: ModeName
    source: str
    actor: str
    reason: str
    at: Moment


class ProfileMode(Answer):
    """What the modes come to for a profile."""

    mode: ModeName
    because_of: str = Field(validation_alias="from", description="The scope that demands the mode.")
    status: TradingWord
    reason: str | None = Field(default=None, description="What the dead-man misses, in the gate's words, if anything.")


class ModesView(Answer):
    """The modes in force, and their newest changes."""

    scopes: dict[str, ModeName]
    profiles: dict[str, ProfileMode]
    history: list[ModeChanged]
    flattening: list[FlattenState] = Field(
        default_factory=list, description="The newest word about each scope that is, or was, being flattened."
    )
