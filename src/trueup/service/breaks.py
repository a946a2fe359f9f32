"""The breaks as people see them: found again, and taken over."""

from collections.abc import Sequence

from trueup.core.audit import AuditRow
from trueup.core.errors import ConfigurationError, nearest
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.service.app import App


def find_breaks(
    app: App,
    *,
    account: str | None = None,
    profile_id: str | None = None,
    state: str | None = None,
    page: int = 1,
    page_size: int = 50,
) -> tuple[int, Sequence[BreakRecord]]:
    """Return how many breaks there are, and a page of them, newest first; ConfigurationError for an unknown name."""
    if state is not None and state not in list(BreakState):
        raise ConfigurationError(f"There is no state {state!r}.", nearest(state, [each.value for each in BreakState]))
    if account is not None and account not in app.accounts:
        raise ConfigurationError(f"There is no account {account!r}.", nearest(account, app.accounts))
    known = [profile.profile_id for profile in app.ledger.profiles()]
    if profile_id is not None and profile_id not in known:
        raise ConfigurationError(f"There is no profile {profile_id!r}.", nearest(profile_id, known))
    return app.breaks.page(account=account, profile_id=profile_id, state=state, page=page, page_size=page_size)


def one_break(app: App, break_id: str) -> BreakRecord:
    """Return one break; ConfigurationError where there is none of the id."""
    found = app.breaks.named([break_id])
    if not found:
        raise ConfigurationError(f"There is no break {break_id!r}.", "See `trueup breaks list`.")
    return found[0]


def audit_about(app: App, profile_id: str | None, trade_id: str | None) -> list[AuditRow]:
    """Return what the audit says of a break's trade, in the order of seq; nothing where the break names no trade."""
    if profile_id is None or trade_id is None or not app.journal.audit_exists():
        return []
    return app.journal.audit_of_trade(profile_id, trade_id)


def take_over(app: App, break_id: str, reason: str) -> BreakRecord:
    """Record that a person took a break over, with the reason."""
    if not reason.strip():
        raise ConfigurationError("A reason is needed.", "Say why with --reason TEXT; it is kept with the break.")
    one_break(app, break_id)
    return app.breaks.acknowledge(break_id, app.actor, reason.strip(), app.clock.now_ms())
