"""The API on a real socket for the tests, with a loop that does what a test tells it to."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from trueup.service.app import App
from trueup.service.tokens import create_token
from trueup.surfaces.api.app import create_app
from trueup.surfaces.api.options import ApiOptions
from trueup.surfaces.api.reconciling import BreakFilter, Wanted
from trueup.surfaces.api.serving import Place, listening, serving

ROLES = ("viewer", "operator", "approver")


def ended(run_id: str, instance_id: str = "p1", status: str = "OK", **more: Any) -> dict[str, Any]:
    """The summary of a run as the plan of the loop has it."""
    return {
        "reconcile_id": run_id, "instance_id": instance_id, "account": "main", "cycle_id": "CYC-1", "status": status,
        "dry_run": False, "scope": {"profile": instance_id, "symbols": None, "trade_ids": None},
        "timestamp": "2026-01-02T13:00:00.000Z", "started_at": "2026-01-02T13:00:00.000Z",
        "ended_at": "2026-01-02T13:00:01.000Z", "duration_ms": 1000, "exchange_equity": "100.5",
        "internal_equity": "100", "difference": "0.5",
        "explained_by": {"fees": "0.1", "funding": None, "transfers": None, "open_breaks": "0", "unexplained": "0.4"},
        "coverage": {"positions": {"state": "complete", "reason": None, "since": None}},
        "breaks": [{
            "break_id": "BRK-1", "kind": "ghost_position", "state": "waiting", "symbol": "BTC/USD",
            "trade_id": "TRD-1", "exchange_order_id": None, "ledger": "1", "venue": "0", "notional": "100",
            "reason": "", "confirmations": 1, "first_seen": "2026-01-02T13:00:00.000Z", "age_ms": 0, "detail": {},
        }],
        "counts": dict.fromkeys((
            "found", "healed", "would_heal", "quarantined", "waiting", "unresolved", "acknowledged", "resolved",
            "parity_mismatch_trades", "parity_quarantined_trades", "parity_auto_closed_trades",
            "missing_from_exchange", "missing_in_db"), 1),
        "parity_max_mismatch_notional_usd": "100", "parity_total_mismatch_notional_usd": "100",
        "watchdog_triggered": False, "heals": [], "closes": [], "notes": [], "error": None, "venue_calls": 3, **more,
    }  # fmt: skip


@dataclass
class FakeLoop:
    """A loop that keeps its runs in memory; `gate` holds back those that finish."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    started: list[Wanted] = field(default_factory=list)
    actors: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    fails: Exception | None = None

    def available(self) -> bool:
        return True

    def start(self, app: App, wanted: Wanted) -> str:
        if self.fails is not None:
            raise self.fails
        self.started.append(wanted)
        self.actors.append(app.actor)
        run_id = f"RUN-{len(self.started)}"
        self.documents[run_id] = {"reconcile_id": run_id, "instance_id": wanted.instance_id, "status": "PENDING"}
        return run_id

    def finish(self, app: App, run_id: str, wanted: Wanted) -> None:
        self.gate.wait(10)
        self.documents[run_id] = ended(run_id, wanted.instance_id)

    def run(self, app: App, run_id: str) -> Mapping[str, Any] | None:
        return self.documents.get(run_id)

    def runs(
        self, app: App, instance_id: str | None, status: str | None, page: int, page_size: int
    ) -> tuple[int, Sequence[Mapping[str, Any]]]:
        chosen = [
            run
            for run in reversed(self.documents.values())
            if instance_id in (None, run["instance_id"]) and status in (None, run["status"])
        ]
        return len(chosen), chosen[(page - 1) * page_size : page * page_size]

    def newest(self, app: App) -> Sequence[Mapping[str, Any]]:
        return [run for run in self.documents.values() if run["status"] != "PENDING"]

    def breaks(
        self, app: App, wanted: BreakFilter, page: int, page_size: int
    ) -> tuple[int, Sequence[Mapping[str, Any]]]:
        chosen = [b for b in self.found.values() if wanted.state in (None, b["state"])]
        return len(chosen), chosen[(page - 1) * page_size : page * page_size]

    def found_break(self, app: App, break_id: str) -> Mapping[str, Any] | None:
        return self.found.get(break_id)

    def take_over(self, app: App, break_id: str, reason: str) -> Mapping[str, Any]:
        self.found[break_id] = {**self.found[break_id], "state": "acknowledged", "owner": app.actor, "reason": reason}
        return self.found[break_id]


@dataclass
class Api:
    """A server that runs, and clients of each role; `secrets` are their tokens."""

    app: App
    url: str
    loop: FakeLoop
    secrets: dict[str, str]
    clients: ExitStack

    def client(self, role: str | None = "operator", **headers: str) -> httpx.Client:
        given = {"Authorization": f"Bearer {self.secrets[role]}"} if role is not None else {}
        made = httpx.Client(base_url=self.url, headers={**given, **headers}, timeout=30, trust_env=False)
        return self.clients.enter_context(made)


@contextmanager
def an_api(app: App, **changed: Any) -> Iterator[Api]:
    """Serve the API on the loopback with an App whose tables are there."""
    loop = changed.pop("reconciling", None) or FakeLoop()
    secrets = {role: create_token(app, f"{role}-{app.clock.new_id('T')}", role).secret for role in ROLES}
    place = Place(port=0)
    options = ApiOptions(**{"reconciling": loop, "hosts": place.hosts, "metrics_open": True, **changed})
    api = create_app(app, options)
    with (
        listening(place) as listener,
        serving(api, place, listener, threading.Event()) as url,
        ExitStack() as clients,
    ):
        try:
            yield Api(app, url, loop, secrets, clients)
        finally:
            if isinstance(loop, FakeLoop):
                loop.gate.set()
