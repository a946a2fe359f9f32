"""The runs of the reconciliation in the database: written many at a time, read a page at a time."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from trueup.core.forward import FOLLOWED_MS
from trueup.core.reconcile.watchdog import RunFact
from trueup.core.times import iso, read_time
from trueup.ledger import chain, schema
from trueup.ledger.figures import count_ends
from trueup.ledger.guards import fenced
from trueup.ledger.leases import this_process
from trueup.ledger.reading import chunks
from trueup.ledger.tables import Store
from trueup.ports import Clock, Lease, RunEnd, RunStart
from trueup.ports.figures import mismatches

KIND = "reconcile"
COUNTED = 10_000
"""So many runs are counted for the total of a list: to count all of a fleet's would cost more than the page."""

_PENDING = "PENDING"
_CONCLUSIVE = ("OK", "MISMATCH")


class SqlRuns:
    """The Runs port."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._state = store.state
        self._clock = clock

    def begin(self, starts: Sequence[RunStart]) -> None:
        """Record that runs began, with the audit head that they saw; after the newest, whatever the clocks say."""
        if not starts:
            return
        owner = this_process()
        with self._state.writing() as connection:
            head, now = chain.newest(connection)[1], iso(_after_all(connection, self._clock.now_ms()))
            rows = [
                {
                    "run_id": start.run_id, "kind": KIND, "scope": f"profile:{start.profile_id}", "status": _PENDING,
                    "audit_head": head, "started_at": now, "profile_id": start.profile_id, "account": start.account,
                    "cycle_id": start.cycle_id, "dry_run": start.dry_run,
                    "summary": {"status": _PENDING, "owner": owner},
                }
                for start in starts
            ]  # fmt: skip
            connection.execute(insert(schema.reconcile_runs), rows)

    def end(self, ends: Sequence[RunEnd], lease: Lease | None = None) -> None:
        """Record how runs ended, and count them; under a lease, that is refused where another run took it over."""
        if not ends:
            return
        table, now = schema.reconcile_runs, iso(self._clock.now_ms())
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("status", "summary", "ended_at")}
        statement = update(table).where(table.c.run_id == bindparam("of_run")).values(values)
        with self._state.writing() if lease is None else fenced(self._state, lease) as connection:
            connection.execute(
                statement,
                [
                    {"of_run": e.run_id, "new_status": e.status, "new_summary": dict(e.summary), "new_ended_at": now}
                    for e in ends
                ],
            )
            known = _known(connection, [e.run_id for e in ends])
            count_ends(connection, [{**known.get(e.run_id, {}), **e.summary, "status": e.status} for e in ends], now)

    def get(self, run_id: str) -> Mapping[str, object] | None:
        """Return a run's summary (of one that has not ended: its id, profile and status PENDING)."""
        table = schema.reconcile_runs
        query = select(table).where(table.c.run_id == run_id, table.c.kind == KIND)
        with self._state.reading() as connection:
            row = connection.execute(query).mappings().first()
        return _summary(row) if row is not None else None

    def page(
        self, *, instance_id: str | None = None, status: str | None = None, page: int = 1, page_size: int = 50
    ) -> tuple[int, list[Mapping[str, object]]]:
        """Return how many runs there are (as far as they are counted), and one page of them, newest first."""
        table = schema.reconcile_runs
        wanted = [table.c.kind == KIND]
        wanted += [table.c.profile_id == instance_id] if instance_id is not None else []
        wanted += [table.c.status == status] if status is not None else []
        where = and_(*wanted)
        order = (table.c.started_at.desc(), table.c.run_id.desc())
        query = select(table).where(where).order_by(*order).limit(page_size).offset((page - 1) * page_size)
        counted = select(table.c.run_id).where(where).limit(max(COUNTED, page * page_size)).subquery()
        with self._state.reading() as connection:
            total = int(connection.scalar(select(func.count()).select_from(counted)) or 0)
            return total, [_summary(row) for row in connection.execute(query).mappings()]

    def newest(self, profile_ids: Sequence[str]) -> list[Mapping[str, object]]:
        """Return the summary of each profile's newest run that has ended and was no dry run, by profile."""
        table, mine = schema.reconcile_runs, schema.profiles
        runs = table.alias("newest")
        newest = (
            select(runs.c.run_id)
            .where(
                runs.c.profile_id == mine.c.profile_id, runs.c.kind == KIND, runs.c.status != _PENDING,
                runs.c.dry_run.is_(False),
            )
            .order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
            .limit(1)
            .correlate(mine)
            .scalar_subquery()
        )  # fmt: skip
        found: list[Mapping[str, object]] = []
        with self._state.reading() as connection:
            for part in chunks(profile_ids):
                joined = mine.join(table, table.c.run_id == newest)
                query = select(table).select_from(joined).where(mine.c.profile_id.in_(part))
                found += [_summary(row) for row in connection.execute(query.order_by(mine.c.profile_id)).mappings()]
        return found

    def last_head(self, profile_id: str) -> str | None:
        """Return the audit head that a profile's newest conclusive run recorded at its begin; None where none did."""
        table = schema.reconcile_runs
        told = and_(
            table.c.profile_id == profile_id, table.c.kind == KIND, table.c.dry_run.is_(False),
            table.c.status.in_(_CONCLUSIVE),
        )  # fmt: skip
        query = select(table.c.audit_head).where(told).order_by(table.c.started_at.desc(), table.c.run_id.desc())
        with self._state.reading() as connection:
            return connection.scalar(query.limit(1))

    def since(self, profile_ids: Sequence[str], since_ms: int) -> dict[str, list[RunFact]]:
        """Return the runs of profiles that ended after a time, oldest first, but for dry and for partial ones."""
        table = schema.reconcile_runs
        query = select(table.c.profile_id, table.c.status, table.c.summary, table.c.ended_at).where(
            table.c.profile_id.in_(profile_ids), table.c.kind == KIND, table.c.dry_run.is_(False),
            table.c.started_at >= iso(since_ms), table.c.ended_at.is_not(None),
        ).order_by(table.c.started_at, table.c.run_id)  # fmt: skip
        found: dict[str, list[RunFact]] = {}
        with self._state.reading() as connection:
            for row in connection.execute(query):
                summary = json.loads(row.summary) if row.summary is not None else {}
                scope = summary.get("scope") or {}
                if scope.get("symbols") or scope.get("trade_ids"):
                    continue
                counts = summary.get("counts", {})
                number = mismatches(counts) if isinstance(counts.get("found"), int) else 1
                fact = RunFact(read_time(row.ended_at), row.status, number)
                found.setdefault(row.profile_id, []).append(fact)
        return found

    def prune(self, before_ms: int, limit: int = 1000) -> int:
        """Delete runs that began before a time and are over, the oldest first, at most so many; return how many."""
        table = schema.reconcile_runs
        over = and_(table.c.kind == KIND, table.c.started_at < iso(before_ms), table.c.ended_at.is_not(None))
        old = select(table.c.run_id).where(over).order_by(table.c.started_at, table.c.run_id).limit(limit)
        with self._state.writing() as connection:
            names = list(connection.scalars(old))
            if names:
                connection.execute(delete(table).where(table.c.run_id.in_(names)))
            return len(names)


