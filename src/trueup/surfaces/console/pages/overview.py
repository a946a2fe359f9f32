"""The overview: how much trading is allowed, whether the loop looks, what is open, and what it is worth."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from trueup.core.reconcile.records import BreakState
from trueup.core.times import read_time
from trueup.ports.figures import BreakFigures
from trueup.service.exposure import exposure_over
from trueup.service.figures import Standing, standing
from trueup.service.health import health_of
from trueup.service.modes import show_modes
from trueup.surfaces.api.reconciling import BreakFilter
from trueup.surfaces.console.door import View, Visit, reads
from trueup.surfaces.console.pictures.exposure import chart_of

_RUNS = 200
_QUARANTINED = 10
_LATE_BEATS = 3
"""A heartbeat is late after so many intervals of the loop."""


def overview(visit: Visit) -> View:
    """Show how everything stands."""
    app, loop = visit.app, visit.console.options.reconciling
    found, modes = standing(app), show_modes(app, history=1)
    newest = {str(run["instance_id"]): run for run in loop.newest(app)}
    stale_after_ms = visit.console.options.stale_after_ms or app.safety.deadman.timeout_ms
    health = health_of(list(newest.values()), found.profiles, found.now_ms, stale_after_ms)
    _, runs = loop.runs(app, None, None, 1, _RUNS)
    quarantined, held = loop.breaks(app, BreakFilter(state=BreakState.QUARANTINED.value), 1, _QUARANTINED)
    profiles = [
        {"id": name, "account": account, "mode": mode.name, "paused": mode.paused, "scope": scope,
         "run": newest.get(name)}
        for name, account in sorted(found.profiles.items())
        for mode, scope in [modes.profiles[name]]
    ]  # fmt: skip
    kinds = list(_by_kind(found.measured.breaks))
    return View(
        "overview.html",
        {
            "health": health, "profiles": profiles, "accounts": _accounts(visit, found, newest), "kinds": kinds,
            "open": sum(kind["number"] for kind in kinds), "quarantined": quarantined, "held": held,
            "chart": chart_of(exposure_over(runs)), "alerts": found.measured.alerts, "pending": found.measured.pending,
        },
    )  # fmt: skip


def _accounts(visit: Visit, found: Standing, newest: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each account: its newest run, what that read of the venue, and how old its heartbeat is."""
    beats = {beat.scope: beat for beat in found.measured.heartbeats}
    figures = {account.account: account for account in found.measured.accounts}
    late_ms = round(visit.app.reconcile.interval_s * 1000 * _LATE_BEATS)
    rows = []
    for name in sorted({*visit.app.accounts, *found.profiles.values()}):
        runs = [run for profile, run in newest.items() if found.profiles.get(profile) == name]
        last = max(runs, key=lambda run: str(run.get("ended_at") or ""), default=None)
        beat, figure = beats.get(f"account:{name}"), figures.get(name)
        rows.append(
            {
                "name": name, "run": last, "coverage": (last or {}).get("coverage") or {}, "beat": beat,
                "late": beat is not None and found.now_ms - beat.beat_ms > late_ms,
                "cycles": figure.cycles if figure is not None else 0,
                "errors": sum(figure.venue.errors.values()) if figure is not None else 0,
                "statuses": sorted({str(run.get("status")) for run in runs}),
                "ended_ms": read_time(last["ended_at"]) if last and last.get("ended_at") else None,
            }
        )  # fmt: skip
    return rows


def _by_kind(figures: Iterable[BreakFigures]) -> Iterable[dict[str, Any]]:
    """Sum the open breaks up by kind."""
    kinds: dict[str, list[BreakFigures]] = defaultdict(list)
    for figure in figures:
        kinds[figure.kind].append(figure)
    for kind, members in sorted(kinds.items()):
        states: dict[str, int] = defaultdict(int)
        for member in members:
            states[member.state] += member.number
        yield {
            "kind": kind, "number": sum(states.values()), "states": dict(sorted(states.items())),
            "oldest_ms": min(member.oldest_ms for member in members),
            "worth": f"{worth:,.2f}" if (worth := sum(member.notional for member in members)) else None,
        }  # fmt: skip


ROUTES = (reads("/", overview),)
