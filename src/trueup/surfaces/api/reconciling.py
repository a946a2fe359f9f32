"""The reconciliation loop as the API needs it, and the thin adapter to its use cases.

Each run and each break is a document: the summary that the run ended with, the row that the break is kept in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from trueup.core.errors import CannotKnow
from trueup.service.app import App

Document = Mapping[str, Any]

_SERVICE = "trueup.service.reconcile"
WAIT_SECONDS = 30.0
"""How long a run that was asked for waits for another one on its account."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks to have reconciled; None is all of the profile."""

    instance_id: str
    symbols: tuple[str, ...] | None = None
    trade_ids: tuple[str, ...] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class BreakFilter:
    """Which breaks are asked for; None is every one, resolved ones only where `state` names them."""

    instance_id: str | None = None
    account: str | None = None
    kind: str | None = None
    state: str | None = None


class Reconciling(Protocol):
    """The loop."""

    def available(self) -> bool:
        """Say whether there is a loop."""
        ...

    def start(self, app: App, wanted: Wanted) -> str:
        """Put a run on record as PENDING and return its id."""
        ...

    def finish(self, app: App, run_id: str, wanted: Wanted) -> None:
        """Do a run that was started, to its end on record."""
        ...

    def run(self, app: App, run_id: str) -> Document | None:
        """Return one run; None where there is none."""
        ...

    def runs(
        self, app: App, instance_id: str | None, status: str | None, page: int, page_size: int
    ) -> tuple[int, Sequence[Document]]:
        """Return how many runs there are, and one page of them, newest first."""
        ...

    def newest(self, app: App) -> Sequence[Document]:
        """Return the newest run of each profile that has ended."""
        ...

    def breaks(self, app: App, wanted: BreakFilter, page: int, page_size: int) -> tuple[int, Sequence[Document]]:
        """Return how many breaks there are, and one page of them, newest first."""
        ...

    def found_break(self, app: App, break_id: str) -> Document | None:
        """Return one break; None where there is none."""
        ...


class ServiceReconciling:
    """The loop of this program; it is imported when it is first asked."""

    def available(self) -> bool:
        """Say whether there is a loop."""
        return find_spec(_SERVICE) is not None

    def start(self, app: App, wanted: Wanted) -> str:
        """Put a run on record as PENDING and return its id."""
        service = _service()
        [run_id] = service.start_reconcile(app, _request(service, wanted))
        return str(run_id)

    def finish(self, app: App, run_id: str, wanted: Wanted) -> None:
        """Do a run that was started, to its end on record."""
        service = _service()
        service.finish_reconcile(app, [run_id], _request(service, wanted))

    def run(self, app: App, run_id: str) -> Document | None:
        """Return one run; None where there is none."""
        found = _port(app, "runs").get(run_id)
        return _document(found) if found is not None else None

    def runs(
        self, app: App, instance_id: str | None, status: str | None, page: int, page_size: int
    ) -> tuple[int, Sequence[Document]]:
        """Return how many runs there are, and one page of them, newest first."""
        total, items = _port(app, "runs").page(instance_id, status, page, page_size)
        return total, [_document(item) for item in items]

    def newest(self, app: App) -> Sequence[Document]:
        """Return the newest run of each enabled profile that has ended; of the whole profile, where there is one."""
        wanted = {profile.profile_id for profile in app.ledger.profiles() if profile.enabled}
        whole: dict[str, Document] = {}
        partly: dict[str, Document] = {}
        page, left = 0, 1
        while left > 0 and wanted - whole.keys() and page < _MOST_PAGES:
            page += 1
            total, found = self.runs(app, None, None, page, _PAGE)
            left = total - page * _PAGE
            for run in found:
                if run.get("status") != "PENDING":
                    scope = run.get("scope") or {}
                    of_part = scope.get("symbols") is not None or scope.get("trade_ids") is not None
                    (partly if of_part else whole).setdefault(str(run.get("instance_id")), run)
        return [run for name, run in sorted({**partly, **whole}.items()) if name in wanted]

    def breaks(self, app: App, wanted: BreakFilter, page: int, page_size: int) -> tuple[int, Sequence[Document]]:
        """Return how many breaks there are, and one page of them, newest first."""
        port = _port(app, "breaks")
        total, items = port.page(wanted.instance_id, wanted.account, wanted.kind, wanted.state, page, page_size)
        return total, [_document(item) for item in items]

    def found_break(self, app: App, break_id: str) -> Document | None:
        """Return one break; None where there is none."""
        found = _port(app, "breaks").get(break_id)
        return _document(found) if found is not None else None


_PAGE = 200
_MOST_PAGES = 50
"""Health looks for the newest runs among ten thousand at most."""


def _document(found: Any) -> Document:
    """Return what a port gave as a document."""
    document: Document = found if isinstance(found, Mapping) else found.as_json()
    return document


def _request(service: Any, wanted: Wanted) -> Any:
    return service.ReconcileRequest(
        profiles=(wanted.instance_id,),
        symbols=wanted.symbols,
        trade_ids=wanted.trade_ids,
        dry_run=wanted.dry_run,
        wait_seconds=WAIT_SECONDS,
    )


def _service() -> Any:
    if find_spec(_SERVICE) is None:
        raise _missing()
    return import_module(_SERVICE)


def _port(app: App, name: str) -> Any:
    found = getattr(app, name, None)
    if found is None:
        raise _missing()
    return found


def _missing() -> CannotKnow:
    return CannotKnow("This version of trueup has no reconciliation loop.", "Use check and backfill.")
