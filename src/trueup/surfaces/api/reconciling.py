"""The reconciliation loop as the API needs it, and the thin adapter to its use cases.

Each run and each break is a document: the summary that the run ended with, the row that the break is kept in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trueup.service.app import App
from trueup.service.breaks import take_over
from trueup.service.cycle import ReconcileRequest
from trueup.service.reconcile import Started, finish_reconcile, start_reconcile

Document = Mapping[str, Any]

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

    def take_over(self, app: App, break_id: str, reason: str) -> Document:
        """Record that the caller took a break over, and return it."""
        ...


class ServiceReconciling:
    """The loop of this program."""

    def __init__(self) -> None:
        self._started: dict[str, Started] = {}

    def available(self) -> bool:
        """Say whether there is a loop."""
        return True

    def start(self, app: App, wanted: Wanted) -> str:
        """Put a run on record as PENDING and return its id."""
        started = start_reconcile(app, _request(wanted))
        [run_id] = started.run_ids
        self._started[run_id] = started
        return run_id

    def finish(self, app: App, run_id: str, wanted: Wanted) -> None:
        """Do a run that was started, to its end on record."""
        finish_reconcile(app, self._started.pop(run_id), _request(wanted))

    def run(self, app: App, run_id: str) -> Document | None:
        """Return one run; None where there is none."""
        return app.runs.get(run_id)

    def runs(
        self, app: App, instance_id: str | None, status: str | None, page: int, page_size: int
    ) -> tuple[int, Sequence[Document]]:
        """Return how many runs there are, and one page of them, newest first."""
        return app.runs.page(instance_id=instance_id, status=status, page=page, page_size=page_size)

    def newest(self, app: App) -> Sequence[Document]:
        """Return the newest run of each enabled profile that has ended."""
        return app.runs.newest([profile.profile_id for profile in app.ledger.profiles() if profile.enabled])

    def breaks(self, app: App, wanted: BreakFilter, page: int, page_size: int) -> tuple[int, Sequence[Document]]:
        """Return how many breaks there are, and one page of them, newest first."""
        total, records = app.breaks.page(
            account=wanted.account, profile_id=wanted.instance_id, kind=wanted.kind, state=wanted.state,
            page=page, page_size=page_size,
        )  # fmt: skip
        return total, [record.as_json(app.clock.now_ms()) for record in records]

    def found_break(self, app: App, break_id: str) -> Document | None:
        """Return one break; None where there is none."""
        found = app.breaks.named([break_id])
        return found[0].as_json(app.clock.now_ms()) if found else None

    def take_over(self, app: App, break_id: str, reason: str) -> Document:
        """Record that the caller took a break over, and return it."""
        return take_over(app, break_id, reason).as_json(app.clock.now_ms())


def _request(wanted: Wanted) -> ReconcileRequest:
    return ReconcileRequest(
        profiles=(wanted.instance_id,),
        symbols=wanted.symbols,
        trade_ids=wanted.trade_ids,
        dry_run=wanted.dry_run,
        wait_seconds=WAIT_SECONDS,
    )
