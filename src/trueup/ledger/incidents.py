"""Incidents in the database: an incident, its story, its modes and its canaries change in one transaction.

Invariant 10 (Tighten freely, loosen only through gates): a mode is loosened here only where the incident itself put it
in force and nobody changed it since.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from trueup.core.errors import ChangedMeanwhile
from trueup.core.incidents.incident import (
    Act,
    EndCanary,
    Incident,
    Loosen,
    MeasureCanary,
    Move,
    StartCanary,
    Tighten,
)
from trueup.core.incidents.written import detail_of, incident_of
from trueup.core.times import iso, read_time
from trueup.ledger import schema
from trueup.ledger.containment import held_by_others
from trueup.ledger.guards import fenced
from trueup.ledger.modes import newest_seq, record, standing
from trueup.ledger.tables import Store, has_table
from trueup.ports import Kept, Lease, Line, ModeChange

SOURCE = "incident"


class SqlIncidents:
    """The Incidents port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def open_in(self, account: str) -> Kept | None:
        """Return the open incident of an account, None where there is none."""
        table = schema.incidents
        with self._state.reading() as connection:
            return _one(connection, and_(table.c.account == account, table.c.closed_at.is_(None)))

    def get(self, incident_id: str) -> Kept | None:
        """Return an incident, None where there is none of the id."""
        with self._state.reading() as connection:
            return _one(connection, schema.incidents.c.incident_id == incident_id)

    def page(self, *, only_open: bool = False, page: int = 1, page_size: int = 50) -> tuple[int, list[Incident]]:
        """Return how many incidents there are, and one page of them, newest first."""
        table = schema.incidents
        query, count = select(table), select(func.count()).select_from(table)
        if only_open:
            query, count = (each.where(table.c.closed_at.is_(None)) for each in (query, count))
        with self._state.reading() as connection:
            if not has_table(connection, table):
                return 0, []
            order = (table.c.opened_at.desc(), table.c.incident_id.desc())
            rows = connection.execute(query.order_by(*order).limit(page_size).offset((page - 1) * page_size)).mappings()
            return int(connection.scalar(count) or 0), [_kept(row).incident for row in rows]

    def story(self, incident_id: str) -> Sequence[Line]:
        """Return what happened in an incident, oldest first."""
        table = schema.incident_steps
        with self._state.reading() as connection:
            rows = connection.execute(select(table).where(table.c.incident_id == incident_id).order_by(table.c.seq))
            return [_line(row) for row in rows.mappings()]

    def commit(self, move: Move, version: int | None, at_ms: int, lease: Lease | None = None) -> Kept:
        """Put a move on record and do what it says, in one transaction; `version` None is a new incident."""
        with self._state.writing() if lease is None else fenced(self._state, lease) as connection:
            incident = _act(connection, move.incident, move.acts, iso(at_ms))
            kept = _save(connection, incident, version)
            for entry in move.entries:
                signed = {
                    "incident_id": incident.incident_id, "step": entry.step.value, "actor": entry.actor,
                    "created_at": iso(at_ms),
                }  # fmt: skip
                evidence = {"run_ids": list(entry.run_ids)}
                line = {**signed, "what": entry.what, "reason": entry.reason, "evidence": evidence}
                connection.execute(insert(schema.incident_steps).values(line))
                if entry.signs:
                    note = f"{entry.what}: {entry.reason}"
                    connection.execute(insert(schema.sign_offs).values({**signed, "note": note}))
        return kept


def _save(connection: Connection, incident: Incident, version: int | None) -> Kept:
    table = schema.incidents
    values = {
        "account": incident.account, "scope": incident.scope, "status": incident.step.value,
        "detail": detail_of(incident), "opened_at": iso(incident.opened_ms),
        "closed_at": iso(incident.closed_ms) if incident.closed_ms is not None else None,
        "open_scope": f"account:{incident.account}" if incident.is_open else None,
    }  # fmt: skip
    if version is None:
        try:
            connection.execute(insert(table).values({"incident_id": incident.incident_id, "version": 1, **values}))
        except IntegrityError:
            raise ChangedMeanwhile(
                f"Another incident was opened in {incident.account} meanwhile.", "See `trueup incident list`."
            ) from None
        return Kept(incident, 1)
    mine = and_(table.c.incident_id == incident.incident_id, table.c.version == version)
    if connection.execute(update(table).where(mine).values({**values, "version": version + 1})).rowcount != 1:
        raise ChangedMeanwhile(
            f"{incident.incident_id} was changed meanwhile; nothing was done.",
            f"See `trueup incident show {incident.incident_id}`.",
        )
    return Kept(incident, version + 1)


