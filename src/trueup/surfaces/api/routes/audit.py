"""The audit: its rows, and whether its chain is whole."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query

from trueup.core.audit import AuditRow
from trueup.service.audit import audit_page, verify_audit
from trueup.service.tokens import Permission
from trueup.surfaces.api.doors import Guarded, Reading, needs
from trueup.surfaces.api.models.audit import AuditItem, AuditQuery, AuditVerified, FirstBroken, VerifyQuery
from trueup.surfaces.api.models.parts import Page

router = APIRouter(route_class=Guarded, tags=["audit"])


@router.get("/audit", **needs(Permission.READ))
def audit(call: Reading, asked: Annotated[AuditQuery, Query()]) -> Page[AuditItem]:
    """List the audit's rows, newest first."""
    total, rows = audit_page(call.app, asked.page, asked.page_size, asked.batch_id)
    items = [audit_item(row) for row in rows]
    return Page[AuditItem](page=asked.page, page_size=asked.page_size, total=total, items=items)


@router.get("/audit/verify", **needs(Permission.READ))
def verify(call: Reading, asked: Annotated[VerifyQuery, Query()]) -> AuditVerified:
    """Check the whole chain of hashes, and name the first row that is broken."""
    found = verify_audit(call.app, asked.expect_head)
    broken = None if found.ok else FirstBroken(seq=found.broken_seq, reason=found.reason)
    return AuditVerified(ok=found.ok, rows=found.rows, head=found.head, first_broken=broken)


def audit_item(row: AuditRow) -> AuditItem:
    """Return a row of the audit as an answer has it; one that somebody changed is shown as far as it can be read."""
    return AuditItem.model_validate({**row.columns, "seq": row.seq, "metadata": _metadata(row["metadata"])})


def _metadata(stored: str | bool | None) -> dict[str, Any]:
    try:
        found = json.loads(str(stored or "{}"))
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"unreadable": str(stored)}
