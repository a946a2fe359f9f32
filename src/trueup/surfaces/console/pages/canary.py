"""Canary: the small scope that trades again; to propose one, to sign its steps off, to abort it."""

from trueup.core.errors import ConfigurationError
from trueup.core.incidents.incident import Step
from trueup.service.leading import StageAsked, abort_canary, incidents_page, propose_canary, sign_off
from trueup.service.tokens import Permission
from trueup.surfaces.console.door import Leave, View, Visit, acts, reads
from trueup.surfaces.console.pages.incidents import back_to
from trueup.surfaces.console.pages.lists import PAGE_SIZE, Paging
from trueup.surfaces.console.pages.way import shown

_FIELDS = ("profile", "symbols", "limit", "minutes")


def canary(visit: Visit) -> View:
    """Show the canaries that are proposed or run, and the incidents that wait for one."""
    total, found = incidents_page(visit.app, only_open=True, page=visit.page(), page_size=PAGE_SIZE)
    items = [shown(visit, incident) for incident in found]
    paging = Paging("/console/canary", visit.page(), total)
    return View(
        "canary.html",
        {
            "canaries": [item for item in items if item.incident.plan is not None],
            "others": [item for item in items if item.incident.plan is None], "paging": paging,
        },
    )  # fmt: skip


def propose(visit: Visit) -> Leave:
    """Propose how trading comes back, stage by stage."""
    view = propose_canary(visit.app, visit.named("incident_id"), _stages(visit), visit.given("reason"))
    visit.tell(f"The canary is proposed. {view.next.what}")
    return back_to(visit)


def approve(visit: Visit) -> Leave:
    """Sign the next step off, if it is the one that was read."""
    view = sign_off(visit.app, visit.named("incident_id"), visit.given("reason"), visit.given("reviewed"))
    restored = view.incident.step is Step.RESTORED
    visit.tell("It is signed off. Trading is restored." if restored else f"It is signed off. {view.next.what}")
    return back_to(visit)


def abort(visit: Visit) -> Leave:
    """End a canary at once, or take its proposal back."""
    abort_canary(visit.app, visit.named("incident_id"), visit.given("reason"))
    visit.tell("The canary is ended. Trading is as contained as before it.")
    return back_to(visit)


def _stages(visit: Visit) -> list[StageAsked]:
    """Return the rows of the form that somebody filled in; those left blank are no stages."""
    columns = [visit.form.get(name, ()) for name in _FIELDS]
    if len({len(column) for column in columns}) != 1:
        raise ConfigurationError("The stages cannot be read.", "Load the page again, and send the form from there.")
    rows = [StageAsked(*row) for row in zip(*columns, strict=True)]
    asked = [row for row in rows if row.symbols or row.limit or row.minutes]
    if not asked:
        raise ConfigurationError("A canary needs a stage.", "Say who may trade what, up to which limit, for how long.")
    return asked


ROUTES = (
    reads("/canary", canary),
    acts("/canary/{incident_id}/propose", propose),
    acts("/canary/{incident_id}/approve", approve, Permission.SIGN),
    acts("/canary/{incident_id}/abort", abort),
)
