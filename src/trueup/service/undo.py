"""Taking a batch back, and putting it in force again: by status, audited, and only where the trades are untouched.

What is put in force again stays within the venue's truth like a new repair (invariant 4): the venue is read again.
"""

from collections.abc import Collection
from difflib import get_close_matches

from trueup.core.audit import AuditDecision
from trueup.core.decimals import read_decimal
from trueup.core.errors import CannotKnow, ConfigurationError, Refused, UnknownName
from trueup.core.repair.decisions import POSITION_UNKNOWN
from trueup.core.repair.putting_back import Returning, venue_forbids
from trueup.core.repair.rows import NAMES_NO_ORDER
from trueup.core.times import iso
from trueup.ports import UndoRequest, UndoResult
from trueup.service.app import App
from trueup.service.gates import LEASE_HELD
from trueup.service.gather import gather, profiles_elsewhere

_NAMED = 3


def revert(app: App, batch_id: str, reason: str, wait_seconds: float = 0.0) -> UndoResult:
    """Set the rows of a batch to canceled; reverting twice changes nothing."""
    return _undo(app, batch_id, reason, wait_seconds, back=True)


def reapply(app: App, batch_id: str, reason: str, wait_seconds: float = 0.0) -> UndoResult:
    """Put the rows of a reverted batch back; reapplying twice changes nothing."""
    return _undo(app, batch_id, reason, wait_seconds, back=False)


def _undo(app: App, batch_id: str, reason: str, wait_seconds: float, *, back: bool) -> UndoResult:
    if not reason.strip():
        raise ConfigurationError("A reason is needed.", "Say why with --reason TEXT; it is kept in the audit.")
    said = list(app.journal.audit_rows(batch_id))
    owner = next((str(row["profile_id"]) for row in said), None)
    _require_bookings(batch_id, {str(row["decision"]) for row in said}, back=back)
    if owner is None:
        raise UnknownName(f"There is no batch {batch_id!r}.", _meant(app, batch_id, back=back))
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
        if back:
            return app.ledger.revert(request)
        _stay_within_the_venue(app, account.name, batch_id)
        return app.ledger.reapply(request)


_OF_INTEGRITY = {
    AuditDecision.TRADE_ID_SET: ("gave trade ids", "trueup integrity backfill"),
    AuditDecision.HISTORY_ADDED: ("added history rows", "trueup integrity history"),
}
"""What batches of lifecycle integrity did, and the command that takes it back or does it again."""


def _require_bookings(batch_id: str, decisions: Collection[str], *, back: bool) -> None:
    """Refuse a batch that booked nothing, and name the command for what it did."""
    for decision, (did, command) in _OF_INTEGRITY.items():
        if decision in decisions:
            again = f"`{command} --revert {batch_id} --reason TEXT` takes it back." if back else ""
            raise Refused(f"Batch {batch_id} {did}, and booked nothing.", again or f"`{command}` does it again.")


def _meant(app: App, batch_id: str, *, back: bool) -> str:
    """Return the batches that may be meant, newest first: those that have rows to take back, or to put back."""
    states = ("applied", "partly_reverted") if back else ("reverted", "partly_reverted")
    known = [
        batch.batch_id
        for batch in app.journal.batches()
        if batch.state in states and not _OF_INTEGRITY.keys() & batch.decisions.keys()
    ]
    close = get_close_matches(batch_id, known, n=1, cutoff=0.9)
    if close:
        return f"Did you mean {close[0]}?"
    newest = f"The newest that can be: {', '.join(known[:_NAMED])}. " if known else "There is none that can be. "
    return f"{newest}`trueup backfill list` names all."


def _stay_within_the_venue(app: App, account_name: str, batch_id: str) -> None:
    """Refuse to put rows back past the venue's position; it is read only where there are rows to put back."""
    rows = [
        Returning(
            profile_id=str(row["profile_id"]),
            trade_id=str(row["trade_id"]),
            symbol=str(row["symbol"]),
            qty=read_decimal(str(row["filled_qty"])),
            dust=str(row["exchange_order_id"]).startswith(NAMES_NO_ORDER),
        )
        for row in app.journal.audit_rows(batch_id)
        if row["decision"] == AuditDecision.APPLIED and row["reverted_at"] is not None
    ]
    if not rows:
        return
    forbidden = venue_forbids(rows, gather(app, account_name).facts, app.backfill.policy)
    if forbidden:
        reasons = "; ".join(f"{trade}: {reason}" for trade, reason in sorted(forbidden.items()))
        unknown = any(reason.startswith(POSITION_UNKNOWN) for reason in forbidden.values())
        kind = CannotKnow if unknown else Refused
        raise kind(
            f"Batch {batch_id} is not put back: {reasons}.",
            "`trueup backfill run` shows what the venue's position allows now.",
        )
