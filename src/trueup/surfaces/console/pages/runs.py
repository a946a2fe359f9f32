"""Runs of the reconciliation loop."""

from trueup.core.errors import ConfigurationError, UnknownName, nearest
from trueup.service.gather import choose_profiles
from trueup.surfaces.console.door import View, Visit, reads
from trueup.surfaces.console.pages.lists import PAGE_SIZE, Paging

_STATUSES = ("OK", "MISMATCH", "INCONCLUSIVE", "PENDING")


def runs(visit: Visit) -> View:
    """List the runs, newest first."""
    profile, status = visit.asked("profile"), visit.asked("status")
    if profile is not None:
        choose_profiles(visit.app, [profile])
    if status is not None and status not in _STATUSES:
        raise ConfigurationError(f"There is no status {status!r}.", nearest(status, _STATUSES))
    total, found = visit.console.options.reconciling.runs(visit.app, profile, status, visit.page(), PAGE_SIZE)
    asked = {"profile": profile, "status": status}
    return View(
        "runs.html",
        {
            "found": found, "paging": Paging("/console/runs", visit.page(), total, asked), "asked": asked,
            "statuses": _STATUSES, "profiles": [p.profile_id for p in visit.app.ledger.profiles()],
        },
    )  # fmt: skip


def one_run(visit: Visit) -> View:
    """Show what a run read, found and did."""
    found = visit.console.options.reconciling.run(visit.app, visit.named("run_id"))
    if found is None:
        raise UnknownName("There is no such run.", "The list of runs names them.")
    return View("run.html", {"run": found})


ROUTES = (reads("/runs", runs), reads("/runs/{run_id}", one_run))
