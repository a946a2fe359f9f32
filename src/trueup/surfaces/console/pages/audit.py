"""The audit: its rows, and whether its chain is whole."""

from trueup.service.audit import audit_page, verify_audit
from trueup.surfaces.console.door import View, Visit, reads
from trueup.surfaces.console.pages.lists import PAGE_SIZE, Paging


def audit(visit: Visit) -> View:
    """List the audit's rows, newest first; of one batch where one is named."""
    batch = visit.asked("batch")
    total, rows = audit_page(visit.app, visit.page(), PAGE_SIZE, batch)
    paging = Paging("/console/audit", visit.page(), total, {"batch": batch})
    return View("audit.html", {"rows": rows, "paging": paging, "batch": batch, "head": visit.app.journal.head()})


def verify(visit: Visit) -> View:
    """Check the whole chain."""
    expected = visit.asked("expect_head")
    return View("verified.html", {"checked": verify_audit(visit.app, expected), "expected": expected})


ROUTES = (reads("/audit", audit), reads("/audit/verify", verify))
