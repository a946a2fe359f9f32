"""What the writes of lifecycle integrity share: a transaction that may leave nothing, and the record of taking back."""

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection, update

from trueup.core.audit import AuditDecision, AuditDraft, AuditRow
from trueup.ledger import chain, schema
from trueup.ledger.guards import fenced
from trueup.ledger.reading import chunks
from trueup.ledger.tables import Store
from trueup.ports import Lease
from trueup.ports.lifecycle import IdRevert

Result = TypeVar("Result")


class _TakenBack(Exception):
    """Ends a transaction that is to leave nothing."""


def attempt(store: Store, lease: Lease, act: Callable[[Connection], Result], keeps: Callable[[Result], bool]) -> Result:
    """Do something in one transaction under a lease, and return its result; one that it does not keep is rolled back.

    Refused where the lease was lost, or the audit is in another database.
    """
    store.require_one_database()
    done: list[Result] = []
    try:
        with fenced(store.books, lease) as connection:
            done.append(act(connection))
            if not keeps(done[0]):
                raise _TakenBack
    except _TakenBack:
        pass
    return done[0]


def record_taken_back(connection: Connection, request: IdRevert, decision: AuditDecision) -> Sequence[AuditRow]:
    """Date the rows of the audit whose changes were taken back, and add the rows that say so."""
    audit = schema.audit
    for part in chunks([row.seq for row in request.rows]):
        connection.execute(update(audit).where(audit.c.seq.in_(part)).values(reverted_at=request.now))
    drafts = [
        AuditDraft(
            batch_id=request.batch_id,
            profile_id=str(row["profile_id"]),
            symbol=str(row["symbol"]),
            trade_id=str(row["trade_id"]),
            decision=decision,
            reason=request.reason,
            dry_run=False,
            actor=request.actor,
            plan_hash=str(row["plan_hash"]),
            backfill_order_id=str(row["backfill_order_id"]),
            metadata={**json.loads(str(row["metadata"])), "appliedSeq": row.seq},
        )
        for row in request.rows
    ]
    return chain.append(connection, drafts, request.now)
