"""What ledger and venue say at this moment: a check, and one trade explained."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from trueup.service.check import run_check
from trueup.service.explain import explain
from trueup.service.tokens import Permission
from trueup.surfaces.api.doors import Guarded, Reading, needs
from trueup.surfaces.api.models.findings import CheckDocument, CheckQuery, Explained, ExplainQuery
from trueup.surfaces.api.models.parts import Name

router = APIRouter(route_class=Guarded, tags=["findings"])


@router.get("/check", **needs(Permission.READ, repeatable=("instance_id", "symbol")))
def check(call: Reading, asked: Annotated[CheckQuery, Query()]) -> CheckDocument:
    """Compare the ledger's open trades with the venue, which is asked for it; nothing is changed."""
    report = run_check(call.app, tuple(asked.instance_id) or None, tuple(asked.symbol) or None)
    return CheckDocument.model_validate(report.as_json())


@router.get("/explain/{trade_id:path}", **needs(Permission.READ))
def explain_trade(
    call: Reading, trade_id: Annotated[Name, Path()], asked: Annotated[ExplainQuery, Query()]
) -> Explained:
    """Tell one trade's story: its rows, the venue's executions, what is decided, and why."""
    return Explained.model_validate(explain(call.app, trade_id, asked.instance_id).as_json())