def _act(connection: Connection, incident: Incident, acts: Iterable[Act], at: str) -> Incident:
    """Do what a move says, and return the incident as it is then."""
    for act in acts:
        match act:
            case Tighten():
                incident = _tighten(connection, incident, act, at)
            case StartCanary():
                _start(connection, incident, act, at)
            case MeasureCanary():
                _of_canary(connection, act.canary_id, {"measured": act.exposure, "measured_at": act.covered_ms})
            case EndCanary():
                _of_canary(connection, act.canary_id, {"ended_at": at, "outcome": act.outcome})
            case Loosen():
                _loosen(connection, act, incident.incident_id, at)
    return incident


def _tighten(connection: Connection, incident: Incident, act: Tighten, at: str) -> Incident:
    previous = standing(connection, act.scope)
    if act.mode <= previous:
        return incident
    mine = next((item for item in reversed(incident.contained) if item.scope == act.scope and item.seq), None)
    own = mine is not None and newest_seq(connection, act.scope) == mine.seq
    before = mine.before if mine is not None and own else previous
    change = ModeChange(act.scope, act.mode, previous, SOURCE, incident.incident_id, act.why, at)
    record(connection, change, previous)
    seq = newest_seq(connection, act.scope)
    contained = tuple(
        replace(item, before=before, seq=seq) if (item.scope, item.mode) == (act.scope, act.mode) else item
        for item in incident.contained
    )
    return replace(incident, contained=contained)


def _start(connection: Connection, incident: Incident, act: StartCanary, at: str) -> None:
    stage, running = act.stage, act.running
    values = {
        "canary_id": running.canary_id, "incident_id": incident.incident_id, "stage": running.stage,
        "profile_id": stage.profile_id, "symbols": list(stage.symbols) if stage.symbols is not None else None,
        "exposure_limit": stage.limit, "measured": running.exposure,
        "measured_at": _covered_ms(connection, incident, act),
        "lifts": incident.lifts, "until_at": running.until_ms,
        "started_at": at,
    }  # fmt: skip
    connection.execute(insert(schema.canaries).values(values))


def _covered_ms(connection: Connection, incident: Incident, act: StartCanary) -> int:
    """Return since when grants come on top of what is at risk in a stage.

    What the gate granted in an earlier stage, and no run has measured yet, is on its way still.
    """
    table = schema.canaries
    earlier = and_(table.c.incident_id == incident.incident_id, table.c.profile_id == act.stage.profile_id)
    measured = connection.scalar(select(func.max(table.c.measured_at)).where(earlier))
    return min(act.covered_ms, int(measured)) if measured is not None else act.covered_ms


def _of_canary(connection: Connection, canary_id: str, values: dict[str, object]) -> None:
    table = schema.canaries
    running = and_(table.c.canary_id == canary_id, table.c.ended_at.is_(None))
    connection.execute(update(table).where(running).values(values))


def _loosen(connection: Connection, act: Loosen, incident_id: str, at: str) -> None:
    """Give back what was in force before, scope by scope; one that somebody changed since stays as it is.

    What another open incident demands of a scope is kept: a profile that was moved takes its scope to another account.
    """
    last = {item.scope: item for item in act.contained if item.seq}
    for scope, item in last.items():
        now = standing(connection, scope)
        before = max(item.before, held_by_others(connection, scope, incident_id))
        if newest_seq(connection, scope) == item.seq and before < now:
            record(connection, ModeChange(scope, before, now, SOURCE, SOURCE, act.why, at), now)


def _one(connection: Connection, where: Any) -> Kept | None:
    if not has_table(connection, schema.incidents):
        return None
    row = connection.execute(select(schema.incidents).where(where)).mappings().first()
    return _kept(row) if row is not None else None


def _kept(row: RowMapping) -> Kept:
    times = read_time(row["opened_at"]), read_time(row["closed_at"]) if row["closed_at"] is not None else None
    detail = json.loads(row["detail"]) if row["detail"] is not None else {}
    found = incident_of(row["incident_id"], row["account"], row["scope"], row["status"], times, detail)
    return Kept(found, row["version"])


def _line(row: RowMapping) -> Line:
    evidence = json.loads(row["evidence"]) if row["evidence"] is not None else {}
    return Line(
        row["seq"], row["step"], row["what"], row["actor"], row["reason"], tuple(evidence.get("run_ids", ())),
        row["created_at"],
    )  # fmt: skip
