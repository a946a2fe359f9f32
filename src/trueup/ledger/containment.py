"""What open incidents hold a scope in, and whose a mode is: the least that `mode set` may loosen to.

Invariant 10 (Tighten freely, loosen only through gates): what an incident demands of a scope is loosened by its own
steps alone. What people added to it is theirs to take back; what was there when the incident was opened, once its books
are confirmed.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select, update

from trueup.core.incidents.incident import Incident, Step
from trueup.core.incidents.written import detail_of, incident_of
from trueup.core.modes import GLOBAL, Mode
from trueup.core.times import iso, read_time
from trueup.ledger import schema
from trueup.ledger.tables import has_table


def floor(connection: Connection, scope: str, within: Sequence[str]) -> tuple[Mode, str | None]:
    """Return the loosest mode that open incidents leave a scope, and the incident that holds it there.

    `within` are the wider scopes that hold it; incidents inside of the scope count, too.
    """
    least: Mode = Mode.NORMAL
    holder: str | None = None
    for row in _open(connection, scope, within):
        held = _held(connection, row, scope)
        if held > least:
            least, holder = held, str(row["incident_id"])
    return least, holder


def held_by_others(connection: Connection, scope: str, incident_id: str) -> Mode:
    """Return the strictest mode that open incidents demand of a scope, one of them left out."""
    table = schema.incidents
    others = select(table).where(table.c.closed_at.is_(None), table.c.incident_id != incident_id)
    least: Mode = Mode.NORMAL
    for row in connection.execute(others).mappings():
        one = _read(row)
        unread = Mode.HALT if row["scope"] == scope else Mode.NORMAL
        least = max(least, unread if one is None else _demand(one, scope))
    return least


def leave_to_incident(
    connection: Connection, scope: str, within: Sequence[str], mode: Mode, seq: int, previous: Mode
) -> None:
    """Give a mode that a person set to an incident, where it is exactly what the incident demands of the scope.

    Then nothing of it is the person's any more, and a canary may lift it. What was in force before the incident stays
    a person's until the books are confirmed: then who sets just the mode that stands leaves that to the incident, too.
    """
    table = schema.incidents
    for row in _open(connection, scope, within, locked=True):
        incident = _read(row)
        mine = [item for item in incident.contained if item.scope == scope] if incident is not None else []
        if incident is None or not mine or _demand(incident, scope) is not mode:
            continue
        opening = _at_opening(connection, incident, scope)
        if opening >= mode and incident.step is not Step.CONFIRMING:
            continue
        known = next((item.before for item in reversed(mine) if item.seq), opening)
        if known >= mode or (incident.step is Step.CONFIRMING and previous is mode):
            known = Mode.NORMAL
        held = replace(mine[-1], mode=mode, before=known, seq=seq)
        kept = (item for item in incident.contained if item.scope != scope)
        values = {"detail": detail_of(replace(incident, contained=(*kept, held))), "version": row["version"] + 1}
        connection.execute(update(table).where(table.c.incident_id == incident.incident_id).values(values))


def _held(connection: Connection, row: RowMapping, scope: str) -> Mode:
    """Return the mode that one incident holds a scope in; what an incident cannot say is nothing to loosen by."""
    incident = _read(row)
    if incident is None:
        return Mode.HALT
    opening = Mode.NORMAL if incident.step is Step.CONFIRMING else _at_opening(connection, incident, scope)
    return max(_demand(incident, scope), opening)


def _demand(incident: Incident, scope: str) -> Mode:
    return max((item.mode for item in incident.contained if item.scope == scope), default=Mode.NORMAL)


def _at_opening(connection: Connection, incident: Incident, scope: str) -> Mode:
    """Return the mode that a scope had when an incident was opened."""
    table = schema.safety_modes
    earlier = (table.c.scope == scope) & (table.c.created_at < iso(incident.opened_ms))
    newest = select(func.max(table.c.seq)).where(earlier).scalar_subquery()
    found = connection.scalar(select(table.c.mode).where(table.c.seq == newest))
    return Mode[str(found)] if found is not None else Mode.NORMAL


def _read(row: RowMapping) -> Incident | None:
    """Return an incident as its row has it; None where that cannot be read."""
    try:
        detail = json.loads(row["detail"]) if row["detail"] is not None else {}
        opened = read_time(row["opened_at"]), None
        return incident_of(row["incident_id"], row["account"], row["scope"], row["status"], opened, detail)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _open(connection: Connection, scope: str, within: Sequence[str], *, locked: bool = False) -> Sequence[RowMapping]:
    """Return the open incidents at a scope, in the scopes that it is within, and inside of it."""
    table = schema.incidents
    if not has_table(connection, table):
        return ()
    kind, _, rest = scope.partition(":")
    here: ColumnElement[bool] = table.c.scope.in_([scope, *within])
    if kind == GLOBAL:
        here = table.c.scope.is_not(None)
    elif kind == "account":
        here |= table.c.account == rest
    elif kind == "profile":
        here |= table.c.scope.startswith(f"symbol:{rest}:", autoescape=True)
    query = select(table).where(table.c.closed_at.is_(None), here)
    return connection.execute(query.with_for_update() if locked else query).mappings().all()
