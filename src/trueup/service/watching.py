"""The integrity watchdog at work: it pauses a profile whose mismatch is too large, and resumes what it paused.

Invariant 10: it tightens freely; it loosens only its own pause, by the rules of the core.
"""

from trueup.core.errors import Refused, TrueupError
from trueup.core.modes import Mode
from trueup.core.reconcile.watchdog import SOURCE, Pause, RunFact, keeps_paused, must_pause
from trueup.core.times import iso, read_time
from trueup.ports import ModeChange, Profile
from trueup.ports.figures import mismatches
from trueup.service.cycle import Cycle


def watch(cycle: Cycle) -> None:
    """Pause or resume each profile of the cycle, as its mismatch and its runs demand."""
    rules = cycle.app.reconcile.policy
    modes: dict[str, Mode] | None = None
    for profile in cycle.members:
        run = cycle.runs[profile.profile_id]
        why = must_pause(run.parity.total, profile.allocated_capital, rules)
        run.watchdog = why is not None
        if run.parity.mismatched and profile.allocated_capital is None:
            run.notes.append("no allocated capital is known, so that the watchdog cannot weigh the mismatch")
        if cycle.request.dry_run:
            continue
        try:
            if why is not None:
                _pause(cycle, profile, why)
            else:
                modes = cycle.app.modes.current() if modes is None else modes
                paused = modes.get(f"profile:{profile.profile_id}", Mode.NORMAL).paused
                run.resumed = paused and _resume(cycle, profile)
        except TrueupError as error:
            run.notes.append(f"the watchdog could not act: {error.what}")


def _pause(cycle: Cycle, profile: Profile, why: str) -> None:
    """Pause a profile; one that is paused already keeps who paused it."""
    app, scope = cycle.app, f"profile:{profile.profile_id}"
    app.modes.tighten(ModeChange(scope, Mode.SAFE_MODE, Mode.NORMAL, SOURCE, SOURCE, why, iso(cycle.now_ms)))


def _resume(cycle: Cycle, profile: Profile) -> bool:
    """Resume a paused profile where the rules of the core say so; a run about some symbols or trades does not."""
    app, scope, rules = cycle.app, f"profile:{profile.profile_id}", cycle.app.reconcile.policy
    if cycle.request.symbols or cycle.request.trade_ids is not None:
        return False
    changes = app.modes.of_scope(scope, 50)
    pause = _pause_of(changes[0]) if changes else None
    resumes = [read_time(c.at) for c in changes if c.source == SOURCE and not c.mode.paused]
    runs = app.runs.since([profile.profile_id], pause.since_ms if pause is not None else 0).get(profile.profile_id, [])
    run = cycle.runs[profile.profile_id]
    facts = [*runs, RunFact(cycle.now_ms, run.status, mismatches(run.counts()))]
    if keeps_paused(pause, facts, max(resumes, default=None), cycle.now_ms, rules) is not None or pause is None:
        return False
    why = f"{rules.clean_cycles} clean runs since the pause of {iso(pause.since_ms)}"
    try:
        change = ModeChange(scope, pause.previous, pause.mode, SOURCE, SOURCE, why, iso(cycle.now_ms))
        app.modes.set(change, after=changes[0], lease=cycle.lease, within=(f"account:{cycle.account}",))
    except Refused as error:
        run.notes.append(error.what)
        return False
    return True


def _pause_of(change: ModeChange) -> Pause:
    return Pause(change.mode, change.previous, change.source, read_time(change.at))
