"""A reconciliation on demand, from a program."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from trueup.service.reconcile_report import ReconcileReport


def reconcile(
    config: str | os.PathLike[str] | None = None,
    profiles: Iterable[str] | None = None,
    *,
    dry_run: bool = False,
    symbols: Iterable[str] | None = None,
    wait_seconds: float = 0.0,
    environ: Mapping[str, str] | None = None,
) -> ReconcileReport:
    """Reconcile profiles now, every enabled one without a choice, and return what was found, healed and left.

    `config` is the path of a trueup.toml, else TRUEUP_CONFIG or the current folder's. A dry run looks and remembers
    nothing. `wait_seconds` is for how long another run on the account is waited for.

    ConfigurationError where the settings are wrong or a profile is not known; CannotKnow where the ledger cannot be
    read. What could not be compared is in the report.
    """
    from trueup.bootstrap import build
    from trueup.service.cycle import ReconcileRequest
    from trueup.service.reconcile import run_reconcile

    app = build(Path(config) if config is not None else None, environ)
    try:
        app.require_ledger()
        request = ReconcileRequest(
            profiles=tuple(profiles) if profiles is not None else None,
            symbols=tuple(symbols) if symbols is not None else None,
            dry_run=dry_run,
            wait_seconds=wait_seconds,
        )
        return run_reconcile(app, request)
    finally:
        app.close()
