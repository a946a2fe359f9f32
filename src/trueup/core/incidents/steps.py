"""What a reconciliation run makes of an incident: detected, contained, classified, confirmed, returned, escalated.

Invariant 10: a run only tightens. It counts clean runs, and it ends a canary; it never lets anybody trade.
An inconclusive run holds every count, and is never a clean one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

from trueup.core.decimals import exactly, plain
from trueup.core.incidents.classes import BreakFacts, Verdict, classify, containment
from trueup.core.incidents.incident import (
    Act,
    Contained,
    EndCanary,
    Entry,
    Incident,
    MeasureCanary,
    Move,
    Step,
    Tighten,
)
from trueup.core.incidents.policy import IncidentPolicy
from trueup.core.modes import Mode

ACTOR = "trueup"
BROKEN = "the audit is broken"
_KEPT_RUNS = 20
_KEPT_BREAKS = 500


@dataclass(frozen=True, slots=True)
class Look:
    """One cycle of an account as an incident sees it; `at_ms` is when it ended.

    `left` are the breaks that it leaves open, `over` those that ended in it. `complete` says that it looked at all of
    the account and could tell everything. `exposure` is what is at risk in the running canary (quote currency, None
    where that is not known), every order included that was granted up to `covered_ms`; `alerts` names what is not quiet
    in the account, `healthy` that the loop is. `may_flatten` says that the account allows it,
    `audit_broken` that the audit's newest rows are no chain. `blocked` says what keeps the running canary from trading.
    """

    account: str
    at_ms: int
    run_ids: tuple[str, ...]
    left: tuple[BreakFacts, ...] = ()
    over: tuple[BreakFacts, ...] = ()
    complete: bool = True
    as_of_ms: int | None = None
    exposure: Decimal | None = None
    covered_ms: int = 0
    alerts: tuple[str, ...] = ()
    healthy: bool = True
    may_flatten: bool = False
    audit_broken: bool = False
    blocked: str = ""

    @property
    def reading_ms(self) -> int:
        """Return the venue's time of what was looked at; where none is given, the look's own."""
        return self.at_ms if self.as_of_ms is None else self.as_of_ms


def opened(look: Look, incident_id: str, rules: IncidentPolicy) -> Move:
    """Open an incident on a look with mismatches: it is contained and classified at once."""
    assert look.left, "an incident is opened by a mismatch"
    first = Incident(incident_id, look.account, "", Step.DETECTED, look.at_ms, look.run_ids[0] if look.run_ids else "")
    mismatch = (
        f"{len(look.left)} break{'s' if len(look.left) != 1 else ''}: {', '.join(sorted({b.kind for b in look.left}))}"
    )
    detected = Entry(Step.DETECTED, "opened", ACTOR, mismatch, look.run_ids)
    move = _mismatched(first, look, rules)
    return replace(move, entries=(detected, *move.entries))


@exactly
def seen(incident: Incident, look: Look, rules: IncidentPolicy) -> Move:
    """Take in one look at the account of an open incident."""
    assert incident.is_open, "a closed incident sees nothing more"
    if look.left or look.audit_broken:
        return _mismatched(incident, look, rules)
    incident = replace(incident, breaks=_kept(incident, look.over))
    if not look.complete:
        return _stopped(incident, look) or Move(incident)
    return _clean(incident, look, rules)


def _mismatched(incident: Incident, look: Look, rules: IncidentPolicy) -> Move:
    """A mismatch: whatever was won is lost again, and the containment follows what is known now."""
    entries: list[Entry] = []
    acts: list[Act] = []
    before = incident
    ended = _end_canary(incident, "mismatch" if look.left else BROKEN)
    came_back = incident.step in (Step.CONFIRMING, Step.CANARY)
    if ended is not None:
        acts.append(ended)
        why = f"{_words(look)}; the prior posture is back"
        entries.append(Entry(Step.CANARY, "canary ended", ACTOR, why, look.run_ids))
    incident = replace(
        incident,
        breaks=_kept(replace(incident, breaks={}) if came_back and look.left else incident, (*look.over, *look.left)),
        runs=incident.runs + bool(look.left),
        returns=incident.returns + (came_back and bool(look.left)),
        notionals=(*incident.notionals, _notional(look.left))[-10:] if look.left else incident.notionals,
        clean_runs=0, clean_since_ms=None, running=None, plan=None, stages_done=0,
        as_of_ms=max(incident.as_of_ms, look.reading_ms),
        run_ids=(*incident.run_ids, *look.run_ids)[-_KEPT_RUNS:],
    )  # fmt: skip
    if came_back:
        entries.append(
            Entry(Step.CLASSIFIED, "came back" if look.left else "not trusted", ACTOR, _words(look), look.run_ids)
        )
    verdict = classify(incident.breaks.values(), incident.runs, rules)
    held = containment(incident.account, tuple(incident.breaks.values()), verdict, incident.runs, rules)
    incident = replace(
        incident, scope=_joined(incident.scope, held.scope, look), untrusted=_untrusted(incident, look, rules)
    )
    where, mode = incident.scope, held.mode
    if incident.untrusted:
        mode = Mode.FLATTEN if look.may_flatten else Mode.HALT
    why = held.why + (f"; {incident.untrusted}" if incident.untrusted else "")
    if mode > max((item.mode for item in incident.contained if item.scope == where), default=Mode.NORMAL):
        incident = replace(incident, contained=(*incident.contained, Contained(where, mode, mode)))
        if rules.enforce:
            acts.append(Tighten(where, mode, f"{incident.incident_id}: {why}"))
        told = "contained" if rules.enforce else "would be contained; only observed"
        entries.append(Entry(Step.CONTAINED, f"{told}: {where} in {mode.name}", ACTOR, why, look.run_ids))
    if _differs(incident.verdict, verdict):
        entries.append(
            Entry(Step.CLASSIFIED, f"classified {words_of(verdict)}", ACTOR, signals_of(verdict), look.run_ids)
        )
    step = Step.REPAIRING if before.step is Step.REPAIRING else Step.CLASSIFIED
    return Move(replace(incident, verdict=verdict, step=step), tuple(entries), tuple(acts))


def _clean(incident: Incident, look: Look, rules: IncidentPolicy) -> Move:
    if incident.step is Step.CANARY:
        return _canary(incident, look, rules)
    entries: list[Entry] = []
    if incident.step.rank < Step.CONFIRMING.rank:
        verdict = classify(incident.breaks.values(), incident.runs, rules) if incident.breaks else incident.verdict
        if verdict is not None and _differs(incident.verdict, verdict):
            told = f"classified {words_of(verdict)}"
            entries.append(Entry(Step.CLASSIFIED, told, ACTOR, signals_of(verdict), look.run_ids))
        incident = replace(incident, step=Step.CONFIRMING, verdict=verdict, clean_runs=0, clean_since_ms=look.at_ms)
        entries.append(Entry(Step.CONFIRMING, "books agree", ACTOR, "the first run without a break", look.run_ids))
    quiet, newer = look.healthy and not look.alerts, look.reading_ms > incident.as_of_ms
    counted = incident.clean_runs > 0
    since_ms = incident.clean_since_ms if incident.clean_since_ms is not None else look.at_ms
    incident = replace(
        incident,
        clean_runs=incident.clean_runs + newer if quiet else 0,
        clean_since_ms=since_ms if quiet else None,
        as_of_ms=max(incident.as_of_ms, look.reading_ms),
        run_ids=(*incident.run_ids, *look.run_ids)[-_KEPT_RUNS:],
    )
    if not quiet and counted and not entries:
        why = ", ".join(look.alerts) or "the loop is not healthy"
        entries.append(Entry(Step.CONFIRMING, "not quiet", ACTOR, why, look.run_ids))
    return Move(incident, tuple(entries))


def _canary(incident: Incident, look: Look, rules: IncidentPolicy) -> Move:
    """A clean look at a running canary: it must be quiet, within its limit and within its time."""
    running, plan = incident.running, incident.plan
    assert running is not None
    assert plan is not None
    limit = plan.stages[running.stage - 1].limit
    trouble = list(look.alerts) if look.healthy else ["the loop is not healthy", *look.alerts]
    if look.exposure is None:
        trouble.append("its exposure is not known")
    elif look.exposure > limit:
        trouble.append(f"an exposure of {plain(look.exposure)} over its limit of {plain(limit)}")
    if trouble:
        return _returned(incident, look, "; ".join(trouble))
    over = _stopped(incident, look)
    if over is not None:
        return over
    assert look.exposure is not None
    clean = running.clean_runs + (look.reading_ms > incident.as_of_ms)
    passed = clean >= rules.canary_runs
    entries: tuple[Entry, ...] = ()
    if passed and not running.passed:
        told = f"stage {running.stage}: {clean} clean in a row"
        entries = (Entry(Step.CANARY, "stage passed", ACTOR, told, look.run_ids),)
    moved = replace(running, clean_runs=clean, exposure=look.exposure, passed=passed)
    incident = replace(
        incident,
        running=moved,
        as_of_ms=max(incident.as_of_ms, look.reading_ms),
        run_ids=(*incident.run_ids, *look.run_ids)[-_KEPT_RUNS:],
    )
    return Move(incident, entries, (MeasureCanary(running.canary_id, look.exposure, look.covered_ms),))


def _returned(incident: Incident, look: Look, why: str) -> Move:
    """End the canary, keep the evidence, and go back to classification."""
    ended = _end_canary(incident, why)
    assert ended is not None
    incident = replace(
        incident, step=Step.CLASSIFIED, running=None, plan=None, stages_done=0, clean_runs=0, clean_since_ms=None,
        returns=incident.returns + 1, run_ids=(*incident.run_ids, *look.run_ids)[-_KEPT_RUNS:],
    )  # fmt: skip
    told = Entry(Step.CLASSIFIED, "canary ended", ACTOR, f"{why}; the prior posture is back", look.run_ids)
    return Move(incident, (told,), (ended,))


def _stopped(incident: Incident, look: Look) -> Move | None:
    """End a canary that proves nothing any more: its time is over, or a mode that it does not lift forbids its orders.

    None where neither is so, or where none runs. The books stay what they are: they are confirmed anew.
    """
    running = incident.running
    if incident.step is not Step.CANARY or running is None:
        return None
    if look.at_ms >= running.until_ms:
        outcome, why = "its time is over", "its time is over and nobody signed the next step off"
    elif look.blocked:
        outcome, why = look.blocked, f"{look.blocked}: it could not trade; the prior posture is back"
    else:
        return None
    ended = EndCanary(running.canary_id, outcome)
    moved = replace(
        incident, step=Step.CONFIRMING, running=None, plan=None, stages_done=0, clean_runs=0, clean_since_ms=None
    )
    told = Entry(Step.CONFIRMING, "canary ended", ACTOR, why, look.run_ids)
    return Move(moved, (told,), (ended,))


def _end_canary(incident: Incident, why: str) -> EndCanary | None:
    return EndCanary(incident.running.canary_id, why) if incident.running is not None else None


def _untrusted(incident: Incident, look: Look, rules: IncidentPolicy) -> str:
    """Return why the books cannot be trusted: it persists after repairs, it grows, or the audit is broken."""
    if look.audit_broken:
        return BROKEN
    if incident.returns >= rules.persisting:
        return f"it came back {incident.returns} times after a repair"
    newest = incident.notionals[-(rules.growing + 1) :]
    known = [notional for notional in newest if notional is not None]
    grows = len(known) == rules.growing + 1 and all(a < b for a, b in pairwise(known))
    return f"it grew in {rules.growing} runs in a row" if grows else incident.untrusted


@exactly
def _notional(left: Iterable[BreakFacts]) -> Decimal | None:
    known = [item.notional for item in left]
    return sum((item for item in known if item is not None), Decimal(0)) if None not in known else None


def _kept(incident: Incident, newer: Iterable[BreakFacts]) -> dict[str, BreakFacts]:
    """Return the breaks with what is known of them now; of very many the newest are kept.

    What once told a graver class is not forgotten when the row that told it was mended. What ends after a person began
    to repair did not go away by itself.
    """
    found = dict(incident.breaks)
    for item in newer:
        known = found.pop(item.break_id, None)
        if known is None and item.repaired:
            continue
        by_itself = item.caught_up and incident.step is not Step.REPAIRING
        found[item.break_id] = replace(
            item, caught_up=by_itself, twins=item.twins or (known is not None and known.twins),
            reversed=item.reversed or (known is not None and known.reversed),
            stale_write=item.stale_write or (known is not None and known.stale_write),
        )  # fmt: skip
    return dict(list(found.items())[-_KEPT_BREAKS:])


def _joined(known: str, wanted: str, look: Look) -> str:
    """Return the smallest scope that holds two of one account: an incident never shrinks."""
    if not known or known == wanted or wanted.startswith("account:"):
        return wanted
    profiles = {item.profile_id for item in look.left}
    if len(profiles) == 1:
        inside = f"profile:{next(iter(profiles))}", f"symbol:{next(iter(profiles))}:"
        if known.startswith(inside) and wanted.startswith(inside):
            return inside[0]
    return f"account:{look.account}"


def _differs(known: Verdict | None, new: Verdict) -> bool:
    return known is None or (known.primary, known.secondary, known.unclear, known.radius) != (
        new.primary, new.secondary, new.unclear, new.radius,
    )  # fmt: skip


def words_of(verdict: Verdict) -> str:
    """Return a verdict in words."""
    secondary = f", then {verdict.secondary}" if verdict.secondary is not None else ""
    told = "unclear (missing and out_of_order)" if verdict.unclear else f"{verdict.primary}{secondary}"
    return f"{told}, radius {verdict.radius}"


def signals_of(verdict: Verdict) -> str:
    """Return the signals of a verdict in words, each with how many breaks gave it."""
    counts: dict[str, int] = {}
    for signal in verdict.signals:
        counts[signal.signal] = counts.get(signal.signal, 0) + 1
    return ", ".join(f"{name} ×{count}" for name, count in sorted(counts.items()))


def _words(look: Look) -> str:
    told = [", ".join(sorted({item.kind for item in look.left}))] if look.left else []
    return "; ".join([*told, *([BROKEN] if look.audit_broken else [])])
