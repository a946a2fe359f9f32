"""Switching bots: what the modes say is told to each bot that does not ask the gate, and verified.

Invariant 10 (Tighten freely, loosen only through gates): a bot goes on only where NORMAL holds again, dead-man
included, and only if it was trueup that had stopped it. What a bot accepted is not done before the bot itself says so.
"""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from trueup.core.errors import TrueupError
from trueup.core.modes import GLOBAL, Mode
from trueup.core.times import iso
from trueup.ports import Check, Switch, SwitchReport
from trueup.service.alerts import raise_alert, resolve_alert
from trueup.service.app import App
from trueup.service.events import log
from trueup.service.posture import Stand, stand

FAILED = "switch_failed"

_SIDE_BY_SIDE = 16

WHOLE = ""
"""The symbol of a whole bot."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of one bot, or of one of its symbols: the mode that it is to keep to, and what it says."""

    profile_id: str
    symbol: str
    mode: Mode
    report: SwitchReport


def enforce_modes(app: App, profiles: Collection[str] | None = None) -> list[Switched]:
    """Tell the bots of some profiles, or all, to keep to their modes; return what was told, and how it ended.

    Nothing is told to a bot that does as it should. One that cannot be told is alerted of, and stops no other.
    """
    wanted = sorted(name for name in app.switches if profiles is None or name in profiles)
    if not wanted:
        return []
    found, marks = stand(app), app.switch_marks.stopped()
    known = [name for name in wanted if name in found.profiles]
    with ThreadPoolExecutor(min(len(known), _SIDE_BY_SIDE) or 1, "switch") as pool:
        return [done for told in pool.map(lambda name: list(_enforce(app, found, marks, name)), known) for done in told]


def enforce_scope(app: App, scope: str) -> list[Switched]:
    """Tell the bots that a scope binds, right after its mode was changed; trouble is alerted of, and raised never."""
    kind, _, rest = scope.partition(":")
    try:
        bound: Collection[str] | None = None
        if kind == "account":
            bound = {name for name, (account, _) in stand(app).homes.items() if account == rest} if app.switches else ()
        elif kind != GLOBAL:
            bound = {name for name in app.switches if rest == name or rest.startswith(f"{name}:")}
        return enforce_modes(app, bound)
    except TrueupError as error:
        log("switch_failed", profile_id="", symbol="", mode="", detail=error.what)
        return []


def _enforce(app: App, found: Stand, marks: dict[tuple[str, str], Mode], name: str) -> Iterator[Switched]:
    wanted = {WHOLE: found.of(f"profile:{name}").mode, **_symbols(found, name)}
    mine = {symbol for profile, symbol in marks if profile == name}
    wanted = {**dict.fromkeys(mine, wanted[WHOLE]), **wanted}
    for symbol, mode in sorted(wanted.items()):
        try:
            report = _told(app, name, symbol, mode, marked=symbol in mine)
        except TrueupError as error:
            report = SwitchReport(False, error.what)
        if report is None:
            continue
        done = Switched(name, symbol, mode, report)
        _tell(app, done)
        yield done


def _symbols(found: Stand, name: str) -> dict[str, Mode]:
    """Return the symbols that are to keep to a stricter mode than the whole bot, as their scopes spell them."""
    start, whole = f"symbol:{name}:", found.of(f"profile:{name}").mode
    named = (scope for scope in found.scopes if scope.startswith(start))
    modes = {scope.removeprefix(start): found.of(scope).mode for scope in named}
    return {symbol: mode for symbol, mode in modes.items() if mode > whole}


def _told(app: App, name: str, symbol: str, mode: Mode, *, marked: bool) -> SwitchReport | None:
    """Tell a bot what it does not do yet; None where there is nothing to tell."""
    if mode is Mode.NORMAL and not marked:
        return None
    switch, about = app.switches[name](), symbol or None
    now = switch.status((symbol,) if symbol else ()).of(about)
    if mode is Mode.NORMAL:
        return _resumed(app, switch, name, symbol, now)
    if now >= mode:
        resolve_alert(app, f"{FAILED}:{name}:{symbol}", f"{name} keeps to {mode.name}.")
        return None
    if marked or now is Mode.NORMAL:  # one that somebody else had held back is never let go by trueup
        app.switch_marks.mark(name, symbol, mode, iso(app.clock.now_ms()))
    return switch.stop(mode, about)


def _resumed(app: App, switch: Switch, name: str, symbol: str, now: Mode) -> SwitchReport | None:
    report = switch.resume(symbol or None) if now is not Mode.NORMAL else None
    if report is None or report.done:
        app.switch_marks.clear(name, symbol)
        resolve_alert(app, f"{FAILED}:{name}:{symbol}", f"{name} trades again.")
    return report


def _tell(app: App, done: Switched) -> None:
    name, symbol, mode, detail = done.profile_id, done.symbol, done.mode, done.report.detail
    key = f"{FAILED}:{name}:{symbol}"
    scope = f"symbol:{name}:{symbol}" if symbol else f"profile:{name}"
    if not done.report.done:
        log("switch_failed", profile_id=name, symbol=symbol, mode=mode.name, detail=detail)
        severity = "warning" if mode is Mode.NORMAL else "critical"
        told = "was told to trade again" if mode is Mode.NORMAL else f"is not known to keep to {mode.name}"
        raise_alert(app, FAILED, key, scope, severity, f"{name} {told}: {detail}")
    elif mode is Mode.NORMAL:
        log("switch_resumed", profile_id=name, symbol=symbol, detail=detail)
    else:
        log("switch_stopped", profile_id=name, symbol=symbol, mode=mode.name, detail=detail)
        resolve_alert(app, key, f"{name} keeps to {mode.name}.")


def inspect_switches(app: App) -> list[Check]:
    """Ask every bot that has a switch how it is, and change nothing."""
    checks = []
    for name in sorted(app.switches):
        about = f"switch of {name}"
        try:
            switch = app.switches[name]()
            state = switch.status()
            checks.append(Check(about, True, f"{switch.name}: {state.detail}"))
        except TrueupError as error:
            checks.append(Check(about, False, error.what, error.do, error.exit_code))
    return checks