def _known(connection: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return what is known of runs since they began, by their ids."""
    table = schema.reconcile_runs
    query = select(table.c.run_id, table.c.profile_id, table.c.account, table.c.dry_run)
    found = connection.execute(query.where(table.c.run_id.in_(run_ids)))
    return {
        row.run_id: {"instance_id": row.profile_id, "account": row.account, "dry_run": row.dry_run} for row in found
    }


def _after_all(connection: Connection, now_ms: int) -> int:
    """Return the time that a run begins at: after the newest, where a clock that was set back says otherwise."""
    table = schema.reconcile_runs
    newest = connection.scalar(select(table.c.started_at).order_by(table.c.started_at.desc()).limit(1))
    newest_ms = read_time(newest) if newest is not None else 0
    return newest_ms + 1 if 0 <= newest_ms - now_ms <= FOLLOWED_MS else now_ms


def _summary(row: Mapping[Any, Any]) -> Mapping[str, object]:
    known = {
        "reconcile_id": row["run_id"], "instance_id": row["profile_id"], "account": row["account"],
        "cycle_id": row["cycle_id"], "dry_run": row["dry_run"], "started_at": row["started_at"],
    }  # fmt: skip
    summary = json.loads(row["summary"]) if row["summary"] is not None else {}
    summary.pop("owner", None)
    return {**known, **summary, "status": row["status"]}
