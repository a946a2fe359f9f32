"""What bots ask and say: may this order be sent, and I am alive."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from trueup.surfaces.api.models.parts import Answer, Asked, Moment, Name, Query, SymbolName
from trueup.surfaces.api.models.trading import ModeName

Notional = Annotated[
    str,
    StringConstraints(max_length=40, pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?$"),
    Field(description="What the order is worth in quote currency, an exact decimal.", examples=["250.5"]),
]
OrderRef = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"),
    Field(description="The bot's own name of the order: asked again, it takes no second part of a canary's limit."),
]


class GateQuery(Query):
    """One order that a bot would like to send."""

    instance_id: Name
    symbol: SymbolName
    intent: Literal["open", "reduce"] = "open"
    notional: Notional | None = None
    order_ref: OrderRef | None = None


class GateAnswered(Answer):
    """Whether the order may be sent."""

    allowed: bool
    mode: ModeName
    because_of: str = Field(description="The scope, the heartbeat or the canary that decided.")
    reason: str
    until_ms: int = Field(description="Until when the answer holds, in epoch milliseconds of this server.")
    lease_ms: int = Field(description="For how long it holds, counted from before the question was sent.")
    canary_id: str | None = Field(
        default=None, description="The canary by which the order was weighed: the answer is about this order alone."
    )


class HeartbeatSaid(Asked):
    """A bot that says that it is alive."""

    instance_id: Name
    healthy: bool = Field(default=True, description="False: it runs, and knows that it should not trade.")


class HeartbeatKept(Answer):
    """How a bot's heartbeats stand."""

    instance_id: str
    healthy_at: Moment | None = Field(description="The last healthy one; null where there was none.")
    recovering: bool = Field(description="It came back from a silence, and too few followed yet: the gate refuses it.")
    streak: int = Field(description="How many healthy ones came in a row.")
    timeout_ms: int = Field(description="After so long without a healthy one the gate refuses the bot.")
