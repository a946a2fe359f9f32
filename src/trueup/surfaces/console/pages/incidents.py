"""Incidents: where each stands, what is to be done next and why, its story, and doing the next step."""

from trueup.core.incidents.steps import signals_of, words_of
from trueup.service.leading import incidents_page, note, show_incident, start_repair
from trueup.service.ticket import as_markdown, ticket_of
from trueup.surfaces.console.door import Download, Leave, View, Visit, acts, reads
from trueup.surfaces.console.pages.lists import PAGE_SIZE, Paging
from trueup.surfaces.console.pages.way import shown
from trueup.surfaces.console.rendering import segment


def incidents(visit: Visit) -> View:
    """List the incidents that are open; with the closed ones, if they are asked for."""
    closed = visit.asked("closed") == "yes"
    total, found = incidents_page(visit.app, only_open=not closed, page=visit.page(), page_size=PAGE_SIZE)
    paging = Paging("/console/incidents", visit.page(), total, {"closed": "yes" if closed else None})
    items = [shown(visit, incident) for incident in found]
    return View("incidents.html", {"items": items, "closed": closed, "paging": paging})


def incident(visit: Visit) -> View:
    """Show one incident: what is known, the checklist, what to do next, its story and its evidence."""
    view = show_incident(visit.app, visit.named("incident_id"))
    verdict = view.incident.verdict
    return View(
        "incident.html",
        {
            "item": shown(visit, view.incident), "incident": view.incident, "view": view,
            "verdict": words_of(verdict) if verdict is not None else None,
            "signals": signals_of(verdict) if verdict is not None else "",
        },
    )  # fmt: skip


def export(visit: Visit) -> Download:
    """Give one incident as a Markdown page for the ticket."""
    ticket = ticket_of(visit.app, visit.named("incident_id"))
    return Download(f"{ticket.view.incident.incident_id}.md", as_markdown(ticket), "text/markdown; charset=utf-8")


def repair(visit: Visit) -> Leave:
    """Begin the repair."""
    view = start_repair(visit.app, visit.named("incident_id"), visit.given("reason"))
    visit.tell(f"The repair has begun. {view.next.what}")
    return back_to(visit)


def add_note(visit: Visit) -> Leave:
    """Attach a note to the story."""
    note(visit.app, visit.named("incident_id"), visit.given("text"))
    visit.tell("The note is in the story.")
    return back_to(visit)


def back_to(visit: Visit) -> Leave:
    """Return the way back to the page of the incident."""
    return Leave(f"/console/incidents/{segment(visit.named('incident_id'))}")


ROUTES = (
    reads("/incidents", incidents),
    reads("/incidents/{incident_id}", incident),
    reads("/incidents/{incident_id}/export", export),
    acts("/incidents/{incident_id}/repair", repair),
    acts("/incidents/{incident_id}/note", add_note),
)
