"""What mode holds for a scope, dead-man included: the same for people who look as for bots that ask the gate."""

from collections.abc import Mapping
from dataclasses import dataclass

from trueup.core.gate import DEADMAN, Beat, DeadmanRules, Posture, StandingMode, posture, scopes_of_symbol
from trueup.core.modes import GLOBAL, Mode, path_of
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ports import ModeChange, Profile
from trueup.service.app import App
from trueup.service.gate import BOT

ACCOUNT = "account:"


@dataclass(frozen=True, slots=True)
class Stand:
    """The modes in force, the heartbeats that were ever healthy, and the profiles, at one moment."""

    scopes: Mapping[str, Mode]
    beats: Mapping[str, Beat]
    profiles: Mapping[str, Profile]
    homes: Mapping[str, tuple[str, Symbols]]
    rules: DeadmanRules
    now_ms: int

    def of(self, scope: str) -> Posture:
        """Return what holds for a scope that binds somebody.

        The dead-man of the global scope holds where every account that was ever heard is silent.
        """
        kind, _, rest = scope.partition(":")
        if kind == GLOBAL:
            return self._global()
        if kind == "account":
            return self._posture((GLOBAL, scope), (scope,))
        owner = rest if kind == "profile" else self._owner(rest)
        account, symbols = self.homes[owner]
        path = path_of(account, owner)
        if kind == "symbol":
            spelt = scopes_of_symbol(self.scopes, owner, rest.removeprefix(f"{owner}:"), symbols)
            path = (*path, *spelt)
        return self._posture(path, (path[1], BOT + owner))

    def _global(self) -> Posture:
        heard = {ACCOUNT + account for account, _ in self.homes.values()} & self.beats.keys()
        found = [self._posture((GLOBAL,), (scope,)) for scope in sorted(heard)]
        return found[0] if found and all(one.dead for one in found) else self._posture((GLOBAL,), ())

    def _owner(self, rest: str) -> str:
        return max((name for name in self.profiles if rest.startswith(f"{name}:")), key=len)

    def _posture(self, path: tuple[str, ...], heard: tuple[str, ...]) -> Posture:
        modes = {scope: StandingMode(self.scopes[scope], 0) for scope in path if scope in self.scopes}
        beats = [self.beats[scope] for scope in heard if scope in self.beats]
        return posture(modes, path, beats, self.now_ms, self.rules)

    def change(self, held: Posture) -> ModeChange | None:
        """Return since when and why the dead-man holds, as a change of a mode is told; None where it does not."""
        beat = self.beats.get(held.because_of)
        if beat is None or not held.dead:
            return None
        since = iso(min(beat.healthy_ms + self.rules.timeout_ms, self.now_ms))
        return ModeChange(beat.scope, held.mode, Mode.NORMAL, DEADMAN, DEADMAN, held.reason, since)


def stand(app: App) -> Stand:
    """Return how everything stands now."""
    profiles = {profile.profile_id: profile for profile in app.ledger.profiles()}
    return Stand(
        scopes=app.modes.current(),
        beats=app.heartbeats.beats(),
        profiles=profiles,
        homes={name: _home(app, profile) for name, profile in profiles.items()},
        rules=app.safety.deadman,
        now_ms=app.clock.now_ms(),
    )


def _home(app: App, profile: Profile) -> tuple[str, Symbols]:
    """Return a profile's account and how it spells its markets; one that is not configured keeps its name."""
    only = next(iter(app.accounts)) if len(app.accounts) == 1 else ""
    name = profile.account if profile.account is not None else only
    known = app.accounts.get(name)
    return name, known.symbols if known is not None else Symbols()
