"""How trueup itself is: health and capabilities."""

from typing import Literal

from pydantic import Field

from trueup.surfaces.api.models.parts import Amount, Answer, Moment
from trueup.surfaces.api.models.trading import ModeName


class Alive(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Capabilities(Answer):
    """What this server can do, and how it is set."""

    service: str
    version: str
    status: Literal["ok", "degraded"]
    features: list[str]
    degraded_reason: str | None
    safe_mode: ModeName = Field(
        description="The mode of the global scope, or the dead-man's where every account is silent."
    )
    policy: dict[str, str] = Field(description="Every flag with its value.")
    generated_at: Moment


class InternalHealth(Answer):
    """What the newest runs of the loop found, summed over all profiles."""

    reconciliationLoopHealthy: bool
    reconciliationLoopReasons: list[str] = Field(description="Why the loop is not healthy.")
    reconciliationMismatchCount: int
    reconciliationMissingFromExchange: int
    reconciliationMissingInDb: int
    reconciliationLastRun: Moment | None
    reconciliationParityMismatchTrades: int
    reconciliationParityQuarantinedTrades: int
    reconciliationParityAutoClosedTrades: int
    reconciliationParityMaxMismatchNotionalUsd: Amount
    reconciliationParityTotalMismatchNotionalUsd: Amount
    reconciliationIntegrityWatchdogTriggered: bool
