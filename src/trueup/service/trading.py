"""Trading as a bot or its operator asks for it: is it allowed in a scope, stop it, let it go on.

A pause only ever tightens; to let trading go on is to set NORMAL, which an open incident forbids where it contains.
"""

from dataclasses import dataclass

from trueup.core.errors import ConfigurationError
from trueup.core.modes import GLOBAL, Mode, read_mode, read_scope
from trueup.core.times import iso
from trueup.ports import ModeChange
from trueup.service.app import App
from trueup.service.flattening import wake_for
from trueup.service.modes import require_flatten, require_known, set_mode
from trueup.service.posture import stand
from trueup.service.switching import enforce_scope


@dataclass(frozen=True, slots=True)
class Trading:
    """What holds in a scope, dead-man included: the mode, the scope or heartbeat that demands it, and since when."""

    scope: str
    mode: Mode
    because_of: str
    change: ModeChange | None

    def as_json(self) -> dict[str, object]:
        """Return the status for printing."""
        change = self.change
        return {
            "status": "PAUSED" if self.mode.paused else "RUNNING", "mode": self.mode.name, "scope": self.scope,
            "because_of": self.because_of, "source": change.source if change is not None else None,
            "since": change.at if change is not None else None, "actor": change.actor if change is not None else None,
            "reason": change.reason if change is not None else None,
        }  # fmt: skip


def trading(app: App, scope: str = GLOBAL) -> Trading:
    """Say whether trading is allowed in a scope, by which mode, since when and why."""
    where = read_scope(scope)
    require_known(app, where)
    found = stand(app)
    held = found.of(where)
    return Trading(where, held.mode, held.because_of, found.change(held) or app.modes.since(held.because_of))


def pause(app: App, reason: str, scope: str = GLOBAL, mode: str = Mode.SAFE_MODE.name) -> Trading:
    """Pause trading in a scope; a mode that is stricter already stays."""
    wanted, where = read_mode(mode), read_scope(scope)
    if not wanted.paused:
        raise ConfigurationError(f"{wanted.name} pauses nothing.", "Use SAFE_MODE, FLATTEN or HALT.")
    if not reason.strip():
        raise ConfigurationError("A reason is needed.", "Say why; it is kept in the history.")
    require_known(app, where)
    if wanted is Mode.FLATTEN:
        require_flatten(app, where)
    now = iso(app.clock.now_ms())
    app.modes.tighten(ModeChange(where, wanted, Mode.NORMAL, "operator", app.actor, reason.strip(), now))
    enforce_scope(app, where)
    if wanted is Mode.FLATTEN:
        wake_for(app, where)
    return trading(app, where)


def resume(app: App, reason: str, scope: str = GLOBAL) -> Trading:
    """Let a scope trade again, as far as wider scopes allow it; Refused where an incident holds it."""
    set_mode(app, Mode.NORMAL.name, scope, reason)
    return trading(app, scope)
