"""Incidents as JSON and back: what the database keeps of one, and what is printed of it."""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any

from trueup.core.audit import canonical_json
from trueup.core.decimals import plain, read_decimal
from trueup.core.incidents.classes import BreakFacts, Pattern, Radius, Signal, Verdict
from trueup.core.incidents.incident import Contained, Incident, Plan, Running, Stage, Step
from trueup.core.modes import Mode

_FLAGS = ("settled", "caught_up", "repaired", "twins", "reversed", "stale_write")


def detail_of(incident: Incident) -> dict[str, object]:
    """Return what is kept of an incident beside its columns; `incident_of` reads it back to an equal one."""
    return {
        "opened_by": incident.opened_by,
        "breaks": [_facts(item) for item in incident.breaks.values()],
        "verdict": verdict_json(incident.verdict) if incident.verdict is not None else None,
        "contained": [
            {"scope": c.scope, "mode": c.mode.name, "before": c.before.name, "seq": c.seq} for c in incident.contained
        ],
        "runs": incident.runs, "returns": incident.returns,
        "notionals": [_text(item) for item in incident.notionals],
        "clean_runs": incident.clean_runs, "clean_since_ms": incident.clean_since_ms,
        "plan": plan_json(incident.plan) if incident.plan is not None else None,
        "running": running_json(incident.running) if incident.running is not None else None,
        "stages_done": incident.stages_done, "run_ids": list(incident.run_ids), "untrusted": incident.untrusted,
        "as_of_ms": incident.as_of_ms,
    }  # fmt: skip


def incident_of(
    incident_id: str, account: str, scope: str, status: str, times: tuple[int, int | None], detail: Mapping[str, Any]
) -> Incident:
    """Return the incident that columns and detail say; `times` are when it was opened and closed (epoch ms)."""
    breaks = [_read_facts(item) for item in detail.get("breaks", ())]
    verdict, plan, running = detail.get("verdict"), detail.get("plan"), detail.get("running")
    return Incident(
        incident_id, account, scope, Step(status), times[0], detail.get("opened_by", ""),
        breaks={item.break_id: item for item in breaks},
        verdict=_read_verdict(verdict) if verdict is not None else None,
        contained=tuple(
            Contained(c["scope"], Mode[c["mode"]], Mode[c["before"]], c["seq"]) for c in detail.get("contained", ())
        ),
        runs=detail.get("runs", 0), returns=detail.get("returns", 0),
        notionals=tuple(_number(item) for item in detail.get("notionals", ())),
        clean_runs=detail.get("clean_runs", 0), clean_since_ms=detail.get("clean_since_ms"),
        plan=_read_plan(plan) if plan is not None else None,
        running=_read_running(running) if running is not None else None,
        stages_done=detail.get("stages_done", 0), run_ids=tuple(detail.get("run_ids", ())),
        untrusted=detail.get("untrusted", ""), as_of_ms=detail.get("as_of_ms", 0), closed_ms=times[1],
    )  # fmt: skip


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """Return a classification with the signals that led to it."""
    return {
        "primary": verdict.primary.value, "secondary": verdict.secondary.value if verdict.secondary else None,
        "unclear": verdict.unclear, "radius": verdict.radius.value, "reasons": list(verdict.reasons),
        "signals": [
            {
                "break_id": s.break_id, "kind": s.kind, "signal": s.signal,
                "pattern": s.pattern.value if s.pattern else None,
            }
            for s in verdict.signals
        ],
    }  # fmt: skip


def plan_json(plan: Plan) -> dict[str, object]:
    """Return the plan of a canary."""
    stages = [
        {
            "profile_id": stage.profile_id, "symbols": list(stage.symbols) if stage.symbols is not None else None,
            "limit": plain(stage.limit), "duration_ms": stage.duration_ms,
        }
        for stage in plan.stages
    ]  # fmt: skip
    return {"stages": stages, "proposed_by": plan.proposed_by, "proposed_ms": plan.proposed_ms}


def plan_hash(incident_id: str, plan: Plan) -> str:
    """Return the hash of one proposal: its stages with limits and durations, of which incident, by whom and when."""
    return sha256(canonical_json({"incident_id": incident_id, **plan_json(plan)}).encode()).hexdigest()


def running_json(running: Running) -> dict[str, object]:
    """Return the canary that runs."""
    return {
        "canary_id": running.canary_id, "stage": running.stage, "since_ms": running.since_ms,
        "until_ms": running.until_ms, "clean_runs": running.clean_runs, "exposure": plain(running.exposure),
        "passed": running.passed,
    }  # fmt: skip


def _facts(item: BreakFacts) -> dict[str, object]:
    return {
        "break_id": item.break_id, "kind": str(item.kind), "profile_id": item.profile_id, "symbol": item.symbol,
        "token": item.token, "ledger_qty": _text(item.ledger_qty), "venue_qty": _text(item.venue_qty),
        "notional": _text(item.notional), **{name: getattr(item, name) for name in _FLAGS},
    }  # fmt: skip


def _read_facts(item: Mapping[str, Any]) -> BreakFacts:
    return BreakFacts(
        item["break_id"], item["kind"], item["profile_id"], item["symbol"], item["token"],
        _number(item["ledger_qty"]), _number(item["venue_qty"]), _number(item["notional"]),
        **{name: bool(item[name]) for name in _FLAGS},
    )  # fmt: skip


def _read_verdict(item: Mapping[str, Any]) -> Verdict:
    return Verdict(
        Pattern(item["primary"]), Pattern(item["secondary"]) if item["secondary"] is not None else None,
        item["unclear"], Radius(item["radius"]),
        tuple(
            Signal(s["break_id"], s["kind"], s["signal"], Pattern(s["pattern"]) if s["pattern"] is not None else None)
            for s in item["signals"]
        ),
        tuple(item["reasons"]),
    )  # fmt: skip


def _read_plan(item: Mapping[str, Any]) -> Plan:
    stages = tuple(
        Stage(
            stage["profile_id"], tuple(stage["symbols"]) if stage["symbols"] is not None else None,
            read_decimal(stage["limit"]), stage["duration_ms"],
        )
        for stage in item["stages"]
    )  # fmt: skip
    return Plan(stages, item["proposed_by"], item["proposed_ms"])


def _read_running(item: Mapping[str, Any]) -> Running:
    return Running(
        item["canary_id"], item["stage"], item["since_ms"], item["until_ms"], item["clean_runs"],
        read_decimal(item["exposure"]), item["passed"],
    )  # fmt: skip


def _text(number: Decimal | None) -> str | None:
    return plain(number) if number is not None else None


def _number(text: str | None) -> Decimal | None:
    return read_decimal(text) if text is not None else None
