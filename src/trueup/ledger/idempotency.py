"""Keys of requests in the database: whoever inserts a key's row first runs the request, and its answer is kept there.

A row without a status is a request that runs; its `response` then names the process that runs it. Where that process
is gone, or the request began too long ago, whoever sends it next takes it over.
"""

import json
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from trueup.core.times import iso, read_time
from trueup.ledger import schema
from trueup.ledger.leases import is_gone, this_process
from trueup.ledger.tables import Store
from trueup.ports import Claim, ClaimState, Clock, RequestKey

KEPT_MS = 24 * 3_600_000
"""How long a key is known."""

LONGEST_REQUEST_MS = 15 * 60_000
"""A request of another machine, of which nobody here can tell whether it runs, counts as gone after this time."""

_table = schema.idempotency_keys


class SqlRequests:
    """The Requests port."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._state = store.state
        self._clock = clock

    def claim(self, request: RequestKey) -> Claim:
        """Claim a key before anything is done, or say what became of it; keys are forgotten after a day."""
        now = self._clock.now_ms()
        with self._state.writing() as connection:
            connection.execute(delete(_table).where(_table.c.created_at < iso(now - KEPT_MS)))
            if _insert(connection, request, now):
                return Claim(ClaimState.NEW)
            found = connection.execute(select(_table).where(_mine(request)).with_for_update()).mappings().first()
            if found is None:  # given back in between: its next sender has it
                return Claim(ClaimState.RUNNING)
            if found["request_hash"] != request.request_hash:
                return Claim(ClaimState.OTHER)
            said = json.loads(found["response"]) if found["response"] is not None else {}
            if found["status"] is not None:
                return Claim(ClaimState.DONE, int(found["status"]), said)
            began = read_time(found["created_at"])
            if not is_gone(str(said.get("owner"))) and began >= now - LONGEST_REQUEST_MS:
                return Claim(ClaimState.RUNNING)
            values = {"response": {"owner": this_process()}, "created_at": iso(now)}
            connection.execute(update(_table).where(_mine(request)).values(values))
            return Claim(ClaimState.NEW)

    def keep(self, request: RequestKey, status: int, answer: Mapping[str, object]) -> None:
        """Keep the answer that was given."""
        with self._state.writing() as connection:
            connection.execute(update(_table).where(_mine(request)).values(status=status, response=dict(answer)))

    def release(self, request: RequestKey) -> None:
        """Give a claimed key back, of which nothing was done: the same request may be sent again."""
        with self._state.writing() as connection:
            connection.execute(delete(_table).where(_mine(request), _table.c.status.is_(None)))


def _insert(connection: Connection, request: RequestKey, now_ms: int) -> bool:
    """Insert a key's row, or return that there is one; on Postgres this waits for who inserts it at this moment."""
    values = {
        "key": request.key, "actor": request.actor, "route": request.route, "request_hash": request.request_hash,
        "response": {"owner": this_process()}, "created_at": iso(now_ms),
    }  # fmt: skip
    try:
        with connection.begin_nested():
            connection.execute(insert(_table).values(values))
    except IntegrityError:
        return False
    return True


def _mine(request: RequestKey) -> ColumnElement[bool]:
    return and_(_table.c.key == request.key, _table.c.actor == request.actor, _table.c.route == request.route)
