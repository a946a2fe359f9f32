"""The audit: checking its chain, exporting it, and listing its batches."""

from collections.abc import Iterator, Sequence

from trueup.core.audit import AuditRow, Verification, verify
from trueup.core.errors import ConfigurationError, UnknownName, nearest
from trueup.ports import BatchSummary
from trueup.service.app import App
from trueup.service.progress import Progress, counted, silent


def verify_audit(app: App, expect_head: str | None = None, progress: Progress = silent) -> Verification:
    """Check the whole chain; an expected head also finds a cut-off tail."""
    _require_audit(app)
    rows = counted(app.journal.audit_rows(), "checking the chain", app.journal.length(), progress)
    return verify(rows, expect_head)


def export_audit(app: App, batch_id: str | None = None, progress: Progress = silent) -> Iterator[AuditRow]:
    """Yield the audit's rows in order, all of them or one batch's."""
    _require_audit(app)
    total = app.journal.length() if batch_id is None else None
    return counted(app.journal.audit_rows(batch_id), "exporting the audit", total, progress)


def audit_page(app: App, page: int, page_size: int, batch_id: str | None = None) -> tuple[int, list[AuditRow]]:
    """Return how many rows the audit has, and one page of them, newest first; of one batch where one is named."""
    _require_audit(app)
    if batch_id is None:
        total = app.journal.length()
        last = total - (page - 1) * page_size
        rows = app.journal.audit_between(last - page_size + 1, last) if last > 0 else []
        return total, rows[::-1]
    mine = _batch(app, batch_id)[::-1]
    return len(mine), mine[(page - 1) * page_size : page * page_size]


def batch_of(app: App, batch_id: str) -> tuple[BatchSummary, list[AuditRow]]:
    """Return one batch with its rows in their order."""
    _require_audit(app)
    rows = _batch(app, batch_id)
    owners = sorted({str(row["profile_id"]) for row in rows})
    summary = next(batch for batch in app.journal.batches(owners) if batch.batch_id == batch_id)
    return summary, rows


def batch_json(batch: BatchSummary) -> dict[str, object]:
    """Return one batch for printing."""
    return {
        "batch_id": batch.batch_id, "profile_id": batch.profile_id, "state": batch.state,
        "created_at": batch.created_at, "actor": batch.actor, "rows": batch.rows, "decisions": dict(batch.decisions),
    }  # fmt: skip


def _batch(app: App, batch_id: str) -> list[AuditRow]:
    rows = list(app.journal.audit_rows(batch_id))
    if not rows:
        known = [batch.batch_id for batch in app.journal.batches()[:200]]
        raise UnknownName(f"There is no batch {batch_id!r}.", nearest(batch_id, known))
    return rows


def list_batches(app: App, profiles: Sequence[str] | None = None) -> list[BatchSummary]:
    """Return the batches, newest first."""
    _require_audit(app)
    return app.journal.batches(profiles)


def _require_audit(app: App) -> None:
    if not app.journal.audit_exists():
        raise ConfigurationError("The audit table is missing.", "Run `trueup init`.")
