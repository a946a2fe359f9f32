"""Incidents, and the canary-first way back to trading."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from trueup.core.incidents.ways import Read
from trueup.service.leading import (
    IncidentView,
    abort_canary,
    incidents_page,
    note,
    propose_canary,
    show_incident,
    sign_off,
    start_repair,
    summary_json,
)
from trueup.service.ticket import as_markdown, ticket_of
from trueup.service.tokens import Permission
from trueup.surfaces.api.doors import Doing, Guarded, Reading, needs
from trueup.surfaces.api.models.incidents import (
    ApproveAsked,
    CanaryAsked,
    IncidentDocument,
    IncidentItem,
    IncidentsQuery,
    NoteAsked,
    ReasonAsked,
)
from trueup.surfaces.api.models.parts import Name, Page

router = APIRouter(route_class=Guarded, tags=["incidents"])
IncidentId = Annotated[Name, Path()]


@router.get("/incidents", **needs(Permission.READ))
def incidents(call: Reading, asked: Annotated[IncidentsQuery, Query()]) -> Page[IncidentItem]:
    """List the incidents, newest first."""
    total, found = incidents_page(call.app, only_open=asked.open, page=asked.page, page_size=asked.page_size)
    items = [IncidentItem.model_validate(summary_json(incident)) for incident in found]
    return Page[IncidentItem](page=asked.page, page_size=asked.page_size, total=total, items=items)


@router.get("/incidents/{incident_id}", **needs(Permission.READ))
def incident(call: Reading, incident_id: IncidentId) -> IncidentDocument:
    """Show one incident: its story, its checklist, and what is to be done next."""
    return _document(show_incident(call.app, incident_id))


@router.get("/incidents/{incident_id}/export", response_class=Response, **needs(Permission.READ))
def export(call: Reading, incident_id: IncidentId) -> Response:
    """Give one incident as a Markdown page for the ticket."""
    return Response(as_markdown(ticket_of(call.app, incident_id)), media_type="text/markdown; charset=utf-8")


@router.post("/incidents/{incident_id}/notes", response_model=IncidentDocument, **needs(Permission.ACT))
def add_note(incident_id: IncidentId, asked: NoteAsked, call: Doing) -> Response:
    """Attach a note to an incident's story."""
    return call.once(asked, lambda: _document(note(call.app, incident_id, asked.text)))


@router.post("/incidents/{incident_id}/repair", response_model=IncidentDocument, **needs(Permission.ACT))
def repair(incident_id: IncidentId, asked: ReasonAsked, call: Doing) -> Response:
    """Begin the repair of a classified incident; its `next` says what repairs its class."""
    return call.once(asked, lambda: _document(start_repair(call.app, incident_id, asked.reason)))


@router.post("/incidents/{incident_id}/canary", response_model=IncidentDocument, **needs(Permission.ACT))
def propose(incident_id: IncidentId, asked: CanaryAsked, call: Doing) -> Response:
    """Propose how trading comes back, stage by stage; refused before the books are confirmed."""
    return call.once(asked, lambda: _document(propose_canary(call.app, incident_id, asked.stages, asked.reason)))


@router.post("/incidents/{incident_id}/canary/approve", response_model=IncidentDocument, **needs(Permission.SIGN))
def approve(incident_id: IncidentId, asked: ApproveAsked, call: Doing) -> Response:
    """Sign the next step of the plan that was read off: a stage, or trading restored; never one's own proposal."""
    read = Read(asked.plan_hash, asked.stage)
    return call.once(asked, lambda: _document(sign_off(call.app, incident_id, asked.reason, read)))


@router.post("/incidents/{incident_id}/canary/abort", response_model=IncidentDocument, **needs(Permission.ACT))
def abort(incident_id: IncidentId, asked: ReasonAsked, call: Doing) -> Response:
    """End a canary at once, or take its proposal back."""
    return call.once(asked, lambda: _document(abort_canary(call.app, incident_id, asked.reason)))


def _document(view: IncidentView) -> IncidentDocument:
    return IncidentDocument.model_validate(view.as_json())
