"""Alerts: what people are told, and whether it reached them."""

from trueup.service.alerts import have, refusals
from trueup.surfaces.console.door import View, Visit, reads

_LIMIT = 100


def alerts(visit: Visit) -> View:
    """List the newest alerts, or those that are not delivered."""
    pending = visit.asked("pending") == "yes"
    found = visit.app.outbox.page(_LIMIT, pending=pending)
    rows = [{"alert": alert, "have": sorted(have(alert)), "refusals": dict(refusals(alert))} for alert in found]
    return View("alerts.html", {"found": rows, "pending": pending, "limit": _LIMIT})


ROUTES = (reads("/alerts", alerts),)
