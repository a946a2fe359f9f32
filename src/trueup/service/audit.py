"""The audit: checking its chain, exporting it, and listing its batches."""

from collections.abc import Iterator, Sequence

from trueup.core.audit import AuditRow, Verification, verify
from trueup.core.errors import ConfigurationError
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


def list_batches(app: App, profiles: Sequence[str] | None = None) -> list[BatchSummary]:
    """Return the batches, newest first."""
    _require_audit(app)
    return app.journal.batches(profiles)


def _require_audit(app: App) -> None:
    if not app.journal.audit_exists():
        raise ConfigurationError("The audit table is missing.", "Run `trueup init`.")
