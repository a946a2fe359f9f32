"""The gate: may this order be sent, and the heartbeats of bots."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from trueup.service.gate import ask, beat_bot, beat_json
from trueup.service.tokens import Permission
from trueup.surfaces.api.doors import Doing, Guarded, Reading, needs
from trueup.surfaces.api.models.gate import GateAnswered, GateQuery, HeartbeatKept, HeartbeatSaid

router = APIRouter(route_class=Guarded, tags=["gate"])


@router.get("/gate", **needs(Permission.READ))
def gate(call: Reading, asked: Annotated[GateQuery, Query()]) -> GateAnswered:
    """Say whether a bot may send an order; a refusal is an answer too, with 200.

    Only `allowed` true lets an order be sent: anything else that comes back, an error included, is a refusal. What a
    canary grants is recorded, although this is a GET: the order takes its part of the limit.
    """
    answer = ask(call.app, asked.instance_id, asked.symbol, asked.intent, asked.notional, asked.order_ref)
    return GateAnswered.model_validate(answer.as_json())


@router.post("/gate/heartbeat", response_model=HeartbeatKept, **needs(Permission.ACT))
def heartbeat(asked: HeartbeatSaid, call: Doing) -> Response:
    """Record that a bot is alive; the first healthy one arms its dead-man."""

    def record() -> HeartbeatKept:
        beat = beat_bot(call.app, asked.instance_id, healthy=asked.healthy)
        return HeartbeatKept.model_validate(beat_json(call.app, asked.instance_id, beat))

    return call.once(asked, record)
