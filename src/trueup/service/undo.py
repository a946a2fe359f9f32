"""Taking a batch back, and putting it in force again: by status, audited, and only where the trades are untouched."""

from trueup.core.errors import ConfigurationError, Refused, nearest
from trueup.core.times import iso
from trueup.ports import UndoRequest, UndoResult
from trueup.service.app import App
from trueup.service.gates import LEASE_HELD
from trueup.service.gather import profiles_elsewhere


def revert(app: App, batch_id: str, reason: str, wait_seconds: float = 0.0) -> UndoResult:
    """Set the rows of a batch to canceled; reverting twice changes nothing."""
    return _undo(app, batch_id, reason, wait_seconds, back=True)


def reapply(app: App, batch_id: str, reason: str, wait_seconds: float = 0.0) -> UndoResult:
    """Put the rows of a reverted batch back; reapplying twice changes nothing."""
    return _undo(app, batch_id, reason, wait_seconds, back=False)


def _undo(app: App, batch_id: str, reason: str, wait_seconds: float, *, back: bool) -> UndoResult:
    if not reason.strip():
        raise ConfigurationError("A reason is needed.", "Say why with --reason TEXT; it is kept in the audit.")
    owner = next((str(row["profile_id"]) for row in app.journal.audit_rows(batch_id)), None)
    if owner is None:
        known = [batch.batch_id for batch in app.journal.batches()[:200]]
        raise ConfigurationError(f"There is no batch {batch_id!r}.", nearest(batch_id, known))
    profiles = app.ledger.profiles()
    profile = next((p for p in profiles if p.profile_id == owner), None)
    if profile is None:
        raise ConfigurationError(f"The batch is of profile {owner!r}, which is not there any more.")
    account = app.account_of(profile)
    with app.leases.hold(f"account:{account.name}", wait_seconds) as lease:
        if lease is None:
            raise Refused(f"{LEASE_HELD}: another run holds this account.", "Try again, or wait with --wait SECONDS.")
        request = UndoRequest(
            batch_id=batch_id,
            profile=profile,
            lease=lease,
            symbols=account.symbols,
            tag_prefix=app.backfill.policy.tag_prefix,
            actor=app.actor,
            reason=reason.strip(),
            now=iso(app.clock.now_ms()),
            elsewhere=profiles_elsewhere(app, profiles, account),
        )
        return app.ledger.revert(request) if back else app.ledger.reapply(request)
