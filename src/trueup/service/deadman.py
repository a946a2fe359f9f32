"""The dead-man as people hear of it: who is silent, who came back and is not trusted yet, and when it is over."""

from dataclasses import dataclass, field

from trueup.core.gate import DEADMAN, Beat, DeadmanRules, posture
from trueup.service.alerts import raise_alert, resolve_alert
from trueup.service.app import App
from trueup.service.events import log
from trueup.service.gate import BOT
from trueup.service.posture import ACCOUNT, Stand, stand

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Silence:
    """A scope of heartbeats under the dead-man, and why."""

    scope: str
    reason: str


def dead_bots(app: App) -> list[str]:
    """Return the enabled profiles whose bot is silent or not trusted again yet; one that never beat is not among them.

    An account that reconciliation does not look after kills no bot.
    """
    return sorted(one.scope.removeprefix(BOT) for one in silences(stand(app)) if one.scope.startswith(BOT))


def silences(found: Stand) -> list[Silence]:
    """Return the scopes of enabled profiles and of their accounts that the dead-man holds."""
    named: list[Silence] = []
    for scope in sorted(_watched(found) & found.beats.keys()):
        reason = _dead(found.beats[scope], found.rules, found.now_ms)
        if reason is not None:
            named.append(Silence(scope, reason))
    return named


def _watched(found: Stand) -> set[str]:
    enabled = [name for name, profile in found.profiles.items() if profile.enabled]
    return {BOT + name for name in enabled} | {ACCOUNT + found.homes[name][0] for name in enabled}


def _dead(beat: Beat, rules: DeadmanRules, now_ms: int) -> str | None:
    held = posture({}, (), (beat,), now_ms, rules)
    return held.reason if held.dead else None


@dataclass(slots=True)
class DeadmanWatch:
    """One watcher of heartbeats: what it told of stays told until it is over, however often it looks."""

    told: dict[str, str] = field(default_factory=dict)
    looked: bool = False

    def look(self, app: App) -> list[Silence]:
        """Tell of what became silent and of what is well again since the last look; return who is silent now."""
        found = stand(app)
        now = silences(found)
        for one in now:
            if one.scope not in self.told:
                raise_alert(app, DEADMAN, f"{DEADMAN}:{one.scope}", one.scope, "critical", _words(found, one))
                log("heartbeat_lost", scope=one.scope, reason=one.reason)
                self.told[one.scope] = one.reason
        over = (set(self.told) | self._of_others(app)) - {one.scope for one in now}
        for scope in sorted(over):
            resolve_alert(app, f"{DEADMAN}:{scope}", f"{scope} is heard again.")
            log("heartbeat_recovered", scope=scope)
            self.told.pop(scope, None)
        return now

    def _of_others(self, app: App) -> set[str]:
        """Return, at the first look, what an earlier worker told of and did not see the end of."""
        if self.looked:
            return set()
        self.looked = True
        newest: dict[str, bool] = {}
        for alert in app.outbox.page(_PAGE):
            if alert.kind == DEADMAN:
                newest.setdefault(alert.scope, alert.severity.rank > 0)
        return {scope for scope, going_on in newest.items() if going_on}


def _words(found: Stand, one: Silence) -> str:
    return f"{one.reason}; the gate answers as in {found.rules.action.name} until it is heard again."
